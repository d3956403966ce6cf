//! Accounts of a Windows domain, by `ntlm_auth` of Samba: only a domain controller can check their
//! proofs, and winbind is whom it talks to.
//!
//! Each exchange borrows one helper, from its first message to its last, because the helper keeps the
//! challenge. Helpers are few, so a client that does not go on loses its own after a while. One that
//! dies, hangs or answers what it never should is ended, and a new one is started, not at once if that
//! keeps happening. Whatever a helper does, the worst that comes of it is "could not be found out".

mod said;

use self::said::Said;
use crate::helper::{Answers, Lease, Pool, Program, Serves};
use base64ct::{Base64, Encoding};
use identity::settings;
use identity::{Conversation, Finding, Inquiry, No, Package, Secret};
use mail::Account;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::AbortHandle;

/// How long a client may think about a challenge while others wait for its helper.
const PATIENCE: Duration = Duration::from_secs(30);
/// What an SMTP line has room for (RFC 4954 §4), without base64.
const TOKEN_OCTETS: usize = 12_288 / 4 * 3;
/// Octets of a line of the helper: what fits into an SMTP line, a name, and some more.
const LINE_OCTETS: u64 = 16_384;

/// The helpers of one domain.
#[derive(Debug)]
pub struct Winbind {
    ntlm: Arc<Pool>,
    spnego: Arc<Pool>,
}

impl Winbind {
    /// Looks whether the helper is there. It is started when it is first needed.
    ///
    /// # Errors
    /// When `ntlm_auth` is not a file.
    pub fn open(settings: &settings::Winbind) -> io::Result<Winbind> {
        let helper = settings.helper.display();
        let about = std::fs::metadata(&settings.helper)
            .map_err(|error| io::Error::new(error.kind(), format!("the helper {helper}: {error}")))?;
        if !about.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("the helper {helper} is not a file")));
        }
        let pool = |protocol: &str| {
            let program = Program {
                path: settings.helper.clone(),
                arguments: vec![format!("--helper-protocol={protocol}").into()],
                answers: Answers::Line(LINE_OCTETS),
                serves: Serves::Many,
            };
            Pool::new(program, settings.helpers, settings.timeout)
        };
        Ok(Winbind { ntlm: pool("squid-2.5-ntlmssp"), spnego: pool("gss-spnego") })
    }

    /// Whether this is an exchange for the helper.
    #[must_use]
    pub fn takes(package: Package) -> bool {
        matches!(package, Package::Ntlm | Package::Spnego)
    }

    /// The next step of an exchange. Anything but [`Inquiry::Converse`] cannot be found out here.
    pub async fn converse(&self, inquiry: Inquiry) -> Finding {
        let Inquiry::Converse { package, conversation, octets, binding_required, .. } = inquiry else {
            return Finding::Unavailable;
        };
        let pool = match package {
            Package::Ntlm => &self.ntlm,
            // The helper is not told of the link, and unlike NTLM, nobody else can look at the binding.
            Package::Spnego if !binding_required => &self.spnego,
            Package::Spnego | Package::Gssapi => return Finding::Unavailable,
        };
        match conversation {
            None => match Arc::clone(pool).lease().await {
                Some(lease) => step(package, lease, "YR", &octets).await,
                None => Finding::Unavailable,
            },
            Some(Conversation(held)) => match held.downcast::<Held>() {
                Ok(held) => held.go_on(package, &octets).await,
                Err(_) => Finding::Unavailable,
            },
        }
    }
}

/// What an exchange keeps between its steps.
enum Held {
    /// Its helper, until patience ends.
    Helper { slot: Arc<Mutex<Option<Lease>>>, patience: AbortHandle },
    /// The last token is with the client, and this is what is said when it has it.
    Verdict(Box<str>),
}

impl Held {
    fn helper(lease: Lease) -> Held {
        let slot = Arc::new(Mutex::new(Some(lease)));
        let weak = Arc::downgrade(&slot);
        let patience = tokio::spawn(async move {
            tokio::time::sleep(PATIENCE).await;
            if let Some(slot) = weak.upgrade() {
                drop(slot.lock().unwrap_or_else(PoisonError::into_inner).take());
            }
        });
        Held::Helper { slot, patience: patience.abort_handle() }
    }

    async fn go_on(self: Box<Self>, package: Package, octets: &Secret) -> Finding {
        match &*self {
            Held::Verdict(name) if octets.expose().is_empty() => yes(name),
            Held::Verdict(_) => Finding::No(No::Wrong),
            Held::Helper { slot, .. } => {
                let lease = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
                match lease {
                    Some(lease) => step(package, lease, "KK", octets).await,
                    None => Finding::Unavailable,
                }
            }
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Held::Helper { patience, .. } = self {
            patience.abort();
        }
    }
}

/// Hands the client's octets to the helper, and what it says about them back.
async fn step(package: Package, mut lease: Lease, verb: &str, octets: &Secret) -> Finding {
    if octets.expose().len() > TOKEN_OCTETS {
        return Finding::No(No::Wrong);
    }
    let request = format!("{verb} {}\n", Base64::encode_string(octets.expose()));
    let Some(line) = lease.ask(&Secret::new(request.into_bytes())).await else { return Finding::Unavailable };
    let Some(said) = Said::parse(package, &line) else {
        lease.condemn();
        return Finding::Unavailable;
    };
    lease.answered();
    match said {
        Said::Challenge(token) => Finding::Challenge(token, Conversation(Box::new(Held::helper(lease)))),
        Said::Yes(name, None) => yes(&name),
        // SMTP has no room for a token beside its last reply: it goes before (RFC 4422 §3.6).
        Said::Yes(name, Some(token)) => Finding::Challenge(token, Conversation(Box::new(Held::Verdict(name)))),
        Said::No(no) => Finding::No(no),
        Said::Unknown => Finding::Unavailable,
    }
}

/// The domain's word. The name stays as winbind writes it, with its domain unless winbind is told to
/// leave that away: the same name in two domains is two accounts.
fn yes(name: &str) -> Finding {
    let account = (!name.ends_with('$')).then(|| Arc::new(Account::named(name)));
    Finding::Principal(name.into(), account)
}
