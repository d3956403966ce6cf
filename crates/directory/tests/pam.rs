//! Tries by a helper that says what it is told to, good or bad. With libpam's own: `e2e/tests/all/integrated`.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use directory::Pam;
use identity::{Finding, No, Secret, settings};
use std::path::Path;
use std::time::Duration;

fn scripted(helpers: usize) -> Pam {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pam_helper.sh");
    let settings = settings::Pam { service: "smtp".into(), helpers, timeout: Duration::from_secs(20) };
    Pam::by(&settings, script, vec!["pam-helper".into()])
}

/// Time passes, all at once, for whoever waits.
async fn pass(time: Duration) {
    tokio::task::yield_now().await;
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

/// The name `alice`; the helper does what the password says.
async fn ask(pam: &Pam, what: &str) -> Finding {
    pam.password("alice", &Secret::from(what)).await
}

#[track_caller]
fn name(finding: Finding) -> String {
    match finding {
        Finding::Account(account) => account.name.to_string(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_the_modules_say_is_believed() {
    let pam = scripted(1);
    assert_eq!(name(ask(&pam, "request").await), "smtp-alice-request", "all of it reaches the helper");
    assert!(matches!(ask(&pam, "W").await, Finding::No(No::Wrong)));
    assert!(matches!(ask(&pam, "N").await, Finding::No(No::Unknown)));
    assert!(matches!(ask(&pam, "S").await, Finding::No(No::Suspended)));
    assert!(matches!(ask(&pam, "U").await, Finding::Unavailable));
    assert_eq!(name(ask(&pam, r"GCORP\alice").await), r"CORP\alice", "as the modules call it");
}

#[tokio::test]
async fn the_password_is_told_to_nobody_else() {
    let pam = scripted(1);
    assert_eq!(name(ask(&pam, "arguments").await), "pam-helper");
    assert_eq!(name(ask(&pam, "environment").await), "nothing");
}

#[tokio::test]
async fn each_try_has_a_process_of_its_own() {
    let pam = scripted(1);
    let first = name(ask(&pam, "process").await);
    assert_ne!(name(ask(&pam, "process").await), first);
}

#[tokio::test]
async fn what_cannot_be_asked_safely_is_no() {
    // Nothing can be started here: whatever is asked is not found out.
    let settings = settings::Pam { service: "smtp".into(), helpers: 1, timeout: Duration::from_secs(20) };
    let nobody = Pam::by(&settings, "/nowhere/helper".into(), Vec::new());
    assert!(matches!(ask(&nobody, "secret").await, Finding::Unavailable));
    for password in ["", "a\0b", &"x".repeat(512)] {
        assert!(matches!(ask(&nobody, password).await, Finding::No(No::Wrong)), "{password:?}");
    }
    for name in ["", "../alice", "-alice", "alice\n"] {
        assert!(matches!(nobody.password(name, &Secret::from("x")).await, Finding::No(No::Unknown)), "{name:?}");
    }
}

#[tokio::test]
async fn garbage_dying_and_talking_on_are_never_a_yes() {
    for wrong in ["garbage", "die", "kill", "cut", "endless", "silent", "G", "Walice", "X", "G alice"] {
        let pam = scripted(1);
        let finding = ask(&pam, wrong).await;
        assert!(matches!(finding, Finding::Unavailable), "{wrong}: {finding:?}");
        // One failure alone may be chance.
        assert_eq!(name(ask(&pam, "Galice").await), "alice", "{wrong}");
    }
}

#[tokio::test]
async fn a_helper_that_hangs_is_ended() {
    let pam = scripted(1);
    let (finding, ()) = tokio::join!(ask(&pam, "hang"), pass(Duration::from_secs(21)));
    assert!(matches!(finding, Finding::Unavailable), "{finding:?}");
    assert_eq!(name(ask(&pam, "Galice").await), "alice");
}

#[tokio::test]
async fn helpers_that_keep_dying_are_not_started_again_at_once() {
    let pam = scripted(1);
    assert!(matches!(ask(&pam, "die").await, Finding::Unavailable));
    assert!(matches!(ask(&pam, "die").await, Finding::Unavailable));
    // This one would be answered if anybody were asked.
    tokio::time::pause();
    assert!(matches!(ask(&pam, "Galice").await, Finding::Unavailable));
    tokio::time::advance(Duration::from_secs(31)).await;
    tokio::time::resume();
    assert_eq!(name(ask(&pam, "Galice").await), "alice");
}

#[tokio::test]
async fn helpers_and_those_who_wait_for_one_are_few() {
    let pam = scripted(1);
    let hangs = ask(&pam, "hang");
    tokio::pin!(hangs);
    tokio::select! {
        biased;
        finding = &mut hangs => panic!("{finding:?}"),
        () = tokio::task::yield_now() => {}
    }
    // Thirty-two may wait for the one helper.
    let mut waiting: Vec<_> = (0..32).map(|_| Box::pin(ask(&pam, "Galice"))).collect();
    for one in &mut waiting {
        tokio::select! {
            biased;
            finding = one => panic!("{finding:?}"),
            () = tokio::task::yield_now() => {}
        }
    }
    assert!(matches!(ask(&pam, "Galice").await, Finding::Unavailable), "one too many");
    drop(waiting);
    let (hung, ()) = tokio::join!(hangs, pass(Duration::from_secs(21)));
    assert!(matches!(hung, Finding::Unavailable), "{hung:?}");
    assert_eq!(name(ask(&pam, "Galice").await), "alice");
}
