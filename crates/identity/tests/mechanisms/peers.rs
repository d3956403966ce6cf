//! Clients of other people (rsasl) against our mechanisms: every mechanism they have, with what is
//! right and with what is not.

use crate::{account, certificate, link, scram_keys, setting};
use identity::{Exchange, Failure, Finding, Inquiry, Link, Mechanism, No, Proof, Setting, Step, Why};
use rsasl::callback::{Context, Request, SessionCallback, SessionData};
use rsasl::mechanisms::oauthbearer::properties::OAuthBearerErrored;
use rsasl::mechanisms::scram::SCRAM_SHA256_PLUS;
use rsasl::mechanisms::xoauth2::properties::XOAuth2Error;
use rsasl::prelude::{ChannelBindingCallback, Mechname, Registry, SASLClient, SASLConfig, SessionError};
use rsasl::property::{AuthId, AuthzId, OAuthBearerToken, OverrideCBType, Password};
use std::sync::Arc;

const NAME: &str = "ali,ce=x";
const PASSWORD: &str = "secret";
const TOKEN: &str = "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==";

/// What a client knows and believes.
#[derive(Clone, Copy)]
struct Client {
    actor: Option<&'static str>,
    name: &'static str,
    password: &'static str,
    token: &'static str,
    /// The type of channel binding; `None` if it cannot bind.
    binding: Option<(&'static str, &'static [u8])>,
}

const GOOD: Client = Client { actor: None, name: NAME, password: PASSWORD, token: TOKEN, binding: None };

impl SessionCallback for Client {
    fn callback(
        &self,
        _data: &SessionData,
        _context: &Context<'_>,
        request: &mut Request<'_>,
    ) -> Result<(), SessionError> {
        if let Some(actor) = self.actor {
            request.satisfy::<AuthzId>(actor)?;
        }
        if let Some((kind, _)) = self.binding {
            request.satisfy::<OverrideCBType>(kind)?;
        }
        request
            .satisfy::<AuthId>(self.name)?
            .satisfy::<Password>(self.password.as_bytes())?
            .satisfy::<OAuthBearerToken>(self.token)?;
        // They are told that they have failed, and know what to answer.
        let _ = request.get_action::<OAuthBearerErrored>();
        let _ = request.get_action::<XOAuth2Error>();
        Ok(())
    }

    fn enable_channel_binding(&self) -> bool {
        self.binding.is_some()
    }
}

impl ChannelBindingCallback for Client {
    fn get_cb_data(&self, kind: &str) -> Option<&[u8]> {
        self.binding.filter(|(known, _)| *known == kind).map(|(_, octets)| octets)
    }
}

/// A directory that knows one account.
fn found(inquiry: &Inquiry) -> Finding {
    let owner = |name: &str, good: bool| match (name == NAME, good) {
        (true, true) => Finding::Account(account(NAME)),
        (true, false) => Finding::No(No::Wrong),
        (false, _) => Finding::No(No::Unknown),
    };
    match inquiry {
        Inquiry::Password { name, password } => owner(name, password.expose() == PASSWORD.as_bytes()),
        Inquiry::ScramKeys { name } if **name == *NAME => scram_keys(NAME, PASSWORD),
        Inquiry::Token { token, name } => owner(name.as_deref().unwrap_or(NAME), token.expose() == TOKEN.as_bytes()),
        Inquiry::Certificate { .. } => Finding::Account(account(NAME)),
        _ => Finding::No(No::Unknown),
    }
}

/// Lets the client talk to the mechanism until the mechanism ends it. The client objects to whatever it
/// cannot believe: a nonce that is not its own, a signature of somebody who does not know the keys.
fn talk(mechanism: Mechanism, setting: Setting, client: Client) -> Result<Proof, Failure> {
    // Its choice among several is not what is tried here: with -PLUS alone it would take that without.
    let plus = Registry::with_mechanisms(std::slice::from_ref(&SCRAM_SHA256_PLUS));
    let config = match mechanism {
        Mechanism::ScramSha256Plus => SASLConfig::builder().with_registry(plus).with_callback(client).unwrap(),
        _ => SASLConfig::builder().with_default_mechanisms().with_callback(client).unwrap(),
    };
    let offered = [Mechname::parse(mechanism.name().as_bytes()).unwrap()];
    let mut session = SASLClient::with_cb(config, client).start_suggested(&offered).unwrap();
    let mut exchange = Exchange::new(mechanism, setting);
    let mut heard: Option<Vec<u8>> = None;
    if !session.are_we_first() {
        let Step::Challenge(challenge) = exchange.respond(None) else { panic!("{mechanism} says nothing") };
        heard = Some(challenge);
    }
    for _ in 0..8 {
        let mut said = Vec::new();
        session.step(heard.as_deref(), &mut said).unwrap_or_else(|e| panic!("the client objects: {e}"));
        let mut step = exchange.respond(Some(&said));
        if let Step::Inquire(inquiry) = &step {
            step = exchange.found(found(inquiry));
        }
        match step {
            Step::Challenge(challenge) => heard = Some(challenge),
            Step::Proved(proof) => return Ok(proof),
            Step::Failed(failure) => return Err(failure),
            Step::Inquire(inquiry) => panic!("asks again: {inquiry:?}"),
        }
    }
    panic!("{mechanism} does not end");
}

fn secured(exporter: bool) -> Setting {
    Setting { link: link(exporter, Some(certificate(&["x.test"]))), plus_offered: true, ..setting() }
}

fn proved(mechanism: Mechanism, setting: Setting, client: Client) {
    let proof = talk(mechanism, setting, client).unwrap_or_else(|failure| panic!("{mechanism}: {failure:?}"));
    assert_eq!(proof.account.as_deref().map(|account| &*account.name), Some(NAME), "{mechanism}");
}

fn refused(mechanism: Mechanism, setting: Setting, client: Client, expected: Why) {
    match talk(mechanism, setting, client) {
        Err(Failure::Refused { why, .. }) => assert_eq!(why, expected, "{mechanism}"),
        other => panic!("{mechanism}: {other:?}"),
    }
}

/// Those that need nothing of TLS.
const UNBOUND: [Mechanism; 5] =
    [Mechanism::Plain, Mechanism::Login, Mechanism::ScramSha256, Mechanism::OauthBearer, Mechanism::Xoauth2];

#[test]
fn who_knows_the_secret_is_proved() {
    for mechanism in UNBOUND {
        proved(mechanism, setting(), GOOD);
    }
    for mechanism in [Mechanism::Plain, Mechanism::ScramSha256] {
        proved(mechanism, setting(), Client { actor: Some(NAME), ..GOOD });
    }
    proved(Mechanism::External, secured(true), GOOD);
    proved(Mechanism::External, secured(true), Client { actor: Some(NAME), ..GOOD });
}

#[test]
fn who_does_not_is_refused() {
    let wrong = Client { password: "Secret", token: "other", ..GOOD };
    let unknown = Client { name: "nobody", actor: Some("nobody"), ..GOOD };
    for mechanism in UNBOUND {
        let why = if mechanism == Mechanism::ScramSha256 { Why::Proof } else { Why::Directory(No::Wrong) };
        refused(mechanism, setting(), wrong, why);
        refused(mechanism, setting(), unknown, Why::Directory(No::Unknown));
    }
    for mechanism in [Mechanism::Plain, Mechanism::ScramSha256] {
        refused(mechanism, setting(), Client { actor: Some("bob"), ..GOOD }, Why::ForAnother);
    }
    refused(Mechanism::External, secured(true), Client { actor: Some("bob"), ..GOOD }, Why::ForAnother);
    refused(Mechanism::External, setting(), GOOD, Why::NoCertificate);
}

#[test]
fn a_bound_client_is_proved_on_its_own_link_and_on_no_other() {
    let plus = Mechanism::ScramSha256Plus;
    let exporter = |octets| Client { binding: Some(("tls-exporter", octets)), ..GOOD };
    let end_point = |octets| Client { binding: Some(("tls-server-end-point", octets)), ..GOOD };
    let there: Arc<Link> = link(true, None).unwrap();
    let (right, ours): (&'static [u8], &'static [u8]) =
        (Box::leak(Box::new(there.exporter.unwrap())), Box::leak(there.end_point.clone()));
    proved(plus, secured(true), exporter(right));
    proved(plus, secured(true), end_point(ours));
    proved(plus, secured(false), end_point(ours));
    refused(plus, secured(true), exporter(ours), Why::Binding);
    refused(plus, secured(true), end_point(right), Why::Binding);
    refused(plus, secured(false), exporter(right), Why::Binding);
    refused(plus, secured(true), Client { binding: Some(("tls-unique", right)), ..GOOD }, Why::Binding);
    refused(plus, setting(), end_point(ours), Why::Binding);
    refused(plus, secured(true), Client { password: "wrong", ..exporter(right) }, Why::Proof);
    refused(plus, secured(true), Client { name: "nobody", ..exporter(right) }, Why::Directory(No::Unknown));
}

/// A client that can bind is shown no -PLUS, and says so (RFC 5802 §6).
#[test]
fn a_downgrade_is_seen() {
    let client = Client { binding: Some(("tls-exporter", b"any")), ..GOOD };
    refused(Mechanism::ScramSha256, secured(true), client, Why::Downgrade);
    proved(Mechanism::ScramSha256, setting(), client);
}
