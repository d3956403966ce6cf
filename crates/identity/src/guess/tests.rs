use super::*;
use proptest::prelude::*;
use proptest::sample::select;

const KEY: [u8; 16] = [9; 16];

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000 + seconds * 1000)
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn guard() -> Guard {
    Guard::new(Settings::default(), KEY)
}

/// A whole try that comes to nothing; what was said at its beginning or at its end, whichever is worse.
fn try_wrong(guard: &mut Guard, now: Timestamp, client: &str, account: &str, secret: u64) -> Gate {
    match guard.before_try(now, ip(client), account) {
        Gate::Open | Gate::Pause(_) => guard.failed(now, ip(client), Some(account), Some(secret)),
        other => other,
    }
}

fn try_right(guard: &mut Guard, now: Timestamp, client: &str, account: &str) -> bool {
    let gate = guard.before_try(now, ip(client), account);
    let admitted = matches!(gate, Gate::Open | Gate::Pause(_)) && guard.gate(now, ip(client)) == Gate::Open;
    if admitted {
        guard.succeeded(now, ip(client), account);
    }
    admitted
}

fn is_refused(gate: Gate) -> bool {
    matches!(gate, Gate::Refused { .. })
}

#[test]
fn a_forgetful_user_is_not_locked_out() {
    let mut guard = guard();
    for time in 0..50 {
        for secret in [1, 2] {
            assert_eq!(try_wrong(&mut guard, at(time), "192.0.2.1", "alice", secret), Gate::Open, "try {time}");
        }
    }
    assert_eq!(guard.before_try(at(50), ip("192.0.2.1"), "alice"), Gate::Open);
    assert!(guard.bans(at(50)).is_empty());
}

#[test]
fn a_sprayer_is_refused() {
    let mut guard = guard();
    let tried = (0..20).position(|n| is_refused(try_wrong(&mut guard, at(n), "192.0.2.1", &format!("user{n}"), 7)));
    assert_eq!(tried, Some(9), "at the tenth account");
    assert!(is_refused(guard.gate(at(20), ip("192.0.2.99"))), "the whole prefix");
    assert_eq!(guard.gate(at(20), ip("192.0.3.1")), Gate::Open, "and no other");
    assert!(is_refused(guard.gate(at(20), ip("::ffff:192.0.2.1"))));
    assert_eq!(guard.gate(at(9 + 600), ip("192.0.2.1")), Gate::Open, "for ten minutes");
    // IPv6 by /64.
    for n in 0..20 {
        let _ = try_wrong(&mut guard, at(n), &format!("2001:db8::{n:x}"), &format!("user{n}"), 7);
    }
    assert!(is_refused(guard.gate(at(20), ip("2001:db8::ffff"))));
    assert_eq!(guard.gate(at(20), ip("2001:db8:0:1::1")), Gate::Open);
}

#[test]
fn pauses_grow_then_sessions_are_closed() {
    let mut guard = guard();
    let mut pauses = Vec::new();
    let mut said = Vec::new();
    for n in 0..9 {
        let account = format!("user{n}");
        pauses.push(match guard.before_try(at(0), ip("192.0.2.1"), &account) {
            Gate::Open => 0,
            Gate::Pause(pause) => pause.as_secs(),
            other => panic!("{other:?}"),
        });
        said.push(guard.failed(at(0), ip("192.0.2.1"), Some(&account), Some(n)));
    }
    assert_eq!(pauses, [0, 0, 0, 1, 2, 4, 8, 15, 15]);
    assert_eq!(said.iter().position(|gate| *gate == Gate::Close), Some(5));
}

#[test]
fn who_guesses_at_one_account_from_one_place_is_refused_and_the_account_is_not() {
    let mut guard = guard();
    let tried = (0..100).position(|n| is_refused(try_wrong(&mut guard, at(n), "192.0.2.1", "alice", n)));
    assert!(tried.is_some_and(|tried| tried < 25), "{tried:?}");
    assert_eq!(guard.bans(at(100)).len(), 1);
    assert!(try_right(&mut guard, at(100), "198.51.100.1", "alice"));
}

#[test]
fn guessing_from_everywhere_slows_the_account_but_not_its_devices() {
    let mut guard = guard();
    assert!(try_right(&mut guard, at(0), "203.0.113.5", "alice"));
    let mut paused = false;
    for n in 0..200 {
        let client = format!("10.{}.{}.1", n / 200, n % 200);
        paused |= matches!(guard.before_try(at(n), ip(&client), "alice"), Gate::Pause(_));
        let _ = guard.failed(at(n), ip(&client), Some("alice"), Some(n));
        assert!(try_right(&mut guard, at(n), "203.0.113.77", "alice"), "its device at {n}");
    }
    assert!(paused);
    assert!(is_refused(guard.before_try(at(200), ip("198.51.100.1"), "alice")));
    assert_eq!(guard.bans(at(200)).iter().map(|ban| ban.banned.to_string()).collect::<Vec<_>>(), ["alice"]);
    assert_eq!(guard.gate(at(200), ip("198.51.100.1")), Gate::Open, "other accounts can be used from there");
    assert_eq!(guard.before_try(at(200), ip("198.51.100.1"), "bob"), Gate::Open);
}

#[test]
fn accounts_that_do_not_exist_are_treated_alike() {
    // The guard is never told which exist; what it says depends on names only by who has logged in.
    let run = |name: &str| {
        let mut guard = guard();
        (0..40).map(|n| try_wrong(&mut guard, at(n), &format!("10.0.{n}.1"), name, n)).collect::<Vec<_>>()
    };
    assert_eq!(run("alice"), run("nobody"));
    // One spelling is as good as another, and what cannot be a name counts against who tries it.
    let mut guard = guard();
    for n in 0..10 {
        let name = if n % 2 == 0 { "alice" } else { "ALICE" };
        let _ = try_wrong(&mut guard, at(0), &format!("10.0.{n}.1"), name, n);
    }
    assert!(matches!(guard.before_try(at(0), ip("192.0.2.1"), "Alice"), Gate::Pause(_)));
    for n in 0..10 {
        let _ = try_wrong(&mut guard, at(0), "192.0.2.1", &format!("no name {n}"), 1);
    }
    assert!(is_refused(guard.gate(at(0), ip("192.0.2.1"))));
}

#[test]
fn a_device_is_spared_what_its_neighbours_do_and_nothing_else() {
    let mut guard = guard();
    assert!(try_right(&mut guard, at(0), "192.0.2.1", "alice"));
    for n in 0..20 {
        let _ = try_wrong(&mut guard, at(1), "192.0.2.200", &format!("user{n}"), 7);
    }
    assert_eq!(guard.bans(at(2)).len(), 1);
    assert!(try_right(&mut guard, at(2), "192.0.2.1", "alice"));
    assert!(is_refused(guard.before_try(at(2), ip("192.0.2.1"), "bob")), "another account from there");
}

#[test]
fn guessing_beside_a_device_ends_too() {
    let mut guard = guard();
    assert!(try_right(&mut guard, at(0), "192.0.2.1", "alice"));
    let mut tries = 0;
    for n in 0..2000 {
        // The owner logs in all the time, and that must not help.
        if n % 5 == 0 {
            let _ = try_right(&mut guard, at(1), "192.0.2.1", "alice");
        }
        let gate = guard.before_try(at(1), ip("192.0.2.2"), "alice");
        if matches!(gate, Gate::Open | Gate::Pause(_)) {
            tries += 1;
            let _ = guard.failed(at(1), ip("192.0.2.2"), Some("alice"), Some(n));
        }
    }
    assert!(tries < 40, "{tries} guesses");
}

#[test]
fn a_device_is_forgotten_after_a_month() {
    let mut guard = guard();
    assert!(try_right(&mut guard, at(0), "192.0.2.1", "alice"));
    let _ = (0..100).map(|n| guard.failed(at(40 * 86_400), ip(&format!("10.0.{n}.1")), Some("alice"), Some(n))).count();
    assert!(is_refused(guard.before_try(at(40 * 86_400), ip("192.0.2.1"), "alice")));
}

#[test]
fn who_gets_it_right_in_the_end_has_not_guessed_at_others() {
    let mut guard = guard();
    for n in 0..50 {
        let account = format!("user{n}");
        assert_eq!(try_wrong(&mut guard, at(n), "192.0.2.1", &account, n), Gate::Open, "{account}");
        assert!(try_right(&mut guard, at(n), "192.0.2.1", &account), "{account}");
    }
}

#[test]
fn tries_at_one_time_are_bounded() {
    let mut guard = guard();
    let gates: Vec<_> = (0..30).map(|n| guard.before_try(at(0), ip("192.0.2.1"), &format!("user{n}"))).collect();
    assert_eq!(gates.iter().filter(|gate| **gate == Gate::Open).count(), 20);
    assert_eq!(gates[20], Gate::Close);
    assert!(guard.bans(at(0)).is_empty(), "many at one time are not refused for it");
    guard.abandoned(at(0), ip("192.0.2.1"), "user0");
    assert_eq!(guard.before_try(at(0), ip("192.0.2.1"), "user40"), Gate::Open);
    // What nobody has said the end of does not block for ever.
    assert_eq!(guard.before_try(at(121), ip("192.0.2.1"), "user41"), Gate::Open);
}

#[test]
fn auth_where_none_is_offered() {
    let mut guard = guard();
    let hits = (0..50).position(|_| is_refused(guard.decoy(at(0), ip("192.0.2.1"))));
    assert_eq!(hits, Some(18));
    assert!(is_refused(guard.gate(at(0), ip("192.0.2.1"))));
}

#[test]
fn an_exempt_network_is_never_refused() {
    let exempt = Box::new(["192.0.2.0/28".parse().unwrap()]);
    let mut guard = Guard::new(Settings { exempt, ..Settings::default() }, KEY);
    for n in 0..200 {
        let gate = try_wrong(&mut guard, at(0), "192.0.2.1", &format!("user{}", n % 3), n);
        assert!(!is_refused(gate) && gate != Gate::Close, "{n}: {gate:?}");
        assert_eq!(guard.decoy(at(0), ip("192.0.2.1")), Gate::Open);
    }
    assert_eq!(guard.gate(at(0), ip("192.0.2.1")), Gate::Open);
    assert_eq!(guard.before_try(at(0), ip("192.0.2.1"), "user1"), Gate::Pause(Duration::from_secs(15)));
    assert!(guard.bans(at(0)).iter().all(|ban| matches!(ban.banned, Banned::Account(_))));
}

#[test]
fn refusals_double_up_to_a_day_and_can_be_lifted() {
    let mut guard = guard();
    let mut now = 0;
    let mut lengths = Vec::new();
    for n in 0..2000 {
        if let Gate::Refused { until } = try_wrong(&mut guard, at(now), "192.0.2.1", &format!("user{n}"), n) {
            lengths.push(until.since(at(now)).as_secs() / 60);
            now += until.since(at(now)).as_secs();
        }
    }
    assert_eq!(lengths[..9], [10, 20, 40, 80, 160, 320, 640, 1280, 1440]);
    let _ = (0..20).map(|n| try_wrong(&mut guard, at(now), "192.0.2.1", &format!("other{n}"), n)).count();
    let bans = guard.bans(at(now));
    assert_eq!(bans[0].banned, Banned::meant("192.0.2.77").unwrap());
    assert!(guard.lift(&bans[0].banned) && !guard.lift(&bans[0].banned));
    assert_eq!(guard.gate(at(now), ip("192.0.2.1")), Gate::Open);
    assert_eq!(Banned::meant("192.0.2.0/24"), Banned::meant("192.0.2.1"));
    assert_eq!(Banned::meant("Alice").map(|banned| banned.to_string()).as_deref(), Some("alice"));
}

#[test]
fn no_debug_form_shows_more_than_numbers() {
    let mut guard = guard();
    let _ = try_wrong(&mut guard, at(0), "192.0.2.1", "alice", 0x1234);
    assert_eq!(format!("{guard:?}"), "Guard(1 prefixes, 1 accounts)");
}

#[test]
fn what_is_dangerous_is_remembered_through_a_flood() {
    let mut guard = Guard::new(Settings { remembered: 64, ..Settings::default() }, KEY);
    let _ = (0..20).map(|n| try_wrong(&mut guard, at(0), "192.0.2.1", &format!("user{n}"), 7)).count();
    for n in 0..5000 {
        let client = format!("10.{}.{}.1", n / 250, n % 250);
        let _ = try_wrong(&mut guard, at(1), &client, &format!("flood{n}"), 7);
        assert!(guard.prefixes.len() <= 64 && guard.accounts.len() <= 64);
    }
    assert!(is_refused(guard.gate(at(1), ip("192.0.2.1"))));
    let _ = (0..5000).map(|n| guard.succeeded(at(2), ip("192.0.2.1"), &format!("user{n}"))).count();
    assert!(guard.devices.iter().count() <= 64);
}

#[test]
fn it_survives_a_restart() {
    let mut guard = guard();
    assert!(try_right(&mut guard, at(0), "203.0.113.5", "alice"));
    let _ = (0..20).map(|n| try_wrong(&mut guard, at(0), "192.0.2.1", &format!("user{n}"), 7)).count();
    let _ = (0..60).map(|n| try_wrong(&mut guard, at(0), &format!("10.0.{n}.1"), "alice", n)).count();
    let text = guard.save();
    let mut again = Guard::restore(Settings::default(), KEY, text.as_bytes(), at(5)).unwrap();
    assert_eq!(again.bans(at(5)), guard.bans(at(5)));
    assert_eq!(again.bans(at(5)).len(), 2);
    assert_eq!(again.save(), text);
    assert!(try_right(&mut again, at(5), "203.0.113.5", "alice"));
    // Smaller tables hold what fits.
    let small = Settings { remembered: 8, ..Settings::default() };
    assert_eq!(Guard::restore(small, KEY, text.as_bytes(), at(5)).unwrap().prefixes.len(), 8);
    assert!(
        Guard::restore(Settings::default(), KEY, Guard::new(Settings::default(), KEY).save().as_bytes(), at(0)).is_ok()
    );
}

#[test]
fn damage_is_found_wherever_it_is() {
    let mut guard = guard();
    assert!(try_right(&mut guard, at(0), "203.0.113.5", "alice"));
    let _ = (0..20).map(|n| try_wrong(&mut guard, at(0), "192.0.2.1", &format!("user{n}"), 7)).count();
    let text = guard.save().into_bytes();
    let restored = |octets: &[u8]| Guard::restore(Settings::default(), KEY, octets, at(0)).is_ok();
    assert!(restored(&text));
    for at in 0..text.len() {
        assert!(!restored(&text[..at]), "cut at {at}");
        let mut damaged = text.clone();
        damaged[at] ^= 1;
        assert!(!restored(&damaged), "a bit at {at}");
    }
    assert!(!restored(&[&text[..], b"x"].concat()));
}

#[test]
fn a_clock_that_jumps_locks_nobody_out() {
    let year = 366 * 86_400;
    let mut guard = guard();
    assert!(try_right(&mut guard, at(year), "203.0.113.5", "alice"));
    let _ = (0..20).map(|n| try_wrong(&mut guard, at(2 * year), "192.0.2.1", &format!("user{n}"), 7)).count();
    assert!(is_refused(guard.gate(at(2 * year), ip("192.0.2.1"))));
    // Back by a year: the refusal lasts as long as it would have from now on, and no longer.
    for back in [year, 0] {
        assert_eq!(guard.gate(at(back), ip("192.0.2.1")), Gate::Refused { until: at(back + 600) });
        assert!(try_right(&mut guard, at(back), "203.0.113.5", "alice"));
        assert_eq!(guard.gate(at(back + 600), ip("192.0.2.1")), Gate::Open);
    }
    // What counts is forgotten in its time, too.
    assert_eq!(guard.before_try(at(6000), ip("192.0.2.1"), "bob"), Gate::Open);
    // Forward: it is over sooner, and that is all.
    let _ = (0..20).map(|n| try_wrong(&mut guard, at(6000), "192.0.2.1", &format!("y{n}"), 7)).count();
    assert_eq!(guard.gate(at(3 * year), ip("192.0.2.1")), Gate::Open);
    assert!(!guard.devices(&"alice".parse().unwrap()).is_empty());
    // And who goes on is refused by the clock of today.
    let gates: Vec<_> = (0..30).map(|n| try_wrong(&mut guard, at(7000), "192.0.2.1", &format!("x{n}"), 7)).collect();
    let Some(Gate::Refused { until }) = gates.into_iter().find(|gate| is_refused(*gate)) else { panic!("not refused") };
    assert!(until <= at(7000 + 86_400));
}

#[derive(Clone, Debug)]
enum Act {
    Wrong(&'static str, u8, u64),
    Right(&'static str, u8),
    Decoy(&'static str),
    Wait(u64),
    Back(u64),
    Restart,
}

fn act() -> impl Strategy<Value = Act> {
    let client = select(vec!["192.0.2.1", "192.0.2.2", "198.51.100.1", "2001:db8::1", "10.0.0.1"]);
    (0..12, client, 0..12_u8, 0..40_u64, 0..100_000_u64).prop_map(|(which, client, account, secret, seconds)| {
        match which {
            0..=6 => Act::Wrong(client, account, secret),
            7 | 8 => Act::Right(client, account),
            9 => Act::Decoy(client),
            10 => {
                if secret % 2 == 0 {
                    Act::Wait(seconds)
                } else {
                    Act::Back(seconds)
                }
            }
            _ => Act::Restart,
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_happens(acts in proptest::collection::vec(act(), 0..300)) {
        let exempt: Box<[Net]> = Box::new(["10.0.0.0/8".parse().unwrap()]);
        let settings = Settings { exempt, remembered: 16, ..Settings::default() };
        let mut guard = Guard::new(settings.clone(), KEY);
        let mut now = 1_000_000;
        for act in acts {
            match act {
                Act::Wrong(client, account, secret) => {
                    let gate = try_wrong(&mut guard, at(now), client, &format!("user{account}"), secret);
                    prop_assert!(client != "10.0.0.1" || gate == Gate::Open);
                }
                Act::Right(client, account) => {
                    let account = format!("user{account}");
                    if try_right(&mut guard, at(now), client, &account) {
                        // Where it has just been used, it can be used, whatever anybody else does.
                        let _ = (0..50).map(|n| try_wrong(&mut guard, at(now), "192.0.3.1", &account, 100 + n)).count();
                        let known = guard.is_known(at(now), &account.parse().unwrap(), prefix(ip(client)));
                        prop_assert!(!known || try_right(&mut guard, at(now), client, &account));
                    }
                }
                Act::Decoy(client) => {
                    let gate = guard.decoy(at(now), ip(client));
                    prop_assert!(client != "10.0.0.1" || gate == Gate::Open);
                }
                Act::Wait(seconds) => now += seconds,
                Act::Back(seconds) => now -= seconds.min(now),
                Act::Restart => guard = Guard::restore(settings.clone(), KEY, guard.save().as_bytes(), at(now)).unwrap(),
            }
            prop_assert!(guard.prefixes.len() <= 16 && guard.accounts.len() <= 16);
            for ban in guard.bans(at(now)) {
                prop_assert!(ban.until <= at(now).after(settings.refusal_longest));
            }
            // After two days of peace everything is open.
            prop_assert!(guard.bans(at(now + 2 * 86_400)).is_empty());
        }
    }

    #[test]
    fn no_saved_octets_do_harm(octets in proptest::collection::vec(any::<u8>(), 0..300), lines in "((prefix|account|device) [a-z0-9./: ]{0,40}\n){0,5}") {
        let _ = Guard::restore(Settings::default(), KEY, &octets, at(0));
        // With the right checksum, too.
        let body = format!("bridgehead guard 1\n{lines}");
        let sum = crate::hex::written(&<sha2::Sha256 as sha2::Digest>::digest(&body));
        let _ = Guard::restore(Settings::default(), KEY, format!("{body}end {sum}\n").as_bytes(), at(0));
    }
}
