//! TLS as a client: whose certificate is believed.

use gateway::world::Verify;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use std::io;
use std::sync::Arc;

/// What the client side needs; made once.
#[derive(Debug)]
pub(crate) struct Clients {
    anybody: Arc<ClientConfig>,
    named: Arc<ClientConfig>,
}

impl Clients {
    /// With the certificate authorities of this host, as far as there are any.
    #[must_use]
    pub(crate) fn new() -> Clients {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut anybody = client(&provider, RootCertStore::empty());
        anybody.dangerous().set_certificate_verifier(Arc::new(Anybody(provider.clone())));
        Clients { anybody: Arc::new(anybody), named: Arc::new(client(&provider, authorities())) }
    }

    /// The settings for a connection whose certificate is checked as `verify` says.
    pub(crate) fn for_verify(&self, verify: Verify) -> Arc<ClientConfig> {
        match verify {
            Verify::Nobody => self.anybody.clone(),
            Verify::Name => self.named.clone(),
        }
    }
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

/// The name by which a handshake greets the next hop; a bracketed address greets by address.
///
/// # Errors
/// The text is neither a name nor an address.
pub(crate) fn server_name(name: &str) -> io::Result<ServerName<'static>> {
    let bare = name.trim_start_matches('[').trim_end_matches(']').trim_start_matches("IPv6:");
    ServerName::try_from(bare.to_owned()).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
}

#[cfg(test)]
pub(super) fn anybody() -> Arc<dyn ServerCertVerifier> {
    Arc::new(Anybody(Arc::new(aws_lc_rs::default_provider())))
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
