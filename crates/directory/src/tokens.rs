//! Tokens: JSON Web Tokens (RFC 7519) that an issuer signs for those whom it knows.
//!
//! A token is read only as far as its size and form allow, then its signature is checked by a key of
//! the issuer, then every claim that the settings speak of. What the client says beside the token
//! counts for nothing but to be compared.

mod claims;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod keys;
mod remote;

use crate::Clock;
use crate::notice::Teller;
use crate::watched::Watched;
use claims::{Head, Refused};
use identity::settings::{Keys, Tokens as Settings};
use identity::{Finding, No};
use keys::KeySet;
use remote::{Remote, Renewed};
use std::io;
use std::sync::Arc;

/// An issuer of tokens.
pub(crate) struct Tokens {
    settings: Settings,
    source: Source,
    clock: Clock,
}

enum Source {
    File(Arc<Watched<KeySet>>),
    Url(Remote),
}

impl Tokens {
    /// Reads a file of keys; keys at a URL are fetched when they are needed.
    pub(crate) fn open(settings: &Settings, clock: Clock, teller: Teller) -> io::Result<Tokens> {
        let source = match &settings.keys {
            Keys::File(path) => {
                Source::File(Arc::new(Watched::open(path, keys::SET_OCTETS as u64, KeySet::parse, teller)?))
            }
            Keys::Url { url, authorities } => Source::Url(Remote::open(url, authorities.as_deref(), teller)?),
        };
        Ok(Tokens { settings: settings.clone(), source, clock })
    }

    /// The directory that knows more about accounts.
    pub(crate) fn accounts(&self) -> Option<&str> {
        self.settings.accounts.as_deref()
    }

    /// The name that a token vouches for, or what else is to be said of it.
    pub(crate) async fn name(&self, token: &[u8]) -> Result<Box<str>, Finding> {
        let head = claims::head(token, &self.settings).map_err(refused)?;
        let keys = self.keys(&head).await?;
        let fitting = claims::candidates(&keys, &head);
        claims::name(token, &head, &fitting, &self.settings, (self.clock)()).map_err(refused)
    }

    /// Keys that may have one for this token; newer ones if those that are known have none.
    async fn keys(&self, head: &Head) -> Result<Arc<KeySet>, Finding> {
        match &self.source {
            Source::File(file) => Ok(file.current().await),
            Source::Url(remote) => {
                let known = remote.current().await.ok_or(Finding::Unavailable)?;
                if !claims::candidates(&known, head).is_empty() {
                    return Ok(known);
                }
                match remote.renew().await {
                    Renewed::Fresh(keys) => Ok(keys),
                    // The key may be new, and the issuer cannot be asked.
                    Renewed::Unreachable => Err(Finding::Unavailable),
                }
            }
        }
    }
}

fn refused(refused: Refused) -> Finding {
    match refused {
        Refused::Foreign => Finding::No(No::Unknown),
        Refused::Bad => Finding::No(No::Wrong),
    }
}
