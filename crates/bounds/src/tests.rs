//! What the counting promises.

use super::*;
use proptest::prelude::*;

const KEY: [u8; 16] = [7; 16];

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000 + seconds * 1000)
}

fn amounts(messages: u32, recipients: u32, distinct: u32) -> Amounts {
    Amounts { messages: Some(messages), recipients: Some(recipients), distinct: Some(distinct) }
}

/// As the settings have them if they say nothing.
fn settings() -> Settings {
    Settings {
        accounts: Limits { hour: amounts(200, 500, 300), day: amounts(1000, 2000, 1000) },
        groups: vec![("news".into(), Limits { hour: amounts(1000, 20_000, 20_000), day: Amounts::default() })],
        devices: Limits::default(),
        slow_percent: 50,
        suspend_percent: 200,
        delay: Duration::from_secs(1),
        refused_percent: 50,
        refused_at_least: 40,
        grants: Grants { hello_names: Some(3), sender_domains: Some(5), suspend: true },
        remembered: 100,
    }
}

fn bounds() -> Bounds {
    Bounds::new(settings(), KEY)
}

fn user(subject: &Subject) -> User<'_> {
    User { subject, groups: &[] }
}

/// So many recipients, the first of them with this number.
fn strangers(first: u32, number: u32) -> Vec<String> {
    (first..first + number).map(|n| format!("stranger{n}@ext.example")).collect()
}

fn send(bounds: &mut Bounds, now: Timestamp, subject: &Subject, to: &[String]) -> Judged {
    bounds.message(now, user(subject), to.iter().map(String::as_str))
}

/// What became of 5,000 strangers, written to in messages of so many: how many left, how many are held, and how
/// many could not even be named.
fn attack(each: u32) -> (u32, u32, u32) {
    let (mut bounds, stolen) = (bounds(), Subject::account("u1"));
    let (mut left, mut held, mut refused) = (0, 0, 0);
    let mut seconds = 0;
    for first in (0..5000).step_by(each as usize) {
        let to = strangers(first, each);
        match bounds.gate(at(seconds), user(&stolen)) {
            Gate::Suspended(_) => refused += each,
            gate => {
                seconds += if gate == Gate::Open { 0 } else { u64::from(each) + 1 };
                let judged = send(&mut bounds, at(seconds), &stolen, &to);
                *(if judged.held.is_some() { &mut held } else { &mut left }) += each;
            }
        }
    }
    (left, held, refused)
}

#[test]
fn s3_a_stolen_account_that_writes_to_five_thousand_strangers() {
    // One by one it is the number of messages, in bulk that of strangers.
    assert_eq!(attack(1), (200, 201, 4599));
    assert_eq!(attack(10), (300, 310, 4390));
    assert_eq!(attack(100), (300, 400, 4300));
}

#[test]
fn slowly_first_then_held_then_not_at_all() {
    let (mut bounds, u1) = (bounds(), Subject::account("U1"));
    let mut news = Vec::new();
    let mut gates = Vec::new();
    for first in (0..700).step_by(10) {
        gates.push(bounds.gate(at(0), user(&u1)));
        news.extend(send(&mut bounds, at(0), &u1, &strangers(first, 10)).news);
    }
    assert_eq!(gates.iter().take_while(|gate| **gate == Gate::Open).count(), 15);
    assert_eq!(gates[15], Gate::Slow(Duration::from_secs(1)));
    assert!(matches!(gates[69], Gate::Suspended(_)));
    let said: Vec<String> =
        news.iter().map(|n| format!("{} {} {}: {}", n.subject, n.stage.name(), n.alert, n.cause)).collect();
    assert_eq!(
        said,
        [
            "u1 slow false: 150 different recipients in an hour, and 300 is the limit",
            "u1 hold true: 310 different recipients in an hour, and 300 is the limit",
            "u1 suspend true: 610 different recipients in an hour, and 300 is the limit",
        ]
    );
    // It is the same account however it is spelt, and others are not it.
    assert!(matches!(bounds.gate(at(0), user(&Subject::account("u1"))), Gate::Suspended(_)));
    assert_eq!(bounds.gate(at(0), user(&Subject::account("u2"))), Gate::Open);
    // It lasts, and whatever was under way is held.
    assert!(matches!(bounds.gate(at(30 * 86_400), user(&u1)), Gate::Suspended(_)));
    assert!(send(&mut bounds, at(30 * 86_400), &u1, &strangers(0, 1)).held.is_some());
    assert!(bounds.resume(&u1) && !bounds.resume(&u1));
    assert_eq!(bounds.gate(at(30 * 86_400), user(&u1)), Gate::Open);
    assert_eq!(
        send(&mut bounds, at(30 * 86_400), &u1, &strangers(0, 1)),
        Judged { counted: true, ..Judged::default() }
    );
}

#[test]
fn what_was_held_ends_by_itself() {
    let (mut bounds, u1) = (bounds(), Subject::account("u1"));
    for first in (0..310).step_by(10) {
        send(&mut bounds, at(0), &u1, &strangers(first, 10));
    }
    assert!(send(&mut bounds, at(60), &u1, &strangers(0, 1)).held.is_some());
    // The same people again are no more people; an hour later nobody is held up, and nobody is told.
    let later = send(&mut bounds, at(2 * 3600), &u1, &strangers(0, 1));
    assert_eq!(later.held, None);
    // Held again on the same day, nobody is told again; on another day they are.
    let held_at = |bounds: &mut Bounds, hours: u64| {
        let news = (0..40).filter_map(|n| send(bounds, at(hours * 3600), &u1, &strangers(10 * n, 10)).news);
        news.filter(|news| news.stage == Stage::Hold).map(|news| news.alert).collect::<Vec<_>>()
    };
    assert_eq!(held_at(&mut bounds, 10), [false]);
    assert_eq!(held_at(&mut bounds, 40), [true]);
}

#[test]
fn the_same_recipients_again_are_recipients_and_not_different_ones() {
    let (mut bounds, u1) = (bounds(), Subject::account("u1"));
    let team = strangers(0, 10);
    let judged: Vec<Judged> = (0..51).map(|n| send(&mut bounds, at(n), &u1, &team)).collect();
    assert_eq!(judged[49].held, None);
    let held = judged[50].held.map(|cause| cause.to_string());
    assert_eq!(held.as_deref(), Some("510 recipients in an hour, and 500 is the limit"));
}

#[test]
fn members_have_the_limits_of_their_groups() {
    let (mut bounds, u1) = (bounds(), Subject::account("u1"));
    let member = User { subject: &u1, groups: &["Staff".into(), "News".into()] };
    for first in (0..5000).step_by(100) {
        let to = strangers(first, 100);
        assert_eq!(bounds.message(at(0), member, to.iter().map(String::as_str)).held, None);
    }
    assert_eq!(bounds.gate(at(0), member), Gate::Open);
}

#[test]
fn who_names_mostly_people_that_are_not_there_is_suspended() {
    let (mut bounds, u1) = (bounds(), Subject::account("u1"));
    send(&mut bounds, at(0), &u1, &strangers(0, 30));
    let news: Vec<News> = (0..60).filter_map(|n| bounds.refused(at(n), user(&u1), &format!("n{n}@a.test"))).collect();
    let [news] = &news[..] else { panic!("{news:?}") };
    assert_eq!((news.stage, news.alert), (Stage::Suspend, true));
    assert_eq!(news.cause.to_string(), "40 of 70 recipients refused in an hour");
    // Where most are there it takes more.
    let u2 = Subject::account("u2");
    send(&mut bounds, at(0), &u2, &strangers(0, 50));
    assert!((0..50).all(|n| bounds.refused(at(n), user(&u2), &format!("n{n}@a.test")).is_none()));
    // The same one again is what a client does that has not understood.
    assert!((0..50).all(|n| bounds.refused(at(n), user(&u2), "n1@a.test").is_none()));
    assert!(bounds.refused(at(50), user(&u2), "n50@a.test").is_some());
    // Spread over time it is no sign of anything.
    let u3 = Subject::account("u3");
    assert!((0..200).all(|n| bounds.refused(at(n * 300), user(&u3), &format!("n{n}@a.test")).is_none()));
}

/// A next hop refuses so many recipients, the first of them with this number, of what was taken then.
fn refuse_by_hop(bounds: &mut Bounds, now: u64, subject: &Subject, taken: u64, first: u32, number: u32) -> Vec<String> {
    let refused = strangers(first, number);
    let news = refused.iter().filter_map(|to| bounds.refused_by_hop(at(now), subject, at(taken), to));
    news.map(|news| format!("{}: {}", news.stage.name(), news.cause)).collect()
}

#[test]
fn s3_strangers_whom_next_hops_refuse_are_refused_recipients() {
    let (mut bounds, u1) = (bounds(), Subject::account("u1"));
    send(&mut bounds, at(0), &u1, &strangers(0, 78));
    // 39 of 78 are half of them, and no fewer than 40 must be refused.
    assert!(refuse_by_hop(&mut bounds, 60, &u1, 0, 0, 39).is_empty());
    assert!(refuse_by_hop(&mut bounds, 60, &u1, 0, 0, 39).is_empty(), "each of them once");
    assert_eq!(refuse_by_hop(&mut bounds, 61, &u1, 0, 39, 5), ["suspend: 40 of 78 recipients refused in an hour"]);
    assert!(matches!(bounds.gate(at(62), user(&u1)), Gate::Suspended(Cause::Refused { refused: 40, named: 78 })));
    // What is still to come of it changes nothing, and neither does it when somebody has resumed the account.
    assert!(bounds.resume(&u1));
    assert!(refuse_by_hop(&mut bounds, 63, &u1, 0, 0, 78).is_empty());
    assert!(send(&mut bounds, at(64), &u1, &strangers(500, 1)).counted);
    assert!(refuse_by_hop(&mut bounds, 65, &u1, 0, 0, 78).is_empty());
    assert_eq!(bounds.gate(at(66), user(&u1)), Gate::Open);
}

#[test]
fn a_recipient_is_named_once_however_often_it_is_refused() {
    let (mut bounds, u1) = (bounds(), Subject::account("u1"));
    // Thirty are refused here; of seventy that are taken, ten and then some are refused by next hops.
    (0..30).for_each(|n| assert_eq!(bounds.refused(at(0), user(&u1), &format!("here{n}")), None));
    send(&mut bounds, at(0), &u1, &strangers(0, 70));
    assert!(refuse_by_hop(&mut bounds, 5, &u1, 0, 0, 20).is_empty(), "50 of 100 are half");
    // The directory has heard of them meanwhile: they have been counted.
    strangers(0, 20).iter().for_each(|to| assert_eq!(bounds.refused(at(10), user(&u1), to), None));
    assert_eq!(refuse_by_hop(&mut bounds, 20, &u1, 0, 20, 1), ["suspend: 51 of 100 recipients refused in an hour"]);
}

#[test]
fn what_a_next_hop_refuses_counts_when_it_was_taken() {
    let (mut bounds, u1) = (bounds(), Subject::account("u1"));
    // Two hours later the hop is there again: nobody knows any more how many there were.
    send(&mut bounds, at(0), &u1, &strangers(0, 100));
    assert!(refuse_by_hop(&mut bounds, 7200, &u1, 0, 0, 100).is_empty());
    // Half an hour later it is known.
    send(&mut bounds, at(7200), &u1, &strangers(100, 60));
    assert_eq!(
        refuse_by_hop(&mut bounds, 9000, &u1, 7200, 100, 60),
        ["suspend: 40 of 60 recipients refused in an hour"]
    );
    // The clock of whoever took it was ahead, as far as one can tell now.
    let u2 = Subject::account("u2");
    send(&mut bounds, at(9000), &u2, &strangers(0, 40));
    assert_eq!(refuse_by_hop(&mut bounds, 9001, &u2, 99_999, 0, 40).len(), 1);
}

#[test]
fn who_is_not_counted_is_not_refused_by_next_hops_either() {
    let (mut bounds, device) = (bounds(), Subject::meant("10.0.0.5"));
    assert!(!send(&mut bounds, at(0), &device, &strangers(0, 100)).counted);
    assert!(refuse_by_hop(&mut bounds, 1, &device, 0, 0, 100).is_empty());
    assert!(bounds.senders.is_empty());
}

#[test]
fn the_groups_of_an_account_are_not_known_when_a_next_hop_refuses_and_do_not_matter() {
    let (mut bounds, u1, groups) = (bounds(), Subject::account("u1"), [Box::from("News")]);
    let member = User { subject: &u1, groups: &groups };
    let to = strangers(0, 1000);
    assert_eq!(bounds.message(at(0), member, to.iter().map(String::as_str)).held, None);
    let mut bounds = Bounds::restore(settings(), bounds.save().as_bytes(), at(1)).unwrap();
    // By the limits of accounts it would be far beyond them.
    assert!(refuse_by_hop(&mut bounds, 2, &u1, 0, 0, 500).is_empty());
    assert_eq!(bounds.gate(at(2), member), Gate::Open);
    assert_eq!(refuse_by_hop(&mut bounds, 2, &u1, 0, 500, 1), ["suspend: 501 of 1000 recipients refused in an hour"]);
}

#[test]
fn devices_have_no_limits_unless_they_are_given_some() {
    let device = Subject::meant("10.0.0.5");
    let mut bounds = bounds();
    for first in (0..5000).step_by(100) {
        assert_eq!(send(&mut bounds, at(0), &device, &strangers(first, 100)), Judged::default());
    }
    assert!(bounds.standings(at(0)).is_empty());
    bounds.reload(Settings { devices: Limits { hour: amounts(1, 1, 1), day: Amounts::default() }, ..settings() });
    assert_eq!(send(&mut bounds, at(0), &device, &strangers(0, 1)).held, None);
    assert!(send(&mut bounds, at(0), &device, &strangers(1, 1)).held.is_some());
    assert_eq!(bounds.standings(at(0))[0].subject.to_string(), "10.0.0.5");
}

#[test]
fn many_names_behind_one_address_raise_an_alarm() {
    let mut bounds = bounds();
    let client: IpAddr = "10.0.0.5".parse().unwrap();
    let mut alarms = Vec::new();
    for n in 0..10 {
        alarms.extend(bounds.relays(at(n), client, &format!("Host{}.test", n % 4), Some("corp.example")));
        alarms.extend(bounds.relays(at(n), client, &format!("hOST{}.test", n % 4), Some("corp.example")));
    }
    assert_eq!(alarms, [Alarm { client, cause: Cause::HelloNames(4), suspended: true }]);
    assert_eq!(bounds.suspended_relays().collect::<Vec<_>>(), [client]);
    assert_eq!(bounds.standings(at(20))[0].stage, Stage::Suspend);
    assert!(bounds.resume(&Subject::Device(client)));
    assert_eq!(bounds.suspended_relays().count(), 0);
    // Many domains are as bad, and one name each hour is not.
    let other: IpAddr = "10.0.0.6".parse().unwrap();
    let by_domain: Vec<Alarm> =
        (0..9).filter_map(|n| bounds.relays(at(n), other, "one.test", Some(&format!("d{n}.example")))).collect();
    assert_eq!(by_domain, [Alarm { client: other, cause: Cause::SenderDomains(6), suspended: true }]);
    let slow: IpAddr = "10.0.0.7".parse().unwrap();
    assert!((0..20).all(|n| bounds.relays(at(n * 3700), slow, &format!("h{n}.test"), None).is_none()));
}

#[test]
fn an_alarm_is_raised_once_a_day_where_nothing_is_suspended() {
    let grants = Grants { suspend: false, ..settings().grants };
    let mut bounds = Bounds::new(Settings { grants, ..settings() }, KEY);
    let client: IpAddr = "10.0.0.5".parse().unwrap();
    let mut alarms = |day: u64| {
        let seen = (0..50).filter_map(|n| bounds.relays(at(day * 86_400 + n), client, &format!("h{n}.test"), None));
        seen.map(|alarm| alarm.suspended).collect::<Vec<_>>()
    };
    assert_eq!(alarms(0), [false]);
    assert_eq!(alarms(2), [false]);
}

#[test]
fn what_was_counted_survives_a_restart() {
    let (mut bounds, u1, odd) = (bounds(), Subject::account("u1"), Subject::account("Jörg O'Hara 100%"));
    send(&mut bounds, at(0), &u1, &strangers(0, 299));
    (0..80).for_each(|n| _ = bounds.refused(at(0), user(&odd), &n.to_string()));
    let client = "10.0.0.5".parse().unwrap();
    (0..5).for_each(|n| _ = bounds.relays(at(0), client, &n.to_string(), None));
    refuse_by_hop(&mut bounds, 0, &u1, 0, 0, 30);
    let saved = bounds.save();
    let mut again = Bounds::restore(settings(), saved.as_bytes(), at(60)).unwrap();
    assert_eq!(again.save(), saved);
    assert_eq!(again.standings(at(60)), bounds.standings(at(60)));
    assert_eq!(again.suspended_relays().collect::<Vec<_>>(), [client]);
    // The same recipients are known again, and the next ones are too many.
    assert_eq!(send(&mut again, at(60), &u1, &strangers(0, 200)).held, None);
    assert!(send(&mut again, at(60), &u1, &strangers(500, 2)).held.is_some());
    // Of the 501 named recipients those that a next hop has refused are known too.
    assert!(refuse_by_hop(&mut again, 61, &u1, 0, 30, 220).is_empty());
    assert_eq!(refuse_by_hop(&mut again, 61, &u1, 0, 250, 1), ["suspend: 251 of 501 recipients refused in an hour"]);
    assert!(matches!(again.gate(at(60), user(&odd)), Gate::Suspended(Cause::Refused { refused: 40, named: 40 })));
    // Half of it is nothing.
    assert!(Bounds::restore(settings(), &saved.as_bytes()[..saved.len() / 2], at(60)).is_err());
    assert!(Bounds::restore(settings(), saved.replace("u1", "u2").as_bytes(), at(60)).is_err());
}

#[test]
fn a_file_of_before_next_hops_were_counted_is_read() {
    let (mut bounds, u1) = (bounds(), Subject::account("u1"));
    (0..40).for_each(|n| _ = bounds.refused(at(0), user(&u1), &n.to_string()));
    let saved = bounds.save();
    let (body, _) = saved.split_at(saved.rfind("end ").unwrap());
    let without_the_last_two = |line: &str| line.rsplitn(3, ' ').last().map(str::to_owned);
    let old: String = body
        .lines()
        .map(|line| {
            let account = line.strip_prefix("account ").and_then(|_| without_the_last_two(line));
            format!("{}\n", account.as_deref().unwrap_or(line))
        })
        .collect();
    let sum = Sha256::digest(&old).iter().map(|octet| format!("{octet:02x}")).collect::<String>();
    let mut again = Bounds::restore(settings(), format!("{old}end {sum}\n").as_bytes(), at(60)).unwrap();
    assert!(matches!(again.gate(at(60), user(&u1)), Gate::Suspended(_)));
}

#[test]
fn who_is_suspended_is_never_forgotten() {
    let mut bounds = Bounds::new(Settings { remembered: 3, ..settings() }, KEY);
    let names = ["a", "b", "c", "d"].map(Subject::account);
    let suspend = |bounds: &mut Bounds, subject: &Subject| {
        (0..40).for_each(|n| _ = bounds.refused(at(0), user(subject), &n.to_string()));
    };
    suspend(&mut bounds, &names[0]);
    (0..50).for_each(|n| _ = send(&mut bounds, at(n), &Subject::account(&format!("other{n}")), &strangers(0, 1)));
    assert!(matches!(bounds.gate(at(60), user(&names[0])), Gate::Suspended(_)));
    assert_eq!(bounds.senders.len(), 3);
    names.iter().for_each(|name| suspend(&mut bounds, name));
    assert_eq!(bounds.senders.len(), 3);
    // Nobody can say how much this one has sent: its mail is neither refused nor let go.
    assert_eq!(send(&mut bounds, at(0), &names[3], &strangers(0, 1)).held, Some(Cause::TooManySuspended));
}

/// Something that happens.
#[derive(Clone, Debug)]
enum Act {
    Send(u8, u32, u32),
    Refuse(u8, u16),
    RefuseByHop(u8, u64, u32),
    Relay(u8, u8, u8),
    Resume(u8),
    Wait(u64),
    Back(u64),
    Restart,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        8 => (0..6_u8, 0..2000_u32, 0..200_u32).prop_map(|(who, first, number)| Act::Send(who, first, number)),
        6 => (0..6_u8, 0..100_u16).prop_map(|(who, first)| Act::Refuse(who, first)),
        6 => (0..6_u8, 0..9000_u64, 0..2000_u32).prop_map(|(who, ago, first)| Act::RefuseByHop(who, ago, first)),
        4 => (0..6_u8, 0..9_u8, 0..9_u8).prop_map(|(who, name, domain)| Act::Relay(who, name, domain)),
        1 => (0..6_u8).prop_map(Act::Resume),
        4 => (0..200_000_u64).prop_map(Act::Wait),
        1 => (0..2_000_000_u64).prop_map(Act::Back),
        1 => Just(Act::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn whatever_happens(acts in proptest::collection::vec(act(), 0..200)) {
        let settings = Settings { remembered: 4, ..settings() };
        let mut bounds = Bounds::new(settings.clone(), KEY);
        let mut now = 10_000_000;
        for act in acts {
            match act {
                Act::Send(who, first, number) => {
                    let subject = Subject::account(&format!("u{who}"));
                    let before = bounds.gate(at(now), user(&subject));
                    let judged = send(&mut bounds, at(now), &subject, &strangers(first, number));
                    // Who is suspended sends nothing, and who is far from every limit everything.
                    prop_assert!(!matches!(before, Gate::Suspended(_)) || judged.held.is_some());
                    prop_assert!(judged.held.is_some() || !matches!(bounds.gate(at(now), user(&subject)), Gate::Suspended(_)));
                }
                Act::Refuse(who, first) => {
                    let subject = Subject::account(&format!("u{who}"));
                    (first..first + 20).for_each(|n| _ = bounds.refused(at(now), user(&subject), &n.to_string()));
                }
                Act::RefuseByHop(who, ago, first) => {
                    let subject = Subject::account(&format!("u{who}"));
                    let known = bounds.senders.contains_key(&subject);
                    refuse_by_hop(&mut bounds, now, &subject, now.saturating_sub(ago), first, 60);
                    prop_assert_eq!(bounds.senders.contains_key(&subject), known);
                }
                Act::Relay(who, name, domain) => {
                    let client = IpAddr::from([10, 0, 0, who]);
                    let _ = bounds.relays(at(now), client, &name.to_string(), Some(&domain.to_string()));
                }
                Act::Resume(who) => {
                    let subject = Subject::account(&format!("u{who}"));
                    bounds.resume(&subject);
                    prop_assert_eq!(bounds.gate(at(now), user(&subject)), Gate::Open);
                }
                Act::Wait(seconds) => now += seconds,
                Act::Back(seconds) => now -= seconds.min(now),
                Act::Restart => {
                    let suspended = bounds.standings(at(now)).into_iter().filter(|one| one.stage == Stage::Suspend).count();
                    bounds = Bounds::restore(settings.clone(), bounds.save().as_bytes(), at(now)).unwrap();
                    let again = bounds.standings(at(now)).into_iter().filter(|one| one.stage == Stage::Suspend).count();
                    prop_assert_eq!(again, suspended);
                }
            }
            prop_assert!(bounds.senders.len() <= 4);
            prop_assert_eq!(bounds.digests, bounds.senders.values().map(Sender::digests).sum::<usize>());
        }
        // Nothing but a suspension lasts longer than a day, whatever the clock has said meanwhile.
        let _ = bounds.standings(at(now));
        let later = at(now + 2 * 86_400);
        let mut then = Bounds::restore(settings, bounds.save().as_bytes(), later).unwrap();
        prop_assert!(then.standings(later).iter().all(|one| matches!(one.stage, Stage::Open | Stage::Suspend)));
    }

    #[test]
    fn no_saved_octets_do_harm(octets in proptest::collection::vec(any::<u8>(), 0..300), lines in "((account =|device |relay )[a-z0-9./:@%-]{0,9}( [a-z0-9:@-]{0,9}){0,16}\n){0,5}") {
        let _ = Bounds::restore(settings(), &octets, at(0));
        // With the right checksum, too.
        let body = format!("bridgehead bounds 1\nkey {}\n{lines}", "00".repeat(16));
        let sum = Sha256::digest(&body).iter().map(|octet| format!("{octet:02x}")).collect::<String>();
        let _ = Bounds::restore(settings(), format!("{body}end {sum}\n").as_bytes(), at(0));
    }
}
