//! What an operator sees of the queue and does to it, by `bridgehead queue` (rows N).

use e2e::{Act, At, Gateway, Peer, Reserved, Script, mail, until};

use crate::{HOP, OTHER, published};

/// One message for alice that cannot be delivered now and will not be tried again for an hour.
struct Stuck {
    gateway: Gateway,
    hop: Reserved,
    senders: Peer,
    token: String,
}

fn stuck() -> Stuck {
    let (hop, senders) = (Reserved::on(HOP), Peer::start(HOP, Script::polite()));
    let gateway = Gateway::start(&published(&hop.route(), &senders.route()).replace("\"1 s\"", "\"1 h\""));
    let (message, token) = mail::message("stuck");
    gateway.client("inet", OTHER).deliver("x@corp2.example", "alice@corp.example", &message);
    until("a failed attempt", || {
        let refused = gateway.metrics().sum("bridgehead_outbound_connections_refused_total", &[]);
        (refused >= 1.0).then_some(())
    });
    Stuck { gateway, hop, senders, token }
}

/// The identifier of the only message in the list.
fn only_id(gateway: &Gateway) -> String {
    let list = gateway.queue(&["list"]).success().stdout;
    let line = list.lines().find(|line| line.contains("x@corp2.example"));
    let line = line.unwrap_or_else(|| panic!("no message in\n{list}"));
    line.split_whitespace().next().unwrap_or_default().to_owned()
}

#[test]
fn the_list_says_what_waits_where_and_why() {
    let stuck = stuck();
    let list = stuck.gateway.queue(&["list"]).success().stdout;
    let hop = stuck.hop.route();
    for expected in ["alice@corp.example", "x@corp2.example", "Retry", &hop, "Connection refused"] {
        assert!(list.contains(expected), "no {expected} in\n{list}");
    }
    let shown = stuck.gateway.queue(&["show", &only_id(&stuck.gateway)]).success().stdout;
    for expected in ["alice@corp.example", "x@corp2.example"] {
        assert!(shown.contains(expected), "no {expected} in\n{shown}");
    }
}

#[test]
fn n03_retry_makes_an_attempt_at_once() {
    let Stuck { gateway, hop, token, .. } = stuck();
    let hop = hop.open(Script::polite());
    let _ = gateway.queue(&["retry", "--all"]).success();
    let _ = hop.received_with(&token);
    gateway.wait_until_empty();
}

#[test]
fn n04_a_frozen_destination_is_left_alone_at_once() {
    let stalling = Script::polite().first(1, At::Mail, Act::Stall);
    let (hop, senders) = (Peer::start(HOP, stalling), Peer::start(HOP, Script::polite()));
    let gateway = Gateway::start(&published(&hop.route(), &senders.route()));
    let (message, first) = mail::message("under way");
    gateway.client("inet", OTHER).deliver("x@corp2.example", "alice@corp.example", &message);
    hop.wait_for_command("MAIL");
    let name = hop.route();
    let frozen = gateway.queue(&["freeze", &name]).success();
    until("the session to end", || (hop.open() == 0).then_some(()));
    // New mail is still taken, and stays.
    let (message, second) = mail::message("behind it");
    gateway.client("inet", OTHER).deliver("x@corp2.example", "alice@corp.example", &message);
    let list = gateway.queue(&["list"]).success().stdout;
    assert!(list.contains("Frozen"), "{}\n{list}", frozen.text());
    assert_eq!((gateway.queued(), hop.count(), hop.connections()), (2, 0, 1));
    let _ = gateway.queue(&["unfreeze", &name]).success();
    let _ = (hop.received_with(&first), hop.received_with(&second));
    gateway.wait_until_empty();
}

#[test]
fn what_is_held_stays_and_what_is_released_goes() {
    let Stuck { gateway, hop, token, .. } = stuck();
    let _ = gateway.queue(&["hold", "--all"]).success();
    let hop = hop.open(Script::polite());
    let _ = gateway.queue(&["retry", "--all"]).success();
    // New mail is taken, and goes out past the one that is held.
    let (message, second) = mail::message("past it");
    gateway.client("inet", OTHER).deliver("x@corp2.example", "alice@corp.example", &message);
    let _ = hop.received_with(&second);
    assert_eq!(hop.count(), 1);
    let _ = gateway.queue(&["release", "--all"]).success();
    let _ = gateway.queue(&["retry", "--all"]).success();
    let _ = hop.received_with(&token);
    gateway.wait_until_empty();
}

#[test]
fn a_hold_outlives_a_restart() {
    let mut stuck = stuck();
    let _ = stuck.gateway.queue(&["hold", "--all"]).success();
    assert_eq!(stuck.gateway.stop(std::time::Duration::from_secs(15)), 0);
    still_held(stuck);
}

#[test]
fn a_hold_that_was_confirmed_outlives_a_crash() {
    let mut stuck = stuck();
    let _ = stuck.gateway.queue(&["hold", "--all"]).success();
    stuck.gateway.kill();
    still_held(stuck);
}

fn still_held(mut stuck: Stuck) {
    stuck.gateway.restart();
    let hop = stuck.hop.open(Script::polite());
    let _ = stuck.gateway.queue(&["retry", "--all"]).success();
    assert_eq!((stuck.gateway.queued(), hop.count()), (1, 0));
    let _ = stuck.gateway.queue(&["release", "--all"]).success();
    let _ = stuck.gateway.queue(&["retry", "--all"]).success();
    let _ = hop.received_with(&stuck.token);
}

#[test]
fn a_deletion_that_was_confirmed_outlives_a_crash() {
    let mut stuck = stuck();
    let _ = stuck.gateway.queue(&["delete", "--no-report", "--all"]).success();
    stuck.gateway.kill();
    stuck.gateway.restart();
    assert_eq!(stuck.gateway.queued(), 0);
}

#[test]
fn n05_deleted_mail_is_reported_unless_it_is_not_to_be() {
    let Stuck { gateway, senders, token, .. } = stuck();
    let id = only_id(&gateway);
    let _ = gateway.queue(&["delete", &id]).success();
    let report = senders.received_with(&token);
    assert!(report.content.contains("Action: failed"), "{}", report.content);
    assert!(report.content.contains("Status: 4.3.2") || report.content.contains("Status: 5."), "{}", report.content);
    gateway.wait_until_empty();

    let Stuck { gateway, senders, .. } = stuck();
    let id = only_id(&gateway);
    let _ = gateway.queue(&["delete", "--no-report", &id]).success();
    gateway.wait_until_empty();
    assert_eq!(senders.count(), 0);
}

#[test]
fn filters_choose() {
    let stuck = stuck();
    let (message, _) = mail::message("another");
    stuck.gateway.client("inet", OTHER).deliver("y@ext.example", "carol@corp.example", &message);
    let count = |arguments: &[&str]| stuck.gateway.count(arguments);
    assert_eq!(count(&[]), 2);
    assert_eq!(count(&["--from", "x@corp2.example"]), 1);
    assert_eq!(count(&["--to", "carol@corp.example"]), 1);
    assert_eq!(count(&["--destination", &stuck.hop.route()]), 2);
    assert_eq!(count(&["--server", "inet"]), 2);
    assert_eq!(count(&["--older-than", "1h"]), 0);
    assert_eq!(count(&["--from", "nobody@ext.example"]), 0);
    assert_eq!(count(&["--from", "x@corp2.example", "--to", "carol@corp.example"]), 0);
}

#[test]
fn without_a_server_the_command_says_so() {
    let mut gateway = Gateway::start(&published("[127.0.0.9]:9", "[127.0.0.9]:9"));
    gateway.kill();
    let finished = gateway.queue(&["list"]);
    assert_ne!(finished.code, 0);
    assert!(finished.stderr.contains("control.sock"), "{}", finished.text());
}
