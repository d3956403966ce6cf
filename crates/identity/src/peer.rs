//! Peers: the servers of the organization (reference 5), and how one is recognised.

use crate::exchange::{ClientCertificate, Credential};
use mail::Net;
use std::net::IpAddr;

/// A server of the organization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its name in the settings.
    pub name: Box<str>,
    /// The accounts it authenticates as, by their canonical names.
    pub accounts: Vec<Box<str>>,
    /// The principals it authenticates as.
    pub principals: Vec<Box<str>>,
    /// Its certificates.
    pub certificates: Vec<CertificateName>,
    /// Where it comes from; none for anywhere.
    pub addresses: Vec<Net>,
    /// What it may claim about others.
    pub trust: Trust,
}

/// How a certificate is named in the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateName {
    /// By one of the names in it. Names are compared without regard to case.
    Name(Box<str>),
    /// By its SHA-256 digest.
    Sha256([u8; 32]),
}

/// What a peer may claim about others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// For whom it speaks (XCLIENT).
    pub xclient: bool,
    /// Where a message came from (XFORWARD).
    pub xforward: bool,
}

impl Peer {
    /// Whether this is the peer: it has proved one of its credentials, and comes from where it should.
    #[must_use]
    pub fn is(&self, credential: &Credential, client: IpAddr) -> bool {
        let comes_from = self.addresses.is_empty() || self.addresses.iter().any(|net| net.contains(client));
        comes_from
            && match credential {
                Credential::Account(name) => self.accounts.iter().any(|known| **known == **name),
                Credential::Principal(name) => self.principals.iter().any(|known| **known == **name),
                Credential::Certificate(certificate) => self.certificates.iter().any(|known| known.names(certificate)),
            }
    }
}

impl CertificateName {
    fn names(&self, certificate: &ClientCertificate) -> bool {
        match self {
            CertificateName::Name(name) => certificate.names.iter().any(|known| known.eq_ignore_ascii_case(name)),
            CertificateName::Sha256(digest) => certificate.fingerprint == *digest,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn peer() -> Peer {
        Peer {
            name: "ex1".into(),
            accounts: vec!["ex1".into()],
            principals: vec!["EX1$@CORP.EXAMPLE".into()],
            certificates: vec![CertificateName::Name("ex1.corp.example".into()), CertificateName::Sha256([7; 32])],
            addresses: vec!["10.0.0.0/24".parse().unwrap()],
            trust: Trust::default(),
        }
    }

    fn certificate(name: &str, octet: u8) -> Credential {
        let names = Box::new([Box::from(name)]);
        Credential::Certificate(Arc::new(ClientCertificate { names, fingerprint: [octet; 32] }))
    }

    #[test]
    fn any_one_credential_is_enough_and_only_from_where_the_peer_is() {
        let there: IpAddr = "10.0.0.10".parse().unwrap();
        for credential in [
            Credential::Account("ex1".into()),
            Credential::Principal("EX1$@CORP.EXAMPLE".into()),
            certificate("EX1.corp.example", 1),
            certificate("anything", 7),
        ] {
            assert!(peer().is(&credential, there), "{credential:?}");
            assert!(!peer().is(&credential, "10.0.1.10".parse().unwrap()), "{credential:?}");
        }
    }

    #[test]
    fn a_credential_of_one_kind_is_none_of_another() {
        let there: IpAddr = "10.0.0.10".parse().unwrap();
        for credential in [
            Credential::Account("EX1$@CORP.EXAMPLE".into()),
            Credential::Principal("ex1".into()),
            certificate("ex1", 1),
            certificate("x.ex1.corp.example", 1),
        ] {
            assert!(!peer().is(&credential, there), "{credential:?}");
        }
    }
}
