//! SCRAM with a client that knows its keys, whatever its name, nonce and extensions: it is proved, and it
//! is not if one octet of its last message is another.

use super::setting;
use crate::input::{Input, has_control};
use base64ct::{Base64, Encoding};
use hmac::{Hmac, KeyInit, Mac};
use identity::{Exchange, Failure, Finding, Inquiry, Mechanism, ScramKeys, Secret, Step};
use mail::Account;
use sha2::{Digest, Sha256};
use std::sync::Arc;

const CLIENT_KEY: [u8; 32] = *b"the ClientKey of this test alone";
const SERVER_KEY: [u8; 32] = *b"the ServerKey of this test alone";

pub(crate) fn run(octets: &[u8]) {
    let mut input = Input(octets);
    let (plus, acts) = (input.flag(), input.flag());
    let (name, nonce, extension) = (text(input.counted()), text(input.counted()), text(input.counted()));
    let binding: &[u8] = if plus { &[3; 32] } else { &[] };
    let flag = if plus { "p=tls-exporter" } else { "n" };
    let escaped = name.replace('=', "=3D").replace(',', "=2C");
    let header = format!("{flag},{},", if acts { format!("a={escaped}") } else { String::new() });
    let extension = if extension.is_empty() { extension } else { format!(",x={extension}") };
    let bare = format!("n={escaped},r={nonce}{extension}");
    let fits = !name.is_empty() && !has_control(&name) && !extension.contains('\0');
    let fits = fits && !extension.strip_prefix(",x=").unwrap_or_default().contains(',');
    let fits = fits && !nonce.is_empty() && nonce.bytes().all(|octet| octet.is_ascii_graphic() && octet != b',');
    let mechanism = if plus { Mechanism::ScramSha256Plus } else { Mechanism::ScramSha256 };
    let mut exchange = Exchange::new(mechanism, setting(0b1101));
    match exchange.respond(Some(format!("{header}{bare}").as_bytes())) {
        Step::Inquire(Inquiry::ScramKeys { name: asked }) if fits => assert_eq!(*asked, *name),
        // More extensions than one, or none, may stand where commas were.
        step => return assert!(!fits, "{step:?}"),
    }
    let keys = ScramKeys {
        salt: (*b"salt").into(),
        iterations: 4096,
        stored_key: Sha256::digest(CLIENT_KEY).into(),
        server_key: Secret::from(&SERVER_KEY[..]),
    };
    let first = exchange.found(Finding::ScramKeys(keys, Arc::new(Account::named("alice"))));
    let Step::Challenge(first) = first else { panic!("{first:?}") };
    let first = String::from_utf8(first).unwrap();
    let whole = first.strip_prefix("r=").unwrap().split(',').next().unwrap();
    assert!(whole.starts_with(&nonce) && whole.len() > nonce.len() + 16);
    let bound = Base64::encode_string(&[header.as_bytes(), binding].concat());
    let without_proof = format!("c={bound},r={whole}{extension}");
    let message = format!("{bare},{first},{without_proof}");
    let mut proof = mac(&Sha256::digest(CLIENT_KEY), &message);
    proof.iter_mut().zip(CLIENT_KEY).for_each(|(octet, key)| *octet ^= key);
    let right = format!("{without_proof},p={}", Base64::encode_string(&proof));
    conclude(&mut exchange, &right, &message, &mut input);
}

/// The last message, as it should be or with an octet changed.
fn conclude(exchange: &mut Exchange, right: &str, message: &str, input: &mut Input<'_>) {
    let mut said = right.as_bytes().to_vec();
    let (at, other) = (input.wide() % said.len(), input.octet());
    if other != 0 {
        said[at] = other;
    }
    let step = exchange.respond(Some(&said));
    if said != right.as_bytes() {
        return assert!(matches!(step, Step::Failed(Failure::Refused { .. } | Failure::Malformed)), "{step:?}");
    }
    let Step::Challenge(last) = step else { panic!("{step:?}") };
    assert_eq!(last, format!("v={}", Base64::encode_string(&mac(&SERVER_KEY, message))).into_bytes());
    let rest = input.0;
    match exchange.respond(Some(rest)) {
        Step::Proved(proof) => assert!(rest.is_empty() && proof.account.is_some()),
        step => assert!(!rest.is_empty() && matches!(step, Step::Failed(_)), "{step:?}"),
    }
}

fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

fn mac(key: &[u8], message: &str) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(message.as_bytes());
    mac.finalize().into_bytes().into()
}
