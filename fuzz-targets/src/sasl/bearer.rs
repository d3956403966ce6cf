//! OAUTHBEARER and XOAUTH2: a token that is asked about stood there, once, in the pair `auth`; whoever
//! fails is told so in JSON and has then failed, whatever it answers.

use super::{check, setting};
use crate::input::Input;
use identity::{Exchange, Failure, Finding, Inquiry, Mechanism, No, Step};

pub(crate) fn run(octets: &[u8]) {
    let mut input = Input(octets);
    let mechanism = if input.flag() { Mechanism::OauthBearer } else { Mechanism::Xoauth2 };
    let answer = input.counted();
    let said = input.0;
    let mut exchange = Exchange::new(mechanism, setting(1));
    let step = match exchange.respond(Some(said)) {
        Step::Inquire(inquiry) => {
            check(&inquiry);
            stood_there(said, &inquiry);
            exchange.found(Finding::No(No::Wrong))
        }
        step => step,
    };
    match step {
        Step::Challenge(told) => {
            let told: serde_json::Value = serde_json::from_slice(&told).unwrap();
            assert!(told["status"].is_string());
            let decided = exchange.decided().expect("it has failed");
            let Step::Failed(failure) = exchange.respond(Some(answer)) else { panic!("it goes on") };
            assert!(failure == decided && matches!(failure, Failure::Refused { secret: Some(_), .. }));
        }
        Step::Failed(Failure::Malformed) => {}
        step => panic!("{step:?}"),
    }
}

fn stood_there(said: &[u8], inquiry: &Inquiry) {
    let Inquiry::Token { token, .. } = inquiry else { panic!("{inquiry:?}") };
    let pairs: Vec<&[u8]> = said.split(|octet| *octet == 1).filter(|pair| pair.starts_with(b"auth=")).collect();
    let [pair] = pairs[..] else { panic!("auth stands {} times", pairs.len()) };
    let (scheme, shown) = pair[5..].split_at(7);
    assert!(scheme.eq_ignore_ascii_case(b"bearer ") && shown == token.expose());
}
