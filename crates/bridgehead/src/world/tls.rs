//! TLS by rustls: certificates from files, handshakes on either side.

use gateway::world::Verify;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme};
use std::io;
use std::path::Path;
use std::sync::Arc;

/// What the client side needs; made once.
#[derive(Debug)]
pub(super) struct Clients {
    anybody: Arc<ClientConfig>,
    named: Arc<ClientConfig>,
}

impl Clients {
    /// With the certificate authorities of this host, as far as there are any.
    #[must_use]
    pub(super) fn new() -> Clients {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut anybody = client(&provider, RootCertStore::empty());
        anybody.dangerous().set_certificate_verifier(Arc::new(Anybody(provider.clone())));
        Clients { anybody: Arc::new(anybody), named: Arc::new(client(&provider, authorities())) }
    }

    /// The settings for a connection whose certificate is checked as `verify` says.
    pub(super) fn for_verify(&self, verify: Verify) -> Arc<ClientConfig> {
        match verify {
            Verify::Nobody => self.anybody.clone(),
            Verify::Name => self.named.clone(),
        }
    }
}

/// Octets that nobody can guess.
pub(super) fn entropy() -> [u8; 32] {
    let mut octets = [0; 32];
    aws_lc_rs::default_provider().secure_random.fill(&mut octets).expect("the system gives random octets");
    octets
}

fn client(provider: &Arc<CryptoProvider>, roots: RootCertStore) -> ClientConfig {
    ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .expect("the provider knows TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// The certificate authorities of this host. Without any, every check by name fails, which is what it should do.
fn authorities() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    for file in ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"] {
        if let Ok(certificates) = CertificateDer::pem_file_iter(file) {
            roots.add_parsable_certificates(certificates.flatten());
            break;
        }
    }
    roots
}

/// Reads a certificate chain and its key and checks that they belong together.
///
/// # Errors
/// Names the file and what is wrong with it.
pub(super) fn server(chain: &Path, key: &Path) -> io::Result<Arc<ServerConfig>> {
    let wrong = |file: &Path, what: &dyn std::fmt::Display| {
        io::Error::new(io::ErrorKind::InvalidData, format!("{}: {what}", file.display()))
    };
    let certificates = CertificateDer::pem_file_iter(chain)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| wrong(chain, &error))?;
    if certificates.is_empty() {
        return Err(wrong(chain, &"no certificate in it"));
    }
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| wrong(key, &error))?;
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider knows TLS 1.2 and 1.3")
        .with_no_client_auth()
        .with_single_cert(certificates, private)
        .map_err(|error| wrong(key, &error))?;
    Ok(Arc::new(config))
}

/// The name by which a handshake greets the next hop; a bracketed address greets by address.
///
/// # Errors
/// The text is neither a name nor an address.
pub(super) fn server_name(name: &str) -> io::Result<ServerName<'static>> {
    let bare = name.trim_start_matches('[').trim_end_matches(']').trim_start_matches("IPv6:");
    ServerName::try_from(bare.to_owned()).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
}

/// Accepts anybody's certificate, as opportunistic TLS must (RFC 7435): it protects from those who
/// listen, and the alternative is the clear. The signature over the handshake is checked.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
