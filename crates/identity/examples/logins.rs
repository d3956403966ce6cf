//! How many logins one processor checks in a second, by mechanism: whole exchanges against an account
//! file, without the network. `cargo run --release -p identity --example logins`

#![expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]

use base64ct::{Base64, Encoding as _};
use hmac::{Hmac, KeyInit as _, Mac as _};
use identity::accounts::{Accounts, Change, Secrets, edit};
use identity::{ClientCertificate, Exchange, Link, Mechanism, Protection, Secret, Setting, Step};
use mail::Timestamp;
use sha2::{Digest as _, Sha256};
use std::sync::Arc;
use std::time::{Duration, Instant};

const PASSWORD: &str = "correct horse battery staple";
const FOR: Duration = Duration::from_secs(3);

fn main() {
    let certificate = [7; 32];
    let secrets = Secrets::new(&Secret::from(PASSWORD), false, [3; 32]).expect("a password");
    let changes = [Change::Add, Change::Secrets(secrets), Change::Trust(certificate)];
    let text = edit("", &"alice".parse().expect("a name"), &changes).expect("a new account");
    let accounts = Accounts::read(text.as_bytes()).expect("what was just written");
    let shown = ClientCertificate { fingerprint: certificate, ..ClientCertificate::default() };
    let link = Arc::new(Link { certificate: Some(Arc::new(shown)), ..Link::default() });
    let mut client = ScramClient::default();
    for (mechanism, mut login) in [
        (
            Mechanism::Plain,
            Box::new(|it: &mut Login<'_>| it.says(b"\0alice\0correct horse battery staple")) as Steps<'_>,
        ),
        (
            Mechanism::Login,
            Box::new(|it| {
                it.says(b"alice");
                it.says(PASSWORD.as_bytes());
            }),
        ),
        (Mechanism::ScramSha256, Box::new(|it| client.log_in(it))),
        (Mechanism::External, Box::new(|it| it.says(b""))),
    ] {
        let (start, mut count) = (Instant::now(), 0_u32);
        while start.elapsed() < FOR {
            let mut it = Login { exchange: Exchange::new(mechanism, setting(&link)), accounts: &accounts, last: None };
            login(&mut it);
            assert!(matches!(it.last, Some(Step::Proved(_))), "{mechanism}: {:?}", it.last);
            count += 1;
        }
        println!("{mechanism:20} {:>9.0} a second", f64::from(count) / start.elapsed().as_secs_f64());
    }
}

type Steps<'c> = Box<dyn FnMut(&mut Login<'_>) + 'c>;

fn setting(link: &Arc<Link>) -> Setting {
    Setting {
        entropy: [9; 32],
        decoy: Secret::from("decoy"),
        link: Some(link.clone()),
        plus_offered: false,
        protection: Protection::WhenGiven,
        hostname: "mx.corp.example".into(),
        ntlm_here: true,
        now: 1_800_000_000,
    }
}

/// One login.
struct Login<'a> {
    exchange: Exchange,
    accounts: &'a Accounts,
    last: Option<Step>,
}

impl Login<'_> {
    /// The client says this; the account file answers what it is asked.
    fn says(&mut self, octets: &[u8]) {
        let mut step = self.exchange.respond(Some(octets));
        while let Step::Inquire(inquiry) = &step {
            let found = self.accounts.answer(inquiry, Timestamp::from_millis(1_800_000_000_000));
            step = self.exchange.found(found);
        }
        self.last = Some(step);
    }

    fn challenge(&self) -> String {
        match &self.last {
            Some(Step::Challenge(octets)) => String::from_utf8_lossy(octets).into_owned(),
            other => panic!("{other:?}"),
        }
    }
}

/// A client of SCRAM that keeps what it has made of its password, as clients do.
#[derive(Default)]
struct ScramClient {
    salted: Option<[u8; 32]>,
}

impl ScramClient {
    fn log_in(&mut self, it: &mut Login<'_>) {
        let bare = "n=alice,r=rOprNGfwEbeRWgbNEkqO";
        it.says(format!("n,,{bare}").as_bytes());
        let first = it.challenge();
        let mut parts = first.split(',').map(|part| &part[2..]);
        let (nonce, salt, rounds) = (parts.next(), parts.next(), parts.next());
        let (Some(nonce), Some(salt), Some(rounds)) = (nonce, salt, rounds) else { panic!("{first}") };
        let salted = *self.salted.get_or_insert_with(|| {
            let salt = Base64::decode_vec(salt).expect("base64");
            let mut key = [0; 32];
            let rounds = rounds.parse().expect("a number");
            pbkdf2::pbkdf2::<Hmac<Sha256>>(PASSWORD.as_bytes(), &salt, rounds, &mut key).expect("any length is a key");
            key
        });
        let client_key = hmac(&salted, b"Client Key");
        let without_proof = format!("c=biws,r={nonce}");
        let signature = hmac(&Sha256::digest(client_key), format!("{bare},{first},{without_proof}").as_bytes());
        let proof: Vec<u8> = client_key.iter().zip(signature).map(|(a, b)| a ^ b).collect();
        it.says(format!("{without_proof},p={}", Base64::encode_string(&proof)).as_bytes());
        it.says(b"");
    }
}

fn hmac(key: &[u8], text: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length is a key");
    mac.update(text);
    mac.finalize().into_bytes().into()
}
