//! OpenLDAP with people and groups as Unix knows them.

use crate::slapd::{Content, Slapd};
use crate::world::{SUSPENDED, Told, UNKNOWN, WRONG, World, named, secret_file, settings, told};
use directory::Happening;
use identity::settings::{Kind, Ldap};
use identity::{ClientCertificate, Finding, Inquiry, No};
use std::sync::Arc;
use std::time::Duration;

/// Every name and password that could mean something else, to a server that has people of such names.
async fn nobody_else_is_let_in(world: &World) {
    for name in ["*", "a*", "star", "alice)(uid=*", ")(", "alice\0", "\0", "", " ", "alice,ou=people", "ali\\63e"] {
        for password in ["alice-password", "*", "star-password"] {
            let answer = world.password(name, password).await;
            assert!(answer == UNKNOWN || answer == WRONG, "{name:?} {password:?}: {answer:?}");
        }
    }
    for password in ["", "\0", "alice-password\0", "*", "alice-passwor", "{CLEARTEXT}alice-password"] {
        assert_eq!(world.password("alice", password).await, WRONG, "{password:?}");
    }
    let long = "x".repeat(100_000);
    assert!(matches!(world.password(&long, "x").await, Told::No(_)));
    assert_eq!(world.password("alice", &long).await, WRONG);
    for (name, password) in [("star*", "star-password"), ("a,(b)\\", "p*(w)\\0-ü")] {
        assert_eq!(&*world.password(name, password).await.account().name, name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_found_and_then_bound_as() {
    let slapd = Slapd::start(Content::Posix);
    let world = World::ldap(settings(&slapd));
    let alice = world.password("alice", "alice-password").await.account();
    let addresses = ["alice@corp.example", "a.smith@corp.example"].map(String::from).to_vec();
    // Groups in a circle are walked once; one that somebody made elsewhere is none of ours.
    assert_eq!(named(&alice), ("alice", vec!["everybody", "staff", "world"], addresses));
    assert_eq!(named(&world.password("ALICE", "alice-password").await.account()).0, "alice");
    // Of whom a server of the organization vouches for, the same is known as of whoever logs in.
    assert_eq!(world.account("alice").await.account(), alice);
    assert_eq!(named(&world.account("carol").await.account()).1, ["operators"]);
    assert_eq!(world.account("nobody").await, UNKNOWN);
    assert_eq!(world.account("bob").await, SUSPENDED, "expired");
    assert_eq!(world.account("twin").await, WRONG, "there are two");
    assert_eq!(named(&world.password("carol", "carol-password").await.account()).1, ["operators"]);
    assert_eq!(world.password("alice", "bob-password").await, WRONG);
    assert_eq!(world.password("nobody", "x").await, UNKNOWN);
    assert_eq!(world.password("bob", "bob-password").await, SUSPENDED, "expired");
    assert_eq!(world.password("dave", "x").await, WRONG, "has no password");
    assert_eq!(world.password("twin", "twin-password").await, WRONG, "there are two");
    nobody_else_is_let_in(&world).await;
    let text = format!("{:?}", world.directories);
    assert_eq!(text, "[\"people\"]");
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_may_be_anywhere_if_the_settings_say_so() {
    let slapd = Slapd::start(Content::Posix);
    let world = World::ldap(Ldap { group_base: None, ..settings(&slapd) });
    let alice = world.password("alice", "alice-password").await.account();
    assert_eq!(named(&alice).1, ["everybody", "relayers", "staff", "world"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_bound_as_by_a_template() {
    let slapd = Slapd::start(Content::Posix);
    let template = Some("uid=%u,ou=people,dc=corp,dc=example".into());
    let own = Ldap { user_dn: template.clone(), ..settings(&slapd) };
    let world = World::ldap(own.clone());
    assert_eq!(named(&world.password("alice", "alice-password").await.account()).1, ["everybody", "staff", "world"]);
    assert_eq!(world.password("alice", "x").await, WRONG);
    assert_eq!(world.password("nobody", "x").await, UNKNOWN);
    assert_eq!(world.password("bob", "bob-password").await, SUSPENDED);
    nobody_else_is_let_in(&world).await;

    // Without an account of its own the gateway sees what each may see, and nobody else's name.
    let world = World::ldap(Ldap { bind_dn: None, password_file: None, ..own });
    let alice = world.password("alice", "alice-password").await.account();
    assert_eq!(named(&alice).1, ["everybody", "staff", "world"]);
    assert_eq!(world.password("alice", "x").await, WRONG);
    assert_eq!(world.password("nobody", "x").await, WRONG);
    nobody_else_is_let_in(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn recipients_are_looked_up() {
    let slapd = Slapd::start(Content::Posix);
    let world = World::ldap(settings(&slapd));
    assert_eq!(&*world.recipient("a.smith@corp.example").await.account().name, "alice");
    assert_eq!(&*world.recipient("bob@corp.example").await.account().name, "bob", "mail still comes");
    assert_eq!(&*world.recipient("twins@corp.example").await.account().name, "twin");
    assert_eq!(world.recipient("nobody@corp.example").await, UNKNOWN);
    assert_eq!(world.recipient("\"*\"@corp.example").await, UNKNOWN);
    assert_eq!(world.recipient("\"a)(mail=*\"@corp.example").await, UNKNOWN);
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_and_other_proofs() {
    let slapd = Slapd::start(Content::Posix);
    let world = World::ldap(settings(&slapd));
    let ask = async |names: &[&str], name: Option<&str>| {
        let names = names.iter().map(|name| (*name).into()).collect();
        let certificate = Arc::new(ClientCertificate { names, fingerprint: [0; 32] });
        told(world.ask(Inquiry::Certificate { certificate, name: name.map(Into::into) }).await)
    };
    assert_eq!(&*ask(&["mx.corp.example", "alice@corp.example"], None).await.account().name, "alice");
    assert_eq!(&*ask(&["alice@corp.example"], Some("alice")).await.account().name, "alice");
    assert_eq!(ask(&["alice@corp.example"], Some("carol")).await, WRONG);
    assert_eq!(ask(&["bob@corp.example"], None).await, SUSPENDED);
    assert_eq!(ask(&["twins@corp.example"], None).await, WRONG);
    assert_eq!(ask(&["mx.corp.example"], None).await, UNKNOWN);
    let keys = world.ask(Inquiry::ScramKeys { name: "alice".into() }).await;
    assert!(matches!(keys, Finding::No(No::NoSecret)));
    assert!(matches!(world.ask(Inquiry::ScramKeys { name: "x".into() }).await, Finding::No(No::Unknown)));
}

#[tokio::test(flavor = "multi_thread")]
async fn start_tls_and_who_is_believed() {
    let slapd = Slapd::start(Content::Posix);
    let start =
        Ldap { servers: vec![format!("ldap://localhost:{}", slapd.clear).into()], start_tls: true, ..settings(&slapd) };
    assert_eq!(&*World::ldap(start.clone()).password("alice", "alice-password").await.account().name, "alice");
    let here = Ldap { start_tls: false, ..start.clone() };
    assert_eq!(&*World::ldap(here).password("alice", "alice-password").await.account().name, "alice");

    // An authority that did not sign this server's certificate; one that did, but for another name.
    let other = Slapd::start(Content::Posix);
    let authorities = Some(other.authority.authority.clone());
    let url = |host: &str| vec![format!("ldaps://{host}:{}", slapd.tls).into()];
    for distrusted in [
        Ldap { authorities: authorities.clone(), ..start },
        Ldap { authorities, ..settings(&slapd) },
        Ldap { servers: url("127.0.0.2"), ..settings(&slapd) },
    ] {
        let world = World::ldap(distrusted);
        assert_eq!(world.password("alice", "alice-password").await, Told::Unavailable);
        assert_eq!(world.recipient("nobody@corp.example").await, Told::Unavailable);
        assert!(matches!(&world.heard()[..], [Happening::Down { .. }]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_server_answers_when_the_first_dies() {
    let (mut first, mut second) = (Slapd::start(Content::Posix), Slapd::start(Content::Posix));
    let both = first.place.path().join("both.pem");
    let pem = |slapd: &Slapd| std::fs::read_to_string(&slapd.authority.authority).unwrap();
    std::fs::write(&both, [pem(&first), pem(&second)].concat()).unwrap();
    let servers = [&first, &second].map(|slapd| format!("ldaps://127.0.0.1:{}", slapd.tls).into()).to_vec();
    let world = World::ldap(Ldap { servers: servers.clone(), authorities: Some(both), ..settings(&first) });
    second.ldap("ldapdelete", "uid=carol,ou=people,dc=corp,dc=example\n");
    assert_eq!(&*world.password("carol", "carol-password").await.account().name, "carol");
    assert_eq!(world.heard(), []);

    first.stop();
    assert_eq!(&*world.password("alice", "alice-password").await.account().name, "alice");
    assert_eq!(world.password("carol", "carol-password").await, UNKNOWN, "the second says so");
    let heard = world.heard();
    assert!(matches!(&heard[..], [Happening::Down { server, .. }] if *server == servers[0]), "{heard:?}");

    second.stop();
    assert_eq!(world.password("alice", "alice-password").await, Told::Unavailable);
    assert_eq!(world.password("nobody", "x").await, Told::Unavailable);
    assert_eq!(world.recipient("nobody@corp.example").await, Told::Unavailable);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_remembered_and_passwords_are_not() {
    let slapd = Slapd::start(Content::Posix);
    let world = World::ldap(Ldap { cache: Duration::from_secs(3600), ..settings(&slapd) });
    assert_eq!(&*world.password("alice", "alice-password").await.account().name, "alice");
    assert_eq!(&*world.recipient("carol@corp.example").await.account().name, "carol");
    let change = "dn: uid=alice,ou=people,dc=corp,dc=example\nchangetype: modify\nreplace: userPassword\n\
                  userPassword: new-password\n";
    slapd.ldap("ldapmodify", change);
    assert_eq!(world.password("alice", "alice-password").await, WRONG);
    assert_eq!(&*world.password("alice", "new-password").await.account().name, "alice");
    slapd.ldap("ldapdelete", "uid=carol,ou=people,dc=corp,dc=example\n");
    assert_eq!(&*world.recipient("carol@corp.example").await.account().name, "carol", "remembered");
    // An entry that has moved is found again when its old name does not bind.
    let moved = "dn: uid=alice,ou=people,dc=corp,dc=example\nchangetype: moddn\nnewrdn: uid=alice\ndeleteoldrdn: 0\n\
                 newsuperior: ou=more,ou=people,dc=corp,dc=example\n";
    slapd.ldap("ldapmodify", moved);
    assert_eq!(&*world.password("alice", "new-password").await.account().name, "alice");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_ask_at_the_same_time() {
    let slapd = Slapd::start(Content::Posix);
    let world = Arc::new(World::ldap(Ldap { connections: 2, ..settings(&slapd) }));
    let ask = |number: usize| {
        let world = world.clone();
        tokio::spawn(async move {
            let good = number.is_multiple_of(2);
            let answer = world.password("alice", if good { "alice-password" } else { "bob-password" }).await;
            assert_eq!(matches!(answer, Told::Account(_)), good, "{answer:?}");
            assert_eq!(&*world.recipient("carol@corp.example").await.account().name, "carol");
        })
    };
    let asked: Vec<_> = (0..40).map(ask).collect();
    for one in asked {
        one.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_settings_get_wrong_is_not_a_no() {
    let slapd = Slapd::start(Content::Posix);
    let good = settings(&slapd);
    for wrong in [
        Ldap { password_file: Some(secret_file(slapd.place.path(), "bad", "not-it")), ..good.clone() },
        Ldap { base: "dc=nowhere,dc=example".into(), ..good.clone() },
        Ldap { bind_dn: None, password_file: None, ..good.clone() },
    ] {
        let world = World::ldap(wrong);
        assert_eq!(world.password("alice", "alice-password").await, Told::Unavailable);
        assert_eq!(world.recipient("nobody@corp.example").await, Told::Unavailable);
        assert!(!world.heard().is_empty());
    }
    let empty = secret_file(slapd.place.path(), "empty", "\n");
    for (wrong, words) in [
        (Ldap { password_file: Some(empty), ..good.clone() }, "is empty"),
        (Ldap { user_filter: "(uid=*)".into(), ..good.clone() }, "without %u"),
        (Ldap { mail_filter: "(mail=%m".into(), ..good.clone() }, "not closed"),
        (Ldap { user_dn: Some("%u@corp.example".into()), ..good.clone() }, "user_dn"),
        (Ldap { servers: vec!["ldap://192.0.2.1".into()], ..good.clone() }, "in the clear"),
        (Ldap { authorities: Some("/nowhere/at/all".into()), ..good.clone() }, "/nowhere/at/all"),
    ] {
        let error = World::try_of(vec![("people", Kind::Ldap(wrong))]).err().unwrap().to_string();
        assert!(error.starts_with("directory people: ") && error.contains(words), "{error}");
    }
}
