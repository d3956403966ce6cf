//! What NTLM takes and refuses, by the client in `client.rs`. Those of others come in
//! `e2e/tests/all/ntlm.rs`.

mod client;
mod vectors;

use self::client::{Client, NEGOTIATE};
use super::*;
use crate::exchange::{Exchange, Link, Mechanism};
use crate::inquiry::No;
use proptest::prelude::*;

const PASSWORD: &str = "Pa55 wörd";

fn setting() -> Setting {
    Setting {
        entropy: *b"\x01\x23\x45\x67\x89\xab\xcd\xef........................",
        decoy: Secret::from("decoy"),
        link: None,
        plus_offered: false,
        protection: Protection::WhenGiven,
        hostname: "mx.corp.example".into(),
        ntlm_here: true,
        now: 1_795_000_000,
    }
}

fn on_link(end_point: &[u8], protection: Protection) -> Setting {
    let link = Link { end_point: end_point.into(), ..Link::default() };
    Setting { link: Some(Arc::new(link)), protection, ..setting() }
}

/// The exchange up to its challenge, and the challenge.
fn challenged(setting: Setting) -> (Exchange, Vec<u8>) {
    let mut exchange = Exchange::new(Mechanism::Ntlm, setting);
    match exchange.respond(Some(NEGOTIATE)) {
        Step::Challenge(challenge) => (exchange, challenge),
        other => panic!("{other:?}"),
    }
}

fn nt_hash() -> Finding {
    Finding::NtHash(Secret::from(&client::nt_hash(PASSWORD)[..]), Arc::new(Account::named("alice")))
}

/// What comes of the third message, when the directory answers `finding`.
fn outcome(exchange: &mut Exchange, authenticate: &[u8], finding: Finding) -> Step {
    match exchange.respond(Some(authenticate)) {
        Step::Inquire(Inquiry::NtHash { .. }) => exchange.found(finding),
        other => other,
    }
}

fn proved(step: &Step) -> bool {
    matches!(step, Step::Proved(proof) if proof.account.as_ref().is_some_and(|account| &*account.name == "alice"))
}

/// Why it was refused, and for whom.
#[track_caller]
fn refused(step: Step) -> (Option<Box<str>>, Why) {
    match step {
        Step::Failed(Failure::Refused { name, secret: None, why }) => (name, why),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_right_password_is_taken_with_and_without_a_session_key() {
    for chosen in [None, Some([9; 16])] {
        let (mut exchange, challenge) = challenged(setting());
        let client = Client { session_key: chosen, ..Client::new("Alice", "CORP", PASSWORD) };
        assert!(proved(&outcome(&mut exchange, &client.authenticate(&challenge), nt_hash())), "{chosen:?}");
    }
}

/// One login; as many as go in three seconds, and their number, with
/// `FIGURES=1 cargo test --release -p identity -- --nocapture logins_a_second`.
#[test]
#[expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]
fn logins_a_second() {
    let seconds = if std::env::var_os("FIGURES").is_some() { 3 } else { 0 };
    let (start, mut logins) = (std::time::Instant::now(), 0_u32);
    while logins == 0 || start.elapsed().as_secs() < seconds {
        let (mut exchange, challenge) = challenged(setting());
        let answer = Client::new("alice", "CORP", PASSWORD).authenticate(&challenge);
        assert!(proved(&outcome(&mut exchange, &answer, nt_hash())));
        logins += 1;
    }
    println!("NTLM: {:.0} a second, the client's part included", f64::from(logins) / start.elapsed().as_secs_f64());
}

#[test]
fn without_an_initial_response_the_client_is_told_to_begin_once() {
    let mut exchange = Exchange::new(Mechanism::Ntlm, setting());
    assert!(matches!(exchange.respond(None), Step::Challenge(empty) if empty.is_empty()));
    assert!(matches!(exchange.respond(Some(NEGOTIATE)), Step::Challenge(full) if full.starts_with(b"NTLMSSP\0\x02")));
    let mut exchange = Exchange::new(Mechanism::Ntlm, setting());
    assert!(matches!(exchange.respond(None), Step::Challenge(_)));
    assert!(matches!(exchange.respond(None), Step::Failed(Failure::Malformed)));
}

#[test]
fn the_challenge_says_who_we_are_and_what_time_it_is() {
    let (_, challenge) = challenged(setting());
    assert_eq!(&challenge[24..32], b"\x01\x23\x45\x67\x89\xab\xcd\xef");
    assert_eq!(&challenge[56..60], b"M\0X\0", "the name of the target");
    let mut expected = Vec::new();
    for (id, text) in [(2_u16, "MX"), (1, "MX"), (4, "corp.example"), (3, "mx.corp.example")] {
        let value = challenge::utf16(text);
        expected.extend(id.to_le_bytes());
        expected.extend(u16::try_from(value.len()).unwrap().to_le_bytes());
        expected.extend(value);
    }
    expected.extend([7, 0, 8, 0]);
    expected.extend(((1_795_000_000_u64 + 11_644_473_600) * 10_000_000).to_le_bytes());
    expected.extend([0; 4]);
    assert_eq!(&challenge[60..], expected);
}

#[test]
fn the_wrong_password_is_refused() {
    let (mut exchange, challenge) = challenged(setting());
    let message = Client::new("alice", "", "Pa55 word").authenticate(&challenge);
    assert_eq!(refused(outcome(&mut exchange, &message, nt_hash())), (Some("alice".into()), Why::Proof));
}

#[test]
fn sixteen_octets_that_are_no_proof_are_refused() {
    let (mut exchange, challenge) = challenged(setting());
    let client = Client { proof: Some([0x5a; 16]), ..Client::new("alice", "", PASSWORD) };
    assert_eq!(refused(outcome(&mut exchange, &client.authenticate(&challenge), nt_hash())).1, Why::Proof);
    // Nor does leaving the integrity code away help.
    let (mut exchange, challenge) = challenged(setting());
    let client = Client { proof: Some([0x5a; 16]), av_flags: None, ..Client::new("alice", "", PASSWORD) };
    assert_eq!(refused(outcome(&mut exchange, &client.authenticate(&challenge), nt_hash())).1, Why::Weak);
}

#[test]
fn the_integrity_code_is_demanded_and_must_be_right() {
    let weak = |client: Client| {
        let (mut exchange, challenge) = challenged(setting());
        refused(outcome(&mut exchange, &client.authenticate(&challenge), nt_hash()))
    };
    let alice = || Client::new("alice", "", PASSWORD);
    assert_eq!(weak(Client { av_flags: None, ..alice() }), (Some("alice".into()), Why::Weak));
    assert_eq!(weak(Client { av_flags: Some(0), ..alice() }).1, Why::Weak);
    // The flag is there and the place for the code is not: the payload begins where it would be.
    assert_eq!(weak(Client { header: 72, ..alice() }).1, Why::Weak);
    let (mut exchange, challenge) = challenged(setting());
    let mut message = alice().authenticate(&challenge);
    message[80] ^= 1;
    assert_eq!(refused(outcome(&mut exchange, &message, nt_hash())).1, Why::Proof);
}

#[test]
fn messages_that_were_changed_on_the_way_are_noticed() {
    // Somebody between takes the wish for 128 bits out of the first message.
    let mut exchange = Exchange::new(Mechanism::Ntlm, setting());
    let mut changed = NEGOTIATE.to_vec();
    changed[15] &= !0x20;
    let Step::Challenge(challenge) = exchange.respond(Some(&changed)) else { panic!("a challenge") };
    let message = Client::new("alice", "", PASSWORD).authenticate(&challenge);
    assert_eq!(refused(outcome(&mut exchange, &message, nt_hash())).1, Why::Proof);
}

#[test]
fn a_proof_for_another_challenge_is_refused() {
    let (mut first, challenge) = challenged(setting());
    let message = Client::new("alice", "", PASSWORD).authenticate(&challenge);
    assert!(proved(&outcome(&mut first, &message, nt_hash())));
    let mut again = setting();
    again.entropy[0] ^= 1;
    let (mut second, _) = challenged(again);
    assert_eq!(refused(outcome(&mut second, &message, nt_hash())).1, Why::Proof);
    // Nor is there a second try in the same exchange.
    assert!(matches!(first.respond(Some(&message)), Step::Failed(Failure::Malformed)));
}

#[test]
fn old_and_empty_forms_are_refused_before_anybody_is_asked() {
    let refusal = |client: Client| {
        let (mut exchange, challenge) = challenged(setting());
        refused(exchange.respond(Some(&client.authenticate(&challenge))))
    };
    let alice = || Client::new("alice", "", PASSWORD);
    // NTLMv1, and LM alone.
    assert_eq!(refusal(Client { nt: Some(vec![1; 24]), ..alice() }), (Some("alice".into()), Why::Weak));
    assert_eq!(refusal(Client { nt: Some(Vec::new()), ..alice() }).1, Why::Weak);
    // Anonymous (MS-NLMP §3.2.5.1.2), by flag and by the lack of a name.
    assert_eq!(refusal(Client { flags: client::FLAGS | 0x800, ..alice() }), (None, Why::Weak));
    assert_eq!(refusal(Client::new("", "", PASSWORD)), (None, Why::Weak));
    assert_eq!(refusal(Client::new("", "", "")), (None, Why::Weak));
    // Names in a code page.
    assert_eq!(refusal(Client { flags: client::FLAGS & !1, ..alice() }), (None, Why::Weak));
    let mut exchange = Exchange::new(Mechanism::Ntlm, setting());
    let mut old = NEGOTIATE.to_vec();
    old[12] = 2;
    assert_eq!(refused(exchange.respond(Some(&old))), (None, Why::Weak));
}

#[test]
fn an_account_that_does_not_exist_is_asked_for_its_proof_all_the_same() {
    let (mut exchange, challenge) = challenged(setting());
    let message = Client::new("nobody", "", PASSWORD).authenticate(&challenge);
    let step = outcome(&mut exchange, &message, Finding::No(No::Unknown));
    assert_eq!(refused(step), (Some("nobody".into()), Why::Directory(No::Unknown)));
    // Even who guesses what is computed in its place is nobody.
    let decoy = proof::decoy(&setting().decoy, "nobody");
    let (mut exchange, challenge) = challenged(setting());
    let hash = decoy.expose().try_into().unwrap();
    let message = Client { hash, ..Client::new("nobody", "", "") }.authenticate(&challenge);
    let step = outcome(&mut exchange, &message, Finding::No(No::Unknown));
    assert_eq!(refused(step).1, Why::Directory(No::Unknown));
}

#[test]
fn what_could_not_be_found_out_is_not_a_refusal() {
    let unavailable = |finding| {
        let (mut exchange, challenge) = challenged(setting());
        let message = Client::new("alice", "", PASSWORD).authenticate(&challenge);
        matches!(outcome(&mut exchange, &message, finding), Step::Failed(Failure::Unavailable))
    };
    assert!(unavailable(Finding::Unavailable));
    // A hash that is none, and answers to other questions.
    assert!(unavailable(Finding::NtHash(Secret::from("short"), Arc::new(Account::named("alice")))));
    assert!(unavailable(Finding::Account(Arc::new(Account::named("alice")))));
    assert!(unavailable(Finding::Principal("alice".into(), None)));
}

#[test]
fn a_channel_binding_must_be_that_of_the_link() {
    let come = |setting: Setting, binding: Option<&[u8]>| {
        let (mut exchange, challenge) = challenged(setting);
        let client = Client { binding: binding.map(proof::binding), ..Client::new("alice", "", PASSWORD) };
        outcome(&mut exchange, &client.authenticate(&challenge), nt_hash())
    };
    for protection in [Protection::WhenGiven, Protection::Required] {
        assert!(proved(&come(on_link(b"our certificate", protection), Some(b"our certificate"))));
        let other = come(on_link(b"our certificate", protection), Some(b"another certificate"));
        assert_eq!(refused(other), (Some("alice".into()), Why::Binding));
    }
    assert!(proved(&come(on_link(b"our certificate", Protection::WhenGiven), None)));
    assert_eq!(refused(come(on_link(b"our certificate", Protection::Required), None)).1, Why::Binding);
    // In the clear there is nothing to be bound to: a client that is bound speaks to somebody else.
    assert_eq!(refused(come(setting(), Some(b"another certificate"))).1, Why::Binding);
    let required = Setting { protection: Protection::Required, ..setting() };
    assert_eq!(refused(come(required, None)).1, Why::Binding);
    // Sixteen zeros are what Windows sends for none (MS-NLMP §2.2.2.1).
    let (mut exchange, challenge) = challenged(on_link(b"our certificate", Protection::Required));
    let client = Client { binding: Some([0; 16]), ..Client::new("alice", "", PASSWORD) };
    assert_eq!(refused(outcome(&mut exchange, &client.authenticate(&challenge), nt_hash())).1, Why::Binding);
}

/// The exchange of an account of a domain, up to the question about its third message.
fn of_a_domain(setting: Setting, client: &Client) -> Exchange {
    let mut exchange = Exchange::new(Mechanism::Ntlm, Setting { ntlm_here: false, ..setting.clone() });
    let (_, theirs) = challenged(setting);
    let Step::Inquire(Inquiry::Converse { package: Package::Ntlm, conversation: None, octets, .. }) =
        exchange.respond(Some(NEGOTIATE))
    else {
        panic!("the domain is to be asked")
    };
    assert_eq!(octets.expose(), NEGOTIATE);
    let step = exchange.found(Finding::Challenge(theirs.clone(), Conversation(Box::new(7_u8))));
    assert!(matches!(step, Step::Challenge(shown) if shown == theirs));
    let message = client.authenticate(&theirs);
    let Step::Inquire(Inquiry::Converse { conversation: Some(conversation), octets, .. }) =
        exchange.respond(Some(&message))
    else {
        panic!("the domain is to be asked again")
    };
    assert_eq!(octets.expose(), message);
    assert_eq!(conversation.0.downcast_ref::<u8>(), Some(&7));
    exchange
}

#[test]
fn a_domain_is_asked_about_its_accounts() {
    let alice = Client::new("alice", "CORP", PASSWORD);
    let yes = || Finding::Principal(r"CORP\alice".into(), Some(Arc::new(Account::named("alice"))));
    let step = of_a_domain(setting(), &alice).found(yes());
    assert!(matches!(&step, Step::Proved(proof) if proof.credential == Credential::Principal(r"CORP\alice".into())));
    assert!(proved(&step));
    let step = of_a_domain(setting(), &alice).found(Finding::No(No::Wrong));
    assert_eq!(refused(step), (Some("alice".into()), Why::Directory(No::Wrong)));
    let step = of_a_domain(setting(), &alice).found(Finding::Unavailable);
    assert!(matches!(step, Step::Failed(Failure::Unavailable)));
    // The domain does not know the link, so the binding is looked at here.
    let required = || on_link(b"our certificate", Protection::Required);
    assert_eq!(refused(of_a_domain(required(), &alice).found(yes())).1, Why::Binding);
    let bound = Client { binding: Some(proof::binding(b"our certificate")), ..alice };
    assert!(proved(&of_a_domain(required(), &bound).found(yes())));
}

#[test]
fn a_domain_is_not_asked_about_what_is_weak() {
    let mut exchange = Exchange::new(Mechanism::Ntlm, Setting { ntlm_here: false, ..setting() });
    assert!(matches!(exchange.respond(Some(NEGOTIATE)), Step::Inquire(_)));
    let (_, theirs) = challenged(setting());
    exchange.found(Finding::Challenge(theirs.clone(), Conversation(Box::new(7_u8))));
    let old = Client { nt: Some(vec![1; 24]), ..Client::new("alice", "CORP", PASSWORD) };
    assert_eq!(refused(exchange.respond(Some(&old.authenticate(&theirs)))).1, Why::Weak);
}

#[test]
fn no_place_or_length_in_the_third_message_reaches_outside() {
    let (_, challenge) = challenged(setting());
    let good = Client::new("alice", "CORP", PASSWORD).authenticate(&challenge);
    let end = u32::try_from(good.len()).unwrap();
    for at in [12, 20, 28, 36, 44, 52] {
        for length in [0, 1, 2, 15, 16, 23, 24, 43, 44, 63, 255, 0x7fff, 0xffff_u16] {
            for offset in
                [0, 1, 12, 63, 64, 72, 87, 88, end - 1, end, end + 1, 0x7fff_ffff, 0xffff_ffff, 0xffff_fff0_u32]
            {
                let mut message = good.clone();
                message[at..at + 2].copy_from_slice(&length.to_le_bytes());
                message[at + 4..at + 8].copy_from_slice(&offset.to_le_bytes());
                if message == good {
                    continue;
                }
                let (mut exchange, _) = challenged(setting());
                let step = outcome(&mut exchange, &message, nt_hash());
                assert!(matches!(step, Step::Failed(_)), "{at} {length} {offset}: {step:?}");
            }
        }
    }
}

#[test]
fn a_message_that_is_cut_off_is_refused() {
    let (_, challenge) = challenged(setting());
    let good = Client::new("alice", "CORP", PASSWORD).authenticate(&challenge);
    for length in 0..good.len() {
        let (mut exchange, _) = challenged(setting());
        let step = outcome(&mut exchange, &good[..length], nt_hash());
        assert!(matches!(step, Step::Failed(_)), "{length}: {step:?}");
    }
    let mut exchange = Exchange::new(Mechanism::Ntlm, setting());
    assert!(matches!(exchange.respond(Some(&[])), Step::Failed(Failure::Malformed)));
    let mut long = NEGOTIATE.to_vec();
    long.resize(1025, 0);
    let mut exchange = Exchange::new(Mechanism::Ntlm, setting());
    assert!(matches!(exchange.respond(Some(&long)), Step::Failed(Failure::Malformed)));
}

#[test]
fn names_must_be_sound() {
    let malformed = |name: Vec<u8>| {
        let (mut exchange, challenge) = challenged(setting());
        let client = Client { raw_name: Some(name), ..Client::new("alice", "", PASSWORD) };
        matches!(exchange.respond(Some(&client.authenticate(&challenge))), Step::Failed(Failure::Malformed))
    };
    assert!(malformed(b"a\0l\0i".to_vec()), "half a unit");
    assert!(malformed(b"\x00\xd8a\0".to_vec()), "half a surrogate pair");
    assert!(malformed(b"a\0\0\0b\0".to_vec()), "a NUL");
    assert!(malformed(challenge::utf16(&"a".repeat(257))), "too long");
    assert!(!malformed(challenge::utf16(&"a".repeat(256))));
}

#[test]
fn target_information_must_be_sound() {
    let come = |pairs: &[u8]| {
        let (mut exchange, challenge) = challenged(setting());
        let client = Client { raw_pairs: Some(pairs.to_vec()), ..Client::new("alice", "", PASSWORD) };
        outcome(&mut exchange, &client.authenticate(&challenge), nt_hash())
    };
    const MIC: &[u8] = &[6, 0, 4, 0, 2, 0, 0, 0];
    const END: &[u8] = &[0; 4];
    assert!(proved(&come(&[MIC, END].concat())));
    let bad: [&[&[u8]]; 8] = [
        &[MIC],
        &[MIC, &[0, 0, 0]],
        &[MIC, &[0, 0, 1, 0, 9]],
        &[MIC, MIC, END],
        &[MIC, &[9, 0, 0xff, 0xff], END],
        &[&[6, 0, 3, 0, 2, 0, 0], END],
        &[MIC, &[10, 0, 15, 0], &[1; 15], END],
        &[],
    ];
    for pairs in bad {
        let step = come(&pairs.concat());
        assert!(matches!(step, Step::Failed(Failure::Malformed)), "{pairs:?}: {step:?}");
    }
    // More kinds than there are.
    let many: Vec<u8> = (11..40_u16).flat_map(|id| [id.to_le_bytes(), [0, 0]].concat()).collect();
    assert!(matches!(come(&[&many, MIC, END].concat()), Step::Failed(Failure::Malformed)));
}

proptest! {
    #[test]
    fn whatever_one_octet_is_changed_to_is_refused(at: prop::sample::Index, by in 1..=255_u8) {
        let (mut exchange, challenge) = challenged(setting());
        let mut message = Client::new("alice", "CORP", PASSWORD).authenticate(&challenge);
        let at = at.index(message.len());
        message[at] ^= by;
        let step = outcome(&mut exchange, &message, nt_hash());
        prop_assert!(matches!(step, Step::Failed(_)), "{} {}: {:?}", at, by, step);
    }

    #[test]
    fn octets_of_any_kind_do_no_harm(octets: Vec<u8>, behind in 0..3_usize) {
        let mut message = [&b"NTLMSSP\0\x03\0\0\0"[..8 + 2 * behind], &octets].concat();
        message.truncate(5000);
        let (mut exchange, _) = challenged(setting());
        let step = outcome(&mut exchange, &message, nt_hash());
        prop_assert!(matches!(step, Step::Failed(_)));
    }
}
