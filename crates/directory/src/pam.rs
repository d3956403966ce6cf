//! PAM: passwords that the modules of this host check.
//!
//! Modules are other people's code with a password in its hands, so they never run among us: each try has
//! a process of its own, this program again under another name, and whatever the modules leave in its
//! memory goes with it. A helper that dies, hangs or answers what it never should is "could not be found
//! out", and if that keeps happening, the next ones rest for a while.
//! This program can be built without PAM; then settings that name it do not start.

#[cfg(feature = "pam")]
mod conversation;
mod wire;

#[cfg(feature = "pam")]
pub use self::conversation::serve;

use self::wire::{ANSWER_OCTETS, NAME_OCTETS, PASSWORD_OCTETS, Said};
use crate::helper::{Answers, Pool, Program, Serves};
use identity::{Finding, No, Secret, settings};
use mail::Account;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The command of this program that is the helper.
pub const COMMAND: &str = "pam-helper";

/// This very program, even after another was put in its place on disk.
const OURSELVES: &str = "/proc/self/exe";
/// Where libpam looks for services (pam.conf(5)), and distributions that have moved theirs.
const SERVICES: [&str; 4] = ["/etc/pam.d", "/usr/lib/pam.d", "/usr/etc/pam.d", "/usr/share/pam.d"];

/// The accounts behind one PAM service.
pub struct Pam {
    service: Box<str>,
    pool: Arc<Pool>,
}

impl fmt::Debug for Pam {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pam").field("service", &self.service).finish_non_exhaustive()
    }
}

impl Pam {
    /// Looks whether there is such a service. A helper is started when it is first needed.
    ///
    /// # Errors
    /// When there is none: libpam would quietly take the service `other` in its place. And always, when
    /// this program was built without PAM.
    pub fn open(settings: &settings::Pam) -> io::Result<Pam> {
        if cfg!(not(feature = "pam")) {
            let text = "this program was built without PAM: build it with the feature pam";
            return Err(io::Error::new(io::ErrorKind::Unsupported, text));
        }
        // libpam makes it lower case.
        let name = settings.service.to_ascii_lowercase();
        if !SERVICES.iter().any(|directory| Path::new(directory).join(&name).is_file()) {
            let text = format!("there is no PAM service {name}: expected a file {}/{name}", SERVICES[0]);
            return Err(io::Error::new(io::ErrorKind::NotFound, text));
        }
        std::fs::metadata(OURSELVES)
            .map_err(|error| io::Error::new(error.kind(), format!("the helper {OURSELVES}: {error}")))?;
        Ok(Pam::by(settings, OURSELVES.into(), vec![COMMAND.into()]))
    }

    /// Asks this helper, whatever services there are.
    #[must_use]
    pub fn by(settings: &settings::Pam, helper: PathBuf, arguments: Vec<OsString>) -> Pam {
        let program =
            Program { path: helper, arguments, answers: Answers::Counted(ANSWER_OCTETS), serves: Serves::One };
        Pam { service: settings.service.clone(), pool: Pool::new(program, settings.helpers, settings.timeout) }
    }

    /// Is this the password of that account, and may it log in? The account has the name that the modules
    /// give it, which need not be what the client wrote.
    pub async fn password(&self, name: &str, password: &Secret) -> Finding {
        if !may_be_asked(name) {
            return Finding::No(No::Unknown);
        }
        // An empty one is a yes to some who are asked (RFC 4513 §5.1.2), and C ends one at its first NUL.
        let octets = password.expose();
        if octets.is_empty() || octets.len() > PASSWORD_OCTETS || octets.contains(&0) {
            return Finding::No(No::Wrong);
        }
        let Some(mut lease) = Arc::clone(&self.pool).lease().await else { return Finding::Unavailable };
        let Some(answer) = lease.ask(&wire::request(&self.service, name, octets)).await else {
            return Finding::Unavailable;
        };
        let Some(said) = Said::parse(&answer) else {
            lease.condemn();
            return Finding::Unavailable;
        };
        lease.answered();
        match said {
            Said::Good(name) => Finding::Account(Arc::new(Account::named(&name))),
            Said::Wrong => Finding::No(No::Wrong),
            Said::Unknown => Finding::No(No::Unknown),
            Said::Suspended => Finding::No(No::Suspended),
            Said::Unavailable => Finding::Unavailable,
        }
    }
}

/// Whether a name may be shown to modules. They make file names, command lines and queries of it, not all
/// of them with care, and nobody is called like this.
fn may_be_asked(name: &str) -> bool {
    let sound = !name.is_empty() && name.len() <= NAME_OCTETS && !name.starts_with(['-', '.']);
    sound && !name.contains(|c: char| c.is_control() || matches!(c, '/' | ':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_modules_might_stumble_over_is_no_name() {
        for name in ["alice", "Alice", r"CORP\alice", "alice@corp.example", "EX1$", "jürgen", "a b"] {
            assert!(may_be_asked(name), "{name}");
        }
        let long = "a".repeat(NAME_OCTETS + 1);
        for name in ["", "-rf", ".", "../alice", "a/b", "root:x", "a\nb", "a\0b", "a\u{85}b", long.as_str()] {
            assert!(!may_be_asked(name), "{name:?}");
        }
    }

    #[test]
    fn a_service_that_is_not_there_does_not_start() {
        let service = "bridgehead-of-nobody".into();
        let settings = settings::Pam { service, helpers: 1, timeout: std::time::Duration::from_secs(1) };
        let error = Pam::open(&settings).unwrap_err().to_string();
        let expected = if cfg!(feature = "pam") { "/etc/pam.d/bridgehead-of-nobody" } else { "feature pam" };
        assert!(error.contains(expected), "{error}");
    }
}
