//! The certificates of one virtual server: which is shown to whom, and what is done when their files
//! change.
//!
//! A handshake takes the set that is in use at that moment; sessions that are secured already keep theirs.
//! Files are looked at every few seconds. What has changed is read once it has stayed the same from one
//! look to the next, so a file that is being written is left alone, and a certificate whose key follows
//! a moment later is no mistake. What cannot be used changes nothing.

use super::pair::{self, Pair, Wrong};
use arc_swap::ArcSwap;
use config::{Tls, TlsFiles, TlsVersion};
use gateway::world::{CertificateNews, Inspection};
use mail::Timestamp;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ClientHello, WebPkiClientVerifier};
use rustls::sign::SingleCertAndKey;
use rustls::{ALL_VERSIONS, RootCertStore, ServerConfig, version};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The protocol that clients must name if they name any (RFC 7301): a handshake that was meant for a
/// web server does not end here (ALPACA, CVE-2021-3618).
const ALPN: &[u8] = b"smtp";

/// The certificates of one virtual server.
pub(crate) struct Certificates {
    tls: Tls,
    provider: Arc<CryptoProvider>,
    set: ArcSwap<Set>,
    looks: Mutex<Looks>,
}

/// What is in use.
struct Set {
    /// Never none.
    offers: Vec<(Arc<Pair>, Arc<ServerConfig>)>,
    authorities: Option<Authorities>,
}

/// Who vouches for certificates of clients.
#[derive(Clone)]
struct Authorities {
    verifier: Arc<dyn ClientCertVerifier>,
    /// When the first of them expires, in seconds since 1970.
    end_s: i64,
    count: usize,
}

/// What was seen of the files.
struct Looks {
    pairs: Vec<Look<2>>,
    authorities: Option<Look<1>>,
    /// What was said last; `None`: nothing yet.
    days_left: Option<i64>,
}

impl Certificates {
    /// Reads and checks the certificates of a virtual server.
    ///
    /// # Errors
    /// Names the file and what is wrong with it.
    pub(crate) fn read(tls: &Tls) -> io::Result<Certificates> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        // Before reading, so that what changes meanwhile is seen to have changed.
        let looks = Looks {
            pairs: tls.certificates.iter().map(|files| Look::new(stamps(files))).collect(),
            authorities: tls.client_authorities.as_ref().map(|file| Look::new([Stamp::of(file)])),
            days_left: None,
        };
        let pairs = tls.certificates.iter().map(|files| Pair::read(files, &provider).map(Arc::new));
        let pairs = pairs.collect::<Result<Vec<_>, _>>()?;
        let authorities = tls.client_authorities.as_ref().map(|file| authorities(file, &provider)).transpose()?;
        let set = Set::new(tls.min_version, &provider, pairs, authorities);
        Ok(Certificates { tls: tls.clone(), provider, set: ArcSwap::from_pointee(set), looks: Mutex::new(looks) })
    }

    /// The certificate for a client: one with the name it asks for, or else the first; in either case
    /// rather one whose signature it can check.
    pub(super) fn choose(&self, hello: &ClientHello<'_>) -> (Arc<Pair>, Arc<ServerConfig>) {
        let set = self.set.load();
        let wanted = hello.server_name().map(str::to_ascii_lowercase);
        let named = |(pair, _): &&(Arc<Pair>, _)| wanted.as_deref().is_some_and(|name| pair.is_for(name));
        let suits = |(pair, _): &&(Arc<Pair>, _)| pair.certified.key.choose_scheme(hello.signature_schemes()).is_some();
        let by_name = set.offers.iter().filter(named);
        let chosen = by_name.clone().find(suits).or_else(|| by_name.clone().next());
        let chosen = chosen.or_else(|| set.offers.iter().find(suits)).unwrap_or(&set.offers[0]);
        chosen.clone()
    }

    /// Looks at the files, and takes what is new and can be used; `None` when there is nothing to say.
    pub(super) fn look(&self, now: Timestamp) -> Option<Inspection> {
        let mut looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        let old = self.set.load_full();
        let mut pairs: Vec<Arc<Pair>> = old.offers.iter().map(|(pair, _)| pair.clone()).collect();
        let mut vouching = old.authorities.clone();
        let mut news = Vec::new();
        for (place, files) in self.tls.certificates.iter().enumerate() {
            if looks.pairs[place].is_due(stamps(files)) {
                match Pair::read(files, &self.provider) {
                    Ok(pair) => {
                        news.push(changed(&pair, now));
                        news.extend(doubts(&pair, now));
                        pairs[place] = Arc::new(pair);
                    }
                    Err(wrong) => news.push(rejected(wrong)),
                }
            }
        }
        if let (Some(look), Some(file)) = (&mut looks.authorities, &self.tls.client_authorities)
            && look.is_due([Stamp::of(file)])
        {
            match authorities(file, &self.provider) {
                Ok(new) => {
                    let names = format!("{} authorities", new.count);
                    let days_left = pair::days_left(new.end_s, now);
                    news.push(CertificateNews::Changed { file: file.clone(), names, days_left });
                    vouching = Some(new);
                }
                Err(wrong) => news.push(rejected(wrong)),
            }
        }
        let days_left = pairs.iter().map(|pair| pair.days_left(now)).min().unwrap_or(i64::MAX);
        match looks.days_left.replace(days_left) {
            None => news.extend(pairs.iter().flat_map(|pair| doubts(pair, now))),
            Some(before) if before != days_left => {
                news.extend(pairs.iter().flat_map(|pair| pair.doubts(now)).map(doubtful));
            }
            Some(_) if news.is_empty() => return None,
            Some(_) => {}
        }
        if news.iter().any(|news| matches!(news, CertificateNews::Changed { .. })) {
            self.set.store(Arc::new(Set::new(self.tls.min_version, &self.provider, pairs, vouching)));
        }
        Some(Inspection { news, days_left })
    }

    /// The names of each certificate that is shown.
    #[cfg(test)]
    pub(super) fn names_in_use(&self) -> Vec<Vec<String>> {
        self.set.load().offers.iter().map(|(pair, _)| pair.names.clone()).collect()
    }

    fn is_unsaid(&self) -> bool {
        self.looks.lock().unwrap_or_else(PoisonError::into_inner).days_left.is_none()
    }
}

/// Waits until there is something to say of any of these.
pub(crate) async fn watch(all: &[Arc<Certificates>], now: impl Fn() -> Timestamp) -> Vec<(usize, Inspection)> {
    loop {
        if !all.iter().any(|one| one.is_unsaid()) {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let (looked_at, now) = (all.to_vec(), now());
        let look = move || {
            let seen = looked_at.iter().enumerate().filter_map(|(place, one)| Some((place, one.look(now)?)));
            seen.collect::<Vec<_>>()
        };
        match tokio::task::spawn_blocking(look).await {
            Ok(seen) if seen.is_empty() => {}
            Ok(seen) => return seen,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
}

impl Set {
    fn new(
        oldest: TlsVersion,
        provider: &Arc<CryptoProvider>,
        pairs: Vec<Arc<Pair>>,
        authorities: Option<Authorities>,
    ) -> Set {
        let config = |pair: &Pair| server(oldest, provider, pair, authorities.as_ref());
        let offers = pairs.into_iter().map(|pair| (pair.clone(), Arc::new(config(&pair)))).collect();
        Set { offers, authorities }
    }
}

/// The settings of a handshake that shows this certificate. What the provider offers of TLS 1.2 is
/// forward secret and authenticated encryption only.
fn server(
    oldest: TlsVersion,
    provider: &Arc<CryptoProvider>,
    pair: &Pair,
    authorities: Option<&Authorities>,
) -> ServerConfig {
    let versions = match oldest {
        TlsVersion::Tls12 => ALL_VERSIONS,
        TlsVersion::Tls13 => &[&version::TLS13],
    };
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(versions)
        .expect("invariant: the provider knows TLS 1.2 and 1.3");
    let builder = match authorities {
        Some(authorities) => builder.with_client_cert_verifier(authorities.verifier.clone()),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(pair.certified.clone())));
    config.alpn_protocols = vec![ALPN.to_vec()];
    config
}

/// Reads who vouches for certificates of clients.
fn authorities(file: &Path, provider: &Arc<CryptoProvider>) -> Result<Authorities, Wrong> {
    let wrong = |what: &dyn std::fmt::Display| Wrong::new(file, what);
    let mut roots = RootCertStore::empty();
    let mut end_s = i64::MAX;
    let certificates = pair::certificates(file)?;
    let count = certificates.len();
    for certificate in certificates {
        let (_, parsed) = x509_parser::parse_x509_certificate(&certificate).map_err(|error| wrong(&error))?;
        end_s = end_s.min(parsed.validity().not_after.timestamp());
        roots.add(certificate).map_err(|error| wrong(&error))?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
    // A client without a certificate is let in; one that shows a certificate must be able to prove it.
    let verifier = builder.allow_unauthenticated().build().map_err(|error| wrong(&error))?;
    Ok(Authorities { verifier, end_s, count })
}

fn changed(pair: &Pair, now: Timestamp) -> CertificateNews {
    let (file, names) = (pair.files.certificate.clone(), pair.names.join(" "));
    CertificateNews::Changed { file, names, days_left: pair.days_left(now) }
}

fn rejected(wrong: Wrong) -> CertificateNews {
    CertificateNews::Rejected { file: wrong.file, why: wrong.why }
}

fn doubtful(doubt: Wrong) -> CertificateNews {
    CertificateNews::Doubtful { file: doubt.file, why: doubt.why }
}

fn doubts(pair: &Pair, now: Timestamp) -> impl Iterator<Item = CertificateNews> {
    pair.doubts(now).into_iter().chain(pair.exposure()).map(doubtful)
}

/// Files that are read together, as they were looked at.
struct Look<const N: usize> {
    seen: [Stamp; N],
    /// As they were when they were read last.
    read: [Stamp; N],
}

impl<const N: usize> Look<N> {
    fn new(stamps: [Stamp; N]) -> Look<N> {
        Look { seen: stamps.clone(), read: stamps }
    }

    /// Whether files that look like this now must be read: they are others than were read last, and
    /// have stayed as they are since the last look. Each state is read once.
    fn is_due(&mut self, stamps: [Stamp; N]) -> bool {
        let stayed = stamps == self.seen;
        self.seen.clone_from(&stamps);
        let due = stayed && stamps != self.read;
        if due {
            self.read = stamps;
        }
        due
    }
}

/// By what a file is known to be the same, without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp(Option<[i64; 2]>, Option<[u64; 3]>);

impl Stamp {
    /// That of a file; none if it is not there.
    fn of(file: &Path) -> Stamp {
        let metadata = std::fs::metadata(file).ok();
        let times = metadata.as_ref().map(|file| [file.mtime(), file.mtime_nsec()]);
        Stamp(times, metadata.map(|file| [file.dev(), file.ino(), file.len()]))
    }
}

fn stamps(files: &TlsFiles) -> [Stamp; 2] {
    [Stamp::of(&files.certificate), Stamp::of(&files.key)]
}
