//! What can be learnt with a watch, and what guessers do to others.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use e2e::{Gateway, long, mail, skip};

use super::{House, PASSWORD, log_in};
use crate::OTHER;

/// How long one try takes, and how much the program computes for it.
fn one_try(house: &mut House, name: &str) -> (Duration, Duration) {
    let mut client = house.gateway.client("devices", OTHER);
    let (start, computed) = (Instant::now(), house.gateway.process().computed());
    assert_eq!(log_in(&mut client, name, "wrong").code(), 535, "{}", client.transcript());
    (start.elapsed(), house.gateway.process().computed().saturating_sub(computed))
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn apart(one: Duration, other: Duration) -> f64 {
    let (one, other) = (one.as_secs_f64(), other.as_secs_f64());
    one.max(other) / one.min(other).max(1e-6)
}

/// A stranger with a watch cannot tell an account that exists from one that does not: as much is computed for
/// either, and what passes until the reply is the same. On a busy machine the watch is only looked at roughly.
#[test]
fn an_account_that_does_not_exist_takes_as_long() {
    let Some(mut house) = House::open("") else { return skip("no openssl") };
    let tries = if long() { 200 } else { 12 };
    let mut known = Vec::new();
    let mut unknown = Vec::new();
    for _ in 0..tries {
        // In turn, so that what else happens on the machine happens to both.
        known.push(one_try(&mut house, "alice"));
        unknown.push(one_try(&mut house, "nobody"));
    }
    let computed = |all: &[(Duration, Duration)]| all.iter().map(|one| one.1).sum::<Duration>();
    let (work, no_work) = (computed(&known), computed(&unknown));
    let elapsed = |all: &[(Duration, Duration)]| median(all.iter().map(|one| one.0).collect());
    let (watch, no_watch) = (elapsed(&known), elapsed(&unknown));
    println!("{tries} tries each; medians {watch:?} and {no_watch:?}, computed {work:?} and {no_work:?}");
    assert!(work > Duration::from_millis(10) * tries, "a password is not verified for nothing: {work:?}");
    assert!(apart(work, no_work) < 1.25, "computed {work:?} for an account, {no_work:?} for none");
    let bound = if long() { 1.25 } else { 3.0 };
    assert!(apart(watch, no_watch) < bound, "medians {watch:?} for an account, {no_watch:?} for none");
}

/// How long it takes until messages on a session of somebody else are taken, each.
fn deliveries(gateway: &Gateway, while_so: impl Fn(usize) -> bool) -> Vec<Duration> {
    let mut client = gateway.client("devices", OTHER);
    assert_eq!(log_in(&mut client, "alice", PASSWORD).code(), 235);
    let mut taken = Vec::new();
    while while_so(taken.len()) {
        let (message, _) = mail::message("meanwhile");
        let start = Instant::now();
        client.deliver("alice@corp.example", "bob@ext.example", &message);
        taken.push(start.elapsed());
    }
    taken
}

/// Passwords are verified beside the sessions: while many are, mail on others goes on.
#[test]
fn a_flood_of_logins_does_not_hold_up_mail() {
    let Some(house) = House::open("") else { return skip("no openssl") };
    let logins = if long() { 1000 } else { 40 };
    let before = median(deliveries(&house.gateway, |count| count < 40));
    // Who sends has authenticated before the flood begins.
    let flooding = AtomicBool::new(true);
    let during = std::thread::scope(|scope| {
        let mail = scope.spawn(|| deliveries(&house.gateway, |count| count < 5 || flooding.load(Ordering::Relaxed)));
        let flood = (0..8).map(|_| {
            scope.spawn(|| {
                for _ in 0..logins / 8 {
                    let mut client = house.gateway.client("devices", OTHER);
                    // 454 where too many stand in line.
                    let code = log_in(&mut client, "nobody", "wrong").code();
                    assert!([535, 454].contains(&code), "{}", client.transcript());
                }
            })
        });
        flood.collect::<Vec<_>>().into_iter().for_each(|one| one.join().expect("a flooder"));
        flooding.store(false, Ordering::Relaxed);
        mail.join().expect("who sends")
    });
    let (count, during) = (during.len(), median(during));
    println!("{logins} bad logins; a message is taken in {before:?} before and in {during:?} meanwhile ({count})");
    let bound = if long() { Duration::from_millis(50) } else { Duration::from_secs(2) };
    assert!(during.saturating_sub(before) < bound, "{before:?} before, {during:?} meanwhile");
}
