//! What the gate costs a message: `cargo run --release -p invariant --example gate_speed`. At most 1 µs is promised.
#![expect(clippy::disallowed_methods, reason = "an example that measures")]

use invariant::{Client, Gate, Invariant, Known, Mail, Never, Prefix, Who};
use std::hint::black_box;
use std::time::Instant;

const ROUNDS: u32 = 200_000;

fn main() {
    let prefixes: Vec<Prefix> = (0..200).map(|n| format!("10.{n}.0.0/16").parse().expect("a prefix")).collect();
    let base = Invariant {
        name: "x".into(),
        line: 1,
        never: Never::Relay,
        who: Who::Anonymous,
        at: None,
        from: Vec::new(),
        except_from: prefixes,
        except_to: vec!["*.partner.example".parse().expect("a domain")],
        waived_at: Vec::new(),
    };
    let invariants = [
        base.clone(),
        Invariant { never: Never::AuthInClear, who: Who::Anybody, ..base.clone() },
        Invariant { never: Never::Submit, who: Who::Group("guests".into()), ..base.clone() },
        Invariant {
            never: Never::Connect,
            who: Who::Anybody,
            from: vec!["198.51.100.0/24".parse().expect("a prefix")],
            ..base
        },
    ];
    let inside: Vec<String> = (0..100).map(|n| format!("corp{n}.example")).collect();
    let gate = Gate::new("inbound", inside.iter().map(String::as_str), &invariants);
    let address = "192.0.2.66".parse().expect("an address");
    let mail = Mail { client: Client::Anonymous, address, known: Known::NotByAuth };
    for recipients in [1, 10, 100] {
        let to = vec![Some("corp57.example"); recipients];
        let began = Instant::now();
        for _ in 0..ROUNDS {
            assert!(gate.stops(black_box(&mail), &black_box(&to).iter().copied()).is_none());
        }
        let each = began.elapsed() / ROUNDS;
        println!(
            "{} invariants, 200 networks, {recipients} recipients: {} ns a message",
            invariants.len(),
            each.as_nanos()
        );
    }
}
