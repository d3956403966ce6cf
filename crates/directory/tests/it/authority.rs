//! A certificate authority of the test, and a server's certificate from it.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use std::fs;
use std::path::{Path, PathBuf};

/// The files of an authority and of one server, for 127.0.0.1 and `localhost`.
pub(crate) struct Authority {
    pub(crate) authority: PathBuf,
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Authority {
    /// Makes one in this directory; others do not believe it.
    pub(crate) fn in_directory(place: &Path) -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca_key = KeyPair::generate().unwrap();
        let ca = params.self_signed(&ca_key).unwrap();
        let issuer = Issuer::new(params, ca_key);
        let key = KeyPair::generate().unwrap();
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();
        let made = Authority {
            authority: place.join("authority.pem"),
            certificate: place.join("certificate.pem"),
            key: place.join("key.pem"),
        };
        fs::write(&made.authority, ca.pem()).unwrap();
        fs::write(&made.certificate, certificate.pem()).unwrap();
        fs::write(&made.key, key.serialize_pem()).unwrap();
        made
    }
}
