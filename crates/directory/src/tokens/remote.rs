//! Keys at a URL: fetched when they are first needed, when a token names one that is not there, and
//! when they are old. Not more often than once a minute, whoever asks.

use super::keys::{KeySet, SET_OCTETS};
use crate::notice::{Happening, Teller};
use crate::trust;
use arc_swap::ArcSwapOption;
use reqwest::{Client, StatusCode, Url, redirect};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// How often keys are fetched at the most.
const EVERY: Duration = Duration::from_secs(60);
/// How often that is tried while there are none at all.
const EVERY_WITHOUT: Duration = Duration::from_secs(10);
/// How old keys may be before newer ones are asked for: an issuer must be able to take one back.
const STALE: Duration = Duration::from_secs(3600);
/// How old keys may be that cannot be fetched again.
const KEPT: Duration = Duration::from_secs(24 * 3600);
/// How long fetching may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The keys at a URL.
pub(super) struct Remote {
    url: Url,
    client: Client,
    keys: ArcSwapOption<Fetched>,
    attempt: Mutex<Attempt>,
    teller: Teller,
}

struct Fetched {
    keys: Arc<KeySet>,
    at: Instant,
}

/// The last try to fetch.
#[derive(Default)]
struct Attempt {
    at: Option<Instant>,
    failed: bool,
}

/// What is known of the keys after a try to have newer ones.
pub(super) enum Renewed {
    /// These are what the issuer says now, or did within a minute.
    Fresh(Arc<KeySet>),
    /// The issuer cannot be asked.
    Unreachable,
}

impl Remote {
    pub(super) fn open(url: &str, authorities: Option<&Path>, teller: Teller) -> io::Result<Remote> {
        let wrong = |why: String| io::Error::new(io::ErrorKind::InvalidInput, format!("{url}: {why}"));
        let parsed = Url::parse(url).map_err(|error| wrong(error.to_string()))?;
        if parsed.scheme() != "https" {
            return Err(wrong("keys come over https://, or anybody on the way could put in his own".into()));
        }
        let tls = trust::client(authorities)?;
        let client = Client::builder().tls_backend_preconfigured(tls.as_ref().clone()).https_only(true).no_proxy();
        let client = client.redirect(redirect::Policy::none()).timeout(TIMEOUT).connect_timeout(TIMEOUT);
        let client = client.pool_max_idle_per_host(0).build().map_err(|error| wrong(error.to_string()))?;
        Ok(Remote { url: parsed, client, keys: ArcSwapOption::empty(), attempt: Mutex::default(), teller })
    }

    /// The keys as they are known; newer ones are asked for if they are old, and nobody waits for
    /// those who already ask.
    pub(super) async fn current(&self) -> Option<Arc<KeySet>> {
        let fetched = self.keys.load_full();
        if let Some(fetched) = &fetched
            && fetched.at.elapsed() < STALE
        {
            return Some(fetched.keys.clone());
        }
        if fetched.is_none() {
            self.renew().await;
        } else if let Ok(mut attempt) = self.attempt.try_lock() {
            self.try_fetch(&mut attempt).await;
        }
        self.kept()
    }

    /// The keys after they have been fetched again, unless that has been tried within a minute.
    pub(super) async fn renew(&self) -> Renewed {
        let mut attempt = self.attempt.lock().await;
        self.try_fetch(&mut attempt).await;
        match self.kept() {
            Some(keys) if !attempt.failed => Renewed::Fresh(keys),
            _ => Renewed::Unreachable,
        }
    }

    fn kept(&self) -> Option<Arc<KeySet>> {
        self.keys.load_full().filter(|fetched| fetched.at.elapsed() < KEPT).map(|fetched| fetched.keys.clone())
    }

    async fn try_fetch(&self, attempt: &mut Attempt) {
        let every = if self.keys.load().is_some() { EVERY } else { EVERY_WITHOUT };
        if attempt.at.is_some_and(|last| last.elapsed() < every) {
            return;
        }
        // Said before it is tried: whoever waits may be told to stop.
        let failed_before = attempt.failed;
        *attempt = Attempt { at: Some(Instant::now()), failed: true };
        match self.fetch().await {
            Ok(keys) => {
                attempt.failed = false;
                self.keys.store(Some(Arc::new(Fetched { keys: Arc::new(keys), at: Instant::now() })));
                if failed_before {
                    self.teller.tell(Happening::Up { server: self.url.as_str().into() });
                }
            }
            Err(why) if !failed_before => {
                self.teller.tell(Happening::Down { server: self.url.as_str().into(), why });
            }
            Err(_) => {}
        }
    }

    async fn fetch(&self) -> Result<KeySet, String> {
        let mut response = self.client.get(self.url.clone()).send().await.map_err(|error| reason(&error))?;
        if response.status() != StatusCode::OK {
            return Err(format!("it answers {}", response.status()));
        }
        let mut octets = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| reason(&error))? {
            if octets.len() + chunk.len() > SET_OCTETS {
                return Err("a set of keys has no more than 256 KiB".into());
            }
            octets.extend_from_slice(&chunk);
        }
        KeySet::parse(&octets)
    }
}

/// An error with what caused it: the outer one says only that a request failed.
fn reason(error: &reqwest::Error) -> String {
    let mut reason = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        reason = inner.to_string();
        cause = inner.source();
    }
    reason
}
