use super::*;
use crate::exchange::ClientCertificate;
use proptest::prelude::*;

/// bcrypt at its least cost, so that the tests are quick: `pass`.
const PASS: &str = "$2b$04$abcdefghijklmnopqrstuufznL8bkzdtHwLhca4To/v9Lo9bA7fR6";

const FILE: &str = "# Who may send.\n\
    \n\
    account Alice\n\
    \tpassword $2b$04$abcdefghijklmnopqrstuufznL8bkzdtHwLhca4To/v9Lo9bA7fR6\n\
    \tgroup staff\n\
    \t# her second name\n\
    \taddress Alice@corp.example\n\
    \taddress a.smith@corp.example\n\
    \tcertificate 00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F\n\
    \n\
    # Left in May.\n\
    account bob\n\
    \tpassword $2b$04$abcdefghijklmnopqrstuufznL8bkzdtHwLhca4To/v9Lo9bA7fR6\n\
    \taddress bob@corp.example\n\
    \tsuspended\n\
    \n\
    account printer.corp.example\n\
    \tnt-hash a4f49c406510bdcab6824ee7c30fd852\n\
    \texpires 2027-01-31";

fn accounts() -> Accounts {
    Accounts::read(FILE.as_bytes()).unwrap()
}

fn at(day: &str) -> Timestamp {
    day.parse::<Day>().unwrap().begins()
}

fn now() -> Timestamp {
    at("2026-11-22")
}

fn password(name: &str, password: &str) -> Finding {
    let inquiry = Inquiry::Password { name: name.into(), password: Secret::from(password) };
    accounts().answer(&inquiry, now())
}

fn named(finding: &Finding) -> Result<&str, No> {
    match finding {
        Finding::Account(account) | Finding::ScramKeys(_, account) | Finding::NtHash(_, account) => Ok(&account.name),
        Finding::No(no) => Err(*no),
        other => panic!("{other:?}"),
    }
}

fn mistakes(text: &str) -> Vec<String> {
    Accounts::read(text.as_bytes()).unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn an_account_is_what_its_lines_say() {
    let accounts = accounts();
    let alice = accounts.entries()[0].account();
    assert_eq!(&*alice.name, "alice");
    assert_eq!(*alice.groups, ["staff".into()]);
    let addresses: Vec<_> = alice.addresses.iter().map(ToString::to_string).collect();
    assert_eq!(addresses, ["Alice@corp.example", "a.smith@corp.example"]);
    assert!(accounts.entries()[1].is_suspended());
    assert!(accounts.entries()[2].has_nt_hash() && !accounts.entries()[2].has_scram());
    assert_eq!(accounts.entries()[2].expires(), "2027-01-31".parse().ok());
    assert_eq!(Accounts::read(b"").unwrap().entries().len(), 0);
}

#[test]
fn passwords() {
    for name in ["alice", "ALICE", "Alice@Corp.Example", "A.SMITH@corp.example"] {
        assert_eq!(named(&password(name, "pass")), Ok("alice"), "{name}");
        assert_eq!(named(&password(name, "Pass")), Err(No::Wrong), "{name}");
    }
    for name in ["carol", "", "al ice", "alice\n", &"a".repeat(10_000)] {
        assert_eq!(named(&password(name, "pass")), Err(No::Unknown), "{name:?}");
    }
    // That somebody is suspended is said only to who has the password.
    assert_eq!(named(&password("bob", "pass")), Err(No::Suspended));
    assert_eq!(named(&password("bob", "other")), Err(No::Wrong));
    assert_eq!(named(&password("printer.corp.example", "Password")), Err(No::NoSecret));
}

#[test]
fn the_decoy_costs_what_most_accounts_cost() {
    let sha = "$5$rounds=1000$saltsalt$9XEseG1/bjdqJc4RQ15hmZfmT.KRO57mluphiNKkmkA";
    let text = format!("account a\npassword {sha}\naccount b\npassword {PASS}\naccount c\npassword {PASS}\n");
    let accounts = Accounts::read(text.as_bytes()).unwrap();
    assert_eq!(accounts.decoy.text(), PASS);
    let nobody = Accounts::read(b"").unwrap();
    assert_eq!(nobody.decoy.cost(), PasswordHash::new(&Secret::from("x"), [0; 16]).unwrap().cost());
    // What the decoy is the hash of opens no account.
    let inquiry = Inquiry::Password { name: "d".into(), password: Secret::from("pass") };
    assert_eq!(named(&accounts.answer(&inquiry, now())), Err(No::Unknown));
}

#[test]
fn every_password_takes_the_same_work() {
    let work = |name: &str, password: &str| {
        crate::password::tests::WORK.take();
        let inquiry = Inquiry::Password { name: name.into(), password: Secret::from(password) };
        let _ = accounts().answer(&inquiry, now());
        crate::password::tests::WORK.take()
    };
    let long = "a".repeat(100_000);
    for name in ["alice", "bob", "printer.corp.example", "carol", "not\na name", &long] {
        for password in ["pass", "wrong", "", &long] {
            assert_eq!(work(name, password), [PasswordHash::read(PASS).unwrap().cost()], "{}", &name[..5]);
        }
    }
}

#[test]
fn keys_and_hashes_are_given_for_who_may_log_in() {
    let accounts = accounts();
    let nt = |name: &str, day: &str| {
        let inquiry = Inquiry::NtHash { name: name.into(), domain: "".into() };
        named(&accounts.answer(&inquiry, at(day))).map(str::to_owned)
    };
    assert_eq!(nt("Printer.corp.example", "2027-01-31").as_deref(), Ok("printer.corp.example"));
    assert_eq!(nt("Printer.corp.example", "2027-02-01"), Err(No::Suspended));
    assert_eq!(nt("alice", "2026-11-22"), Err(No::NoSecret));
    assert_eq!(nt("bob", "2026-11-22"), Err(No::Suspended));
    assert_eq!(nt("carol", "2026-11-22"), Err(No::Unknown));
    let scram = Inquiry::ScramKeys { name: "alice".into() };
    assert_eq!(named(&accounts.answer(&scram, now())), Err(No::NoSecret));
}

#[test]
fn certificates_by_fingerprint_name_and_address() {
    let accounts = accounts();
    let ask = |names: &[&str], fingerprint: [u8; 32], claimed: Option<&str>| {
        let names = names.iter().map(|&name| name.into()).collect();
        let certificate = Arc::new(ClientCertificate { names, fingerprint });
        let inquiry = Inquiry::Certificate { certificate, name: claimed.map(Into::into) };
        named(&accounts.answer(&inquiry, now())).map(str::to_owned)
    };
    let listed = std::array::from_fn(|at| u8::try_from(at % 16).unwrap());
    assert_eq!(ask(&[], listed, None).as_deref(), Ok("alice"));
    assert_eq!(ask(&[], [9; 32], None), Err(No::Unknown));
    assert_eq!(ask(&["a.smith@corp.example"], [9; 32], None).as_deref(), Ok("alice"));
    assert_eq!(ask(&["Printer.Corp.Example"], [9; 32], None).as_deref(), Ok("printer.corp.example"));
    assert_eq!(ask(&["bob@corp.example"], [9; 32], None), Err(No::Suspended));
    // Two names of one account are one; names of two want a word of the client.
    assert_eq!(ask(&["alice", "a.smith@corp.example", "x.example"], [9; 32], None).as_deref(), Ok("alice"));
    let both = ["alice", "printer.corp.example"];
    assert_eq!(ask(&both, [9; 32], None), Err(No::Wrong));
    assert_eq!(ask(&both, [9; 32], Some("ALICE")).as_deref(), Ok("alice"));
    assert_eq!(ask(&both, [9; 32], Some("bob")), Err(No::Wrong));
    assert_eq!(ask(&both, [9; 32], Some("carol")), Err(No::Wrong));
    // A listed certificate is that account's and nobody else's, whatever it calls itself.
    assert_eq!(ask(&["printer.corp.example"], listed, Some("printer.corp.example")), Err(No::Wrong));
}

#[test]
fn recipients() {
    let accounts = accounts();
    let ask = |mailbox: &str| {
        let inquiry = Inquiry::Recipient { mailbox: mailbox.parse().unwrap() };
        named(&accounts.answer(&inquiry, now())).map(str::to_owned)
    };
    assert_eq!(ask("ALICE@CORP.example").as_deref(), Ok("alice"));
    assert_eq!(ask("bob@corp.example").as_deref(), Ok("bob"));
    assert_eq!(ask("carol@corp.example"), Err(No::Unknown));
}

#[test]
fn an_account_by_name_for_claims() {
    let accounts = accounts();
    assert_eq!(named(&accounts.account("Alice", now())), Ok("alice"));
    assert_eq!(named(&accounts.account("bob", now())), Err(No::Suspended));
    assert_eq!(named(&accounts.account("carol", now())), Err(No::Unknown));
    let asked = |name: &str| named(&accounts.answer(&Inquiry::Account { name: name.into() }, now())).map(str::to_owned);
    assert_eq!(asked("ALICE").as_deref(), Ok("alice"), "however it is spelt");
    assert_eq!(asked("bob"), Err(No::Suspended));
    assert_eq!(asked("carol"), Err(No::Unknown));
    let token = Inquiry::Token { token: Secret::from("x"), name: Some("alice".into()) };
    assert_eq!(named(&accounts.answer(&token, now())), Err(No::NoSecret));
}

#[test]
fn all_mistakes_are_said_with_their_lines() {
    let text = "group early\n\
        account alice\n  password secret\n  password $1$saltsalt$qjXMvbEw8oaL.CzflDtaK/\n  pasword x\n  group a b\n\
        account ALICE\n  address nobody\n  suspended yes\n  expires tomorrow\n  scram x\n  nt-hash y\n  certificate z\n\
        account b\n  suspended\n  suspended\n  group g\n  group G\n  address b@corp.example\naccount c\n  address B@corp.example\n";
    assert_eq!(
        mistakes(text),
        [
            "line 1: stands before the first account",
            "line 3: not a hash of argon2id, sha-crypt ($5$, $6$), yescrypt or bcrypt",
            "line 4: MD5-crypt ($1$) is too weak to keep passwords in; set a new password",
            "line 5: does not begin with one of account, password, scram, nt-hash, group, address, certificate, suspended, expires",
            "line 6: of this group, a name has no blanks",
            "line 7: the account of line 2 has this name, too",
            "line 8: not a mail address",
            "line 9: nothing may follow `suspended`",
            "line 10: not a day such as 2027-01-31",
            "line 11: not SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey, with 4096 to 1000000 iterations",
            "line 12: not an NT hash: 32 hexadecimal digits",
            "line 13: not the SHA-256 of a certificate in hexadecimal",
            "line 16: the account has `suspended` already",
            "line 18: the account has this group already",
            "line 21: this address has an account already, in line 19",
        ]
    );
}

#[test]
fn an_address_is_not_the_name_of_another_account() {
    let text = "account alice\naddress bob@corp.example\naccount bob@corp.example\naddress bob2@corp.example\n";
    assert_eq!(mistakes(text), ["line 2: this address is the name of the account of line 3"]);
    assert!(Accounts::read(b"account bob@corp.example\naddress bob@corp.example\n").is_ok());
}

#[test]
fn a_hostile_file_is_bounded() {
    assert_eq!(mistakes(&"x\n".repeat(1000)).len(), 100);
    assert!(mistakes(&"#".repeat(ACCOUNT_FILE_OCTETS + 1))[0].contains("32 MiB"));
    assert_eq!(mistakes(&format!("account {}", "a".repeat(2000))), ["line 1: longer than 1024 octets"]);
    let groups: String = (0..65).map(|at| format!("group g{at}\n")).collect();
    assert_eq!(mistakes(&format!("account a\n{groups}")), ["line 66: more than 64 times `group` for one account"]);
    assert_eq!(Accounts::read(b"account a\xff\n").unwrap_err()[0].to_string(), "line 1: not UTF-8");
}

#[test]
fn no_debug_form_shows_a_secret() {
    let accounts = accounts();
    let shown = format!("{accounts:?} {:?} {:?}", accounts.entries(), accounts.entries()[2].nt_hash);
    for secret in ["$2b$", "a4f4", "164"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

mod edits {
    use super::*;
    use proptest::sample::select;

    fn name(text: &str) -> AccountName {
        text.parse().unwrap()
    }

    fn after(text: &str, account: &str, changes: &[Change]) -> String {
        edit(text, &name(account), changes).unwrap_or_else(|error| panic!("{error}")).to_string()
    }

    fn secrets(password: &str, ntlm: bool) -> Change {
        Change::Secrets(Secrets::new(&Secret::from(password), ntlm, [3; 32]).unwrap())
    }

    #[test]
    fn a_first_account() {
        let changes = [Change::Add, secrets("new pass", true), Change::Own("c@corp.example".parse().unwrap())];
        let text = after("", "Carol", &changes);
        let words: Vec<&str> = text.lines().map(|line| line.trim().split(' ').next().unwrap()).collect();
        assert_eq!(words, ["account", "password", "scram", "nt-hash", "address"]);
        let accounts = Accounts::read(text.as_bytes()).unwrap();
        let inquiry = Inquiry::Password { name: "carol".into(), password: Secret::from("new pass") };
        assert_eq!(named(&accounts.answer(&inquiry, now())), Ok("carol"));
        assert!(accounts.entries()[0].has_nt_hash());
    }

    #[test]
    fn the_two_salts_of_a_password_are_not_the_same_octets() {
        let entropy = std::array::from_fn(|at| u8::try_from(at).unwrap());
        let secrets = Secrets::new(&Secret::from("x"), false, entropy).unwrap();
        let text = after("", "carol", &[Change::Add, Change::Secrets(secrets)]);
        let accounts = Accounts::read(text.as_bytes()).unwrap();
        let scram = accounts.answer(&Inquiry::ScramKeys { name: "carol".into() }, now());
        let Finding::ScramKeys(keys, _) = scram else { panic!("no keys") };
        assert_eq!((keys.iterations, &*keys.salt), (ScramKeys::ITERATIONS, &entropy[16..]));
        assert!(text.contains("$AAECAwQFBgcICQoLDA0ODw$"), "the first half is the salt of argon2: {text}");
    }

    #[test]
    fn each_change_touches_its_lines_only() {
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        let gone = |text: &str| lines(FILE).into_iter().filter(|line| !lines(text).contains(line)).collect::<Vec<_>>();
        let new = |text: &str| lines(text).into_iter().filter(|line| !lines(FILE).contains(line)).collect::<Vec<_>>();
        for (account, change, out, put) in [
            ("alice", Change::Join(name("Sales")), "", "  group sales"),
            ("alice", Change::Leave(name("STAFF")), "\tgroup staff", ""),
            ("alice", Change::Own("x@corp.example".parse().unwrap()), "", "  address x@corp.example"),
            ("alice", Change::Disown("alice@CORP.example".parse().unwrap()), "\taddress Alice@corp.example", ""),
            ("alice", Change::Suspend, "", "  suspended"),
            ("bob", Change::Resume, "\tsuspended", ""),
            ("printer.corp.example", Change::Expire(None), "\texpires 2027-01-31", ""),
            (
                "printer.corp.example",
                Change::Expire("2028-01-01".parse().ok()),
                "\texpires 2027-01-31",
                "  expires 2028-01-01",
            ),
            ("printer.corp.example", Change::Suspend, "", "  suspended"),
        ] {
            let text = after(FILE, account, &[change]);
            assert_eq!((gone(&text).join("|").as_str(), new(&text).join("|").as_str()), (out, put), "{text}");
        }
    }

    #[test]
    fn a_change_is_seen_when_the_file_is_read() {
        let text = after(FILE, "bob", &[Change::Resume]);
        let accounts = Accounts::read(text.as_bytes()).unwrap();
        assert_eq!(named(&accounts.account("bob", now())), Ok("bob"));
        let text = after(FILE, "alice", &[Change::Trust([5; 32]), Change::Expire("2026-01-01".parse().ok())]);
        let accounts = Accounts::read(text.as_bytes()).unwrap();
        assert_eq!(accounts.entries()[0].certificates().len(), 2);
        assert_eq!(named(&accounts.account("alice", now())), Err(No::Suspended));
    }

    #[test]
    fn a_new_password_takes_the_place_of_all_that_was_made_of_the_old_one() {
        let text = after(FILE, "printer.corp.example", &[secrets("one", false)]);
        assert!(!text.contains("nt-hash") && text.contains("\texpires 2027-01-31"), "{text}");
        let text = after(FILE, "alice", &[secrets("one", false)]);
        assert_eq!(text.matches(PASS).count(), 1, "bob's stays");
        assert!(text.contains("# her second name") && text.contains("account Alice\n  password $argon2id$"), "{text}");
    }

    #[test]
    fn who_is_removed_leaves_the_others_and_their_comments() {
        let text = after(FILE, "alice", &[Change::Remove]);
        assert!(text.starts_with("# Who may send.\n\n\n# Left in May.\naccount bob\n"), "{text}");
        let text = after(FILE, "bob", &[Change::Remove]);
        assert!(text.contains("# Left in May.\n\naccount printer"), "{text}");
    }

    #[test]
    fn what_cannot_be_done_is_said() {
        let error = |text: &str, account: &str, change: Change| edit(text, &name(account), &[change]).unwrap_err();
        assert_eq!(error(FILE, "Alice", Change::Add), EditError::Exists);
        assert_eq!(error(FILE, "carol", Change::Suspend), EditError::Unknown);
        let taken = error(FILE, "bob", Change::Own("alice@corp.example".parse().unwrap()));
        assert!(matches!(&taken, EditError::Refused(mistakes) if mistakes.len() == 1), "{taken}");
        let damaged = error("account a\nx\n", "a", Change::Suspend);
        assert!(damaged.to_string().contains("line 2"), "{damaged}");
    }

    fn change() -> impl Strategy<Value = Change> {
        (0..9, select(vec!["staff", "sales"]), select(vec!["a@corp.example", "B@corp.example", "bob@corp.example"]))
            .prop_map(|(which, group, mailbox)| match which {
                0 => Change::Add,
                1 => Change::Remove,
                2 => Change::Join(name(group)),
                3 => Change::Leave(name(group)),
                4 => Change::Own(mailbox.parse().unwrap()),
                5 => Change::Disown(mailbox.parse().unwrap()),
                6 => Change::Suspend,
                7 => Change::Resume,
                _ => Change::Expire("2027-02-01".parse().ok()),
            })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn whatever_is_changed_the_file_can_be_read_and_others_stay(
            changes in proptest::collection::vec((select(vec!["alice", "bob", "carol"]), change()), 1..20)
        ) {
            let mut text = FILE.to_owned();
            for (account, change) in changes {
                let before = Accounts::read(text.as_bytes()).unwrap();
                let Ok(after) = edit(&text, &name(account), &[change]) else { continue };
                let accounts = Accounts::read(after.as_bytes()).unwrap();
                for entry in before.entries().iter().filter(|entry| &*entry.account.name != account) {
                    let same = accounts.entries().iter().find(|other| other.account == entry.account);
                    prop_assert!(same.is_some_and(|same| same.suspended == entry.suspended && same.expires == entry.expires));
                }
                prop_assert!(after.contains("# Left in May."));
                text = after.to_string();
            }
        }

        #[test]
        fn no_octets_do_harm(octets in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = Accounts::read(&octets);
        }

        #[test]
        fn no_lines_do_harm(text in "((account|group|address|suspended|expires|password|#)? ?[a-c@.$\u{e9}]{0,6}\r?\n){0,30}") {
            if Accounts::read(text.as_bytes()).is_ok() {
                let added = after(&text, "zed", &[Change::Add, Change::Suspend]);
                let removed = after(&added, "zed", &[Change::Remove]);
                prop_assert_eq!(removed.trim_end(), text.trim_end());
            }
        }
    }
}
