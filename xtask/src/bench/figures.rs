//! What turns yield, and the medians of it.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::Result;
use serde_json::{Value, json};

use super::catalogue::Work;
use super::machine::Facts;
use super::server::Server;

/// Whether there is somewhere to deliver to meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hop {
    Up,
    /// Every connection to it is refused.
    Down,
}

/// A name for every figure; the unit is its last word.
pub(super) type Name = &'static str;

pub(super) const ACCEPT: Name = "accept_per_s";
pub(super) const RELAY: Name = "relay_per_s";
pub(super) const PROCESSOR: Name = "processor_us";
pub(super) const CLIENT: Name = "client_us";
pub(super) const SWITCHES: Name = "voluntary_switches";
pub(super) const PEAK: Name = "peak_mib";
pub(super) const MESSAGE_P50: Name = "message_p50_us";
pub(super) const MESSAGE_P99: Name = "message_p99_us";
pub(super) const MESSAGE_MAX: Name = "message_max_us";
pub(super) const CONTENT_P50: Name = "content_p50_us";
pub(super) const CONTENT_P99: Name = "content_p99_us";
pub(super) const CONTENT_MAX: Name = "content_max_us";
pub(super) const LATE: Name = "late_messages";
pub(super) const CONNECTIONS: Name = "connections_held";
pub(super) const EACH: Name = "resident_each_octets";
pub(super) const GREETING: Name = "greeting_max_ms";
pub(super) const MESSAGES: Name = "messages";
pub(super) const RESIDENT: Name = "resident_mib";
pub(super) const RESTART: Name = "restart_ms";
pub(super) const RESTARTED: Name = "resident_restarted_mib";

/// The figures of one turn.
#[derive(Default)]
pub(super) struct Figures(BTreeMap<Name, f64>);

/// One turn of one server.
pub(super) struct Turn {
    pub(super) server: Server,
    pub(super) hop: Hop,
    pub(super) round: usize,
    pub(super) figures: Figures,
}

/// A piece of work and all turns of it.
pub(super) struct Cell {
    pub(super) work: Work,
    pub(super) turns: Vec<Turn>,
    pub(super) failures: Vec<String>,
}

impl Hop {
    pub(super) fn remark(self) -> &'static str {
        match self {
            Self::Up => "",
            Self::Down => ", next hop down",
        }
    }
}

impl Figures {
    pub(super) fn with(mut self, name: Name, value: f64) -> Self {
        self.0.insert(name, value);
        self
    }

    pub(super) fn extend(mut self, others: Self) -> Self {
        self.0.extend(others.0);
        self
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (name, value) in &self.0 {
            write!(formatter, "{separator}{name} {value:.1}")?;
            separator = ", ";
        }
        Ok(())
    }
}

impl Cell {
    /// The median over the rounds, if there is any such figure.
    pub(super) fn median(&self, server: Server, hop: Hop, name: Name) -> Option<f64> {
        let turns = self.turns.iter().filter(|turn| turn.server == server && turn.hop == hop);
        median(turns.filter_map(|turn| turn.figures.0.get(name).copied()).collect())
    }

    /// The worst of all rounds.
    pub(super) fn most(&self, server: Server, hop: Hop, name: Name) -> Option<f64> {
        let turns = self.turns.iter().filter(|turn| turn.server == server && turn.hop == hop);
        turns.filter_map(|turn| turn.figures.0.get(name).copied()).max_by(f64::total_cmp)
    }
}

/// The middle one, or the mean of the two in the middle.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    Some(if values.len() % 2 == 1 { upper } else { f64::midpoint(values[middle - 1], upper) })
}

/// Every figure of every turn.
pub(super) fn json(cells: &[Cell], facts: &Facts) -> Result<String> {
    let cells: Vec<Value> = cells.iter().map(cell_json).collect();
    Ok(serde_json::to_string_pretty(&json!({ "facts": facts, "cells": cells }))?)
}

fn cell_json(cell: &Cell) -> Value {
    let turns = cell.turns.iter().map(|turn| {
        json!({
            "server": turn.server.name(), "next_hop_up": turn.hop == Hop::Up, "round": turn.round,
            "figures": turn.figures.0,
        })
    });
    json!({ "work": cell.work.name(), "turns": turns.collect::<Vec<_>>(), "failures": cell.failures })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0]), Some(3.0));
        assert_eq!(median(vec![9.0, 1.0, 5.0]), Some(5.0));
        assert_eq!(median(vec![9.0, 1.0, 5.0, 4.0]), Some(4.5));
    }

    #[test]
    fn a_cell_tells_servers_and_next_hops_apart() {
        let turn = |server, hop, value| Turn { server, hop, round: 1, figures: Figures::default().with(ACCEPT, value) };
        let turns = vec![
            turn(Server::Bridgehead, Hop::Up, 1.0),
            turn(Server::Bridgehead, Hop::Down, 2.0),
            turn(Server::Postfix, Hop::Up, 3.0),
            turn(Server::Bridgehead, Hop::Up, 5.0),
        ];
        let cell = Cell { work: Work::Idle, turns, failures: Vec::new() };
        assert_eq!(cell.median(Server::Bridgehead, Hop::Up, ACCEPT), Some(3.0));
        assert_eq!(cell.most(Server::Bridgehead, Hop::Up, ACCEPT), Some(5.0));
        assert_eq!(cell.median(Server::Postfix, Hop::Down, ACCEPT), None);
        assert_eq!(cell.median(Server::Postfix, Hop::Up, RELAY), None);
    }
}
