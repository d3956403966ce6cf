//! Transcript files, as they are written: what a client says, what must come back, and what must
//! have become of it. [`crate::play`] plays them; the format is described in `tests/gateway/README.md`.
//!
//! A file is a header, an empty line, and steps. Each step remembers its lines, so that a failure
//! names the place and a deliberate change can rewrite what is expected.

use crate::bug::Bug;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::time::Duration;

/// A transcript.
#[derive(Clone, Debug)]
pub struct Script {
    /// The lines of the file.
    pub lines: Vec<String>,
    /// The header's and the body's steps, in order.
    pub steps: Vec<Step>,
}

/// One step.
#[derive(Clone, Debug)]
pub struct Step {
    /// The lines it takes, counted from 0.
    pub at: Range<usize>,
    /// What is to be done or expected.
    pub what: What,
}

/// Where a client connects to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The first address of a virtual server.
    Server(String),
    /// An address.
    Address(SocketAddr),
}

/// What a step is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// Change the world: `host`, `names`, `peer`, `missing`, and what stands behind the colon.
    World(Change),
    /// The settings file to start with.
    Settings(String),
    /// The end of the header: the gateway starts.
    Start,
    /// A new session, or back to one that is open when no client is given.
    Session {
        /// What the session is called in this file; that of the header is called `first`.
        name: String,
        /// Who connects where.
        open: Option<(IpAddr, Target)>,
    },
    /// The client writes; unless there is more to come, it is one segment with what waited before.
    Say {
        /// What is written.
        octets: Vec<u8>,
        /// Whether the segment goes on with the next step.
        more: bool,
    },
    /// The client writes a line many times in one segment, `#` standing for the number.
    SayMany {
        /// How often.
        times: usize,
        /// The octets of the line, without its end.
        line: Vec<u8>,
    },
    /// The client writes octet by octet, with a pause before each, until it is done or hung up on.
    Trickle {
        /// The pause.
        pause: Duration,
        /// What is written.
        octets: Vec<u8>,
    },
    /// Replies must come: the same one, so many times.
    Hear {
        /// How many replies.
        times: usize,
    },
    /// The client performs the TLS handshake.
    Tls,
    /// The server must have closed the connection.
    Ended,
    /// The connection must be refused.
    Refused,
    /// The client closes the connection.
    Close,
    /// Time passes.
    Wait(Duration),
    /// Other settings are given to the running gateway.
    Reload(String),
    /// A virtual server is stopped; without a name, the gateway.
    Stop(Option<String>),
    /// The gateway is stopped and started again over the same disk.
    Restart,
    /// An administrator's command, as it goes over the control socket.
    Command(String),
    /// Something must be so; the expected lines are in the step's lines.
    Expect(Expect),
}

/// A change of the world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// An address of this host.
    Host(IpAddr),
    /// A line for the name service.
    Names(String),
    /// A peer and its mood.
    Peer(SocketAddr, String),
    /// A line for the directories of accounts.
    Account(String),
    /// A bug is planted into the rules of settings that are read from now on.
    Bug(Bug),
    /// A directory that does not exist.
    Missing(String),
    /// A directory that exists again.
    There(String),
    /// The wall clock is set so far forward, or back.
    Clock {
        /// How far.
        span: Duration,
        /// Back.
        back: bool,
    },
}

/// What can be expected, other than replies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// What was posted to webhooks since the last time.
    Posted,
    /// The trace of the last decision.
    Why,
    /// The next deliveries at a place, so many alike; or none anywhere.
    Delivery {
        /// How many.
        times: usize,
    },
    /// What is in the queue.
    Queue,
    /// A number.
    Metric,
    /// What the name service was asked since the last time.
    Asked,
    /// The connections a peer has seen.
    Connections,
    /// A line of the log.
    Log,
    /// The answer to the last command.
    Answer,
    /// Why the gateway did not start or take new settings.
    Mistakes,
}

/// A file that is not a transcript.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// The line, counted from 0.
    pub line: usize,
    /// What is wrong with it.
    pub why: String,
}

impl Script {
    /// Reads a transcript.
    ///
    /// # Errors
    /// The first line that is neither a step nor part of one.
    pub fn parse(text: &str) -> Result<Script, Malformed> {
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let mut steps = Vec::new();
        let body = header(&lines, &mut steps)?;
        let mut at = body;
        while at < lines.len() {
            let end = at + block(&lines[at..]);
            if !is_blank(&lines[at]) {
                let what = step(&lines[at]).map_err(|why| Malformed { line: at, why })?;
                steps.push(Step { at: at..end, what });
            }
            at = end;
        }
        Ok(Script { lines, steps })
    }

    /// The lines that a step expects, without the key of the first.
    #[must_use]
    pub fn expected(&self, step: &Step) -> Vec<String> {
        self.lines[step.at.clone()].iter().map(|line| without_key(line).to_owned()).collect()
    }

    /// The text of the file with the expected lines of some steps replaced. `changes` is in order.
    #[must_use]
    pub fn rewritten(&self, changes: &[(Step, Vec<String>)]) -> String {
        let mut text = String::new();
        let mut at = 0;
        for (step, lines) in changes {
            push_lines(&mut text, &self.lines[at..step.at.start]);
            let (key, repeats) = key_of(&self.lines[step.at.start]);
            for (index, line) in lines.iter().enumerate() {
                let key = if index == 0 || repeats { key.to_owned() } else { " ".repeat(key.len()) };
                text.push_str(format!("{key} {line}").trim_end());
                text.push('\n');
            }
            at = step.at.end;
        }
        push_lines(&mut text, &self.lines[at..]);
        text
    }
}

fn push_lines(text: &mut String, lines: &[String]) {
    for line in lines {
        text.push_str(line);
        text.push('\n');
    }
}

fn is_blank(line: &str) -> bool {
    line.trim().is_empty() || line.starts_with('#')
}

/// What the session that the header opens is called.
const FIRST: &str = "first";

/// Steps whose further lines repeat the key, instead of being indented.
const REPEATING: [&str; 6] = ["why:", "Q:", "X:", "N:", "A:", "M:"];

/// How many lines the step takes that begins with the first of `lines`.
fn block(lines: &[String]) -> usize {
    let (key, repeats) = key_of(&lines[0]);
    let belongs = |line: &&String| {
        (repeats && key_of(line).0 == key && key != "M:") || (line.starts_with(' ') && !line.trim().is_empty())
    };
    1 + lines[1..].iter().take_while(belongs).count()
}

/// The key of an expecting step (`S:`, `S* 3`, `D* 3`), and whether its further lines repeat it.
fn key_of(line: &str) -> (&str, bool) {
    if let Some(rest) = line.strip_prefix("S* ").or_else(|| line.strip_prefix("D* ")) {
        let behind = rest.find(' ').map_or("", |end| &rest[end..]);
        return (&line[..line.len() - behind.len()], false);
    }
    let key = line.find(':').map_or(line, |at| &line[..=at]);
    (key, REPEATING.contains(&key))
}

/// A line of a block without its key or indentation.
fn without_key(line: &str) -> &str {
    if line.starts_with(' ') {
        return line.trim_start();
    }
    line[key_of(line).0.len()..].trim_start()
}

/// Reads the header; gives the first line behind it.
fn header(lines: &[String], steps: &mut Vec<Step>) -> Result<usize, Malformed> {
    let (mut client, mut target, mut seen, mut at) = (None, None, false, 0);
    while at < lines.len() && !(seen && lines[at].trim().is_empty()) {
        let line = &lines[at];
        if !is_blank(line) {
            seen = true;
            let malformed = |why| Malformed { line: at, why };
            let (key, value) = key_and_value(line).map_err(malformed)?;
            match key {
                "client" => client = Some(address(value).map_err(malformed)?),
                "server" => target = Some(Target::Server(value.to_owned())),
                "to" => target = Some(Target::Address(socket(value).map_err(malformed)?)),
                _ => steps.push(Step { at: at..at + 1, what: world_or_settings(key, value).map_err(malformed)? }),
            }
        }
        at += 1;
    }
    steps.push(Step { at: at..at, what: What::Start });
    match (client, target) {
        (None, _) => {}
        (Some(client), Some(target)) => {
            let what = What::Session { name: FIRST.to_owned(), open: Some((client, target)) };
            steps.push(Step { at: at..at, what });
        }
        (Some(_), None) => return Err(Malformed { line: at, why: "a client without a server".to_owned() }),
    }
    Ok(at)
}

fn key_and_value(line: &str) -> Result<(&str, &str), String> {
    let (key, value) = line.split_once(':').ok_or("neither a step nor `key: value`")?;
    Ok((key, value.trim()))
}

fn world_or_settings(key: &str, value: &str) -> Result<What, String> {
    Ok(match key {
        "settings" => What::Settings(value.to_owned()),
        "host" => What::World(Change::Host(address(value)?)),
        "account" => What::World(Change::Account(value.to_owned())),
        "names" => What::World(Change::Names(value.to_owned())),
        "bug" => What::World(Change::Bug(value.parse()?)),
        "missing" => What::World(Change::Missing(value.to_owned())),
        "there" => What::World(Change::There(value.to_owned())),
        "clock" => {
            let (way, span) = value.split_at_checked(1).ok_or("+ or -, and how far")?;
            let back = way == "-";
            (back || way == "+").then_some(()).ok_or("+ or -, and how far")?;
            What::World(Change::Clock { span: duration(span.trim())?, back })
        }
        "peer" => {
            let (at, mood) = value.split_once(' ').ok_or("an address and a mood")?;
            What::World(Change::Peer(socket(at)?, mood.to_owned()))
        }
        _ => return Err(format!("no such key: {key}")),
    })
}

/// Reads the first line of a step.
fn step(line: &str) -> Result<What, String> {
    if let Some(rest) = line.strip_prefix("== ") {
        return session(rest);
    }
    if let Some(rest) = line.strip_prefix("C* ") {
        let (times, line) = rest.split_once(' ').unwrap_or((rest, ""));
        return Ok(What::SayMany { times: number(times)?, line: unescaped(line)? });
    }
    if let Some(rest) = line.strip_prefix("C~ ") {
        let mut words = rest.splitn(3, ' ');
        let (number, unit) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let octets = unescaped(words.next().unwrap_or_default())?;
        return Ok(What::Trickle { pause: duration(&format!("{number} {unit}"))?, octets });
    }
    if let Some(rest) = line.strip_prefix("S* ") {
        return Ok(What::Hear { times: leading_number(rest)? });
    }
    if let Some(rest) = line.strip_prefix("D* ") {
        return Ok(What::Expect(Expect::Delivery { times: leading_number(rest)? }));
    }
    for (sign, ending, more) in [("C:", "\r\n", false), ("C+", "\r\n", true), ("C-", "", false)] {
        if let Some(rest) = line.strip_prefix(sign) {
            let mut octets = unescaped(rest.strip_prefix(' ').unwrap_or(rest))?;
            octets.extend_from_slice(ending.as_bytes());
            return Ok(What::Say { octets, more });
        }
    }
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    Ok(match word {
        "TLS" => What::Tls,
        "EOF" => What::Ended,
        "REFUSED" => What::Refused,
        "CLOSE" => What::Close,
        "wait" => What::Wait(duration(rest)?),
        "reload" => What::Reload(rest.to_owned()),
        "stop" => What::Stop(rest.strip_prefix("server ").map(str::to_owned)),
        "restart" => What::Restart,
        "command" => What::Command(rest.to_owned()),
        _ => expectation(line)?,
    })
}

fn expectation(line: &str) -> Result<What, String> {
    let (key, value) = key_and_value(line)?;
    Ok(match key {
        "S" => What::Hear { times: 1 },
        "why" => What::Expect(Expect::Why),
        "D" => What::Expect(Expect::Delivery { times: 1 }),
        "Q" => What::Expect(Expect::Queue),
        "M" => What::Expect(Expect::Metric),
        "N" => What::Expect(Expect::Asked),
        "P" => What::Expect(Expect::Connections),
        "L" => What::Expect(Expect::Log),
        "H" => What::Expect(Expect::Posted),
        "A" => What::Expect(Expect::Answer),
        "X" => What::Expect(Expect::Mistakes),
        _ => return world_or_settings(key, value),
    })
}

/// `second client: 10.168.0.2 server: outbound`, or only a name.
fn session(text: &str) -> Result<What, String> {
    let mut words = text.split_whitespace();
    let name = words.next().ok_or("a session without a name")?.to_owned();
    let (mut client, mut target) = (None, None);
    while let Some(key) = words.next() {
        let value = words.next().ok_or_else(|| format!("{key} without a value"))?;
        match key {
            "client:" => client = Some(address(value)?),
            "server:" => target = Some(Target::Server(value.to_owned())),
            "to:" => target = Some(Target::Address(socket(value)?)),
            _ => return Err(format!("no such key: {key}")),
        }
    }
    match (client, target) {
        (Some(client), Some(target)) => Ok(What::Session { name, open: Some((client, target)) }),
        (None, None) => Ok(What::Session { name, open: None }),
        _ => Err("a session needs a client and a server".to_owned()),
    }
}

/// `\r`, `\n`, `\t`, `\0`, `\\` and `\x41`.
fn unescaped(text: &str) -> Result<Vec<u8>, String> {
    let mut octets = Vec::new();
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        if octet != b'\\' {
            octets.push(octet);
            continue;
        }
        octets.push(match rest.next() {
            Some(b'r') => b'\r',
            Some(b'n') => b'\n',
            Some(b't') => b'\t',
            Some(b'0') => 0,
            Some(b'\\') => b'\\',
            Some(b'x') => {
                let digits = [rest.next(), rest.next()].into_iter().flatten().map(char::from).collect::<String>();
                u8::from_str_radix(&digits, 16).map_err(|_| format!("\\x{digits} is not an octet"))?
            }
            _ => return Err("no such escape".to_owned()),
        });
    }
    Ok(octets)
}

fn leading_number(text: &str) -> Result<usize, String> {
    number(text.split(' ').next().unwrap_or_default())
}

fn number(text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| format!("not a number: {text}"))
}

/// An address, in brackets or not.
fn address(text: &str) -> Result<IpAddr, String> {
    text.trim_matches(['[', ']']).parse().map_err(|_| format!("not an address: {text}"))
}

/// An address and a port; an IPv4 address may stand in brackets as smart hosts do.
pub(crate) fn socket(text: &str) -> Result<SocketAddr, String> {
    let plain = || Some(SocketAddr::new(text.strip_prefix('[')?.split_once("]:")?.0.parse().ok()?, port(text)?));
    text.parse().ok().or_else(plain).ok_or_else(|| format!("not an address and port: {text}"))
}

fn port(text: &str) -> Option<u16> {
    text.rsplit_once(':')?.1.parse().ok()
}

fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("not a duration: {text}");
    let (count, unit) = text.split_once(' ').ok_or_else(wrong)?;
    let count: u64 = count.parse().map_err(|_| wrong())?;
    let ms = match unit {
        "ms" => 1,
        "s" => 1_000,
        "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(wrong()),
    };
    Ok(Duration::from_millis(count * ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORY: &str = "# A story.\nsettings: two.toml\nclient: 192.0.2.1\nserver: inbound\n\nS: 220 ...\nC: EHLO x\n\
        S: 250-mx\n   ...\nwhy: a\nwhy: b\n== second client: ::1 to: [10.0.0.1]:25\nC- a\\x41\\r\nwait 15 min\n";

    #[test]
    fn a_file_is_a_header_and_steps() {
        let script = Script::parse(STORY).unwrap();
        let what: Vec<&What> = script.steps.iter().map(|step| &step.what).collect();
        assert_eq!(what.len(), 10, "{what:?}");
        assert_eq!(*what[1], What::Start);
        assert!(matches!(what[2], What::Session { open: Some((_, Target::Server(name))), .. } if name == "inbound"));
        assert_eq!(*what[8], What::Say { octets: b"aA\r".to_vec(), more: false });
        assert_eq!(*what[9], What::Wait(Duration::from_secs(900)));
        assert_eq!(script.expected(&script.steps[5]), ["250-mx", "..."]);
        assert_eq!(script.expected(&script.steps[6]), ["a", "b"]);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let wrong = |text: &str| Script::parse(text).unwrap_err().line;
        assert_eq!(wrong("settings: a\n\nS: 220\nX\n"), 3);
        assert_eq!(wrong("settings: a\n\nC: \\q\n"), 2);
        assert_eq!(wrong("settings: a\nclient: 1.2.3\n"), 1);
    }

    #[test]
    fn rewriting_changes_only_what_was_expected() {
        let script = Script::parse(STORY).unwrap();
        let change = |index: usize, lines: &[&str]| {
            (script.steps[index].clone(), lines.iter().map(|line| (*line).to_owned()).collect())
        };
        let text = script.rewritten(&[change(5, &["250-new", "250 SIZE"]), change(6, &["c"])]);
        assert_eq!(text, STORY.replace("250-mx\n   ...", "250-new\n   250 SIZE").replace("why: a\nwhy: b", "why: c"));
        assert_eq!(script.rewritten(&[]), STORY);
    }
}
