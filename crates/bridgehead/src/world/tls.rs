//! TLS by rustls: certificates from files, handshakes on either side.

mod certificates;
mod clients;
mod link;
mod pair;
#[cfg(test)]
mod tests;

pub(super) use certificates::{Certificates, watch};
pub(super) use clients::{Clients, server_name};

use super::stream::Stream;
use gateway::world::Secured;
use rustls::crypto::aws_lc_rs;
use rustls::server::Acceptor;
use smtp::server::TlsFacts;
use std::io;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::LazyConfigAcceptor;

/// The handshake with a client. Which certificate it is shown is decided by what it says first.
///
/// # Errors
/// The handshake failed; the client has been told why, as far as TLS tells.
pub(super) async fn accept(stream: TcpStream, certificates: &Certificates) -> io::Result<Secured<Stream>> {
    let start = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
    let (pair, config) = certificates.choose(&start.client_hello());
    let secured = start.into_stream(config).await?;
    let session = secured.get_ref().1;
    let version = session.protocol_version().and_then(|version| version.as_str()).unwrap_or("unknown");
    let cipher = session.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str()).unwrap_or("unknown");
    let facts =
        TlsFacts { version: version.into(), cipher: cipher.into(), server_name: session.server_name().map(Into::into) };
    let link = Arc::new(link::of(session, &pair).map_err(io::Error::other)?);
    Ok(Secured { stream: Stream::Server(Box::new(secured)), facts, link })
}

/// Octets that nobody can guess.
pub(super) fn entropy() -> [u8; 32] {
    let mut octets = [0; 32];
    aws_lc_rs::default_provider().secure_random.fill(&mut octets).expect("the system gives random octets");
    octets
}
