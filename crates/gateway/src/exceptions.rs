//! Exceptions with an end, while the gateway runs: each is told of once, when it has ended.
//!
//! They end by themselves; policy asks the time with every question. This is only so that somebody hears of it, and that
//! monitoring can count those that stand in the settings and mean nothing any more.

use crate::Gateway;
use crate::event::Event;
use crate::world::World;
use mail::Timestamp;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// The clock of this host may be set while we wait, so it is looked at again so often at the least.
const LOOK_AGAIN: Duration = Duration::from_secs(3_600);

/// Tells of exceptions that have ended, until the gateway stops.
pub(crate) async fn watch<W: World>(gateway: Arc<Gateway<W>>) {
    let mut stopping = gateway.stop.soft.ear();
    let mut told = BTreeSet::new();
    loop {
        let next = look(&gateway, &mut told);
        let wait = async {
            match next {
                Some(span) => tokio::time::sleep(span.min(LOOK_AGAIN)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = stopping.heard() => return,
            () = gateway.exceptions_reloaded.notified() => {}
            () = wait => {}
        }
    }
}

/// Tells of those that have ended and nobody has been told of, which `told` remembers by place and end. How long it is
/// until the next one ends.
fn look<W: World>(gateway: &Gateway<W>, told: &mut BTreeSet<(Box<str>, Timestamp)>) -> Option<Duration> {
    let (law, now) = (gateway.law.load_full(), gateway.world.now());
    let mut next = None;
    let mut over = 0;
    // What is not in the settings any more may come back, and is told of again.
    let before = std::mem::take(told);
    for exception in law.config.exceptions() {
        let (Some(end), Some(last_day)) = (exception.term.expires, exception.term.last_day()) else { continue };
        if end > now {
            next = next.into_iter().chain([end.since(now)]).min();
            continue;
        }
        over += 1;
        let place = law.config.book.place(exception.rule);
        let known = (place.key.into(), end);
        if !before.contains(&known) {
            gateway.recorder.record(&Event::Expired {
                key: place.key,
                what: &exception.what.to_string(),
                last_day: &last_day,
                owner: exception.term.owner.as_deref(),
                reason: exception.term.reason.as_deref(),
            });
        }
        told.insert(known);
    }
    gateway.recorder.counters().exceptions_expired(over);
    next
}
