//! The schedule by examples and, below, by random histories watched from outside.

mod histories;

use super::*;
use crate::destination::DestinationState;
use crate::retry::Retry;
use std::time::Duration;

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;

fn at(ms: u64) -> Timestamp {
    Timestamp::from_millis(ms)
}

fn fresh(message: u64, destination: DestinationId, received: Timestamp) -> Item {
    Item {
        message: MessageId(message),
        destination,
        recipients: Places::one(0),
        due: received,
        received,
        size_bytes: 1000,
        attempts: 0,
        warned: false,
        held: false,
    }
}

/// A schedule with destinations that have the default terms.
fn schedule<const N: usize>(names: [&str; N]) -> (Schedule, [DestinationId; N]) {
    let mut schedule = Schedule::new();
    let ids = names.map(|name| schedule.destination(name, Terms::default()));
    (schedule, ids)
}

fn fill(schedule: &mut Schedule, id: DestinationId, messages: std::ops::Range<u64>, now: Timestamp) {
    for message in messages {
        assert!(schedule.admit(fresh(message, id, now), now));
    }
}

fn attempt(next: Next) -> (ConnectionId, Item) {
    match next {
        Next::Attempt { connection, item } => (connection, item),
        other => panic!("an attempt was expected, not {other:?}"),
    }
}

/// Carries one connection to its end with everything delivered; how many messages it carried.
fn carry(schedule: &mut Schedule, connection: ConnectionId, first: &Item, now: Timestamp) -> u32 {
    let mut carried = 1;
    assert!(schedule.finished(connection, first.message, Disposition::Done));
    while let Some(item) = schedule.more(connection, now) {
        assert!(schedule.finished(connection, item.message, Disposition::Done));
        carried += 1;
    }
    schedule.closed(connection, ConnectionEnd::Closed, now);
    carried
}

fn fail(schedule: &mut Schedule, connection: ConnectionId, now: Timestamp) {
    schedule.closed(connection, ConnectionEnd::Failed { error: "connection refused".into() }, now);
}

fn summary(schedule: &Schedule, id: DestinationId, now: Timestamp) -> Summary<'_> {
    schedule.summaries(now).find(|line| line.destination == id).unwrap()
}

#[test]
fn a_shortage_of_our_own_is_no_failure_of_the_destination() {
    let (mut schedule, [host]) = schedule(["host"]);
    fill(&mut schedule, host, 0..3, at(0));
    let (connection, item) = attempt(schedule.next(at(0)));
    schedule.closed(connection, ConnectionEnd::Postponed { error: "too many open files".into() }, at(0));
    assert_eq!(summary(&schedule, host, at(0)).messages, 3);
    // A moment later, not a quarter of an hour, and all connections that there may be.
    assert_eq!(schedule.next(at(0)), Next::WaitUntil(at(2000)));
    assert_eq!(schedule.destinations[0].failures, 0);
    let (connection, again) = attempt(schedule.next(at(2000)));
    assert_eq!((again.message, again.attempts), (item.message, 0));
    assert_eq!(carry(&mut schedule, connection, &again, at(2000)), 3);
    assert_eq!(schedule.next(at(2000)), Next::Idle);
}

#[test]
fn l06_one_connection_after_another_carries_20_20_and_5() {
    let mut schedule = Schedule::new();
    let host = schedule.destination("host", Terms { connections: 1, ..Terms::default() });
    fill(&mut schedule, host, 0..45, at(0));
    let mut carried = Vec::new();
    while let Next::Attempt { connection, item } = schedule.next(at(0)) {
        carried.push(carry(&mut schedule, connection, &item, at(0)));
    }
    assert_eq!(carried, [20, 20, 5]);
    assert!(schedule.is_empty());
}

#[test]
fn l06_connections_at_the_same_time_are_as_many_as_are_needed() {
    let (mut schedule, [host]) = schedule(["host"]);
    fill(&mut schedule, host, 0..45, at(0));
    let mut open = Vec::new();
    while let Next::Attempt { connection, item } = schedule.next(at(0)) {
        open.push((connection, item));
    }
    let carried: Vec<u32> = open.iter().map(|(c, item)| carry(&mut schedule, *c, item, at(0))).collect();
    assert_eq!(carried, [20, 20, 5]);
}

#[test]
fn l07_no_more_than_100_to_one_destination_and_1000_in_all() {
    let (mut schedule, [host]) = schedule(["host"]);
    fill(&mut schedule, host, 0..5000, at(0));
    let mut open = 0;
    while let Next::Attempt { .. } = schedule.next(at(0)) {
        open += 1;
    }
    assert_eq!(open, 100);
    for destination in 0..1500 {
        let id = schedule.destination(&format!("host {destination}"), Terms::default());
        fill(&mut schedule, id, 10_000 + destination..10_001 + destination, at(0));
    }
    while let Next::Attempt { .. } = schedule.next(at(0)) {
        open += 1;
    }
    assert_eq!(open, 1000);
    assert_eq!(schedule.connections().count(), 1000);
}

#[test]
fn figure_8_a_stalled_destination_with_10000_messages_delays_nobody() {
    let (mut schedule, [stalled, other]) = schedule(["stalled", "other"]);
    fill(&mut schedule, stalled, 0..10_000, at(0));
    attempt(schedule.next(at(1)));
    // While connections to the one are still being opened, and when all of them hang.
    for (message, now) in [(20_000, 2), (20_001, 60_000)] {
        fill(&mut schedule, other, message..message + 1, at(now));
        let (connection, item) = attempt(schedule.next(at(now)));
        assert_eq!(item.message, MessageId(message));
        carry(&mut schedule, connection, &item, at(now));
        while let Next::Attempt { .. } = schedule.next(at(now)) {}
    }
    assert_eq!(summary(&schedule, stalled, at(60_000)).connections, 100);
}

#[test]
fn figure_8_many_stalled_destinations_leave_a_connection_for_the_next() {
    let mut schedule = Schedule::new();
    for number in 0..50 {
        let id = schedule.destination(&format!("stalled {number}"), Terms::default());
        fill(&mut schedule, id, number * 2500..(number + 1) * 2500, at(0));
    }
    for second in 0..60 {
        while let Next::Attempt { .. } = schedule.next(at(second * 10_000)) {}
    }
    assert!(schedule.connections().count() >= 950);
    let other = schedule.destination("other", Terms::default());
    fill(&mut schedule, other, 1_000_000..1_000_001, at(600_001));
    assert_eq!(attempt(schedule.next(at(600_001))).1.destination, other);
}

#[test]
fn destinations_take_turns_and_the_oldest_due_goes_first() {
    let (mut schedule, ids) = schedule(["a", "b", "c"]);
    schedule.set_total_connections(1);
    for (message, id) in (0..9).zip(ids.iter().cycle()) {
        let received = at(100 - message);
        schedule.admit(fresh(message, *id, received), received);
    }
    let mut order = Vec::new();
    for _ in 0..9 {
        let (connection, item) = attempt(schedule.next(at(100)));
        order.push((schedule.name(item.destination).to_owned(), item.message.0));
        schedule.finished(connection, item.message, Disposition::Done);
        schedule.closed(connection, ConnectionEnd::Closed, at(100));
    }
    let expected = [("a", 6), ("b", 7), ("c", 8), ("a", 3), ("b", 4), ("c", 5), ("a", 0), ("b", 1), ("c", 2)];
    assert_eq!(order, expected.map(|(name, message)| (name.to_owned(), message)));
}

#[test]
fn f07_a_dead_destination_is_probed_by_one_connection_at_the_retry_intervals() {
    let (mut schedule, [host]) = schedule(["host"]);
    fill(&mut schedule, host, 0..100, at(0));
    let mut now = 0;
    for wait in [15, 30, 60, 240, 240] {
        let (connection, _) = attempt(schedule.next(at(now)));
        // The first time, others are opened before the failure is known.
        while let Next::Attempt { connection, .. } = schedule.next(at(now)) {
            assert_eq!(now, 0, "one probe only");
            fail(&mut schedule, connection, at(now));
        }
        fail(&mut schedule, connection, at(now));
        let rest = now + wait * MINUTE;
        assert_eq!(schedule.next(at(now)), Next::WaitUntil(at(rest)));
        let line = summary(&schedule, host, at(now));
        assert_eq!((line.state, line.next_retry), (DestinationState::Retry, Some(at(rest))));
        assert_eq!(line.last_error, Some("connection refused"));
        now = rest;
    }
    let (connection, item) = attempt(schedule.next(at(now)));
    assert_eq!(schedule.next(at(now)), Next::WaitUntil(at(12 * HOUR)), "the probe is alone until it succeeds");
    schedule.finished(connection, item.message, Disposition::Done);
    for _ in 0..4 {
        attempt(schedule.next(at(now)));
    }
    assert_eq!(summary(&schedule, host, at(now)).last_error, None);
}

#[test]
fn f07_told_once_at_12_hours_and_given_up_at_48() {
    let (mut schedule, [host, other]) = schedule(["host", "other"]);
    let mut part = fresh(1, host, at(0));
    part.recipients = [0, 1].into_iter().collect();
    schedule.admit(part, at(0));
    schedule.admit(Item { recipients: Places::one(2), ..fresh(1, other, at(0)) }, at(0));
    let mut now = at(0);
    let (mut told, mut attempts) = (Vec::new(), 0);
    let items = loop {
        match schedule.next(now) {
            Next::Attempt { connection, .. } => {
                attempts += 1;
                fail(&mut schedule, connection, now);
            }
            Next::Warn { message } => told.push((message, now)),
            Next::GiveUp { message, items } => {
                assert_eq!(message, MessageId(1));
                break items;
            }
            Next::WaitUntil(next) => now = next,
            unexpected => panic!("{unexpected:?}"),
        }
    };
    assert_eq!(told, [(MessageId(1), at(12 * HOUR))]);
    assert_eq!(now, at(48 * HOUR));
    // 0, 15, 45, 105 minutes, then every 240: two destinations.
    assert_eq!(attempts, 2 * (4 + (48 * 60 - 105 - 1) / 240));
    let recipients: Vec<usize> = items.iter().flat_map(|item| item.recipients.iter()).collect();
    assert_eq!(recipients, [0, 1, 2], "one event for all recipients");
    assert_eq!(schedule.last_error(items[0].destination), Some("connection refused"));
    assert_eq!(schedule.next(now), Next::Idle);
}

#[test]
fn what_is_under_way_when_its_time_is_over_is_given_up_only_if_it_fails() {
    let (mut schedule, [a, b]) = schedule(["a", "b"]);
    schedule.admit(fresh(1, a, at(0)), at(0));
    schedule.admit(Item { recipients: Places::one(1), warned: true, due: at(100 * HOUR), ..fresh(1, b, at(0)) }, at(0));
    let (connection, _) = attempt(schedule.next(at(1)));
    let given_up = |next| match next {
        Next::GiveUp { items, .. } => items.iter().map(|item| item.destination).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    assert_eq!(given_up(schedule.next(at(48 * HOUR))), [b]);
    assert_eq!(schedule.next(at(48 * HOUR)), Next::Idle);
    let retry = Disposition::Retry { recipients: Places::one(0), at: at(50 * HOUR) };
    assert!(schedule.finished(connection, MessageId(1), retry));
    assert_eq!(given_up(schedule.next(at(48 * HOUR))), [a]);
}

#[test]
fn what_expired_while_we_were_down_is_attempted_once() {
    let (mut schedule, [host]) = schedule(["host"]);
    let now = at(100 * HOUR);
    for message in 0..2 {
        schedule.admit(Item { attempts: 7, warned: true, ..fresh(message, host, at(HOUR)) }, now);
    }
    let (connection, item) = attempt(schedule.next(now));
    schedule.finished(connection, item.message, Disposition::Retry { recipients: Places::one(0), at: at(101 * HOUR) });
    let next = schedule.next(now);
    assert!(matches!(next, Next::GiveUp { message: MessageId(0), .. }), "{next:?}");
    let item = schedule.more(connection, now).unwrap();
    assert_eq!(item.message, MessageId(1));
    fail(&mut schedule, connection, now);
    let next = schedule.next(now);
    assert!(matches!(next, Next::GiveUp { message: MessageId(1), .. }), "{next:?}");
}

#[test]
fn a_deferred_message_waits_for_its_own_time_and_no_other_does() {
    let (mut schedule, [host]) = schedule(["host"]);
    fill(&mut schedule, host, 0..2, at(0));
    let (connection, item) = attempt(schedule.next(at(0)));
    let later = Retry::default().next_attempt(1, at(5));
    schedule.finished(connection, item.message, Disposition::Retry { recipients: Places::one(0), at: later });
    let item = schedule.more(connection, at(5)).unwrap();
    assert_eq!(item.message, MessageId(1));
    schedule.finished(connection, item.message, Disposition::Done);
    assert_eq!(schedule.more(connection, at(5)), None);
    schedule.closed(connection, ConnectionEnd::Closed, at(5));
    assert_eq!(schedule.next(at(5)), Next::WaitUntil(later));
    let again = attempt(schedule.next(later)).1;
    assert_eq!((again.message, again.attempts), (MessageId(0), 1));
}

#[test]
fn an_idle_connection_is_used_before_a_new_one_is_opened() {
    let (mut schedule, [host]) = schedule(["host"]);
    fill(&mut schedule, host, 0..1, at(0));
    let (connection, item) = attempt(schedule.next(at(0)));
    schedule.finished(connection, item.message, Disposition::Done);
    assert_eq!(schedule.more(connection, at(0)), None);
    assert!(schedule.idle(connection));
    assert_eq!(schedule.next(at(0)), Next::Idle);
    for message in 1..20 {
        fill(&mut schedule, host, message..message + 1, at(message));
        let next = schedule.next(at(message));
        assert!(matches!(&next, Next::Use { connection: c, item } if *c == connection && item.message.0 == message));
        schedule.finished(connection, MessageId(message), Disposition::Done);
        assert_eq!(schedule.idle(connection), message < 19, "20 messages are enough");
    }
    fill(&mut schedule, host, 20..21, at(20));
    assert_ne!(attempt(schedule.next(at(20))).0, connection);
}

#[test]
fn an_idle_connection_makes_room_for_a_destination_that_has_none() {
    let (mut schedule, [a, b]) = schedule(["a", "b"]);
    schedule.set_total_connections(1);
    fill(&mut schedule, a, 0..1, at(0));
    let (connection, item) = attempt(schedule.next(at(0)));
    fill(&mut schedule, b, 1..2, at(0));
    assert!(matches!(schedule.next(at(0)), Next::WaitUntil(_)));
    schedule.finished(connection, item.message, Disposition::Done);
    assert!(schedule.idle(connection));
    assert_eq!(schedule.next(at(0)), Next::Close { connection });
    assert!(matches!(schedule.next(at(0)), Next::WaitUntil(_)), "asked for once");
    schedule.closed(connection, ConnectionEnd::Closed, at(0));
    assert_eq!(attempt(schedule.next(at(0))).1.destination, b);
}

#[test]
fn a_stalled_connection_gets_company_after_some_patience() {
    let (mut schedule, [host]) = schedule(["host"]);
    fill(&mut schedule, host, 0..3, at(0));
    attempt(schedule.next(at(0)));
    assert_eq!(schedule.next(at(0)), Next::WaitUntil(at(10_000)));
    attempt(schedule.next(at(10_000)));
    assert_eq!(schedule.next(at(10_000)), Next::WaitUntil(at(20_000)));
}

#[test]
fn a_peer_that_takes_no_more_connections_is_not_asked_again_at_once_and_the_others_go_on() {
    let (mut schedule, [host]) = schedule(["host"]);
    fill(&mut schedule, host, 0..60, at(0));
    let (good, item) = attempt(schedule.next(at(0)));
    let (refused, _) = attempt(schedule.next(at(0)));
    fail(&mut schedule, refused, at(1));
    assert_eq!(schedule.next(at(1)), Next::WaitUntil(at(60_001)));
    schedule.finished(good, item.message, Disposition::Done);
    assert!(schedule.more(good, at(1)).is_some());
    assert_eq!(schedule.next(at(1)), Next::WaitUntil(at(60_001)));
    assert_eq!(schedule.last_error(host), Some("connection refused"));
    let (again, item) = attempt(schedule.next(at(60_001)));
    schedule.finished(again, item.message, Disposition::Done);
    assert_eq!(schedule.last_error(host), None);
}

#[test]
fn a_connection_that_finished_nothing_has_failed_and_its_item_goes_back() {
    let (mut schedule, [host]) = schedule(["host"]);
    fill(&mut schedule, host, 0..1, at(0));
    let (connection, item) = attempt(schedule.next(at(0)));
    schedule.closed(connection, ConnectionEnd::Closed, at(0));
    assert_eq!(schedule.next(at(0)), Next::WaitUntil(at(15 * MINUTE)));
    assert_eq!(attempt(schedule.next(at(15 * MINUTE))).1, item);
}

#[test]
fn n03_a_forced_connection_is_made_at_once() {
    let (mut schedule, [host]) = schedule(["host"]);
    fill(&mut schedule, host, 0..30, at(0));
    while let Next::Attempt { connection, .. } = schedule.next(at(0)) {
        fail(&mut schedule, connection, at(0));
    }
    assert_eq!(summary(&schedule, host, at(1)).state, DestinationState::Retry);
    schedule.retry_destination(host, at(1));
    assert_eq!(summary(&schedule, host, at(1)).state, DestinationState::Ready);
    attempt(schedule.next(at(1)));
    assert_eq!(summary(&schedule, host, at(1)).state, DestinationState::Active);
    assert!(matches!(schedule.next(at(1)), Next::WaitUntil(_)), "one connection alone tries");
}

#[test]
fn n03_a_single_message_can_be_forced() {
    let (mut schedule, [host]) = schedule(["host"]);
    fill(&mut schedule, host, 0..1, at(0));
    let (connection, item) = attempt(schedule.next(at(0)));
    schedule.finished(connection, item.message, Disposition::Retry { recipients: Places::one(0), at: at(HOUR) });
    schedule.closed(connection, ConnectionEnd::Closed, at(0));
    assert_eq!(schedule.next(at(1)), Next::WaitUntil(at(HOUR)));
    assert!(schedule.retry_message(MessageId(0), at(1)));
    assert!(!schedule.retry_message(MessageId(9), at(1)));
    let (connection, _) = attempt(schedule.next(at(1)));
    fail(&mut schedule, connection, at(1));
    assert!(matches!(schedule.next(at(2)), Next::WaitUntil(_)), "the destination rests");
    assert!(schedule.retry_message(MessageId(0), at(2)));
    attempt(schedule.next(at(2)));
}

#[test]
fn n04_freezing_ends_connections_and_keeps_mail() {
    let (mut schedule, [host]) = schedule(["host"]);
    fill(&mut schedule, host, 0..25, at(0));
    let (first, _) = attempt(schedule.next(at(0)));
    let (second, item) = attempt(schedule.next(at(0)));
    assert_eq!(schedule.freeze(host), [first, second]);
    schedule.closed(first, ConnectionEnd::Closed, at(0));
    schedule.finished(second, item.message, Disposition::Done);
    assert_eq!(schedule.more(second, at(0)), None);
    assert!(!schedule.idle(second));
    schedule.closed(second, ConnectionEnd::Closed, at(0));
    fill(&mut schedule, host, 25..26, at(1));
    let line = summary(&schedule, host, at(1));
    assert_eq!((line.state, line.messages, line.next_retry), (DestinationState::Frozen, 25, None));
    assert_eq!(schedule.next(at(1)), Next::WaitUntil(at(12 * HOUR)), "it grows old all the same");
    schedule.unfreeze(host);
    let (connection, item) = attempt(schedule.next(at(1)));
    assert_eq!(item.message, MessageId(0), "what was interrupted is due as before");
    assert_eq!(summary(&schedule, host, at(1)).last_error, None);
    schedule.closed(connection, ConnectionEnd::Closed, at(1));
}

#[test]
fn n05_a_removed_message_is_gone_even_when_it_is_under_way() {
    let (mut schedule, [a, b]) = schedule(["a", "b"]);
    fill(&mut schedule, a, 1..2, at(0));
    fill(&mut schedule, b, 1..2, at(0));
    let (connection, item) = attempt(schedule.next(at(0)));
    let removed = schedule.remove(MessageId(1)).unwrap();
    assert_eq!(removed.items.len(), 2);
    assert_eq!(removed.under_way, [connection]);
    assert_eq!(schedule.remove(MessageId(1)), None);
    assert!(!schedule.finished(connection, item.message, Disposition::Done));
    schedule.closed(connection, ConnectionEnd::Closed, at(0));
    assert_eq!(schedule.next(at(0)), Next::Idle);
    assert_eq!(summary(&schedule, a, at(0)).size_bytes, 0);
}

#[test]
fn a_held_message_waits_for_its_release_and_does_not_grow_old() {
    let (mut schedule, [host]) = schedule(["host"]);
    fill(&mut schedule, host, 0..2, at(0));
    assert!(schedule.hold(MessageId(0)));
    let (connection, item) = attempt(schedule.next(at(0)));
    assert_eq!(item.message, MessageId(1));
    assert!(schedule.hold(MessageId(1)), "while it is under way");
    schedule.finished(connection, item.message, Disposition::Retry { recipients: Places::one(0), at: at(1) });
    schedule.closed(connection, ConnectionEnd::Closed, at(1));
    assert_eq!(schedule.next(at(100 * HOUR)), Next::Idle);
    let line = summary(&schedule, host, at(1));
    assert_eq!((line.messages, line.held, line.oldest), (2, 2, Some(at(0))));
    assert!(schedule.release(MessageId(0)));
    attempt(schedule.next(at(2)));
}

#[test]
fn an_item_under_way_cannot_be_admitted_again() {
    let (mut schedule, [host]) = schedule(["host"]);
    fill(&mut schedule, host, 0..1, at(0));
    attempt(schedule.next(at(0)));
    assert!(!schedule.admit(fresh(0, host, at(0)), at(0)));
    assert_eq!(schedule.next(at(0)), Next::Idle);
    assert_eq!(schedule.len(), 1);
}

#[test]
fn telling_and_work_take_turns() {
    let (mut schedule, [slow, quick]) = schedule(["slow", "quick"]);
    schedule.freeze(slow);
    fill(&mut schedule, slow, 0..100, at(0));
    fill(&mut schedule, quick, 100..101, at(12 * HOUR));
    let words: Vec<Next> = (0..2).map(|_| schedule.next(at(12 * HOUR))).collect();
    assert!(words.iter().any(|word| matches!(word, Next::Attempt { .. })), "{words:?}");
    assert!(words.iter().any(|word| matches!(word, Next::Warn { .. })), "{words:?}");
}

#[test]
fn terms_can_change_while_messages_wait() {
    let (mut schedule, [host]) = schedule(["host"]);
    schedule.freeze(host);
    fill(&mut schedule, host, 0..1, at(0));
    assert_eq!(schedule.next(at(0)), Next::WaitUntil(at(12 * HOUR)));
    let retry = Retry { delay_notification: Duration::from_secs(60), ..Retry::default() };
    assert_eq!(schedule.destination("host", Terms { retry, ..Terms::default() }), host);
    assert_eq!(schedule.next(at(0)), Next::WaitUntil(at(MINUTE)));
}
