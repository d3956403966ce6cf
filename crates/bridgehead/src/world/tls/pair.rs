//! A certificate and its key, as two files have them: read, checked, and what is to be known about it.

use super::link;
use config::TlsFiles;
use mail::Timestamp;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use x509_parser::certificate::X509Certificate;

/// The largest file that is read.
const FILE_OCTETS: u64 = 1 << 20;
/// Seconds of a day.
const DAY_S: i64 = 86_400;
/// So many days before a certificate expires somebody should hear of it.
const SOON_DAYS: i64 = 14;

/// What is wrong with a file.
#[derive(Debug)]
pub(super) struct Wrong {
    /// Which.
    pub(super) file: PathBuf,
    /// What.
    pub(super) why: String,
}

impl Wrong {
    pub(super) fn new(file: &Path, why: &dyn std::fmt::Display) -> Wrong {
        Wrong { file: file.to_owned(), why: why.to_string() }
    }
}

impl From<Wrong> for io::Error {
    fn from(wrong: Wrong) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, format!("{}: {}", wrong.file.display(), wrong.why))
    }
}

/// A certificate with its key.
pub(super) struct Pair {
    pub(super) files: TlsFiles,
    pub(super) certified: Arc<CertifiedKey>,
    /// The names it is for, in small letters.
    pub(super) names: Vec<String>,
    /// `tls-server-end-point` of it.
    pub(super) end_point: Box<[u8]>,
    /// When it begins and ends to be good, in seconds since 1970.
    valid_s: (i64, i64),
    /// Whether everybody on this host can read its key.
    is_exposed: bool,
}

impl Pair {
    /// Reads a certificate chain and its key and checks that they belong together.
    ///
    /// # Errors
    /// Names the file and what is wrong with it.
    pub(super) fn read(files: &TlsFiles, provider: &CryptoProvider) -> Result<Pair, Wrong> {
        let in_chain = |what: &dyn std::fmt::Display| Wrong::new(&files.certificate, what);
        let in_key = |what: &dyn std::fmt::Display| Wrong::new(&files.key, what);
        let chain = certificates(&files.certificate)?;
        let (octets, mode) = content(&files.key)?;
        let key = PrivateKeyDer::from_pem_slice(&octets).map_err(|error| in_key(&error))?;
        let leaf = chain.first().ok_or_else(|| in_chain(&"no certificate in it"))?.clone();
        let (_, parsed) = x509_parser::parse_x509_certificate(&leaf).map_err(|error| in_chain(&error))?;
        let certified = CertifiedKey::from_der(chain, key, provider).map_err(|error| in_key(&error))?;
        let validity = parsed.validity();
        Ok(Pair {
            files: files.clone(),
            certified: Arc::new(certified),
            names: names(&parsed),
            end_point: link::end_point(&parsed, &leaf),
            valid_s: (validity.not_before.timestamp(), validity.not_after.timestamp()),
            is_exposed: mode & 0o007 != 0,
        })
    }

    /// Whether the certificate is for this name, given in small letters. A `*` stands for one label
    /// (RFC 6125 section 6.4.3).
    pub(super) fn is_for(&self, name: &str) -> bool {
        let parent = name.split_once('.').map(|(_, parent)| parent);
        self.names.iter().any(|own| own == name || own.strip_prefix("*.").is_some_and(|own| Some(own) == parent))
    }

    /// Whole days until it expires; negative once it has.
    pub(super) fn days_left(&self, now: Timestamp) -> i64 {
        days_left(self.valid_s.1, now)
    }

    /// Why somebody should look at it, each with the file to look at.
    pub(super) fn doubts(&self, now: Timestamp) -> Vec<Wrong> {
        let mut doubts = Vec::new();
        let days = self.days_left(now);
        if days < 0 {
            doubts.push(Wrong::new(&self.files.certificate, &"the certificate has expired"));
        } else if days <= SOON_DAYS {
            doubts.push(Wrong::new(&self.files.certificate, &format_args!("the certificate expires in {days} days")));
        }
        if self.valid_s.0 > seconds(now) {
            doubts.push(Wrong::new(&self.files.certificate, &"the certificate is not valid yet"));
        }
        doubts
    }

    /// Whether its key can be read by whom it is none of their business.
    pub(super) fn exposure(&self) -> Option<Wrong> {
        self.is_exposed.then(|| Wrong::new(&self.files.key, &"everybody on this host can read the private key"))
    }
}

fn seconds(now: Timestamp) -> i64 {
    i64::try_from(now.millis() / 1000).unwrap_or(i64::MAX)
}

/// Whole days until `end_s`, in seconds since 1970.
pub(super) fn days_left(end_s: i64, now: Timestamp) -> i64 {
    end_s.saturating_sub(seconds(now)).div_euclid(DAY_S)
}

/// All certificates of a PEM file.
///
/// # Errors
/// Names the file and what is wrong with it.
pub(super) fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, Wrong> {
    let (octets, _) = content(file)?;
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&octets).collect();
    let certificates = read.map_err(|error| Wrong::new(file, &error))?;
    if certificates.is_empty() {
        return Err(Wrong::new(file, &"no certificate in it"));
    }
    Ok(certificates)
}

/// What is in a file, and its permissions.
fn content(file: &Path) -> Result<(Vec<u8>, u32), Wrong> {
    let read = || {
        let opened = File::open(file)?;
        let mode = opened.metadata()?.permissions().mode();
        let mut octets = Vec::new();
        opened.take(FILE_OCTETS + 1).read_to_end(&mut octets)?;
        Ok((octets, mode))
    };
    let (octets, mode) = read().map_err(|error: io::Error| Wrong::new(file, &error))?;
    if octets.len() as u64 > FILE_OCTETS {
        return Err(Wrong::new(file, &"too large to be a certificate or a key"));
    }
    Ok((octets, mode))
}

/// The host names of a certificate. The subject counts only where there are no others.
fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let named = link::alternative_names(certificate, link::Kinds::Hosts);
    let named = if named.is_empty() { link::common_names(certificate) } else { named };
    named.into_iter().map(|name| name.to_ascii_lowercase()).collect()
}
