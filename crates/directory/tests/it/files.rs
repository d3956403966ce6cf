//! The account file as a directory.

use crate::world::{Told, UNKNOWN, WRONG, World, secret_file};
use directory::Happening;
use identity::PasswordHash;
use identity::Secret;
use identity::settings::Kind;
use std::fs;
use std::path::Path;
use std::time::Duration;
use tokio::time::{advance, pause, resume};

fn write(place: &Path, password: &str) {
    let hash = PasswordHash::new(&Secret::from(password), [7; 16]).unwrap();
    let text = format!("account alice\n  password {}\n  address alice@corp.example\n", hash.text());
    secret_file(place, "new", &text);
    fs::rename(place.join("new"), place.join("accounts")).unwrap();
}

/// As if somebody waited for as long as nobody looks at a file again.
async fn a_second_later() {
    pause();
    advance(Duration::from_secs(1)).await;
    resume();
}

#[tokio::test]
async fn accounts_of_a_file_that_changes() {
    let place = tempfile::tempdir().unwrap();
    write(place.path(), "first");
    let world = World::of(vec![("here", Kind::File(place.path().join("accounts")))]);
    assert_eq!(&*world.password("alice", "first").await.account().name, "alice");
    assert_eq!(world.password("alice", "second").await, WRONG);
    assert_eq!(world.password("bob", "first").await, UNKNOWN);
    assert_eq!(&*world.recipient("alice@corp.example").await.account().name, "alice");
    let alice = world.account("ALICE").await.account();
    assert_eq!((&*alice.name, alice.addresses.len()), ("alice", 1));
    assert_eq!(world.account("bob").await, UNKNOWN);

    write(place.path(), "second");
    a_second_later().await;
    assert_eq!(&*world.password("alice", "second").await.account().name, "alice");
    assert_eq!(world.password("alice", "first").await, WRONG);
    assert_eq!(world.heard(), [Happening::Read]);

    fs::write(place.path().join("accounts"), "account alice\n  password hunter2\n").unwrap();
    a_second_later().await;
    assert_eq!(&*world.password("alice", "second").await.account().name, "alice", "what was read before stays");
    let heard = world.heard();
    assert!(matches!(&heard[..], [Happening::NotRead(why)] if why.contains("line 2") && !why.contains("hunter2")));

    let error = World::try_of(vec![("here", Kind::File(place.path().join("accounts")))]).err().unwrap().to_string();
    assert!(error.starts_with("directory here: ") && error.contains("line 2") && !error.contains("hunter2"), "{error}");
}

#[tokio::test]
async fn the_first_directory_that_knows_the_account_answers() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write(first.path(), "first");
    write(second.path(), "second");
    let file = |place: &Path| Kind::File(place.join("accounts"));
    let world = World::of(vec![("first", file(first.path())), ("second", file(second.path()))]);
    assert_eq!(&*world.password("alice", "first").await.account().name, "alice");
    assert_eq!(world.password("alice", "second").await, WRONG, "it is another alice");
    let text = fs::read_to_string(first.path().join("accounts")).unwrap().replace("alice", "bob");
    fs::write(first.path().join("accounts"), text).unwrap();
    a_second_later().await;
    assert_eq!(&*world.password("alice", "second").await.account().name, "alice");
    // A name that the settings have and nobody has opened.
    let inquiry = || identity::Inquiry::Password { name: "alice".into(), password: Secret::from("second") };
    let finding = world.directories.inquire(&["nowhere".into(), "second".into()], inquiry()).await;
    assert_eq!(crate::world::told(finding), Told::Unavailable);
}
