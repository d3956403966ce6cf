//! A small client: submits one message to a server. What `bridgehead send` does.

use super::Source;
use super::link::{Link, Transferred};
use crate::translate;
use crate::world::{Verify, World};
use config::Rate;
use mail::{Host, Mailbox, ReversePath};
use queue::glance;
use smtp::client::{Client, Mail, MailRecipient, Settings, StartTls, Verdict};
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

/// How long connecting may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(30);

/// How slowly the server may take the message; the default of the settings.
const RATE: Rate = Rate { octets_per_s: 1000, after: Duration::from_secs(180) };

/// One message to be submitted.
#[derive(Clone, Debug)]
pub struct Submission {
    /// The server.
    pub server: SocketAddr,
    /// What to say in EHLO.
    pub hello: Host,
    /// Secure the connection where the server offers it.
    pub tls: bool,
    /// Who it is from.
    pub reverse_path: ReversePath,
    /// Whom it is for.
    pub recipients: Vec<Mailbox>,
    /// The message, with CRLF line ends.
    pub message: Vec<u8>,
}

/// Why nothing was submitted.
#[derive(Debug)]
pub struct NotSubmitted(Box<str>);

impl fmt::Display for NotSubmitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotSubmitted {}

/// Submits one message; returns the server's verdict on each recipient.
///
/// # Errors
/// [`NotSubmitted`]: the server could not be reached or would not have us.
pub async fn submit<W: World>(world: &W, submission: Submission) -> Result<Vec<Verdict>, NotSubmitted> {
    let Submission { server, hello, tls, reverse_path, recipients, message } = submission;
    let connecting = tokio::time::timeout(CONNECT_LIMIT, world.connect(server, None)).await;
    let stream = connecting
        .map_err(|_| NotSubmitted(format!("{server}: connecting took too long").into()))?
        .map_err(|error| NotSubmitted(format!("{server}: {error}").into()))?;
    let starttls = if tls { StartTls::Opportunistic } else { StartTls::Never };
    let client = Client::new(Settings { starttls, ..Settings::new(hello) });
    let mut link: Link<W> = Link::new(stream, client, server.to_string(), RATE, None);
    let name = server.ip().to_string();
    link.ready(world, &name, Verify::Nobody).await.map_err(|refused| NotSubmitted(refused.why))?;
    let content = glance(&message).content;
    let recipient = |forward_path| MailRecipient { forward_path, notify: None, original: None };
    let mail = Mail {
        reverse_path,
        recipients: recipients.into_iter().map(recipient).collect(),
        size: message.len() as u64,
        content: translate::client_content(&content),
        smtputf8: content.utf8_headers,
        ret: None,
        envid: None,
    };
    let transferred = link.transfer(world, mail, Source::of(message.into())).await;
    link.quit().await;
    match transferred {
        Transferred::Finished(finished) => Ok(finished.recipients),
        Transferred::Unreadable(error) => Err(NotSubmitted(error.to_string().into())),
    }
}
