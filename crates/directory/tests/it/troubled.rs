//! LDAP servers that hang, break off, talk nonsense or far too much. None of them is ever a yes, and
//! none is a no.

use crate::slapd::{Content, Slapd, free_port};
use crate::world::{Told, World, settings};
use directory::Happening;
use identity::settings::{Ldap, Schema};
use std::future::pending;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What a server does with each request.
#[derive(Clone, Copy, Debug)]
enum Manner {
    Silent,
    Closes,
    /// Answers with these octets, then says nothing more.
    Says(&'static [u8]),
    /// Answers with these octets, then closes.
    SaysAndCloses(&'static [u8]),
    /// Answers a bind well, then each search with entries without end.
    Endless,
    /// Answers a bind well, then a search with many constructed elements, each in the other.
    Nested,
}

/// Success, to a bind with number 1.
const BOUND: &[u8] = b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00";
/// An entry for search number 2, with one attribute.
const ENTRY: &[u8] = b"\x30\x1b\x02\x01\x02\x64\x16\x04\x04dc=x\x30\x0e\x30\x0c\x04\x03uid\x31\x05\x04\x03abc";

async fn serve(mut stream: TcpStream, manner: Manner) -> std::io::Result<()> {
    let mut request = [0; 4096];
    let mut asked = 0;
    while stream.read(&mut request).await? > 0 {
        asked += 1;
        match manner {
            Manner::Silent => pending().await,
            Manner::Closes => return Ok(()),
            Manner::Says(octets) => stream.write_all(octets).await?,
            Manner::SaysAndCloses(octets) => return stream.write_all(octets).await,
            Manner::Endless | Manner::Nested if asked == 1 => stream.write_all(BOUND).await?,
            Manner::Endless => loop {
                stream.write_all(ENTRY).await?;
            },
            // A message whose elements are each in the one before, a hundred thousand of them, with
            // lengths that are right.
            Manner::Nested => stream.write_all(&nested()).await?,
        }
    }
    Ok(())
}

fn nested() -> Vec<u8> {
    let mut octets = Vec::new();
    let depth: u32 = 100_000;
    for level in 0..depth {
        octets.extend([0x30, 0x84]);
        octets.extend(((depth - level - 1) * 6).to_be_bytes());
    }
    octets
}

/// A server of this manner; its port.
async fn troubled(manner: Manner) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, manner));
        }
    });
    port
}

fn clear(port: u16) -> Ldap {
    Ldap {
        servers: vec![format!("ldap://127.0.0.1:{port}").into()],
        start_tls: false,
        authorities: None,
        bind_dn: None,
        password_file: None,
        user_dn: None,
        base: "dc=x".into(),
        group_base: None,
        user_filter: "(uid=%u)".into(),
        mail_filter: "(mail=%m)".into(),
        schema: Schema::Posix,
        timeout: Duration::from_millis(400),
        cache: Duration::from_secs(60),
        connections: 2,
    }
}

const MANNERS: [Manner; 14] = [
    Manner::Silent,
    Manner::Closes,
    Manner::Endless,
    Manner::Nested,
    Manner::Says(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    Manner::Says(b"\x30\x84\xff\xff\xff\xff\x02"),
    Manner::Says(b"\x30\x80\x00\x00"),
    // Half of an answer.
    Manner::Says(b"\x30\x0c\x02\x01\x01\x61\x07"),
    Manner::SaysAndCloses(b"\x30\x0c\x02\x01\x01\x61\x07"),
    // Success twice: the second is for whoever asks next, or so it hopes.
    Manner::Says(b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00\x30\x0c\x02\x01\x02\x61\x07\x0a\x01\x00\x04\x00\x04\x00"),
    // Success, for a request that nobody made; success, but of something else.
    Manner::Says(b"\x30\x0c\x02\x01\x05\x61\x07\x0a\x01\x00\x04\x00\x04\x00"),
    Manner::Says(b"\x30\x0c\x02\x01\x01\x65\x07\x0a\x01\x00\x04\x00\x04\x00"),
    // A notice of disconnection; busy.
    Manner::SaysAndCloses(b"\x30\x24\x02\x01\x00\x78\x1f\x0a\x01\x34\x04\x00\x04\x00\x8a\x161.3.6.1.4.1.1466.20036"),
    Manner::Says(b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x33\x04\x00\x04\x00"),
];

#[tokio::test(flavor = "multi_thread")]
async fn no_trouble_is_an_answer() {
    for manner in MANNERS {
        let port = troubled(manner).await;
        for user_dn in [None, Some("uid=%u,dc=x".into())] {
            let world = World::ldap(Ldap { user_dn, ..clear(port) });
            assert_eq!(world.password("abc", "x").await, Told::Unavailable, "{manner:?}");
            assert_eq!(world.recipient("abc@x.example").await, Told::Unavailable, "{manner:?}");
            let heard = world.heard();
            assert!(matches!(heard.first(), Some(Happening::Down { .. })), "{manner:?} {heard:?}");
        }
    }
    let world = World::ldap(clear(free_port()));
    assert_eq!(world.password("abc", "x").await, Told::Unavailable, "nobody listens");
}

/// What comes in the clear before TLS is only ever the answer to StartTLS.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_in_before_tls() {
    let manners = [
        // Refused, with a protocol error; success with an answer to a bind behind it; nonsense; nothing.
        Manner::Says(b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x02\x04\x00\x04\x00"),
        Manner::Says(b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00"),
        Manner::Says(b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00"),
        Manner::Nested,
        Manner::Silent,
        Manner::Closes,
    ];
    let place = tempfile::tempdir().unwrap();
    let authorities = Some(crate::authority::Authority::in_directory(place.path()).authority);
    for manner in manners {
        let port = troubled(manner).await;
        let world = World::ldap(Ldap { start_tls: true, authorities: authorities.clone(), ..clear(port) });
        assert_eq!(world.password("abc", "x").await, Told::Unavailable, "{manner:?}");
    }
}

/// A server that hangs does not take the time of the one behind it.
#[tokio::test(flavor = "multi_thread")]
async fn the_next_server_answers_when_the_first_hangs() {
    let slapd = Slapd::start(Content::Posix);
    for manner in [Manner::Silent, Manner::Closes, Manner::Says(b"\x30\x80")] {
        let silent = format!("ldap://127.0.0.1:{}", troubled(manner).await);
        let good = format!("ldap://127.0.0.1:{}", slapd.clear);
        let timeout = Duration::from_secs(6);
        let servers = vec![silent.into(), good.into()];
        let world = World::ldap(Ldap { servers, timeout, ..settings(&slapd) });
        assert_eq!(&*world.password("alice", "alice-password").await.account().name, "alice");
        assert_eq!(world.heard().len(), 1, "{manner:?}");
        // It rests now, and is not asked first again.
        assert_eq!(&*world.password("alice", "alice-password").await.account().name, "alice");
        assert_eq!(world.heard(), [], "{manner:?}");
    }
}

/// A directory that cannot say ends the inquiry: the next might know another person of that name.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_asked_behind_one_that_cannot_say() {
    let slapd = Slapd::start(Content::Posix);
    let good = || identity::settings::Kind::Ldap(settings(&slapd));
    let silent = identity::settings::Kind::Ldap(clear(troubled(Manner::Silent).await));
    let world = World::of(vec![("first", silent), ("second", good())]);
    assert_eq!(world.password("alice", "alice-password").await, Told::Unavailable);
    let elsewhere =
        identity::settings::Kind::Ldap(Ldap { user_filter: "(&(uid=%u)(cn=none))".into(), ..settings(&slapd) });
    let world = World::of(vec![("first", elsewhere), ("second", good())]);
    assert_eq!(&*world.password("alice", "alice-password").await.account().name, "alice");
}
