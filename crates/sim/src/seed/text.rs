//! Plans as text: what a failing seed is kept as, and what a person reads of it.

use super::plan::{Act, Crash, DiskTrouble, Ending, Event, Law, Letter, LineTrouble, Manner, Notify, Plan, Session};
use queue::disk::memory::Call;
use std::fmt;
use std::io;
use std::str::{FromStr, SplitWhitespace};

/// The kinds of call by their words.
const CALLS: [(&str, Option<Call>); 7] = [
    ("any", None),
    ("create", Some(Call::Create)),
    ("remove", Some(Call::Remove)),
    ("rename", Some(Call::Rename)),
    ("sync-directory", Some(Call::SyncDirectory)),
    ("write", Some(Call::Write)),
    ("sync", Some(Call::Sync)),
];
const LOOK: (&str, Call) = ("look", Call::Look);

/// The errors by their words.
const ERRORS: [(&str, io::ErrorKind); 3] = [
    ("failed", io::ErrorKind::Other),
    ("full", io::ErrorKind::StorageFull),
    ("denied", io::ErrorKind::PermissionDenied),
];

const LAWS: [(&str, Law); 3] = [("plain", Law::Plain), ("narrow", Law::Narrow), ("directory", Law::Directory)];

fn word<T: PartialEq>(of: &[(&'static str, T)], wanted: &T) -> &'static str {
    of.iter().find(|(_, value)| value == wanted).map_or("?", |(word, _)| word)
}

fn value<T: Copy>(of: &[(&'static str, T)], wanted: &str) -> Result<T, String> {
    of.iter().find(|(word, _)| *word == wanted).map(|(_, value)| *value).ok_or_else(|| format!("what is {wanted:?}?"))
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}", self.seed)?;
        writeln!(f, "law {}", word(&LAWS, &self.law))?;
        self.events.iter().try_for_each(|event| writeln!(f, "{} {}", event.at_ms, event.act))
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Act::Session(session) => session.fmt(f),
            Act::Peer(at, mood) => write!(f, "peer {at} {mood}"),
            Act::Line(far, LineTrouble::Delay(ms)) => write!(f, "line {far} delay {ms}"),
            Act::Line(far, LineTrouble::Cut) => write!(f, "line {far} cut"),
            Act::Line(far, LineTrouble::Silent) => write!(f, "line {far} silent"),
            Act::Line(far, LineTrouble::Clear) => write!(f, "line {far} clear"),
            Act::Disk(DiskTrouble::Fails { call, n, on, kind }) => {
                let call = if *call == Some(LOOK.1) { LOOK.0 } else { word(&CALLS, call) };
                write!(f, "disk fails {call} {n} {} {}", if *on { "on" } else { "once" }, word(&ERRORS, kind))
            }
            Act::Disk(DiskTrouble::Full(octets)) => write!(f, "disk full {octets}"),
            Act::Disk(DiskTrouble::Heals) => f.write_str("disk heals"),
            Act::Disk(DiskTrouble::Lies) => f.write_str("disk lies"),
            Act::Name(line) => write!(f, "name {line}"),
            Act::Clock(ms) => write!(f, "clock {ms}"),
            Act::Log { deaf } => write!(f, "log {}", if *deaf { "deaf" } else { "hears" }),
            Act::Stillborn(count) => write!(f, "stillborn {count}"),
            Act::Directories { missing } => write!(f, "directories {}", if *missing { "missing" } else { "there" }),
            Act::Queue(command) => write!(f, "queue {command}"),
            Act::Reload(None) => f.write_str("reload broken"),
            Act::Reload(Some(law)) => write!(f, "reload {}", word(&LAWS, law)),
            Act::Count => f.write_str("count"),
            Act::Stop { down_ms } => write!(f, "stop {down_ms}"),
            Act::Crash(Crash { after, cut, down_ms, again }) => {
                match cut {
                    Some(cut) => write!(f, "crash power {cut}")?,
                    None => f.write_str("crash program 0")?,
                }
                write!(f, " after {after} down {down_ms}")?;
                again.iter().try_for_each(|steps| write!(f, " again {steps}"))
            }
        }
    }
}

impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Manner { helo, tls, password, pipelined, chunk, slow_ms, ends, deaf } = &self.manner;
        write!(f, "session {} {}", self.server, self.client)?;
        for (is, word) in
            [(helo, " helo"), (tls, " tls"), (password, " password"), (pipelined, " pipelined"), (deaf, " deaf")]
        {
            f.write_str(if *is { word } else { "" })?;
        }
        chunk.map_or(Ok(()), |octets| write!(f, " bdat:{octets}"))?;
        slow_ms.map_or(Ok(()), |ms| write!(f, " slow:{ms}"))?;
        match ends {
            Some((octets, Ending::Drops)) => write!(f, " drops:{octets}")?,
            Some((octets, Ending::Hangs)) => write!(f, " hangs:{octets}")?,
            None => {}
        }
        self.letters.iter().try_for_each(|letter| write!(f, " | {letter}"))
    }
}

impl fmt::Display for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let from = self.from.as_ref().map_or("-".to_owned(), ToString::to_string);
        let notify = match self.notify {
            Notify::Unsaid => "",
            Notify::Never => " notify:never",
            Notify::All => " notify:all",
        };
        write!(f, "{} from {from} size {}{notify} to", self.number, self.size)?;
        self.to.iter().try_for_each(|domain| write!(f, " {domain}"))
    }
}

impl FromStr for Plan {
    type Err = String;

    fn from_str(text: &str) -> Result<Plan, String> {
        let mut plan = Plan { seed: 0, law: Law::Plain, events: Vec::new() };
        for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'))
        {
            let wrong = |what: String| format!("line {}: {what}", at + 1);
            match line.split_once(' ') {
                Some(("seed", seed)) => plan.seed = number(seed.trim()).map_err(wrong)?,
                Some(("law", law)) => plan.law = value(&LAWS, law.trim()).map_err(wrong)?,
                Some((at_ms, act)) => {
                    let at_ms = number(at_ms).map_err(wrong)?;
                    plan.events.push(Event { at_ms, act: act.parse().map_err(wrong)? });
                }
                None => return Err(wrong(format!("what is {line:?}?"))),
            }
        }
        Ok(plan)
    }
}

fn number<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("not a number or address: {text:?}"))
}

/// The next word as a number or address.
fn next<T: FromStr>(words: &mut SplitWhitespace<'_>) -> Result<T, String> {
    number(words.next().unwrap_or_default())
}

impl FromStr for Act {
    type Err = String;

    fn from_str(text: &str) -> Result<Act, String> {
        let (verb, rest) = text.split_once(' ').unwrap_or((text, ""));
        let mut words = rest.split_whitespace();
        Ok(match verb {
            "session" => Act::Session(rest.parse()?),
            "peer" => {
                let (at, mood) = rest.split_once(' ').ok_or("a peer and its mood")?;
                Act::Peer(number(at)?, mood.to_owned())
            }
            "line" => Act::Line(next(&mut words)?, line_trouble(&mut words)?),
            "disk" => Act::Disk(disk_trouble(&mut words)?),
            "name" => Act::Name(rest.to_owned()),
            "clock" => Act::Clock(next(&mut words)?),
            "log" => Act::Log { deaf: rest == "deaf" },
            "stillborn" => Act::Stillborn(next(&mut words)?),
            "directories" => Act::Directories { missing: rest == "missing" },
            "queue" => Act::Queue(rest.to_owned()),
            "reload" if rest == "broken" => Act::Reload(None),
            "reload" => Act::Reload(Some(value(&LAWS, rest)?)),
            "count" => Act::Count,
            "stop" => Act::Stop { down_ms: next(&mut words)? },
            "crash" => Act::Crash(crash(&mut words)?),
            _ => return Err(format!("what is {verb:?}?")),
        })
    }
}

fn line_trouble(words: &mut SplitWhitespace<'_>) -> Result<LineTrouble, String> {
    Ok(match words.next() {
        Some("delay") => LineTrouble::Delay(next(words)?),
        Some("cut") => LineTrouble::Cut,
        Some("silent") => LineTrouble::Silent,
        Some("clear") => LineTrouble::Clear,
        other => return Err(format!("what is {other:?}?")),
    })
}

fn disk_trouble(words: &mut SplitWhitespace<'_>) -> Result<DiskTrouble, String> {
    Ok(match words.next() {
        Some("fails") => {
            let call = words.next().unwrap_or_default();
            let call = if call == LOOK.0 { Some(LOOK.1) } else { value(&CALLS, call)? };
            let n = next(words)?;
            let on = words.next() == Some("on");
            DiskTrouble::Fails { call, n, on, kind: value(&ERRORS, words.next().unwrap_or_default())? }
        }
        Some("full") => DiskTrouble::Full(next(words)?),
        Some("heals") => DiskTrouble::Heals,
        Some("lies") => DiskTrouble::Lies,
        other => return Err(format!("what is {other:?}?")),
    })
}

fn crash(words: &mut SplitWhitespace<'_>) -> Result<Crash, String> {
    let power = words.next() == Some("power");
    let cut: u64 = next(words)?;
    let mut crash = Crash { after: 0, cut: power.then_some(cut), down_ms: 0, again: Vec::new() };
    while let Some(word) = words.next() {
        let number = next(words)?;
        match word {
            "after" => crash.after = number,
            "down" => crash.down_ms = number,
            "again" => crash.again.push(number),
            _ => return Err(format!("what is {word:?}?")),
        }
    }
    Ok(crash)
}

impl FromStr for Session {
    type Err = String;

    fn from_str(text: &str) -> Result<Session, String> {
        let mut parts = text.split('|');
        let mut words = parts.next().unwrap_or_default().split_whitespace();
        let server = words.next().ok_or("a virtual server")?.to_owned();
        let client = next(&mut words)?;
        let mut manner = Manner::default();
        for word in words {
            let (word, n) = word.split_once(':').unwrap_or((word, "0"));
            match word {
                "helo" => manner.helo = true,
                "tls" => manner.tls = true,
                "password" => manner.password = true,
                "pipelined" => manner.pipelined = true,
                "deaf" => manner.deaf = true,
                "bdat" => manner.chunk = Some(number(n)?),
                "slow" => manner.slow_ms = Some(number(n)?),
                "drops" => manner.ends = Some((number(n)?, Ending::Drops)),
                "hangs" => manner.ends = Some((number(n)?, Ending::Hangs)),
                _ => return Err(format!("what is {word:?}?")),
            }
        }
        Ok(Session { server, client, manner, letters: parts.map(str::parse).collect::<Result<_, _>>()? })
    }
}

impl FromStr for Letter {
    type Err = String;

    fn from_str(text: &str) -> Result<Letter, String> {
        let (head, to) = text.split_once(" to ").ok_or("a message is to somebody")?;
        let mut words = head.split_whitespace();
        let number = next(&mut words)?;
        let mut letter = Letter { number, from: None, to: Vec::new(), size: 0, notify: Notify::Unsaid };
        while let Some(word) = words.next() {
            match word {
                "from" => letter.from = words.next().filter(|from| *from != "-").map(self::number).transpose()?,
                "size" => letter.size = next(&mut words)?,
                "notify:never" => letter.notify = Notify::Never,
                "notify:all" => letter.notify = Notify::All,
                _ => return Err(format!("what is {word:?}?")),
            }
        }
        letter.to = to.split_whitespace().map(self::number).collect::<Result<_, _>>()?;
        Ok(letter)
    }
}

#[cfg(test)]
mod tests {
    use super::super::draw;
    use super::*;

    #[test]
    fn what_is_written_down_is_the_same_plan() {
        for seed in 0..200 {
            let plan = draw::plan(seed);
            let text = plan.to_string();
            assert_eq!(text.parse::<Plan>().as_ref(), Ok(&plan), "{text}");
        }
    }

    #[test]
    fn what_is_no_plan_is_refused() {
        for text in
            ["seed x", "12 dance", "12 disk fails lunch 1 on full", "12 session inbound 1.2.3.4 | 7 from - size 1"]
        {
            assert!(text.parse::<Plan>().is_err(), "{text}");
        }
    }
}
