//! A client of a case: it does what was drawn for it, and notes what it has been told.

use super::draw::{Act, Letter, Visit, groups, is_peer};
use super::oracle::{Auth, Client, Committed, Deed, Proved};
use crate::client::Session;
use crate::running::Running;
use crate::world::SimWorld;
use std::fmt::Write;
use std::net::IpAddr;

/// What a client has heard.
#[derive(Debug, Default)]
pub(super) struct Heard {
    pub(super) taken: Vec<Committed>,
    pub(super) deeds: Vec<Deed>,
    pub(super) dialog: String,
}

/// The server has closed the connection.
struct Over;

struct Caller {
    session: Session,
    client: Client,
    secured: bool,
    heard: Heard,
}

/// One session from the first octet to the last.
pub(super) async fn call(world: &SimWorld, running: &Running, visit: &Visit) -> Heard {
    let door = running.address_of(visit.server).expect("drawn servers are there");
    let session = Session::new(world.connect_from(visit.from, door).ok());
    let client = Client { server: visit.server, from: vec![visit.from], proved: Proved::Nobody, auths: Vec::new() };
    let mut caller = Caller { session, client, secured: false, heard: Heard::default() };
    let _ = writeln!(caller.heard.dialog, "== {} at {}", visit.from, visit.server);
    // However it ends, what was heard has been noted.
    let _over = caller.converse(&visit.acts).await;
    caller.heard
}

impl Caller {
    async fn converse(&mut self, acts: &[Act]) -> Result<(), Over> {
        self.greeted().await?;
        for act in acts {
            match act {
                Act::Tls => self.secure().await?,
                Act::Auth { name, good } => self.authenticate(name, *good).await?,
                Act::SpeakFor { address, login } => self.speak_for(*address, *login).await?,
                Act::Send(letter) => self.send(letter).await?,
            }
        }
        self.ask("QUIT").await.map(|_| ())
    }

    fn from(&self) -> IpAddr {
        *self.client.from.last().expect("a client comes from somewhere")
    }

    /// The greeting, and EHLO.
    async fn greeted(&mut self) -> Result<(), Over> {
        let greeting = self.reply().await?;
        if !greeting.starts_with("220") {
            return Err(Over);
        }
        self.heard.deeds.push(Deed::Opened(self.client.server, self.from()));
        self.hello().await
    }

    async fn hello(&mut self) -> Result<(), Over> {
        let reply = self.ask("EHLO client.example").await?;
        if reply.lines().any(|line| line.get(4..).is_some_and(|rest| rest.starts_with("AUTH "))) {
            let auth = Auth { from: self.from(), secured: self.secured };
            self.heard.deeds.push(Deed::Offered(self.client.server, auth));
        }
        Ok(())
    }

    async fn secure(&mut self) -> Result<(), Over> {
        if !self.ask("STARTTLS").await?.starts_with("220") {
            return Ok(());
        }
        let stream = self.session.stream.as_mut().ok_or(Over)?;
        stream.secure_as_client("mx.corp.example").await.map_err(|_| Over)?;
        self.secured = true;
        self.hello().await
    }

    async fn authenticate(&mut self, name: &str, good: bool) -> Result<(), Over> {
        let password = if good { "secret" } else { "wrong" };
        let response = smtp::sasl::encode(format!("\0{name}\0{password}").as_bytes());
        if self.ask(&format!("AUTH PLAIN {response}")).await?.starts_with("235") {
            let from = self.from();
            self.client.auths.push(Auth { from, secured: self.secured });
            self.client.proved = if is_peer(name, from) { Proved::Peer(name.to_owned()) } else { account(name) };
        }
        Ok(())
    }

    /// XCLIENT: from the next greeting on it is somebody else who speaks.
    async fn speak_for(&mut self, address: Option<IpAddr>, login: Option<&'static str>) -> Result<(), Over> {
        let said = address.map_or("NAME=h.test".to_owned(), |address| match address {
            IpAddr::V4(v4) => format!("ADDR={v4}"),
            IpAddr::V6(v6) => format!("ADDR=IPV6:{v6}"),
        });
        let login_said = login.map(|name| format!(" LOGIN={name}")).unwrap_or_default();
        let reply = self.ask(&format!("XCLIENT {said}{login_said}")).await?;
        if !reply.starts_with("220") {
            return Ok(());
        }
        self.client.from.push(address.unwrap_or(self.from()));
        self.client.proved = login.map_or(Proved::Nobody, account);
        self.heard.deeds.push(Deed::Opened(self.client.server, self.from()));
        self.hello().await
    }

    async fn send(&mut self, letter: &Letter) -> Result<(), Over> {
        let mut commands = vec![format!("MAIL FROM:<{}>", letter.from)];
        commands.extend(letter.to.iter().map(|to| format!("RCPT TO:<{to}>")));
        if !letter.chunked {
            commands.push("DATA".to_owned());
        }
        let mut last = String::new();
        if letter.pipelined {
            self.write(&commands.iter().map(|command| format!("{command}\r\n")).collect::<String>()).await?;
            for _ in &commands {
                last = self.reply().await?;
            }
        } else {
            for command in &commands {
                last = self.ask(command).await?;
            }
        }
        let content = format!("From: <{}>\r\nSubject: s\r\n\r\ntext\r\n", letter.author);
        let end = if letter.chunked {
            self.write(&format!("BDAT {} LAST\r\n{content}", content.len())).await?;
            self.reply().await?
        } else if last.starts_with("354") {
            self.write(&format!("{content}.\r\n")).await?;
            self.reply().await?
        } else {
            last
        };
        match end.strip_prefix("250 2.6.0 ").and_then(|rest| rest.split(' ').next()) {
            Some(id) => {
                let (id, client) = (id.to_owned(), self.client.clone());
                self.heard.taken.push(Committed { id, client, recipients: Vec::new() });
            }
            None => _ = self.ask("RSET").await?,
        }
        Ok(())
    }

    async fn ask(&mut self, command: &str) -> Result<String, Over> {
        self.write(&format!("{command}\r\n")).await?;
        self.reply().await
    }

    async fn write(&mut self, text: &str) -> Result<(), Over> {
        let _ = write!(self.heard.dialog, "C: {}", text.replace("\r\n", "\nC: ").trim_end_matches("C: "));
        self.session.waiting.extend_from_slice(text.as_bytes());
        self.session.send().await.map_err(|_| Over)
    }

    /// The next reply, all its lines.
    async fn reply(&mut self) -> Result<String, Over> {
        let reply = self.session.reply().await.map_err(|_| Over)?.join("\n");
        let _ = writeln!(self.heard.dialog, "S: {}", reply.replace('\n', "\n   "));
        if self.session.ended && !reply.as_bytes().first().is_some_and(u8::is_ascii_digit) {
            Err(Over)
        } else {
            Ok(reply)
        }
    }
}

fn account(name: &str) -> Proved {
    Proved::Account(name.to_owned(), groups(name).iter().map(|group| (*group).to_owned()).collect())
}
