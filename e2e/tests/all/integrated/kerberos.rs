//! Clients with tickets of MIT's key distribution centre, by the system's GSSAPI library.
//!
//! What needs a realm runs in a process of its own, because the environment says which.

use super::{alone, is_alone};
use directory::Kerberos;
use e2e::foreign::{Kdc, REALM};
use e2e::skip;
use identity::{Exchange, Failure, Link, Mechanism, No, Proof, Protection, Setting, Step, Why, settings};
use libgssapi::context::{ClientCtx, CtxFlags, SecurityContext};
use libgssapi::name::Name;
use libgssapi::oid::{GSS_MECH_KRB5, GSS_MECH_SPNEGO, GSS_NT_HOSTBASED_SERVICE};
use std::path::Path;
use std::sync::Arc;

const HOST: &str = "mx.corp.example";
const END_POINT: &[u8] = b"the hash of our certificate";

/// Runs the test `name` as `principal` of a realm of its own.
fn in_a_realm(name: &str, principal: &str) {
    let people = ["alice", "EX1$", "smtp/ex1.corp.example"];
    let services = ["smtp/mx.corp.example", "imap/mx.corp.example"];
    let Some(kdc) = Kdc::start("127.0.0.1", &people, &services) else { return skip("MIT Kerberos is not installed") };
    let mut environment = kdc.environment();
    environment.push(("KRB5CCNAME", kdc.login(principal).display().to_string()));
    environment.push(("TEST_KEYTAB", kdc.service_keytab().display().to_string()));
    alone(&format!("kerberos::{name}"), environment);
}

#[test]
fn people_are_accounts() {
    in_a_realm("alice_with_a_ticket", "alice");
}

#[test]
fn services_and_machines_are_principals() {
    in_a_realm("a_service_with_a_ticket", "smtp/ex1.corp.example");
    in_a_realm("a_machine_with_a_ticket", "EX1$");
}

/// The service, by the environment of this process.
fn service(realm: &str) -> Kerberos {
    let keytab = std::env::var_os("TEST_KEYTAB").expect("set by in_a_realm").into();
    let host = HOST.parse().expect("a domain");
    Kerberos::open(&settings::Kerberos { keytab, realm: realm.into(), host }).expect("there are keys")
}

/// One client.
struct Client {
    context: ClientCtx,
    mechanism: Mechanism,
    binding: Option<Vec<u8>>,
    /// What it answers to the offer of layers.
    choice: Vec<u8>,
    /// The tokens it has sent.
    sent: Vec<Vec<u8>>,
    /// Its last token lacks an octet.
    damages: bool,
}

impl Client {
    fn new(mechanism: Mechanism) -> Client {
        Client::of("smtp", mechanism)
    }

    fn of(service: &str, mechanism: Mechanism) -> Client {
        let target = format!("{service}@{HOST}");
        let target = Name::new(target.as_bytes(), Some(GSS_NT_HOSTBASED_SERVICE)).expect("a name");
        let oid = if mechanism == Mechanism::Gssapi { GSS_MECH_KRB5 } else { GSS_MECH_SPNEGO };
        let flags = CtxFlags::GSS_C_MUTUAL_FLAG | CtxFlags::GSS_C_INTEG_FLAG;
        let context = ClientCtx::new(None, target, flags, Some(oid));
        Client { context, mechanism, binding: None, choice: vec![1, 0, 0, 0], sent: Vec::new(), damages: false }
    }

    fn bound_to(mut self, end_point: &[u8]) -> Client {
        self.binding = Some([b"tls-server-end-point:", end_point].concat());
        self
    }

    /// Chooses this layer, and wants to act for this account.
    fn choosing(mut self, layer: u8, account: &str) -> Client {
        self.choice = [&[layer, 0, 0, 0], account.as_bytes()].concat();
        self
    }

    /// Its answer to what the server said last.
    fn answer(&mut self, said: Option<&[u8]>) -> Vec<u8> {
        let mut token = if self.context.is_complete() {
            let offer = said.filter(|said| !said.is_empty()).expect("an offer of layers");
            assert_eq!(&*self.context.unwrap(offer).expect("a good offer"), [1, 0, 0, 0], "no layer, and no size");
            self.context.wrap(false, &self.choice).expect("a complete context").to_vec()
        } else {
            let token = self.context.step(said, self.binding.as_deref()).expect("a ticket");
            token.map_or(Vec::new(), |token| token.to_vec())
        };
        if self.damages {
            token.pop();
        }
        self.sent.push(token.clone());
        token
    }

    async fn authenticate(&mut self, service: &Kerberos, setting: Setting) -> Step {
        let mut exchange = Exchange::new(self.mechanism, setting);
        let mut step = exchange.respond(Some(&self.answer(None)));
        loop {
            step = match step {
                Step::Inquire(inquiry) => exchange.found(service.converse(inquiry).await),
                Step::Challenge(said) => exchange.respond(Some(&self.answer(Some(&said)))),
                end => return end,
            }
        }
    }
}

const BOTH: [Mechanism; 2] = [Mechanism::Gssapi, Mechanism::GssSpnego];

fn on_link(protection: Protection) -> Setting {
    let link = Link { end_point: END_POINT.into(), ..Link::default() };
    Setting { link: Some(Arc::new(link)), protection, ..super::setting() }
}

#[track_caller]
fn proved(step: Step) -> Proof {
    match step {
        Step::Proved(proof) => proof,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn refused(step: &Step) -> No {
    match step {
        Step::Failed(Failure::Refused { why: Why::Directory(no), .. }) => *no,
        other => panic!("{other:?}"),
    }
}

fn principal(proof: &Proof) -> &str {
    match &proof.credential {
        identity::Credential::Principal(name) => name,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn alice_with_a_ticket() {
    if !is_alone("kerberos::alice_with_a_ticket") {
        return;
    }
    let service = service(REALM);
    for mechanism in BOTH {
        let proof = proved(Client::new(mechanism).authenticate(&service, super::setting()).await);
        assert_eq!(principal(&proof), "alice@CORP.EXAMPLE");
        assert_eq!(proof.account.as_deref().map(|account| &*account.name), Some("alice"));
        bindings(&service, mechanism).await;
        strangers(&service, mechanism).await;
    }
    layers(&service).await;
    replay(&service).await;
    the_wrong_keytab();
    if e2e::long() {
        logins_a_second(&service).await;
    }
}

/// Prints a figure: whole exchanges, the client's part included.
async fn logins_a_second(service: &Kerberos) {
    for mechanism in BOTH {
        let (start, mut logins) = (std::time::Instant::now(), 0_u32);
        while start.elapsed().as_secs() < 3 {
            let _ = proved(Client::new(mechanism).authenticate(service, super::setting()).await);
            logins += 1;
        }
        println!("{mechanism}: {:.0} a second", f64::from(logins) / start.elapsed().as_secs_f64());
    }
}

async fn bindings(service: &Kerberos, mechanism: Mechanism) {
    for protection in [Protection::WhenGiven, Protection::Required] {
        let mut bound = Client::new(mechanism).bound_to(END_POINT);
        proved(bound.authenticate(service, on_link(protection)).await);
        let mut elsewhere = Client::new(mechanism).bound_to(b"the hash of another certificate");
        assert_eq!(refused(&elsewhere.authenticate(service, on_link(protection)).await), No::Wrong);
    }
    proved(Client::new(mechanism).authenticate(service, on_link(Protection::WhenGiven)).await);
    let unbound = Client::new(mechanism).authenticate(service, on_link(Protection::Required)).await;
    assert_eq!(refused(&unbound), No::Wrong);
    // In the clear there is nothing to be bound to.
    let required = Setting { protection: Protection::Required, ..super::setting() };
    let mut bound = Client::new(mechanism).bound_to(END_POINT);
    assert_eq!(refused(&bound.authenticate(service, required).await), No::Wrong);
}

async fn strangers(service: &Kerberos, mechanism: Mechanism) {
    // A ticket for a service that has its key in the same keytab.
    let other = Client::of("imap", mechanism).authenticate(service, super::setting()).await;
    assert_eq!(refused(&other), No::Wrong);
    let mut damaged = Client { damages: true, ..Client::new(mechanism) };
    assert_eq!(refused(&damaged.authenticate(service, super::setting()).await), No::Wrong);
    // The ticket is of CORP.EXAMPLE, and accounts are of another realm.
    let elsewhere = self::service("OTHER.EXAMPLE");
    let foreign = Client::new(mechanism).authenticate(&elsewhere, super::setting()).await;
    assert_eq!(refused(&foreign), No::Wrong);
    for octets in [&b"garbage"[..], &[0x60, 0x05, 0, 0, 0, 0, 0], &[0; 9000]] {
        let mut exchange = Exchange::new(mechanism, super::setting());
        let Step::Inquire(inquiry) = exchange.respond(Some(octets)) else { panic!("it is to be asked") };
        let step = exchange.found(service.converse(inquiry).await);
        assert!(matches!(step, Step::Failed(_)), "{step:?}");
    }
}

/// RFC 4752 §3.1 and §3.3.
async fn layers(service: &Kerberos) {
    let come = async |layer, account: &str| {
        let mut client = Client::new(Mechanism::Gssapi).choosing(layer, account);
        client.authenticate(service, super::setting()).await
    };
    for account in ["alice", "alice@CORP.EXAMPLE"] {
        proved(come(1, account).await);
    }
    for (layer, account) in [(1, "bob"), (1, "alice@OTHER.EXAMPLE"), (2, ""), (4, ""), (0, ""), (3, "alice")] {
        assert_eq!(refused(&come(layer, account).await), No::Wrong, "{layer} {account}");
    }
}

/// Who has listened cannot say the same again.
async fn replay(service: &Kerberos) {
    let mut client = Client::new(Mechanism::Gssapi);
    proved(client.authenticate(service, super::setting()).await);
    let mut exchange = Exchange::new(Mechanism::Gssapi, super::setting());
    let Step::Inquire(inquiry) = exchange.respond(Some(&client.sent[0])) else { panic!("it is to be asked") };
    assert_eq!(refused(&exchange.found(service.converse(inquiry).await)), No::Wrong);
}

fn the_wrong_keytab() {
    let settings = settings::Kerberos {
        keytab: Path::new("/nowhere/smtp.keytab").into(),
        realm: REALM.into(),
        host: HOST.parse().expect("a domain"),
    };
    let error = Kerberos::open(&settings).expect_err("there is no such keytab").to_string();
    assert!(error.ends_with("KRB5_KTNAME=FILE:/nowhere/smtp.keytab"), "{error}");
}

#[tokio::test]
async fn a_service_with_a_ticket() {
    if !is_alone("kerberos::a_service_with_a_ticket") {
        return;
    }
    for mechanism in BOTH {
        let proof = proved(Client::new(mechanism).authenticate(&service(REALM), super::setting()).await);
        assert_eq!((principal(&proof), proof.account.is_none()), ("smtp/ex1.corp.example@CORP.EXAMPLE", true));
    }
}

#[tokio::test]
async fn a_machine_with_a_ticket() {
    if !is_alone("kerberos::a_machine_with_a_ticket") {
        return;
    }
    let proof = proved(Client::new(Mechanism::GssSpnego).authenticate(&service(REALM), super::setting()).await);
    assert_eq!((principal(&proof), proof.account.is_none()), ("EX1$@CORP.EXAMPLE", true));
}
