//! How clients of a virtual server prove who they are: mechanisms, and whether they can work with the
//! directories and the TLS that the virtual server has.

use super::Check;
use crate::Authentication;
use crate::file::{self, ExtendedProtection, File, MechanismName, VirtualServer};
use crate::mistake::Mistake;
use crate::places::{below, entry};
use crate::shape::nearest;
use identity::settings::{Directory, Kind};
use identity::{Mechanism, Protection};
use smtp::server::Settings;
use std::time::Duration;

/// The longest that a refusal may be held back; sessions have no more for a command.
const MINUTE: Duration = Duration::from_secs(60);

/// The word of somebody who wants passwords in the clear.
const INSISTENCE: &str = "i-know-passwords-can-be-read-on-the-way";

/// What the mechanisms of one virtual server have to work with.
pub(super) struct Means<'a> {
    /// All directories of the settings.
    pub(super) directories: &'a [Directory],
    /// Whether there is a certificate.
    pub(super) tls: bool,
    /// Whether clients are asked for theirs.
    pub(super) client_certificates: bool,
}

impl Check<'_> {
    pub(super) fn mechanisms(
        &mut self,
        key: &str,
        file: &File,
        server: &VirtualServer,
        means: &Means<'_>,
    ) -> Option<Authentication> {
        let table = &server.authentication;
        let [list_key, word_key] = ["mechanisms", "in_the_clear"].map(|name| below(key, name));
        let directories = self.directories_named(&below(key, "directories"), &table.directories, means.directories);
        let insists = match table.in_the_clear.as_deref() {
            None => false,
            Some(INSISTENCE) => true,
            Some(_) => {
                let nearest = Some(format!("{INSISTENCE:?}"));
                self.bad(
                    &word_key,
                    "is not the sentence",
                    "expected the sentence in the manual, or no such key",
                    nearest,
                );
                return None;
            }
        };
        let failure_delay = self.duration(&below(key, "failure_delay"), &table.failure_delay, Duration::ZERO..=MINUTE);
        let (directories, failure_delay) = (directories?, failure_delay?);
        let mechanisms: Vec<Mechanism> = table.mechanisms.iter().map(|&name| mechanism(name)).collect();
        // No decision rests on these; what is said about them leads to their lines.
        for key in [&list_key, &word_key] {
            self.rule(key);
        }
        let mut complete = !self.is_broken(&list_key);
        for (index, &mechanism) in mechanisms.iter().enumerate() {
            let key = entry(&list_key, index);
            let unbound = table.extended_protection == ExtendedProtection::Required
                && mechanism == Mechanism::GssSpnego
                && spnego_by_winbind(&directories, means);
            let (mistake, expected) = match self.cannot_work(mechanism, file, &directories, means, insists) {
                None if unbound => (
                    "cannot be bound to TLS by winbind, and `extended_protection` requires it",
                    "expected a directory of kind `kerberos` before it",
                ),
                None if mechanisms[..index].contains(&mechanism) => ("is in the list twice", "expected each once"),
                None => continue,
                Some(why) => why,
            };
            let found = format!("{mechanism} {mistake}");
            self.mistakes.push(Mistake::error(&key, self.places.value_of(&key), found).expected(expected));
            complete = false;
        }
        let kinds = directories.iter().filter_map(|name| means.directories.iter().find(|known| known.name == *name));
        let by_winbind = kinds.clone().any(|directory| matches!(directory.kind, Kind::Winbind(_)));
        complete.then(|| Authentication {
            mechanisms: in_order(mechanisms),
            directories,
            protection: match table.extended_protection {
                ExtendedProtection::WhenGiven => Protection::WhenGiven,
                ExtendedProtection::Required => Protection::Required,
            },
            ntlm_here: !by_winbind,
            failures_limit: table.failures,
            failure_delay,
            in_the_clear: insists,
        })
    }

    /// Names of directories, each of which must exist.
    pub(super) fn directories_named(
        &mut self,
        key: &str,
        names: &[String],
        known: &[Directory],
    ) -> Option<Vec<Box<str>>> {
        self.all(names, key, |check, key, name| {
            if known.iter().any(|directory| *directory.name == **name) {
                return Some(name.as_str().into());
            }
            let near = nearest(name, known.iter().map(|directory| &*directory.name)).map(|near| format!("{near:?}"));
            check.bad(key, "names a directory that does not exist", "expected the name of a [directory.…] table", near);
            None
        })
    }

    /// Why a mechanism could never succeed on this virtual server, or would do harm, and what it takes.
    fn cannot_work(
        &self,
        mechanism: Mechanism,
        file: &File,
        directories: &[Box<str>],
        means: &Means<'_>,
        insists: bool,
    ) -> Option<(&'static str, &'static str)> {
        let insists = insists && mechanism.shows_its_secret();
        if !means.tls && !insists && (mechanism.needs_tls() || mechanism.shows_its_secret()) {
            return Some(("needs TLS, and this virtual server has no certificate", "this needs `tls.certificates`"));
        }
        if mechanism == Mechanism::External && !means.client_certificates {
            return Some((
                "needs client certificates, and this virtual server does not ask for them",
                "this needs `tls.client_certificates = \"asked\"`",
            ));
        }
        let has = |wanted: fn(&Kind) -> bool| {
            let mut named = means.directories.iter().filter(|known| directories.contains(&known.name));
            named.any(|directory| wanted(&directory.kind))
        };
        let by_certificate = || file.peer.values().any(|peer| !peer.certificates.is_empty());
        let (can, needs) = match mechanism {
            Mechanism::Plain | Mechanism::Login => (
                has(|kind| matches!(kind, Kind::File(_) | Kind::Ldap(_) | Kind::Pam(_))),
                "needs a directory of kind `file`, `ldap` or `pam`",
            ),
            Mechanism::ScramSha256 | Mechanism::ScramSha256Plus => {
                (has(|kind| matches!(kind, Kind::File(_))), "needs a directory of kind `file`")
            }
            Mechanism::External => (
                by_certificate() || has(|kind| matches!(kind, Kind::File(_) | Kind::Ldap(_))),
                "needs a peer with certificates, or a directory of kind `file` or `ldap`",
            ),
            Mechanism::OauthBearer | Mechanism::Xoauth2 => {
                (has(|kind| matches!(kind, Kind::Tokens(_))), "needs a directory of kind `tokens`")
            }
            Mechanism::Gssapi => {
                (has(|kind| matches!(kind, Kind::Kerberos(_))), "needs a directory of kind `kerberos`")
            }
            Mechanism::GssSpnego => (
                has(|kind| matches!(kind, Kind::Kerberos(_) | Kind::Winbind(_))),
                "needs a directory of kind `kerberos` or `winbind`",
            ),
            Mechanism::Ntlm => (
                has(|kind| matches!(kind, Kind::File(_) | Kind::Winbind(_))),
                "needs a directory of kind `winbind`, or `file` with accounts that allow it",
            ),
        };
        (!can).then_some((needs, "expected its name in `directories`"))
    }
}

/// Whether the first directory that holds exchanges of SPNEGO is winbind, whose helper is told nothing of
/// the connection. With NTLM alone, the binding is looked at here.
fn spnego_by_winbind(directories: &[Box<str>], means: &Means<'_>) -> bool {
    let mut kinds = directories.iter().filter_map(|name| {
        let known = means.directories.iter().find(|known| known.name == *name)?;
        Some(&known.kind)
    });
    let holder = kinds.find(|kind| matches!(kind, Kind::Kerberos(_) | Kind::Winbind(_)));
    matches!(holder, Some(Kind::Winbind(_)))
}

/// The session's settings with the names of what is offered, in the clear and inside TLS.
pub(super) fn with_mechanisms(session: Settings, authentication: &Authentication) -> Settings {
    // Where a binding to TLS is asked for, there is nothing to bind to in the clear.
    let bound = authentication.protection == Protection::Required;
    let in_the_clear = |mechanism: &Mechanism| match mechanism {
        Mechanism::Ntlm | Mechanism::GssSpnego if bound => false,
        _ if mechanism.shows_its_secret() => authentication.in_the_clear,
        _ => !mechanism.needs_tls(),
    };
    let all = authentication.mechanisms.iter().copied();
    let names = |list: &mut dyn Iterator<Item = Mechanism>| list.map(|mechanism| mechanism.name().into()).collect();
    Settings {
        mechanisms: names(&mut all.clone().filter(in_the_clear)),
        mechanisms_when_secured: names(&mut all.clone()),
        failures_limit: authentication.failures_limit,
        failed_auth_delay: authentication.failure_delay,
        ..session
    }
}

/// Strongest first, which is how clients read the list.
fn in_order(mut mechanisms: Vec<Mechanism>) -> Vec<Mechanism> {
    mechanisms.sort_by_key(|wanted| Mechanism::ALL.iter().position(|known| known == wanted));
    mechanisms
}

fn mechanism(name: file::MechanismName) -> Mechanism {
    match name {
        MechanismName::External => Mechanism::External,
        MechanismName::ScramSha256Plus => Mechanism::ScramSha256Plus,
        MechanismName::ScramSha256 => Mechanism::ScramSha256,
        MechanismName::Gssapi => Mechanism::Gssapi,
        MechanismName::GssSpnego => Mechanism::GssSpnego,
        MechanismName::OauthBearer => Mechanism::OauthBearer,
        MechanismName::Xoauth2 => Mechanism::Xoauth2,
        MechanismName::Ntlm => Mechanism::Ntlm,
        MechanismName::Plain => Mechanism::Plain,
        MechanismName::Login => Mechanism::Login,
    }
}
