//! A wall clock that is set while mail is queued (faults page: "clock jumps"): retries come when they were
//! due, nothing is returned without another attempt, and identifiers do not depend on time.

use std::collections::BTreeSet;

use e2e::{Gateway, Peer, Reserved, Script, Start, WallClock, mail, skip, until};

use crate::{HOP, OTHER, published};

const HOUR: i64 = 3600;
const YEAR: i64 = 365 * 24 * HOUR;

/// Accepts a message for a next hop that is not there; returns its token.
fn accept(gateway: &Gateway) -> String {
    let (message, token) = mail::message("queued");
    gateway.client("inet", OTHER).deliver("x@corp2.example", "alice@corp.example", &message);
    token
}

fn failed_attempts(gateway: &Gateway) -> f64 {
    gateway.metrics().sum("bridgehead_outbound_connections_refused_total", &[])
}

/// Waits until the destination has been tried again, twice: once may have been under way already.
fn wait_for_a_retry(gateway: &Gateway) {
    let before = failed_attempts(gateway);
    until("a retry", || (failed_attempts(gateway) >= before + 2.0).then_some(()));
}

/// The years in the times of the log.
fn years(gateway: &Gateway) -> BTreeSet<String> {
    let log = gateway.log();
    let times = log.lines().filter_map(|line| Some(line.split_once("\"time\":\"")?.1.get(..4)?.to_owned()));
    times.collect()
}

fn identifiers(gateway: &Gateway) -> Vec<String> {
    let log = gateway.log();
    let received = log.lines().filter(|line| line.contains("\"event\":\"received\""));
    received.filter_map(|line| Some(line.split_once("\"id\":\"")?.1.split_once('"')?.0.to_owned())).collect()
}

#[test]
fn a_clock_that_is_set_loses_no_retry_and_returns_nothing() {
    let clock = match WallClock::new() {
        Ok(clock) => clock,
        Err(why) => return skip(&why),
    };
    let (hop, senders) = (Reserved::on(HOP), Peer::start(HOP, Script::polite()));
    let variables = clock.environment();
    let variables = [(variables[0].0, &*variables[0].1), (variables[1].0, &*variables[1].1)];
    let mut gateway = Start::with(&published(&hop.route(), &senders.route())).environment(&variables).go();
    let mut tokens = Vec::new();
    for (seconds, restarts) in [(0, false), (-HOUR, false), (YEAR, false), (-HOUR, true), (0, false)] {
        clock.set(seconds);
        if restarts {
            // What is queued by now was received, and is due, in the future.
            gateway.restart();
        }
        tokens.push(accept(&gateway));
        wait_for_a_retry(&gateway);
        println!("{seconds:+} s: {} queued, {} returned", gateway.queued(), senders.count());
        assert_eq!((gateway.queued(), senders.count()), (tokens.len() as u64, 0));
    }
    // A start takes the wall clock as it is, and everything is too old; one more attempt is due to each
    // all the same, and now there is somebody to take it.
    gateway.kill();
    clock.set(YEAR);
    let hop = hop.open(Script::polite());
    gateway.restart();
    tokens.iter().for_each(|token| _ = hop.received_with(token));
    gateway.wait_until_empty();
    assert_eq!((hop.count(), senders.count()), (tokens.len(), 0), "each once, and no report");
    let (given, years) = (identifiers(&gateway), years(&gateway));
    assert_eq!(given.len(), tokens.len());
    assert_eq!(given.iter().collect::<BTreeSet<_>>().len(), given.len(), "an identifier twice: {given:?}");
    assert!(years.len() >= 2, "the log shows the clock: {years:?}");
}
