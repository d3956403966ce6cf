use super::*;
use proptest::prelude::*;
use std::cell::RefCell;

thread_local! {
    /// What each verification on this thread has cost.
    pub(crate) static WORK: RefCell<Vec<Cost>> = const { RefCell::new(Vec::new()) };
}

/// Hashes of `pass`, made by the crypt of libxcrypt 4.4.
const MADE_ELSEWHERE: [(&str, &str); 6] = [
    (
        "sha512-crypt",
        "$6$saltsalt$KN.twvCyfwE67paW76hS2/bacYkY9PxIhxqYG9vL5bZmIwWBGDJ6mu4HlCosKUBfQwVXKXxXVXPcqdwd1Ip0X/",
    ),
    ("sha256-crypt", "$5$rounds=1000$saltsalt$9XEseG1/bjdqJc4RQ15hmZfmT.KRO57mluphiNKkmkA"),
    ("yescrypt", "$y$j9T$abcdefgh$ygUVuoQ9v51xSDprq3ifMzxsPLXU74Cxy1YdVKWMuUB"),
    ("yescrypt", "$y$j75$abcdefghijkl$MMOtcUVVt.8X4Qj4Ws42K77RbAuUC9G6zj8xLMwlLw3"),
    ("bcrypt", "$2b$04$abcdefghijklmnopqrstuufznL8bkzdtHwLhca4To/v9Lo9bA7fR6"),
    ("bcrypt", "$2y$04$abcdefghijklmnopqrstuufznL8bkzdtHwLhca4To/v9Lo9bA7fR6"),
];

#[test]
fn what_other_systems_have_made_is_verified() {
    for (scheme, text) in MADE_ELSEWHERE {
        let hash = PasswordHash::read(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(hash.scheme(), scheme);
        assert_eq!(hash.text(), text);
        assert!(hash.verify(&Secret::from("pass")), "{text}");
        for wrong in ["Pass", "pas", "pass ", "", "-"] {
            assert!(!hash.verify(&Secret::from(wrong)), "{text} takes {wrong:?}");
        }
    }
}

#[test]
fn the_example_of_the_argon2_reference() {
    // From the README of github.com/P-H-C/phc-winner-argon2, with its 64 MiB.
    let text = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
    let hash = PasswordHash::read(text).unwrap();
    assert!(hash.verify(&Secret::from("password")));
    assert!(!hash.verify(&Secret::from("Password")));
}

#[test]
fn a_new_hash_is_argon2id_at_the_recommended_cost() {
    let hash = PasswordHash::new(&Secret::from("correct horse"), [7; 16]).unwrap();
    assert!(hash.text().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", hash.text());
    let again = PasswordHash::read(hash.text()).unwrap();
    assert_eq!(again.cost(), hash.cost());
    assert!(again.verify(&Secret::from("correct horse")) && !again.verify(&Secret::from("correct hors")));
    let other = PasswordHash::new(&Secret::from("correct horse"), [8; 16]).unwrap();
    assert_ne!(other.text(), hash.text());
}

#[test]
fn a_password_is_prepared_before_it_is_hashed_and_before_it_is_verified() {
    let hash = PasswordHash::new(&Secret::from("I\u{ad}X"), [7; 16]).unwrap();
    assert!(hash.verify(&Secret::from("IX")) && hash.verify(&Secret::from("I\u{ad}X")));
}

#[test]
fn lengths_of_passwords() {
    assert_eq!(PasswordHash::new(&Secret::from(""), [0; 16]).err(), Some(PasswordError::Empty));
    let long = "a".repeat(PASSWORD_OCTETS + 1);
    assert_eq!(PasswordHash::new(&Secret::from(&*long), [0; 16]).err(), Some(PasswordError::TooLong));
    let hash = PasswordHash::read(MADE_ELSEWHERE[4].1).unwrap();
    assert!(!hash.verify(&Secret::from(&*long)));
}

#[test]
fn weak_hashes_are_refused_by_name() {
    for (text, name) in [
        ("$1$saltsalt$qjXMvbEw8oaL.CzflDtaK/", "MD5"),
        ("$apr1$lZL6V/ci$eIMz/iKDkbtys/uU7LEK00", "$apr1$"),
        ("ab1FZAzxrIYHs", "DES"),
        ("_J9..rasmBYk8r9AiWNc", "DES"),
        ("{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", "SHA-1"),
        ("$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", "argon2id"),
        ("$2x$04$abcdefghijklmnopqrstuufznL8bkzdtHwLhca4To/v9Lo9bA7fR6", "$2x$"),
    ] {
        let error = PasswordHash::read(text).unwrap_err();
        assert!(matches!(error, HashError::Weak(_)) && error.to_string().contains(name), "{text}: {error}");
    }
    assert_eq!(PasswordHash::read("password").unwrap_err(), HashError::Unknown);
}

#[test]
fn a_hostile_file_cannot_ask_for_more_than_is_allowed() {
    let rest = "c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
    for params in ["m=65537,t=1,p=1", "m=65536,t=5,p=1", "m=4294967295,t=4294967295,p=1", "m=1024,t=2,p=17"] {
        let error = PasswordHash::read(&format!("$argon2id$v=19${params}${rest}")).unwrap_err();
        assert!(matches!(error, HashError::Bounds(..)), "{params}: {error}");
    }
    for params in ["m=7,t=1,p=1", "m=1024,t=0,p=1", "m=1024,t=1,p=0", "m=1024,t=1", "m=+1024,t=1,p=1", "t=1,m=1024,p=1"]
    {
        assert!(PasswordHash::read(&format!("$argon2id$v=19${params}${rest}")).is_err(), "{params}");
    }
    let hash = "9XEseG1/bjdqJc4RQ15hmZfmT.KRO57mluphiNKkmkA";
    for text in [
        format!("$5$rounds=1000001$saltsalt${hash}"),
        format!("$5$rounds=999$saltsalt${hash}"),
        format!("$y$jCT$abcdefgh${hash}"),
        format!("$y$jzT$abcdefgh${hash}"),
        format!("$y$j95.0$abcdefgh${hash}"),
        format!("$y$j..$abcdefgh${hash}"),
        "$2b$15$abcdefghijklmnopqrstuufznL8bkzdtHwLhca4To/v9Lo9bA7fR6".to_owned(),
    ] {
        assert!(matches!(PasswordHash::read(&text), Err(HashError::Bounds(..))), "{text}");
    }
}

#[test]
fn no_debug_form_shows_a_hash() {
    let hash = PasswordHash::read(MADE_ELSEWHERE[0].1).unwrap();
    assert_eq!(format!("{hash:?}"), "PasswordHash(sha512-crypt, …)");
}

proptest! {
    #[test]
    fn no_text_does_harm(text in "(\\$(argon2id|5|6|y|2b|1)\\$)?[a-zA-Z0-9$./=,+]{0,120}") {
        // Reading computes nothing; what was read can be verified by the parameters it was found to have.
        let _ = PasswordHash::read(&text);
    }

    #[test]
    fn a_damaged_hash_is_refused_or_wrong(at in 0..100_usize, sign in proptest::char::range('!', '~')) {
        for (_, text) in MADE_ELSEWHERE {
            let mut damaged: Vec<char> = text.chars().collect();
            let at = at % damaged.len();
            damaged[at] = sign;
            let damaged: String = damaged.into_iter().collect();
            let _ = PasswordHash::read(&damaged);
        }
    }
}
