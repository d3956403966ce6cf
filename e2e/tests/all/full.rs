//! A full disk (faults page: "ENOSPC, EDQUOT, EFBIG", figure 5): new mail is put off before its content is
//! sent, what was accepted goes out with no octet free, and the service is back when there is room.

use std::time::{Duration, Instant};

use e2e::load::{Load, Mix, Promise, Tally};
use e2e::{Gateway, Peer, Reserved, Script, SmallDisk, Start, foreign, mail, skip, until};

use crate::{CORP, HOP, IMPATIENT, LISTED};

/// Four segments of the log and something beside them.
const MEBIBYTES: usize = 320;
/// How soon mail must be taken again after there is room (figure 5).
const BACK: Duration = Duration::from_secs(5);

fn relaying(hop: &str) -> String {
    format!(
        "{CORP}[virtual_server.inbound]\nlisten = [\"127.0.0.2:0\"]\n\
         relay = {{ mode = \"only\", list = [\"{LISTED}\"] }}\n\
         delivery = {{ smart_hosts = [\"{hop}\"] }}\n{IMPATIENT}\nreserve = \"16 MiB\"\n"
    )
}

/// Accepts some mail for outside; nobody is there to take it yet.
fn accept_some(gateway: &Gateway) -> Vec<Promise> {
    let mix = Mix { recipients: vec![vec!["bob@ext.example"]], ..Mix::default() };
    let load = Load::start(gateway.address("inbound"), 2, mix);
    until("promises", || (load.promised() >= 30).then_some(()));
    load.stop()
}

/// Waits until MAIL is answered with 452 4.3.1.
fn wait_until_put_off(gateway: &Gateway) {
    let mut last = String::new();
    until("452 4.3.1 before any content", || {
        let mut client = gateway.client("inbound", LISTED);
        client.line("MAIL FROM:<x@ext.example>");
        last = client.reply().last().to_owned();
        last.starts_with("452 4.3.1").then_some(())
    });
}

/// How long it takes until a message is taken again.
fn time_until_taken(gateway: &Gateway) -> (Duration, Vec<Promise>) {
    let start = Instant::now();
    let promised = accept_some(gateway);
    (start.elapsed(), promised)
}

#[test]
fn a_full_disk_puts_mail_off_and_drains() {
    let disk = match SmallDisk::of(MEBIBYTES) {
        Ok(disk) => disk,
        Err(why) => return skip(&why),
    };
    let reserved = Reserved::on(HOP);
    let gateway = Start::with(&relaying(&reserved.route())).state_in(&disk.path()).go();
    let mut promised = accept_some(&gateway);
    disk.fill();
    wait_until_put_off(&gateway);
    let hop = reserved.open(Script::polite());
    gateway.wait_until_empty();
    wait_until_put_off(&gateway);
    let drained = hop.count();
    disk.make_room();
    let (back, later) = time_until_taken(&gateway);
    promised.extend(later);
    gateway.wait_until_empty();
    println!("a full {}: {drained} drained, back after {} ms", disk.kind(), back.as_millis());
    let tally = Tally::of(&promised, &hop, &[]);
    tally.assert_whole();
    assert_eq!(tally.duplicates.len(), 0);
    assert!(back <= BACK, "{back:?}");
}

#[test]
fn a_start_on_a_full_disk_delivers_what_is_there() {
    let disk = match SmallDisk::of(MEBIBYTES) {
        Ok(disk) => disk,
        Err(why) => return skip(&why),
    };
    let reserved = Reserved::on(HOP);
    let mut gateway = Start::with(&relaying(&reserved.route())).state_in(&disk.path()).go();
    let mut promised = accept_some(&gateway);
    gateway.kill();
    std::fs::remove_file(gateway.state().join("listeners")).unwrap();
    // Nothing is left, not even the block that this name had.
    disk.fill();
    gateway.restart();
    wait_until_put_off(&gateway);
    let hop = reserved.open(Script::polite());
    gateway.wait_until_empty();
    // Once more, now that nothing is left: what is finished stays finished.
    gateway.kill();
    gateway.restart();
    wait_until_put_off(&gateway);
    let drained = hop.count();
    disk.make_room();
    let (back, later) = time_until_taken(&gateway);
    promised.extend(later);
    gateway.wait_until_empty();
    println!("a start on a full {}: {drained} drained, back after {} ms", disk.kind(), back.as_millis());
    let tally = Tally::of(&promised, &hop, &[]);
    tally.assert_whole();
    assert!(back <= BACK, "{back:?}");
}

#[test]
fn a_full_drop_directory_waits_for_room_and_no_longer() {
    let disk = match SmallDisk::of(MEBIBYTES) {
        Ok(disk) => disk,
        Err(why) => return skip(&why),
    };
    // The usual retry intervals: a destination that is at fault rests for a quarter of an hour.
    let settings = relaying("[127.0.0.9]:9").replace(IMPATIENT, "[queue]\n");
    let gateway = Start::with(&settings).state_in(&disk.path()).go();
    let (message, token) = mail::message("no room yet");
    let mut client = gateway.client("inbound", LISTED);
    client.ask("MAIL FROM:<x@ext.example>", "250");
    client.ask("RCPT TO:<alice@corp.example>", "250");
    client.ask("DATA", "354");
    // The segment that is being written has its room already; the directory has none.
    disk.fill();
    client.send(&mail::stuffed(&message));
    client.expect("250");
    until("an attempt", || gateway.log().contains("hop-postponed").then_some(()));
    disk.make_room();
    let start = Instant::now();
    let _ = gateway.dropped_with(&token);
    println!("a full drop directory: delivered {} ms after there was room", start.elapsed().as_millis());
    assert!(start.elapsed() <= BACK, "{:?}", start.elapsed());
}

#[test]
fn a_file_that_may_not_grow_costs_its_message_only() {
    if !foreign::installed("prlimit") {
        return skip("prlimit is not installed");
    }
    let hop = Peer::start(HOP, Script::polite());
    // Enough for a segment of the log, not for the file of a very large body.
    let settings =
        relaying(&hop.route()).replace("delivery = {", "limits = { message_size = \"200 MiB\" }\ndelivery = {");
    let mut gateway = Start::with(&settings).under(&["prlimit", "--fsize=68157440"]).go();
    let mut client = gateway.client("inbound", LISTED);
    client.ask("MAIL FROM:<x@ext.example>", "250");
    client.ask("RCPT TO:<bob@ext.example>", "250");
    client.ask("DATA", "354");
    let mebibyte = format!("{}\r\n", "x".repeat(126)).repeat(1 << 13);
    client.send(b"Subject: large\r\n\r\n");
    (0..66).for_each(|_| client.send(mebibyte.as_bytes()));
    client.send(b".\r\n");
    client.expect("452 4.3.1");
    let promised = accept_some(&gateway);
    gateway.wait_until_empty();
    Tally::of(&promised, &hop, &[]).assert_whole();
    assert!(gateway.process().ended().is_none(), "it lives");
}

#[test]
fn a_full_log_stops_nothing() {
    // Standard output and standard error on a disk that is full: every write to them fails.
    let hop = Peer::start(HOP, Script::polite());
    let shell = ["sh", "-c", "exec \"$@\" > /dev/full 2>&1", "sh"];
    let mut gateway = Start::with(&relaying(&hop.route())).under(&shell).go();
    let promised = accept_some(&gateway);
    gateway.wait_until_empty();
    Tally::of(&promised, &hop, &[]).assert_whole();
    assert_eq!(gateway.stop(Duration::from_secs(15)), 0);
}
