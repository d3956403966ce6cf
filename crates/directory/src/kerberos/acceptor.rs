//! Exchanges with clients that have a ticket, by the system's GSSAPI library.

use super::{KEYTAB_VARIABLE, principal};
use identity::{Conversation, Finding, Inquiry, Link, No, Package, Secret, settings};
use libgssapi::context::{CtxFlags, SecurityContext, ServerCtx};
use libgssapi::credential::{Cred, CredUsage};
use libgssapi::error::{Error, MajorFlags};
use libgssapi::oid::{GSS_MECH_KRB5, GSS_MECH_SPNEGO, Oid, OidSet};
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// Calls of the library at one time. None of them talks to anybody, but the replay cache is a file.
const CALLS: usize = 4;
/// How long an answer of the library may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Exchanges that have begun and not ended.
const HALF_OPEN: usize = 1024;
/// What MIT Kerberos reads when nobody names another.
const DEFAULT_KEYTAB: &str = "/etc/krb5.keytab";
/// `GSS_C_CHANNEL_BOUND_FLAG` of MIT Kerberos 1.19: the client gave a binding, and it was right.
const CHANNEL_BOUND: u32 = 0x800;
/// RFC 4752 §3.3: one octet with the layers that may be chosen, of which 1 is none, and three with the
/// size of what we could take.
const NO_LAYER: [u8; 4] = [1, 0, 0, 0];
/// Where a routine error stands in a major status.
const ROUTINE_ERRORS: u32 = 0x00ff_0000;
/// Errors of the system: a file that cannot be read.
const SYSTEM_ERRORS: Range<u32> = 1..4096;
/// Errors that MIT Kerberos has of its own, of keytabs, replay caches and settings. They come behind those
/// of the protocol (RFC 4120 §7.5.9), which are the client's.
const HOST_ERRORS: Range<u32> = PROTOCOL_ERRORS + 128..PROTOCOL_ERRORS + 256;
const PROTOCOL_ERRORS: u32 = (-1_765_328_384_i32).cast_unsigned();

/// The service, with its keys.
pub struct Kerberos {
    service: Arc<Service>,
    calls: Arc<Semaphore>,
    half_open: Arc<Semaphore>,
}

struct Service {
    kerberos: Cred,
    spnego: Cred,
    realm: Box<str>,
    host: Box<str>,
}

impl std::fmt::Debug for Kerberos {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Kerberos(smtp/{}@{})", self.service.host, self.service.realm)
    }
}

impl Kerberos {
    /// Whether the library would read this keytab, by the environment of this process.
    #[must_use]
    pub fn reads(keytab: &Path) -> bool {
        check_keytab(keytab, std::env::var_os(KEYTAB_VARIABLE).as_deref()).is_ok()
    }

    /// Looks whether there are keys in the keytab.
    ///
    /// # Errors
    /// When the library would read another keytab, or there is nothing of use in it.
    pub fn open(settings: &settings::Kerberos) -> io::Result<Kerberos> {
        check_keytab(&settings.keytab, std::env::var_os(KEYTAB_VARIABLE).as_deref())?;
        let service = Service {
            kerberos: credential(&settings.keytab, GSS_MECH_KRB5)?,
            spnego: credential(&settings.keytab, GSS_MECH_SPNEGO)?,
            realm: settings.realm.clone(),
            host: settings.host.as_str().into(),
        };
        Ok(Kerberos {
            service: Arc::new(service),
            calls: Arc::new(Semaphore::new(CALLS)),
            half_open: Arc::new(Semaphore::new(HALF_OPEN)),
        })
    }

    /// The next step of an exchange. Anything but [`Inquiry::Converse`] cannot be found out here.
    pub async fn converse(&self, inquiry: Inquiry) -> Finding {
        let Inquiry::Converse { package, conversation, octets, link, binding_required } = inquiry else {
            return Finding::Unavailable;
        };
        let Some(exchange) = self.exchange(package, conversation) else { return Finding::Unavailable };
        let asked = Asked { octets, link, binding_required };
        let call = async {
            let place = Arc::clone(&self.calls).acquire_owned().await.ok()?;
            // What cannot be called back keeps its place until it returns.
            let called = tokio::task::spawn_blocking(move || {
                let finding = exchange.step(&asked);
                drop(place);
                finding
            });
            called.await.ok()
        };
        timeout(PATIENCE, call).await.ok().flatten().unwrap_or(Finding::Unavailable)
    }

    fn exchange(&self, package: Package, conversation: Option<Conversation>) -> Option<Box<Exchange>> {
        if let Some(Conversation(held)) = conversation {
            return held.downcast::<Exchange>().ok();
        }
        let credential = match package {
            Package::Gssapi => &self.service.kerberos,
            Package::Spnego => &self.service.spnego,
            Package::Ntlm => return None,
        };
        let place = Arc::clone(&self.half_open).try_acquire_owned().ok()?;
        Some(Box::new(Exchange {
            context: ServerCtx::new(Some(credential.clone())),
            package,
            stage: Stage::Tickets,
            service: Arc::clone(&self.service),
            _place: place,
        }))
    }
}

/// The library takes the name of the keytab from the environment alone, and the environment of a process
/// with threads cannot be changed soundly. So it must have been right from the beginning.
fn check_keytab(keytab: &Path, environment: Option<&std::ffi::OsStr>) -> io::Result<()> {
    let named = environment.map_or(DEFAULT_KEYTAB.into(), std::ffi::OsStr::to_string_lossy);
    if Path::new(named.strip_prefix("FILE:").unwrap_or(&named)) == keytab {
        return Ok(());
    }
    let keytab = keytab.display();
    let text =
        format!("the Kerberos library would read {named}: it must be started with {KEYTAB_VARIABLE}=FILE:{keytab}");
    Err(io::Error::new(io::ErrorKind::InvalidInput, text))
}

/// Any key of the keytab: Windows and MIT spell the service differently. Which it was is looked at later.
fn credential(keytab: &Path, mechanism: Oid<'static>) -> io::Result<Cred> {
    let acquired =
        OidSet::singleton(mechanism).and_then(|set| Cred::acquire(None, None, CredUsage::Accept, Some(&set)));
    acquired.map_err(|error| io::Error::other(format!("keytab {}: {error}", keytab.display())))
}

/// What one step is about.
struct Asked {
    octets: Secret,
    link: Option<Arc<Link>>,
    binding_required: bool,
}

/// An exchange between its steps.
struct Exchange {
    context: ServerCtx,
    package: Package,
    stage: Stage,
    service: Arc<Service>,
    _place: OwnedSemaphorePermit,
}

/// What is expected of the client.
enum Stage {
    /// Tokens of the context.
    Tickets,
    /// Nothing: it has the last of our tokens.
    Silence,
    /// Its choice of a layer (RFC 4752 §3.1).
    Layer,
}

impl Exchange {
    fn step(mut self: Box<Self>, asked: &Asked) -> Finding {
        let octets = asked.octets.expose();
        match self.stage {
            Stage::Tickets => self.ticket(octets, asked),
            Stage::Silence if !octets.is_empty() => Finding::No(No::Wrong),
            Stage::Silence => self.settle(),
            Stage::Layer => self.layer(octets),
        }
    }

    /// One token of the context.
    fn ticket(mut self: Box<Self>, octets: &[u8], asked: &Asked) -> Finding {
        // What Windows and MIT clients bind by. A client that gives another binding is refused by the library.
        let binding = asked.link.as_ref().filter(|link| !link.end_point.is_empty());
        let binding = binding.map(|link| [b"tls-server-end-point:", &*link.end_point].concat());
        let token = match self.context.step(octets, binding.as_deref()) {
            Ok(token) => token.map(|token| token.to_vec()),
            Err(error) => return refusal(error),
        };
        if !self.context.is_complete() {
            return self.challenge(token.unwrap_or_default(), Stage::Tickets);
        }
        match self.is_acceptable(asked.binding_required) {
            Ok(true) => {}
            Ok(false) => return Finding::No(No::Wrong),
            Err(error) => return refusal(error),
        }
        match token {
            Some(token) => self.challenge(token, Stage::Silence),
            None => self.settle(),
        }
    }

    /// Whether a complete context is one we asked for: Kerberos, with a ticket for us, bound if it must be.
    fn is_acceptable(&self, binding_required: bool) -> Result<bool, Error> {
        let flags = self.context.flags()?;
        let bound = flags.bits() & CHANNEL_BOUND != 0;
        let service = self.context.target_name()?.display_name()?;
        Ok(self.context.mechanism()? == GSS_MECH_KRB5
            && !flags.contains(CtxFlags::GSS_C_ANON_FLAG)
            && (bound || !binding_required)
            && principal::is_ours(&service, &self.service.host, &self.service.realm))
    }

    /// What comes when the context stands: the layer with GSSAPI, the verdict with SPNEGO.
    fn settle(mut self: Box<Self>) -> Finding {
        if self.package != Package::Gssapi {
            return self.verdict();
        }
        match self.context.wrap(false, &NO_LAYER) {
            Ok(offer) => self.challenge(offer.to_vec(), Stage::Layer),
            Err(error) => refusal(error),
        }
    }

    /// The layer that the client chose, and whom it wants to act for (RFC 4752 §3.3).
    fn layer(&mut self, octets: &[u8]) -> Finding {
        let chosen = match self.context.unwrap(octets) {
            Ok(chosen) => chosen,
            Err(error) => return refusal(error),
        };
        let Some(([1, _, _, _], wanted)) = chosen.split_first_chunk::<4>() else { return Finding::No(No::Wrong) };
        let verdict = self.verdict();
        let same = match &verdict {
            Finding::Principal(name, account) => {
                let account = account.as_ref().is_some_and(|account| account.name.as_bytes() == wanted);
                wanted.is_empty() || name.as_bytes() == wanted || account
            }
            _ => true,
        };
        if same { verdict } else { Finding::No(No::Wrong) }
    }

    fn verdict(&self) -> Finding {
        match self.context.source_name().and_then(|name| name.display_name()) {
            Ok(name) => principal::finding(&name, &self.service.realm),
            Err(error) => refusal(error),
        }
    }

    fn challenge(mut self: Box<Self>, octets: Vec<u8>, stage: Stage) -> Finding {
        self.stage = stage;
        Finding::Challenge(octets, Conversation(self))
    }
}

/// What an error of the library means: something wrong with what the client sent, or with this host.
fn refusal(error: Error) -> Finding {
    // The library's type says flags, but a routine error is one number of RFC 2744 §3.9.1.
    let routine = error.major.bits() & ROUTINE_ERRORS;
    let here = SYSTEM_ERRORS.contains(&error.minor) || HOST_ERRORS.contains(&error.minor);
    if routine == MajorFlags::GSS_S_NO_CRED.bits() || (routine == MajorFlags::GSS_S_FAILURE.bits() && here) {
        Finding::Unavailable
    } else {
        Finding::No(No::Wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keytab_must_be_the_one_that_the_library_reads() {
        let check =
            |keytab: &str, environment: Option<&str>| check_keytab(Path::new(keytab), environment.map(AsRef::as_ref));
        assert!(check("/k", Some("/k")).is_ok());
        assert!(check("/k", Some("FILE:/k")).is_ok());
        assert!(check("/etc/krb5.keytab", None).is_ok());
        for wrong in [None, Some("/other"), Some("MEMORY:/k"), Some("")] {
            let error = check("/k", wrong).unwrap_err().to_string();
            assert!(error.ends_with("KRB5_KTNAME=FILE:/k"), "{error}");
        }
    }

    #[test]
    fn what_is_wrong_here_is_not_held_against_the_client() {
        let finding = |major, minor| refusal(Error { major, minor });
        // KRB_AP_ERR_REPEAT, and a keytab that cannot be read.
        let repeat = finding(MajorFlags::GSS_S_FAILURE, PROTOCOL_ERRORS + 34);
        assert!(matches!(repeat, Finding::No(No::Wrong)));
        assert!(matches!(finding(MajorFlags::GSS_S_FAILURE, PROTOCOL_ERRORS + 200), Finding::Unavailable));
        assert!(matches!(finding(MajorFlags::GSS_S_FAILURE, 13), Finding::Unavailable));
        assert!(matches!(finding(MajorFlags::GSS_S_NO_CRED, 0), Finding::Unavailable));
        // As numbers, these contain the bits of the two above.
        assert!(matches!(finding(MajorFlags::GSS_S_UNAUTHORIZED, 13), Finding::No(No::Wrong)));
        assert!(matches!(finding(MajorFlags::GSS_S_DEFECTIVE_TOKEN, 0), Finding::No(No::Wrong)));
        assert!(matches!(finding(MajorFlags::GSS_S_BAD_BINDINGS, 0), Finding::No(No::Wrong)));
    }
}
