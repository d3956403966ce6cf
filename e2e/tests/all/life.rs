//! Starting, reloading, stopping: what an operator and a service manager rely on.

use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use e2e::load::{Load, Mix, Tally};
use e2e::{Act, At, Client, Gateway, Peer, Reserved, Script, mail, until};

use crate::{CORP, HOP, LISTED, OTHER, inbound, published};

#[test]
fn sigterm_lets_an_open_transaction_end_and_admits_nobody() {
    let mut gateway = Gateway::start(&inbound(""));
    let address = gateway.address("inbound");
    let (message, token) = mail::message("just in time");
    let mut client = gateway.client("inbound", OTHER);
    client.ask("MAIL FROM:<x@ext.example>", "250");
    client.ask("RCPT TO:<alice@corp.example>", "250");
    client.ask("DATA", "354");
    gateway.signal("TERM");
    until("the listener to close", || Client::try_connect(address, OTHER).is_err().then_some(()));
    client.send(&mail::stuffed(&message));
    client.expect("250");
    let status = gateway.process().wait_within(Duration::from_secs(15));
    assert_eq!(status.code(), Some(0), "{}", gateway.log());
    gateway.restart();
    let _ = gateway.dropped_with(&token);
    gateway.wait_until_empty();
    assert_eq!(gateway.dropped().len(), 1);
}

#[test]
fn sigterm_tells_idle_clients_and_waits_for_nobody_longer_than_promised() {
    let mut gateway = Gateway::start(&inbound(""));
    let mut idle = gateway.client("inbound", OTHER);
    let mut stalled = gateway.client("inbound", LISTED);
    stalled.ask("MAIL FROM:<x@ext.example>", "250");
    stalled.ask("RCPT TO:<alice@corp.example>", "250");
    stalled.ask("DATA", "354");
    let start = Instant::now();
    assert_eq!(gateway.stop(Duration::from_secs(15)), 0, "{}", gateway.log());
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
    idle.expect("421");
    idle.expect_closed();
}

#[test]
fn sigterm_under_load_loses_nothing_and_repeats_nothing() {
    let slow = Act::Late(Duration::from_millis(30));
    let hop = Peer::start(HOP, Script::polite().always(At::Dot, slow.clone()).always(At::Mail, slow));
    let mut gateway = Gateway::start(&format!(
        "{CORP}[virtual_server.inbound]\nlisten = [\"127.0.0.2:0\"]\n\
         relay = {{ mode = \"only\", list = [\"{LISTED}\"] }}\n\
         delivery = {{ smart_hosts = [\"{}\"] }}\n",
        hop.route()
    ));
    let (mut promised, mut stops) = (Vec::new(), Vec::new());
    for _ in 0..if e2e::long() { 20 } else { 3 } {
        let address = gateway.address("inbound");
        let load = Load::start(address, 8, Mix::default());
        until("promises", || (load.promised() >= 30).then_some(()));
        let start = Instant::now();
        gateway.signal("TERM");
        until("the listener to close", || Client::try_connect(address, LISTED).is_err().then_some(()));
        let closed = start.elapsed();
        let status = gateway.process().wait_within(Duration::from_secs(15));
        stops.push((closed, start.elapsed()));
        assert_eq!(status.code(), Some(0), "{}", gateway.log());
        promised.extend(load.stop());
        gateway.restart();
    }
    gateway.wait_until_empty();
    let tally = Tally::of(&promised, &hop, &gateway.dropped());
    let twice = tally.duplicates.len();
    println!("{} accepted, {} delivered, {twice} duplicates; stopped within {stops:?}", tally.promised, tally.arrived);
    tally.assert_whole();
    assert_eq!(twice, 0, "what was under way had its ten seconds");
    // Nobody was slow, so nobody needed them.
    assert!(stops.iter().all(|(_, ended)| *ended < Duration::from_secs(9)), "{stops:?}");
}

#[test]
fn sigterm_while_a_delivery_hangs_keeps_the_message() {
    let hop = Peer::start(HOP, Script::polite().first(1, At::Mail, Act::Stall));
    let mut gateway = Gateway::start(&published(&hop.route(), &hop.route()));
    let (message, token) = mail::message("hanging");
    gateway.client("inet", OTHER).deliver("x@ext.example", "alice@corp.example", &message);
    hop.wait_for_command("MAIL");
    assert_eq!(gateway.stop(Duration::from_secs(15)), 0);
    assert_eq!(hop.count(), 0);
    gateway.restart();
    let _ = hop.received_with(&token);
    gateway.wait_until_empty();
    assert_eq!(hop.count(), 1);
}

#[test]
fn sighup_with_bad_settings_changes_nothing() {
    let gateway = Gateway::start(&inbound(""));
    let (before, lines) = (gateway.address("inbound"), gateway.log().lines().count());
    gateway.rewrite("[virtual_server.inbound]\nlisten = [\"127.0.0.2:0\"]\nno_such_key = 1\n");
    gateway.signal("HUP");
    until("a word about the new settings", || {
        let log = gateway.log();
        log.lines().skip(lines).any(|line| line.contains("no_such_key")).then_some(())
    });
    assert_eq!(gateway.address("inbound"), before);
    gateway.client("inbound", OTHER).deliver("x@ext.example", "alice@corp.example", "Subject: x\r\n\r\nx\r\n");
}

#[test]
fn sighup_adds_a_virtual_server() {
    let gateway = Gateway::start(&inbound(""));
    let mut session = gateway.client("inbound", OTHER);
    gateway.rewrite(&format!("{}\n[virtual_server.second]\nlisten = [\"127.0.0.3:0\"]\n", inbound("")));
    gateway.signal("HUP");
    until("the second virtual server", || gateway.listeners().iter().any(|(name, _)| name == "second").then_some(()));
    gateway.client("second", OTHER).quit();
    session.ask("NOOP", "250");
}

#[test]
fn bad_settings_never_start_half() {
    let taken = Peer::start("127.0.0.3", Script::polite());
    // An address of its own: no other test may take the port when it is free again.
    let free = Reserved::on("127.0.0.203");
    let address = free.address();
    drop(free);
    let settings = format!(
        "{CORP}[virtual_server.a]\nlisten = [\"{address}\"]\n[virtual_server.b]\nlisten = [\"{}\"]\n",
        taken.address()
    );
    let refused = Gateway::try_start(&settings, &[]).expect_err("one address is taken");
    assert_ne!(refused.code, 0);
    assert!(refused.output.contains(&taken.address().to_string()), "{}", refused.output);
    assert!(Client::try_connect(address, OTHER).is_err(), "the other virtual server must not listen");
}

#[test]
fn cut_off_settings_are_refused_at_every_byte_or_mean_less() {
    // "Never open by default": whatever part of the file is left, a stranger cannot relay.
    let whole = inbound("[virtual_server.inbound.relay]\nmode = \"only\"\nlist = [\"127.0.0.5\"]\n");
    let step = if e2e::long() { 1 } else { 17 };
    for end in (0..whole.len()).step_by(step) {
        let Ok(gateway) = Gateway::try_start(&whole[..end], &[]) else { continue };
        let mut client = gateway.client("inbound", OTHER);
        client.ask("MAIL FROM:<x@ext.example>", "250");
        client.ask("RCPT TO:<bob@ext.example>", "550 5.7.1");
    }
}

#[test]
fn a_certificate_that_cannot_be_read_is_said_at_start() {
    let tls = "[virtual_server.inbound.tls]\ncertificates = [{ certificate = \"/nonexistent/c.pem\", key = \"/nonexistent/k.pem\" }]\n";
    let refused = Gateway::try_start(&inbound(tls), &[]).expect_err("there is no certificate");
    assert!(refused.output.contains("/nonexistent/c.pem"), "{}", refused.output);
}

#[test]
fn systemd_is_told_when_we_are_ready_and_when_we_stop() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(e2e::PATIENCE)).unwrap();
    let mut gateway = Gateway::start_with(&inbound(""), &[("NOTIFY_SOCKET", &path.display().to_string())]);
    let hear = |word: &str| {
        let mut datagram = [0; 4096];
        loop {
            let count = socket.recv(&mut datagram).unwrap_or_else(|error| panic!("no {word}: {error}"));
            if String::from_utf8_lossy(&datagram[..count]).lines().any(|line| line == word) {
                return;
            }
        }
    };
    hear("READY=1");
    gateway.client("inbound", OTHER).quit();
    gateway.signal("HUP");
    hear("RELOADING=1");
    hear("READY=1");
    gateway.signal("TERM");
    hear("STOPPING=1");
    assert_eq!(gateway.process().wait_within(Duration::from_secs(15)).code(), Some(0));
}

#[test]
fn two_cannot_share_a_state_directory() {
    let first = Gateway::start(&inbound(""));
    let settings = inbound("");
    let own = first.state().display().to_string();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("second.toml");
    std::fs::write(&file, format!("hostname = \"mx2.bridgehead.test\"\nstate_dir = {own:?}\n{settings}")).unwrap();
    let second = e2e::command(&["serve", "--config", &file.display().to_string()]);
    assert_ne!(second.code, 0, "{}", second.text());
    assert!(second.text().contains(&own), "{}", second.text());
    first.client("inbound", OTHER).quit();
}
