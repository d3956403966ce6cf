//! A directory with the attributes of Active Directory.

use crate::slapd::{Content, Slapd};
use crate::world::{SUSPENDED, UNKNOWN, WRONG, World, named, settings};
use identity::settings::{Ldap, Schema};

fn windows(slapd: &Slapd) -> World {
    World::ldap(Ldap {
        schema: Schema::ActiveDirectory,
        group_base: None,
        user_filter: "(&(objectClass=user)(|(sAMAccountName=%u)(userPrincipalName=%u)))".into(),
        ..settings(slapd)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_of_a_windows_domain() {
    let slapd = Slapd::start(Content::Windows);
    let world = windows(&slapd);
    let addresses = ["alice@corp.example", "a.smith@corp.example"].map(String::from).to_vec();
    for name in ["alice", "ALICE", "alice@corp.example"] {
        let alice = world.password(name, "alice-password").await.account();
        assert_eq!(named(&alice), ("alice", vec!["mailusers"], addresses.clone()));
    }
    assert_eq!(world.password("alice", "x").await, WRONG);
    assert_eq!(world.password("phone@corp.example", "alice-password").await, UNKNOWN);
    assert_eq!(world.password("shared", "shared-password").await, SUSPENDED, "disabled");
    assert_eq!(world.password("left", "left-password").await, SUSPENDED, "expired");
    // A lock ends by time, which the server knows: it has taken the password.
    assert_eq!(&*world.password("locked", "locked-password").await.account().name, "locked");
}

#[tokio::test(flavor = "multi_thread")]
async fn recipients_of_a_windows_domain() {
    let slapd = Slapd::start(Content::Windows);
    let world = windows(&slapd);
    for (address, name) in [
        ("a.smith@corp.example", "alice"),
        ("A.Smith@CORP.example", "alice"),
        ("shared@corp.example", "shared"),
        ("list@corp.example", "mailusers"),
    ] {
        assert_eq!(&*world.recipient(address).await.account().name, name);
    }
    assert_eq!(world.recipient("phone@corp.example").await, UNKNOWN);
}
