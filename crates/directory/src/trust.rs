//! Which servers are believed to be who they say: TLS as a client.

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::io;
use std::path::Path;
use std::sync::Arc;

/// Octets of a file of authorities: all those of a host have a fifth of it.
const AUTHORITIES_OCTETS: u64 = 1024 * 1024;

/// The client's side of TLS that believes the authorities in this PEM file, or those of the host.
pub(crate) fn client(authorities: Option<&Path>) -> io::Result<Arc<ClientConfig>> {
    let roots = match authorities {
        Some(file) => from_file(file)?,
        None => of_host()?,
    };
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?;
    Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}

fn from_file(file: &Path) -> io::Result<RootCertStore> {
    let wrong = |why: String| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {why}", file.display()));
    let octets = crate::watched::read(file, AUTHORITIES_OCTETS)?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&octets) {
        let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
        roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
    }
    if roots.is_empty() { Err(wrong("there is no certificate in it".into())) } else { Ok(roots) }
}

fn of_host() -> io::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "this host believes no authority: name a file of them"));
    }
    Ok(roots)
}
