//! A disk that fails under the running program (faults page: "fsync EIO", figures 2 and 5): calls of the
//! kernel are made to fail from outside, once, at the n-th time, or from then on.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use e2e::load::{Promise, Tally, message};
use e2e::{Client, Fault, Gateway, Injection, Peer, Reserved, Script, mail, skip, until, until_within};

use crate::{CORP, HOP, IMPATIENT, LISTED};

/// How soon mail must be taken again after a fault is lifted (figure 5).
const BACK: Duration = Duration::from_secs(5);
/// The thread that owns the spool.
const KEEPER: &str = "spool";

fn relaying(hop: &str) -> String {
    format!(
        "{CORP}[virtual_server.inbound]\nlisten = [\"127.0.0.2:0\"]\n\
         relay = {{ mode = \"only\", list = [\"{LISTED}\"] }}\n\
         delivery = {{ smart_hosts = [\"{hop}\"] }}\n{IMPATIENT}"
    )
}

/// What was said to messages sent one by one.
#[derive(Default)]
struct Said {
    promised: Vec<Promise>,
    /// Refused after their last octet.
    refused: BTreeSet<String>,
    codes: BTreeSet<u16>,
}

impl Said {
    /// Sends one message and notes what is said; whether it was promised.
    fn send(&mut self, gateway: &Gateway, size: usize) -> bool {
        let mut client = gateway.client("inbound", LISTED);
        let token = mail::token();
        let recipients = vec!["bob@ext.example"];
        for line in ["MAIL FROM:<x@ext.example>", "RCPT TO:<bob@ext.example>", "DATA"] {
            let code = said(&mut client, line);
            if !(200..400).contains(&code) {
                self.codes.insert(code);
                return false;
            }
        }
        client.send(&mail::stuffed(&message(&token, size)));
        let code = client.reply().code();
        if code == 250 {
            self.promised.push(Promise { token, recipients });
            return true;
        }
        self.codes.insert(code);
        self.refused.insert(token);
        false
    }

    /// Sends until a message is promised; how long that took.
    fn until_promised(&mut self, gateway: &Gateway) -> Duration {
        let start = Instant::now();
        until("mail to be taken again", || self.send(gateway, 900).then_some(()));
        start.elapsed()
    }

    /// Everything promised arrives, nothing refused does, now or after a crash.
    fn settle(&self, mut gateway: Gateway, hop: &Peer) {
        gateway.wait_until_empty();
        gateway.kill();
        gateway.restart();
        gateway.wait_until_empty();
        let tally = Tally::of(&self.promised, hop, &[]);
        tally.assert_whole();
        let back =
            hop.received().into_iter().find(|received| self.refused.iter().any(|t| received.content.contains(t)));
        assert!(back.is_none(), "refused, and there all the same: {back:?}");
    }
}

fn said(client: &mut Client, line: &str) -> u16 {
    client.line(line);
    client.reply().code()
}

/// The files of the spool in which a call failed, each with the calls on it after that.
fn calls_after_failure(trace: &str) -> Vec<(String, Vec<String>)> {
    let file = |line: &str| Some(line.split_once('<')?.1.split_once('>')?.0.to_owned());
    let lines: Vec<&str> = trace.lines().collect();
    let failed = lines.iter().enumerate().filter(|(_, line)| line.contains("(INJECTED)"));
    let after = failed.filter_map(|(at, line)| {
        let name = file(line).filter(|name| name.contains("/segment-"))?;
        let later = lines[at + 1..].iter().filter(|line| file(line).as_ref() == Some(&name));
        let later = later.map(|line| (*line).to_owned()).collect();
        Some((name, later))
    });
    after.collect()
}

/// Fails the calls of the keeper until a message is refused, lifts the fault, and waits for the service.
fn endure(gateway: &Gateway, fault: Fault, said: &mut Said) {
    let before = said.promised.len();
    let injection = Injection::into_thread(gateway.id(), KEEPER, fault);
    until(format!("a failed call because of {fault:?}"), || {
        // The keeper also records outcomes and prepares segments: then it is nobody's mail that failed.
        let refused = !said.send(gateway, 900);
        (refused || injection.hits() > 0).then_some(())
    });
    until("a failed call", || (injection.hits() > 0).then_some(()));
    let trace = injection.lift();
    let back = said.until_promised(gateway);
    for (file, calls) in calls_after_failure(&trace) {
        assert!(calls.is_empty(), "{file} was used after {fault:?}:\n{}", calls.join("\n"));
    }
    let accepted = said.promised.len() - before;
    println!("{fault:?}: {accepted} accepted, replies {:?}, back after {} ms", said.codes, back.as_millis());
    assert!(back <= BACK, "{back:?} after {fault:?}");
    assert!(said.codes.iter().all(|code| matches!(code, 451 | 452)), "{:?} after {fault:?}", said.codes);
}

#[test]
fn no_promise_rests_on_a_call_that_failed() {
    if let Some(why) = Injection::unavailable() {
        return skip(&why);
    }
    let hop = Peer::start(HOP, Script::polite());
    let gateway = Gateway::start(&relaying(&hop.route()));
    let mut said = Said::default();
    assert!(said.send(&gateway, 900));
    let whens: &[&str] =
        if e2e::long() { &["1", "2", "3", "4", "5", "6", "7", "8", "1+", "3+"] } else { &["1", "3", "1+"] };
    for (calls, error) in [("fdatasync", "EIO"), ("fdatasync", "ENOSPC"), ("pwritev", "EIO"), ("pwritev", "ENOSPC")] {
        // In the normal run each error has its own moments, and together they have all.
        let skipped = usize::from(!e2e::long() && error == "ENOSPC");
        for when in &whens[skipped..] {
            endure(&gateway, Fault { calls, error, when }, &mut said);
        }
    }
    assert!(
        gateway.metrics().sum("bridgehead_spool_failures_total", &[]) > 0.0,
        "an alarm\n{}",
        gateway.metrics().page()
    );
    said.settle(gateway, &hop);
}

#[test]
fn while_no_flush_succeeds_nothing_is_promised_and_mail_goes_out() {
    if let Some(why) = Injection::unavailable() {
        return skip(&why);
    }
    let reserved = Reserved::on(HOP);
    let gateway = Gateway::start(&relaying(&reserved.route()));
    let mut said = Said::default();
    for size in [900, 20_000, 400_000] {
        assert!(said.send(&gateway, size));
    }
    let injection = Injection::into_process(gateway.id(), Fault { calls: "fdatasync,fsync", error: "EIO", when: "1+" });
    for round in 0..6 {
        let size = if round % 2 == 0 { 900 } else { 400_000 };
        assert!(!said.send(&gateway, size), "a promise without a flush");
    }
    assert!(said.codes.iter().all(|code| matches!(code, 451 | 452)), "{:?}", said.codes);
    let hop = reserved.open(Script::polite());
    let _ = gateway.queue(&["retry", "--all"]);
    let _ = hop.wait_for(3);
    assert!(!said.send(&gateway, 900), "a promise without a flush");
    let _ = injection.lift();
    let back = said.until_promised(&gateway);
    println!("no flush at all: {} refused, back after {} ms", said.refused.len(), back.as_millis());
    assert!(back <= BACK, "{back:?}");
    said.settle(gateway, &hop);
}

#[test]
fn a_body_file_that_cannot_be_flushed_is_refused_alone() {
    if let Some(why) = Injection::unavailable() {
        return skip(&why);
    }
    let hop = Peer::start(HOP, Script::polite());
    let gateway = Gateway::start(&relaying(&hop.route()));
    for (error, code) in [("EIO", 451), ("ENOSPC", 452)] {
        let mut said = Said::default();
        // The name of a body file is flushed by nobody else.
        let injection = Injection::into_process(gateway.id(), Fault { calls: "fsync", error, when: "1+" });
        assert!(!said.send(&gateway, 400_000), "a promise without a flush");
        assert_eq!(said.codes, BTreeSet::from([code]), "{error}");
        assert!(said.send(&gateway, 900), "a small message needs no file");
        let _ = injection.lift();
        assert!(said.send(&gateway, 400_000));
        until_within(e2e::PATIENCE, "the files to be gone", || {
            let files = std::fs::read_dir(gateway.state().join("spool")).unwrap();
            let bodies = files.filter(|file| file.as_ref().unwrap().file_name().to_string_lossy().starts_with("body-"));
            (bodies.count() == 0).then_some(())
        });
        let tally = Tally::of(&said.promised, &hop, &[]);
        tally.assert_whole();
    }
}
