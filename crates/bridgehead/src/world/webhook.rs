//! A JSON object is posted to a URL of the operator's.

use reqwest::{Client, header, redirect};
use rustls::ClientConfig;
use std::io;
use std::sync::OnceLock;
use std::time::Duration;

/// How long one may take, whatever the caller says.
const LIMIT: Duration = Duration::from_secs(30);

/// The way to webhooks; most servers never make it.
#[derive(Debug, Default)]
pub(super) struct Webhooks(OnceLock<Client>);

impl Webhooks {
    /// Posts it. Nothing of the answer is read but its status, and nobody is followed elsewhere.
    ///
    /// # Errors
    /// Nobody answers there, or not with 2xx.
    pub(super) async fn post(&self, tls: &ClientConfig, url: &str, body: Vec<u8>) -> io::Result<()> {
        let client = self.client(tls)?;
        let request = client.post(url).header(header::CONTENT_TYPE, "application/json").body(body);
        let status = request.send().await.map_err(|error| io::Error::other(reason(&error)))?.status();
        if status.is_success() { Ok(()) } else { Err(io::Error::other(format!("it answers {status}"))) }
    }

    fn client(&self, tls: &ClientConfig) -> io::Result<Client> {
        if let Some(client) = self.0.get() {
            return Ok(client.clone());
        }
        let client = Client::builder().tls_backend_preconfigured(tls.clone()).no_proxy().timeout(LIMIT);
        let client = client.redirect(redirect::Policy::none()).pool_max_idle_per_host(0);
        let client = client.build().map_err(|error| io::Error::other(reason(&error)))?;
        Ok(self.0.get_or_init(|| client).clone())
    }
}

/// An error with what caused it: the outer one says only that a request failed.
fn reason(error: &reqwest::Error) -> String {
    let mut reason = String::new();
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(inner) = cause {
        reason = inner.to_string();
        cause = inner.source();
    }
    reason
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::tls::Clients;
    use gateway::world::Verify;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    async fn posted(answer: &'static str) -> (io::Result<()>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let heard = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut heard = Vec::new();
            while !heard.ends_with(b"{}") {
                stream.read_buf(&mut heard).await.unwrap();
            }
            stream.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8(heard).unwrap()
        });
        let tls = Clients::new().for_verify(Verify::Name);
        let posted = Webhooks::default().post(&tls, &url, b"{}".to_vec()).await;
        (posted, heard.await.unwrap())
    }

    #[tokio::test]
    async fn what_is_posted_arrives_and_the_answer_counts() {
        let (posted, heard) = super::tests::posted("HTTP/1.1 204 No Content\r\n\r\n").await;
        posted.unwrap();
        assert!(heard.starts_with("POST /hook HTTP/1.1\r\n") && heard.contains("application/json"), "{heard}");
        let (posted, _) = super::tests::posted("HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n").await;
        assert!(posted.unwrap_err().to_string().contains("500"));
    }

    #[tokio::test]
    async fn nobody_there_is_an_error() {
        let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let tls = Clients::new().for_verify(Verify::Name);
        assert!(Webhooks::default().post(&tls, &format!("http://{port}/"), Vec::new()).await.is_err());
    }
}
