//! The header of a proxy is read from its connection: exactly it, in bounded time. What is in it is
//! `smtp::proxy`.

use smtp::proxy::{Origin, Progress, read};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};

/// How long a proxy may take to say who its client is. It knows when it connects, and sends the header
/// before anything else; the time is for a segment that was lost.
const HEADER_LIMIT: Duration = Duration::from_secs(5);

/// Reads the header from a connection, and nothing that comes behind it: that belongs to the session,
/// or to TLS.
///
/// # Errors
/// Says why there is none to go by.
pub(crate) async fn header<S: AsyncRead + Unpin>(stream: &mut S) -> Result<Origin, String> {
    let reading = async {
        let mut octets = Vec::new();
        loop {
            match read(&octets).map_err(|fault| fault.to_string())? {
                Progress::Done(origin) => return Ok(origin),
                Progress::More(more) => {
                    let come = octets.len();
                    octets.resize(come + more, 0);
                    stream.read_exact(&mut octets[come..]).await.map_err(|error| cut_off(&error))?;
                }
            }
        }
    };
    tokio::time::timeout(HEADER_LIMIT, reading).await.unwrap_or_else(|_| Err("it took too long".to_owned()))
}

fn cut_off(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => "the connection ended before the PROXY header did".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;

    const LINE: &[u8] = b"PROXY TCP4 192.0.2.66 10.0.0.1 51000 25\r\n";

    #[tokio::test]
    async fn row28_what_comes_behind_the_header_is_left() {
        let (mut near, mut far) = tokio::io::duplex(4096);
        near.write_all(&[LINE, b"\x16\x03\x01"].concat()).await.unwrap();
        let origin = header(&mut far).await;
        assert_eq!(origin, Ok(Origin::Client("192.0.2.66:51000".parse().unwrap())));
        assert_eq!(far.read_u8().await.unwrap(), 0x16);
    }

    #[tokio::test(start_paused = true)]
    async fn row28_a_header_has_five_seconds() {
        for cut in 0..LINE.len() {
            let (mut near, mut far) = tokio::io::duplex(4096);
            near.write_all(&LINE[..cut]).await.unwrap();
            let before = tokio::time::Instant::now();
            assert_eq!(header(&mut far).await, Err("it took too long".to_owned()));
            assert_eq!(before.elapsed(), HEADER_LIMIT);
        }
    }

    #[tokio::test]
    async fn row28_a_connection_that_ends_and_one_that_says_something_else() {
        let (mut near, mut far) = tokio::io::duplex(4096);
        near.write_all(b"EHLO there.test\r\n").await.unwrap();
        assert_eq!(header(&mut far).await, Err("no PROXY header".to_owned()));
        let (near, mut far) = tokio::io::duplex(4096);
        drop(near);
        assert_eq!(header(&mut far).await, Err("the connection ended before the PROXY header did".to_owned()));
    }
}
