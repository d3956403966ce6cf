//! The page that is written of the figures: docs/performance.md down to the marker.

use std::fmt::Write as _;

use super::catalogue::{self, Client, Part, Shape, Target, Work};
use super::figures::{self as figure, Cell, Hop, Name};
use super::machine::Facts;
use super::server::Server;

/// What stands behind it is written by people, and kept.
const MARKER: &str = "<!-- Above this line: written by `cargo xtask bench --write`. Below: by hand, and kept. -->";

const OURS: Server = Server::Bridgehead;
const THEIRS: Server = Server::Postfix;

/// The measured part of the page.
pub(super) fn measured(cells: &[Cell], facts: &Facts) -> String {
    let mut page = String::from(INTRODUCTION);
    page.push_str(&rates(cells, "Accepted, next hop up", ACCEPT_UP, |shape| shape.accept, (Hop::Up, figure::ACCEPT)));
    page.push_str(&rates(
        cells,
        "Accepted, next hop down",
        ACCEPT_DOWN,
        |shape| shape.accept,
        (Hop::Down, figure::ACCEPT),
    ));
    page.push_str(&rates(cells, "Relayed", RELAYED, |shape| shape.relay, (Hop::Up, figure::RELAY)));
    page.push_str(&company(cells));
    page.push_str(&costs(cells));
    for cell in cells {
        page.push_str(&match cell.work {
            Work::Load(_) => continue,
            Work::Steady => steady(cell),
            Work::Idle => idle(cell),
            Work::Queue => queue(cell),
        });
    }
    page.push_str(&circumstances(facts));
    page
}

/// The page: what was measured, and what people have written into the old one behind the marker. None
/// if the old one has no marker: then nobody knows what of it is theirs.
pub(super) fn with_hand_written(measured: &str, old: &str) -> Option<String> {
    let by_hand = if old.is_empty() { "\n" } else { old.split_once(MARKER)?.1 };
    Some(format!("{}\n\n{MARKER}{by_hand}", measured.trim_end()))
}

const INTRODUCTION: &str = "# Performance

Bridgehead against Debian's Postfix, turn by turn in one run, client and next hop on the same machine. Written by
`cargo xtask bench`; medians over all rounds. *Ceiling* is what client and next hop reach with no server between
them, and for 5 MiB what the disk takes. *To reach* is the goal: so many times Postfix, and that share of the
ceiling; *reached* answers for each of the two.
";

const ACCEPT_UP: &str = "Messages per second until the client has its last 250; deliveries run meanwhile.";
const ACCEPT_DOWN: &str = "The same while nothing can be delivered: every connection to the next hop is refused.";
const RELAYED: &str = "Messages per second until the next hop has the last one.";

/// A table of rates, if any was measured.
fn rates(cells: &[Cell], title: &str, about: &str, target: fn(&Shape) -> Target, (hop, name): (Hop, Name)) -> String {
    let mut rows = String::new();
    for cell in cells {
        let Work::Load(shape) = &cell.work else { continue };
        let ours = cell.median(OURS, hop, name);
        let theirs = cell.median(THEIRS, hop, name);
        if ours.is_none() && theirs.is_none() {
            continue;
        }
        let ceiling = cell.median(Server::Ceiling, Hop::Up, figure::ACCEPT);
        let (times, share) = (ratio(ours, theirs), ratio(ours, ceiling));
        let (to_reach, reached) = judged(target(shape), times, share);
        row(
            &mut rows,
            &[
                described(shape),
                shape.connections.to_string(),
                shape.size(),
                whole(ceiling),
                whole(ours),
                whole(theirs),
                tenth(times),
                percent(share),
                to_reach,
                reached,
            ],
        );
    }
    table(
        title,
        about,
        &["", "connections", "message", "ceiling", "Bridgehead", "Postfix", "×", "of ceiling", "to reach", "reached"],
        &rows,
    )
}

/// Servers that are measured in a few rows only, beside the two of all other tables.
fn company(cells: &[Cell]) -> String {
    const SERVERS: [Server; 4] = [OURS, THEIRS, Server::Exim, Server::OpenSmtpd];
    let mut rows = String::new();
    for cell in cells {
        let Work::Load(shape) = &cell.work else { continue };
        for (what, name) in [("accepted", figure::ACCEPT), ("relayed", figure::RELAY)] {
            let rates = SERVERS.map(|server| cell.median(server, Hop::Up, name));
            if shape.has_company() && rates[2..].iter().any(Option::is_some) {
                let said = [what.to_owned(), shape.connections.to_string(), shape.size()];
                row(&mut rows, &said.into_iter().chain(rates.map(whole)).collect::<Vec<_>>());
            }
        }
    }
    let names = SERVERS.map(Server::name);
    let columns: Vec<&str> = ["", "connections", "message"].into_iter().chain(names).collect();
    table("Other servers", COMPANY, &columns, &rows)
}

const COMPANY: &str =
    "Messages per second with the next hop up, many messages on each connection. Exim and OpenSMTPD run in trees
of their own under `target/peers`, their queues with them, with Debian's programs and the settings of the end-to-end
tests; fewer messages and at most 3 rounds.";

fn described(shape: &Shape) -> String {
    let plain = if shape.part == Part::Large { "large" } else { "many on each connection" };
    match (shape.client, shape.remark()) {
        (Client::Load, "") => plain.to_owned(),
        (_, remark) => remark.to_owned(),
    }
}

fn costs(cells: &[Cell]) -> String {
    let mut rows = String::new();
    for cell in cells {
        let Work::Load(shape) = &cell.work else { continue };
        let ours = |name| cell.median(OURS, Hop::Up, name);
        let theirs = |name| cell.median(THEIRS, Hop::Up, name);
        if ours(figure::PROCESSOR).is_none() {
            continue;
        }
        row(
            &mut rows,
            &[
                described(shape),
                shape.connections.to_string(),
                shape.size(),
                whole(ours(figure::PROCESSOR)),
                whole(theirs(figure::PROCESSOR)),
                tenth(ratio(theirs(figure::PROCESSOR), ours(figure::PROCESSOR))),
                whole(ours(figure::CLIENT)),
                tenth(ours(figure::SWITCHES)),
                tenth(ours(figure::PEAK)),
                tenth(theirs(figure::PEAK)),
            ],
        );
    }
    table(
        "What it costs",
        COSTS,
        &[
            "",
            "connections",
            "message",
            "Bridgehead µs",
            "Postfix µs",
            "×",
            "client µs",
            "switches",
            "Bridgehead MiB",
            "Postfix MiB",
        ],
        &rows,
    )
}

const COSTS: &str =
    "While relaying, for each message: processor time of all processes of the server, that of our client, and how often
a thread of Bridgehead waited (voluntary context switches). Memory is the peak of Bridgehead's resident set, and the
proportional set of all processes of Postfix (pages they share count once) at the end.";

fn steady(cell: &Cell) -> String {
    let mut rows = String::new();
    let figures = [
        ("MAIL to the last 250", [figure::MESSAGE_P50, figure::MESSAGE_P99, figure::MESSAGE_MAX]),
        ("content and dot to the last 250", [figure::CONTENT_P50, figure::CONTENT_P99, figure::CONTENT_MAX]),
    ];
    for (what, [p50, p99, max]) in figures {
        let ours = |name| cell.median(OURS, Hop::Up, name);
        let theirs = |name| cell.median(THEIRS, Hop::Up, name);
        let goal = p99 == figure::MESSAGE_P99;
        let reached = ours(p99).map(|p99| p99 <= catalogue::STEADY_P99_US);
        row(
            &mut rows,
            &[
                what.to_owned(),
                whole(ours(p50)),
                whole(ours(p99)),
                whole(ours(max)),
                whole(theirs(p50)),
                whole(theirs(p99)),
                whole(theirs(max)),
                if goal { "99 % ≤ 1000".to_owned() } else { String::new() },
                if goal { reached.map_or_else(missing, yes_or_no) } else { String::new() },
            ],
        );
    }
    let about = format!(
        "{} messages of 1 KiB each second over {} connections for {} s, next hop up; microseconds.",
        catalogue::STEADY_RATE,
        catalogue::STEADY_CONNECTIONS,
        catalogue::STEADY_SECONDS
    );
    table(
        "How long one message takes",
        &about,
        &["", "Bridgehead 50 %", "99 %", "longest", "Postfix 50 %", "99 %", "longest", "to reach", "reached"],
        &rows,
    )
}

fn idle(cell: &Cell) -> String {
    let mut rows = String::new();
    for server in [OURS, THEIRS] {
        let (each, greeting) =
            (cell.median(server, Hop::Up, figure::EACH), cell.most(server, Hop::Up, figure::GREETING));
        let goal = server == OURS;
        let reached = each.zip(greeting).map(|(each, greeting)| {
            let held = each <= catalogue::IDLE_EACH_OCTETS;
            format!("{}, {}", yes_or_no(held), yes_or_no(greeting <= catalogue::IDLE_GREETING_MS))
        });
        row(
            &mut rows,
            &[
                server.name().to_owned(),
                whole(cell.median(server, Hop::Up, figure::CONNECTIONS)),
                tenth(each.map(|octets| octets / 1024.0)),
                tenth(greeting),
                if goal { "≤ 8 KiB, ≤ 50 ms".to_owned() } else { String::new() },
                if goal { reached.unwrap_or_else(missing) } else { String::new() },
            ],
        );
    }
    table("Connections that say nothing", IDLE, &["", "held", "KiB each", "greeting ms", "to reach", "reached"], &rows)
}

const IDLE: &str = "Memory that each takes after EHLO, and how long the slowest of 20 new connections waits for its
greeting meanwhile. Postfix has a process for each connection and is asked to hold fewer.";

fn queue(cell: &Cell) -> String {
    let mut rows = String::new();
    let ours = |name| cell.median(OURS, Hop::Down, name);
    let theirs = |name| cell.median(THEIRS, Hop::Down, name);
    let flight = f64::from(catalogue::QUEUE_CONNECTIONS * catalogue::QUEUE_OCTETS) / f64::from(1 << 20);
    let most = catalogue::QUEUE_MIB;
    let lines: [(&str, Name, String, Option<bool>); 6] = [
        ("messages queued", figure::MESSAGES, String::new(), None),
        ("memory then, MiB", figure::RESIDENT, format!("≤ {most:.0}"), ours(figure::RESIDENT).map(|have| have <= most)),
        (
            "killed and started again: greets after ms",
            figure::RESTART,
            "≤ 1000".to_owned(),
            ours(figure::RESTART).map(|have| have <= catalogue::QUEUE_RESTART_MS),
        ),
        (
            "memory after that, MiB",
            figure::RESTARTED,
            format!("≤ {most:.0}"),
            ours(figure::RESTARTED).map(|have| have <= most),
        ),
        (
            "next hop comes back: messages/s",
            figure::RELAY,
            format!("{:.0}×", catalogue::QUEUE_TIMES),
            ratio(ours(figure::RELAY), theirs(figure::RELAY)).map(|have| have >= catalogue::QUEUE_TIMES),
        ),
        (
            "most memory meanwhile, MiB",
            figure::PEAK,
            format!("≤ {most:.0} and bodies in flight"),
            ours(figure::PEAK).map(|have| have <= most + flight),
        ),
    ];
    for (what, name, to_reach, reached) in lines {
        let reached = if to_reach.is_empty() { String::new() } else { reached.map_or_else(missing, yes_or_no) };
        row(
            &mut rows,
            &[
                what.to_owned(),
                whole(ours(name)),
                whole(theirs(name)),
                tenth(ratio(ours(name), theirs(name)).filter(|_| name == figure::RELAY)),
                to_reach,
                reached,
            ],
        );
    }
    table("A long queue", QUEUE, &["", "Bridgehead", "Postfix", "×", "to reach", "reached"], &rows)
}

const QUEUE: &str = "Messages of 1 KiB accepted while the next hop is down, `kill -9`, a start, the next hop comes
back and everything is retried. Postfix gets fewer messages: it would take minutes for as many.";

fn circumstances(facts: &Facts) -> String {
    format!(
        "\n## How it was measured\n\n\
         - Medians of {} rounds (at most 3 of smtp-source, idle connections and the long queue); the servers take turns\n  \
         within each round, each turn with a fresh server and an empty queue, after one message on each connection to\n  \
         warm up. The clock starts when all connections are open, except where each message has its own.\n\
         - Both are durable: 250 means on disk. Both queues on the same file system, {}, which takes {:.0} MiB/s of\n  \
         one file, written and flushed.\n\
         - Both have their shipped settings, except that Postfix runs outside its chroot and logs to a file, and each is\n  \
         told its next hop and that the client may relay. From 100 connections on, limits that would refuse the client\n  \
         are raised: sessions and sessions from one address of Bridgehead, and, above 100, the processes of Postfix.\n\
         - Client and next hop are `load` of this repository (one thread, prepared octets, MAIL, RCPT and DATA in one\n  \
         write, every reply read), the same for both servers, or smtp-source and smtp-sink where the row says so.\n  \
         With STARTTLS every handshake is a full one: TLS 1.3, X25519, a P-256 certificate.\n\
         - Machine: {}, {} processors, Linux {}\n\
         - Bridgehead {}; Postfix {}; Rust {}\n\
         - Command: `{}`, {}\n",
        facts.rounds,
        facts.file_system,
        facts.disk_mib_per_s,
        facts.processor,
        facts.processors,
        facts.kernel,
        facts.bridgehead,
        facts.postfix,
        facts.rust,
        facts.command,
        facts.date,
    )
}

fn table(title: &str, about: &str, columns: &[&str], rows: &str) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let mut text = format!("\n## {title}\n\n{about}\n\n");
    row(&mut text, &columns.iter().map(|&column| column.to_owned()).collect::<Vec<_>>());
    text.push_str(&format!("|---{}|\n", "|--:".repeat(columns.len() - 1)));
    text.push_str(rows);
    text
}

fn row(table: &mut String, cells: &[String]) {
    let _ = writeln!(table, "| {} |", cells.join(" | "));
}

/// The goal in words, and whether each half of it was reached.
fn judged(target: Target, times: Option<f64>, share: Option<f64>) -> (String, String) {
    let mut goals = Vec::new();
    let mut reached = Vec::new();
    let halves = [(target.times, times, 1.0, "×"), (target.share, share, 100.0, " %")];
    for (goal, have, factor, unit) in halves {
        let Some(goal) = goal else { continue };
        goals.push(format!("{:.0}{unit}", goal * factor));
        reached.push(have.map_or_else(missing, |have| yes_or_no(have >= goal)));
    }
    (goals.join(", "), reached.join(", "))
}

fn yes_or_no(reached: bool) -> String {
    if reached { "yes" } else { "**no**" }.to_owned()
}

fn ratio(of: Option<f64>, to: Option<f64>) -> Option<f64> {
    Some(of? / to?).filter(|ratio| ratio.is_finite())
}

fn missing() -> String {
    "–".to_owned()
}

fn whole(figure: Option<f64>) -> String {
    figure.map_or_else(missing, |figure| format!("{figure:.0}"))
}

fn tenth(figure: Option<f64>) -> String {
    figure.map_or_else(missing, |figure| format!("{figure:.1}"))
}

fn percent(share: Option<f64>) -> String {
    share.map_or_else(missing, |share| format!("{:.0} %", share * 100.0))
}

#[cfg(test)]
mod tests {
    use super::super::figures::{Figures, Turn};
    use super::*;

    fn cell(figures: &[(Server, f64)]) -> Cell {
        let work = catalogue::work(false).into_iter().nth(2).unwrap();
        let turn = |&(server, rate): &(Server, f64)| Turn {
            server,
            hop: Hop::Up,
            round: 1,
            figures: Figures::default().with(figure::RELAY, rate).with(figure::ACCEPT, rate),
        };
        Cell { work, turns: figures.iter().map(turn).collect(), failures: Vec::new() }
    }

    fn relayed(cells: &[Cell]) -> String {
        rates(cells, "Relayed", RELAYED, |shape| shape.relay, (Hop::Up, figure::RELAY))
    }

    #[test]
    fn a_row_tells_what_was_reached() {
        let cells = [cell(&[(Server::Ceiling, 40_000.0), (OURS, 20_000.0), (THEIRS, 1_000.0)])];
        let table = relayed(&cells);
        let row = table.lines().last().unwrap();
        let expected =
            "| many on each connection | 10 | 1 KiB | 40000 | 20000 | 1000 | 20.0 | 50 % | 25×, 35 % | **no**, yes |";
        assert_eq!(row, expected);
        let columns: Vec<usize> =
            table.lines().filter(|line| line.starts_with('|')).map(|line| line.matches('|').count()).collect();
        assert_eq!(columns, [11, 11, 11]);
    }

    #[test]
    fn what_was_not_measured_is_a_dash_and_no_table_at_all() {
        let cells = [cell(&[(OURS, 20_000.0)])];
        assert!(relayed(&cells).ends_with("| – | 20000 | – | – | – | 25×, 35 % | –, – |\n"));
        assert_eq!(relayed(&[cell(&[])]), "");
        assert_eq!(relayed(&[]), "");
    }

    #[test]
    fn servers_beside_have_a_table_of_their_own() {
        let measured = cell(&[(OURS, 20_000.0), (THEIRS, 1_000.0), (Server::Exim, 200.0)]);
        assert!(company(&[measured]).ends_with("| relayed | 10 | 1 KiB | 20000 | 1000 | 200 | – |\n"));
        assert_eq!(company(&[cell(&[(OURS, 20_000.0), (THEIRS, 1_000.0)])]), "", "nobody else was there");
    }

    #[test]
    fn the_hand_written_part_survives() {
        assert_eq!(with_hand_written("# Performance\n", "## Profile\n\nby hand\n"), None);
        let first = with_hand_written("# Performance\n\nfigures\n", "").unwrap();
        assert_eq!(first, format!("# Performance\n\nfigures\n\n{MARKER}\n"));
        let edited = format!("{first}\n## Profile\n\nby hand\n");
        let second = with_hand_written("# Performance\n\nnew figures\n", &edited).unwrap();
        assert_eq!(second, format!("# Performance\n\nnew figures\n\n{MARKER}\n\n## Profile\n\nby hand\n"));
        assert_eq!(with_hand_written("# Performance\n\nnew figures\n", &second), Some(second));
    }
}
