//! Exchanges with a helper that says what it is told to, good or bad. With Samba's own: `e2e/tests/all/integrated`.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use directory::Winbind;
use identity::{Conversation, Finding, Inquiry, No, Package, Secret, settings};
use std::path::{Path, PathBuf};
use std::time::Duration;

fn helpers(program: &Path, helpers: usize, timeout: Duration) -> Winbind {
    Winbind::open(&settings::Winbind { helper: program.into(), helpers, timeout }).unwrap()
}

fn scripted(number: usize) -> Winbind {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/helper.sh");
    helpers(&script, number, Duration::from_secs(20))
}

/// Time passes, all at once, for whoever waits.
async fn pass(time: Duration) {
    tokio::task::yield_now().await;
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

async fn say(winbind: &Winbind, package: Package, conversation: Option<Conversation>, octets: &[u8]) -> Finding {
    let octets = Secret::from(octets);
    winbind.converse(Inquiry::Converse { package, conversation, octets, link: None, binding_required: false }).await
}

async fn first(winbind: &Winbind, line: &str) -> Finding {
    say(winbind, Package::Ntlm, None, line.as_bytes()).await
}

#[track_caller]
fn name(finding: Finding) -> String {
    match finding {
        Finding::Principal(name, _) => name.into(),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn challenge(finding: Finding) -> (Vec<u8>, Conversation) {
    match finding {
        Finding::Challenge(octets, conversation) => (octets, conversation),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_exchange_keeps_its_helper_and_gives_it_back() {
    let winbind = scripted(1);
    let (octets, conversation) = challenge(first(&winbind, "TT VGlt").await);
    assert_eq!(octets, b"Tim");
    assert_eq!(name(say(&winbind, Package::Ntlm, Some(conversation), b"count").await), "count-2");
    assert_eq!(name(first(&winbind, "count").await), "count-3", "the same process");
    assert_eq!(name(first(&winbind, "verb").await), "YR");
    let (_, conversation) = challenge(first(&winbind, "TT VGlt").await);
    assert_eq!(name(say(&winbind, Package::Ntlm, Some(conversation), b"verb").await), "KK");
    // An exchange that is given up leaves its helper to the next.
    drop(challenge(first(&winbind, "TT VGlt").await));
    assert_eq!(name(first(&winbind, "count").await), "count-8");
}

#[tokio::test]
async fn accounts_and_machines_are_told_apart() {
    let winbind = scripted(1);
    match first(&winbind, r"AF CORP\alice").await {
        Finding::Principal(name, Some(account)) => assert_eq!((&*name, &*account.name), (r"CORP\alice", r"CORP\alice")),
        other => panic!("{other:?}"),
    }
    assert!(matches!(first(&winbind, r"AF CORP\EX1$").await, Finding::Principal(name, None) if &*name == r"CORP\EX1$"));
}

#[tokio::test]
async fn no_and_unknown_are_different() {
    let winbind = scripted(1);
    assert!(matches!(first(&winbind, "NA NT_STATUS_WRONG_PASSWORD").await, Finding::No(No::Wrong)));
    assert!(matches!(first(&winbind, "NA NT_STATUS_NO_LOGON_SERVERS").await, Finding::Unavailable));
    assert!(matches!(first(&winbind, "BH winbind is not there").await, Finding::Unavailable));
    assert_eq!(name(first(&winbind, "count").await), "count-4", "a helper that says so is sound");
}

#[tokio::test]
async fn the_last_token_of_spnego_goes_before_the_verdict() {
    let winbind = scripted(1);
    let (octets, conversation) = challenge(say(&winbind, Package::Spnego, None, br"AF VGlt CORP\alice").await);
    assert_eq!(octets, b"Tim");
    assert_eq!(name(say(&winbind, Package::Spnego, Some(conversation), b"").await), r"CORP\alice");
    let (_, conversation) = challenge(say(&winbind, Package::Spnego, None, br"AF VGlt CORP\alice").await);
    let more = say(&winbind, Package::Spnego, Some(conversation), b"more").await;
    assert!(matches!(more, Finding::No(No::Wrong)), "{more:?}");
}

#[tokio::test]
async fn a_helper_that_cannot_be_trusted_is_replaced() {
    for wrong in ["garbage", "OK alice", "TT ?", "AF ", "die", "endless", "TT VGlt\nAF alice"] {
        let winbind = scripted(1);
        assert_eq!(name(first(&winbind, "count").await), "count-1");
        let finding = first(&winbind, wrong).await;
        let (finding, replaced) = match finding {
            // Two lines in one: the second is noticed when the next is asked.
            Finding::Challenge(_, conversation) => {
                (say(&winbind, Package::Ntlm, Some(conversation), b"count").await, 1)
            }
            finding => (finding, 1),
        };
        assert!(matches!(finding, Finding::Unavailable), "{wrong}: {finding:?}");
        assert_eq!(name(first(&winbind, "count").await), format!("count-{replaced}"), "{wrong}: a new process");
    }
}

#[tokio::test]
async fn a_helper_that_hangs_is_ended() {
    let winbind = scripted(1);
    assert_eq!(name(first(&winbind, "count").await), "count-1");
    let (finding, ()) = tokio::join!(first(&winbind, "hang"), pass(Duration::from_secs(21)));
    assert!(matches!(finding, Finding::Unavailable), "{finding:?}");
    // The first failure may be chance: the next helper starts at once.
    assert_eq!(name(first(&winbind, "count").await), "count-1", "a new process");
}

#[tokio::test]
async fn helpers_that_keep_dying_are_not_started_again_at_once() {
    let winbind = scripted(1);
    assert!(matches!(first(&winbind, "die").await, Finding::Unavailable));
    assert!(matches!(first(&winbind, "die").await, Finding::Unavailable));
    // This one would be answered if anybody were asked.
    tokio::time::pause();
    assert!(matches!(first(&winbind, "count").await, Finding::Unavailable));
    tokio::time::advance(Duration::from_secs(31)).await;
    tokio::time::resume();
    assert_eq!(name(first(&winbind, "count").await), "count-1");
}

#[tokio::test]
async fn who_leaves_before_the_answer_leaves_no_answer_behind() {
    let winbind = scripted(1);
    assert_eq!(name(first(&winbind, "count").await), "count-1");
    // Dropped after the request was written, before the answer was read.
    tokio::select! {
        biased;
        finding = first(&winbind, "hang") => panic!("{finding:?}"),
        () = tokio::task::yield_now() => {}
    }
    assert_eq!(name(first(&winbind, "count").await), "count-1", "a new process");
}

#[tokio::test]
async fn a_client_that_does_not_go_on_loses_its_helper() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/helper.sh");
    let winbind = helpers(&script, 1, Duration::from_secs(1000));
    let (_, slow) = challenge(first(&winbind, "TT VGlt").await);
    let (other, ()) = tokio::join!(first(&winbind, "count"), pass(Duration::from_secs(31)));
    assert_eq!(name(other), "count-2", "the one helper, after the patience with the first client");
    assert!(matches!(say(&winbind, Package::Ntlm, Some(slow), b"count").await, Finding::Unavailable));
}

#[tokio::test]
async fn when_all_helpers_are_lent_it_cannot_be_found_out() {
    let winbind = scripted(1);
    let (_, held) = challenge(first(&winbind, "TT VGlt").await);
    let (other, ()) = tokio::join!(first(&winbind, "count"), pass(Duration::from_secs(21)));
    assert!(matches!(other, Finding::Unavailable), "{other:?}");
    assert_eq!(name(say(&winbind, Package::Ntlm, Some(held), b"count").await), "count-2");
}

#[tokio::test]
async fn the_helper_learns_nothing_of_our_environment() {
    assert_eq!(name(first(&scripted(1), "environment").await), "nothing");
}

#[tokio::test]
async fn what_a_helper_cannot_check_is_not_asked() {
    let winbind = scripted(1);
    let ask = |package, binding_required| {
        let octets = Secret::from("AF * alice");
        winbind.converse(Inquiry::Converse { package, conversation: None, octets, link: None, binding_required })
    };
    assert!(matches!(ask(Package::Spnego, true).await, Finding::Unavailable));
    assert!(matches!(ask(Package::Gssapi, false).await, Finding::Unavailable));
    assert_eq!(name(ask(Package::Spnego, false).await), "alice");
    let foreign = Some(Conversation(Box::new(7_u8)));
    assert!(matches!(say(&winbind, Package::Ntlm, foreign, b"AF alice").await, Finding::Unavailable));
}

#[test]
fn a_helper_that_is_not_there_is_named() {
    let helper = PathBuf::from("/nowhere/ntlm_auth");
    let error = Winbind::open(&settings::Winbind { helper, helpers: 1, timeout: Duration::from_secs(1) }).unwrap_err();
    assert!(error.to_string().contains("/nowhere/ntlm_auth"), "{error}");
}
