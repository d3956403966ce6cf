//! What a secured link says about itself: what an exchange can be bound to, and who the client is by its
//! certificate.

use super::pair::Pair;
use aws_lc_rs::digest::{Algorithm, SHA224, SHA256, SHA384, SHA512, digest};
use identity::{ClientCertificate, Link};
use rustls::{ProtocolVersion, ServerConnection};
use std::sync::Arc;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::oid_registry::{self, Oid};
use x509_parser::signature_algorithm::SignatureAlgorithm;

/// Names of a client's certificate that are looked at, and the longest of them.
const NAMES: usize = 64;
const NAME_OCTETS: usize = 255;

/// A link that `pair` has secured.
///
/// # Errors
/// The exporter failed, or the client's certificate cannot be read although it was verified.
pub(super) fn of(session: &ServerConnection, pair: &Pair) -> Result<Link, String> {
    // RFC 9266: before TLS 1.3 only with the extended master secret, which rustls does not tell of.
    let exporter = match session.protocol_version() {
        Some(ProtocolVersion::TLSv1_3) => {
            let exported = session.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(b""));
            Some(exported.map_err(|error| error.to_string())?)
        }
        _ => None,
    };
    let shown = session.peer_certificates().and_then(<[_]>::first);
    let certificate = shown.map(|der| client_certificate(der)).transpose()?;
    Ok(Link { exporter, end_point: pair.end_point.clone(), certificate: certificate.map(Arc::new) })
}

/// A certificate that was verified.
fn client_certificate(der: &[u8]) -> Result<ClientCertificate, String> {
    let (_, parsed) = x509_parser::parse_x509_certificate(der).map_err(|error| error.to_string())?;
    let named = alternative_names(&parsed, Kinds::HostsAndMailboxes);
    let named = if named.is_empty() { common_names(&parsed) } else { named };
    let fingerprint = digest(&SHA256, der).as_ref().try_into().map_err(|_| "the fingerprint has no 32 octets")?;
    Ok(ClientCertificate { names: named.into_iter().map(Into::into).collect(), fingerprint })
}

/// `tls-server-end-point`: the hash of the certificate by the algorithm of its signature, and SHA-256 in
/// place of what is older (RFC 5929 section 4.1). It is not defined where there is no such hash (Ed25519);
/// SHA-256 stands there, so that it is never empty, and a client that binds to something else is refused.
pub(super) fn end_point(certificate: &X509Certificate<'_>, der: &[u8]) -> Box<[u8]> {
    let signature = &certificate.signature_algorithm;
    let algorithm = match SignatureAlgorithm::try_from(signature) {
        Ok(SignatureAlgorithm::RSASSA_PSS(parameters)) => by_hash(parameters.hash_algorithm_oid()),
        _ => by_signature(&signature.algorithm),
    };
    digest(algorithm, der).as_ref().into()
}

fn by_signature(oid: &Oid<'_>) -> &'static Algorithm {
    let is = |those: &[Oid<'_>]| those.contains(oid);
    if is(&[oid_registry::OID_PKCS1_SHA224WITHRSA, oid_registry::OID_SIG_ECDSA_WITH_SHA224]) {
        &SHA224
    } else if is(&[oid_registry::OID_PKCS1_SHA384WITHRSA, oid_registry::OID_SIG_ECDSA_WITH_SHA384]) {
        &SHA384
    } else if is(&[oid_registry::OID_PKCS1_SHA512WITHRSA, oid_registry::OID_SIG_ECDSA_WITH_SHA512]) {
        &SHA512
    } else {
        &SHA256
    }
}

fn by_hash(oid: &Oid<'_>) -> &'static Algorithm {
    if *oid == oid_registry::OID_NIST_HASH_SHA384 {
        &SHA384
    } else if *oid == oid_registry::OID_NIST_HASH_SHA512 {
        &SHA512
    } else {
        &SHA256
    }
}

/// Which alternative names are wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kinds {
    Hosts,
    HostsAndMailboxes,
}

/// The alternative names of a certificate, as far as they are plain.
pub(super) fn alternative_names(certificate: &X509Certificate<'_>, kinds: Kinds) -> Vec<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else { return Vec::new() };
    let names = extension.value.general_names.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(*name),
        GeneralName::RFC822Name(name) if kinds == Kinds::HostsAndMailboxes => Some(*name),
        _ => None,
    });
    plain(names)
}

/// The common names of the subject.
pub(super) fn common_names(certificate: &X509Certificate<'_>) -> Vec<String> {
    plain(certificate.subject().iter_common_name().filter_map(|name| name.as_str().ok()))
}

/// Names that can be compared and shown: printable, without spaces, none too long, not too many.
fn plain<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let is_plain =
        |name: &&str| (1..=NAME_OCTETS).contains(&name.len()) && name.bytes().all(|octet| octet.is_ascii_graphic());
    names.filter(is_plain).take(NAMES).map(str::to_owned).collect()
}
