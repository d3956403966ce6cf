//! Plays transcripts: the gateway, whole and unmodified, in a simulated world.
//!
//! The player is a client and an observer. It never waits for real time: the runtime's clock moves
//! only when nobody has anything to do, so "nothing came back" is known after a simulated minute.

use crate::bug::Bug;
use crate::client::{Session, within};
use crate::pattern::{line_matches, lines_match, rewritten, show};
use crate::running::{Running, checked, lines};
use crate::script::{Change, Expect, Script, Step, Target, What, socket};
use crate::shown::{shown_lines, summary_of};
use crate::world::SimWorld;
use config::Config;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// Settings with their warnings, or all mistakes of a file.
type Read = Result<(Config, Vec<String>), Vec<String>>;

/// How long whatever is going on is given to come to rest. The clock moves by this much only when
/// nobody has anything left to do.
pub(crate) const MOMENT: Duration = Duration::from_millis(2);

/// How often something that is not yet so is looked at again, a moment later.
const LOOKS: usize = 20;

/// Where a transcript and the gateway disagree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The line of the file, counted from 0.
    pub line: usize,
    /// What was expected, and what was.
    pub what: String,
}

/// What playing a transcript showed.
#[derive(Clone, Debug)]
pub struct Played {
    /// The first disagreement.
    pub failure: Option<Failure>,
    /// The steps whose expected lines are no longer true, with the lines that would be.
    pub changes: Vec<(Step, Vec<String>)>,
    /// Everything the gateway logged.
    pub log: Vec<u8>,
}

/// Gives the text of a settings file.
pub type Settings<'a> = &'a dyn Fn(&str) -> Result<String, String>;

/// Plays `script` from beginning to end. Unless `go_on`, it stops at the first disagreement.
///
/// # Panics
/// If the runtime cannot be built, which needs nothing of the machine.
#[must_use]
pub fn play(script: &Script, settings: Settings<'_>, go_on: bool) -> Played {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build().expect("a runtime without a driver is only memory");
    runtime.block_on(async {
        let mut player = Player::new(script, settings, go_on);
        let failure = Box::pin(player.play()).await.err();
        Played { failure, changes: player.changes, log: player.world.log() }
    })
}

struct Player<'a> {
    script: &'a Script,
    settings: Settings<'a>,
    go_on: bool,
    world: Arc<SimWorld>,
    file: String,
    /// What is wrong with the rules, behind the settings.
    bug: Option<Bug>,
    running: Option<Running>,
    mistakes: Vec<String>,
    answer: Vec<String>,
    sessions: BTreeMap<String, Session>,
    current: String,
    /// How much of the log has been looked at by `L:` steps.
    log_seen: usize,
    changes: Vec<(Step, Vec<String>)>,
    first: Option<Failure>,
}

/// What one step showed: nothing, or that the expected lines are others.
type Shown = Result<(), String>;

impl<'a> Player<'a> {
    fn new(script: &'a Script, settings: Settings<'a>, go_on: bool) -> Player<'a> {
        Player {
            script,
            settings,
            go_on,
            world: Arc::new(SimWorld::new()),
            file: String::new(),
            bug: None,
            running: None,
            mistakes: Vec::new(),
            answer: Vec::new(),
            sessions: BTreeMap::new(),
            current: String::new(),
            log_seen: 0,
            changes: Vec::new(),
            first: None,
        }
    }

    async fn play(&mut self) -> Result<(), Failure> {
        let script = self.script;
        for step in &script.steps {
            let shown = Box::pin(self.step(step)).await;
            self.disagree(step.at.start, shown)?;
        }
        let end = self.end().await;
        self.disagree(script.lines.len().saturating_sub(1), end)?;
        self.first.take().map_or(Ok(()), Err)
    }

    /// Stops at a disagreement, or remembers the first and goes on.
    fn disagree(&mut self, line: usize, shown: Shown) -> Result<(), Failure> {
        let Err(what) = shown else { return Ok(()) };
        let failure = Failure { line, what };
        if !self.go_on {
            return Err(failure);
        }
        self.first.get_or_insert(failure);
        Ok(())
    }

    async fn step(&mut self, step: &Step) -> Shown {
        if let Some(unexpected) = self.unexpected_mistakes(&step.what) {
            return Err(unexpected);
        }
        match &step.what {
            What::World(change) => self.change(change),
            What::Settings(file) => {
                self.file.clone_from(file);
                Ok(())
            }
            What::Start => self.start().await,
            What::Session { name, open } => self.session(name, open.as_ref()).await,
            What::Say { octets, more } => self.say(octets, *more).await,
            What::SayMany { times, line } => self.say_many(*times, line).await,
            What::Trickle { pause, octets } => {
                self.here().trickle(*pause, octets).await;
                Ok(())
            }
            What::Hear { times } => self.hear(step, *times).await,
            What::Tls => self.secure().await,
            What::Ended => self.ended().await,
            What::Refused => self.refused(),
            What::Close => {
                self.here().stream = None;
                Ok(())
            }
            What::Wait(span) => {
                sleep(*span).await;
                Ok(())
            }
            What::Reload(file) => self.reload(file).await,
            What::Stop(server) => self.stop(server.as_deref()).await,
            What::Restart => self.restart().await,
            What::Command(text) => self.command(text).await,
            What::Expect(expect) => self.expect(step, *expect).await,
        }
    }

    /// What must not be left at the end.
    async fn end(&mut self) -> Shown {
        sleep(MOMENT).await;
        if let Some(unexpected) = self.unexpected_mistakes(&What::Start) {
            return Err(unexpected);
        }
        for (name, session) in &mut self.sessions {
            session.take_in().await;
            if !session.unread.is_empty() {
                let rest = String::from_utf8_lossy(&session.unread).into_owned();
                return Err(format!("session {name:?} has a reply that nobody expected: {rest:?}"));
            }
        }
        self.sessions.clear();
        let delivered = self.unread();
        if !delivered.is_empty() {
            return Err(format!("delivered, and not expected:\n{}", delivered.join("\n")));
        }
        let complaints = self.world.peers().complaints();
        if !complaints.is_empty() {
            return Err(format!("a strict receiver complains:\n{}", complaints.join("\n")));
        }
        if let Some(running) = self.running.take() {
            running.stop().await;
        }
        Ok(())
    }

    fn unexpected_mistakes(&self, next: &What) -> Option<String> {
        let expected = matches!(next, What::Expect(Expect::Mistakes));
        (!expected && !self.mistakes.is_empty()).then(|| self.mistakes.join("\n"))
    }

    fn change(&mut self, change: &Change) -> Shown {
        match change {
            Change::Host(address) => self.world.add_own_address(*address),
            Change::Names(line) => return self.world.with_names(|names| names.enter(line)),
            Change::Account(line) => return self.world.with_accounts(|accounts| accounts.enter(line)),
            Change::Peer(at, mood) => self.world.peers().set(*at, mood.parse()?),
            Change::Bug(bug) => self.bug = Some(*bug),
            Change::Missing(directory) => self.world.set_missing(Path::new(directory), true),
            Change::There(directory) => self.world.set_missing(Path::new(directory), false),
            Change::Clock { span, back } => {
                let ms = i64::try_from(span.as_millis()).map_err(|_| "too far")?;
                self.world.clock().jump(if *back { -ms } else { ms });
            }
        }
        Ok(())
    }

    async fn start(&mut self) -> Shown {
        match self.law(&self.file)? {
            Ok((config, warnings)) => match Running::begin(Arc::clone(&self.world), config).await {
                Ok(running) => (self.running, self.answer) = (Some(running), warnings),
                Err(mistakes) => self.mistakes = mistakes,
            },
            Err(mistakes) => self.mistakes = mistakes,
        }
        sleep(MOMENT).await;
        Ok(())
    }

    /// The settings of a file, with the invariants it names and the bug that is planted; or its mistakes.
    /// Whether the invariants hold is not asked: that is what the gate is for.
    fn law(&self, file: &str) -> Result<Read, String> {
        let (mut config, warnings) = match checked(file, &(self.settings)(file)?) {
            Ok(read) => read,
            Err(mistakes) => return Ok(Err(mistakes)),
        };
        if let Some(path) = config.invariants_file.clone() {
            let name = path.to_str().ok_or("a name that is text")?;
            config = match config.with_invariants(name, &(self.settings)(name)?) {
                Ok(config) => config,
                Err(mistakes) => return Ok(Err(lines(&mistakes.render(false)))),
            };
        }
        if let Some(bug) = self.bug {
            bug.plant(&mut config);
        }
        Ok(Ok((config, warnings)))
    }

    fn running(&mut self) -> Result<&mut Running, String> {
        self.running.as_mut().ok_or_else(|| "the gateway is not running".to_owned())
    }

    async fn reload(&mut self, file: &str) -> Shown {
        file.clone_into(&mut self.file);
        match self.law(file)? {
            Ok((config, warnings)) => match self.running()?.take(config).await {
                Ok(()) => self.answer = warnings,
                Err(mistakes) => self.mistakes = mistakes,
            },
            Err(mistakes) => self.mistakes = mistakes,
        }
        sleep(MOMENT).await;
        Ok(())
    }

    async fn stop(&mut self, server: Option<&str>) -> Shown {
        match server {
            Some(server) => self.running()?.stop_server(server)?,
            None => self.running.take().ok_or("the gateway is not running")?.stop().await,
        }
        sleep(MOMENT).await;
        Ok(())
    }

    async fn restart(&mut self) -> Shown {
        if let Some(running) = self.running.take() {
            running.stop().await;
        }
        self.start().await
    }

    async fn command(&mut self, text: &str) -> Shown {
        self.answer = self.running()?.command(text).await?;
        sleep(MOMENT).await;
        Ok(())
    }

    fn here(&mut self) -> &mut Session {
        self.sessions.entry(self.current.clone()).or_default()
    }

    async fn session(&mut self, name: &str, open: Option<&(IpAddr, Target)>) -> Shown {
        name.clone_into(&mut self.current);
        let Some((client, target)) = open else {
            return self.sessions.contains_key(name).then_some(()).ok_or(format!("no session called {name}"));
        };
        let to = match target {
            Target::Address(to) => *to,
            Target::Server(server) => match &self.running {
                Some(running) => running.address_of(server)?,
                // The settings had mistakes, and the next step expects them.
                None => return Ok(()),
            },
        };
        let stream = self.world.connect_from(*client, to).ok();
        self.sessions.insert(name.to_owned(), Session::new(stream));
        sleep(MOMENT).await;
        Ok(())
    }

    async fn say(&mut self, octets: &[u8], more: bool) -> Shown {
        let session = self.here();
        session.waiting.extend_from_slice(octets);
        if more { Ok(()) } else { session.send().await }
    }

    async fn say_many(&mut self, times: usize, line: &[u8]) -> Shown {
        let session = self.here();
        for n in 1..=times {
            for (at, part) in line.split(|octet| *octet == b'#').enumerate() {
                if at > 0 {
                    session.waiting.extend_from_slice(n.to_string().as_bytes());
                }
                session.waiting.extend_from_slice(part);
            }
            session.waiting.extend_from_slice(b"\r\n");
        }
        session.send().await
    }

    async fn hear(&mut self, step: &Step, times: usize) -> Shown {
        for _ in 0..times {
            let reply = self.here().reply().await?;
            self.compare(step, &reply)?;
        }
        Ok(())
    }

    async fn secure(&mut self) -> Shown {
        let session = self.here();
        if !session.unread.is_empty() {
            return Err("replies in the clear are left".to_owned());
        }
        let stream = session.stream.as_mut().ok_or("not connected")?;
        let secured = within(stream.secure_as_client("")).await.ok_or("the server does not begin the handshake")?;
        secured.map(|_| ()).map_err(|error| format!("the handshake failed: {error}"))
    }

    async fn ended(&mut self) -> Shown {
        let session = self.here();
        while !session.ended {
            if within(session.more()).await.is_none() {
                return Err("the connection is still open".to_owned());
            }
        }
        if session.unread.is_empty() {
            return Ok(());
        }
        Err(format!("instead of the end came {:?}", String::from_utf8_lossy(&std::mem::take(&mut session.unread))))
    }

    fn refused(&mut self) -> Shown {
        if self.here().stream.is_none() { Ok(()) } else { Err("the connection was accepted".to_owned()) }
    }

    /// Compares the lines of `step` with what is. A disagreement is also a change to the file.
    fn compare(&mut self, step: &Step, actual: &[String]) -> Shown {
        let expected = self.script.expected(step);
        if lines_match(&expected, actual) {
            return Ok(());
        }
        self.changes.push((step.clone(), rewritten(&expected, actual)));
        Err(format!("expected (-) and actual (+) differ:\n{}", show(&expected, actual)))
    }

    /// Looks until what `see` sees is what the step says, or long enough.
    async fn compare_soon(&mut self, step: &Step, see: impl AsyncFn(&Player<'a>) -> Vec<String>) -> Shown {
        let expected = self.script.expected(step);
        let mut actual = Vec::new();
        for _ in 0..LOOKS {
            sleep(MOMENT).await;
            actual = see(self).await;
            if lines_match(&expected, &actual) {
                return Ok(());
            }
        }
        self.compare(step, &actual)
    }

    async fn expect(&mut self, step: &Step, expect: Expect) -> Shown {
        match expect {
            Expect::Why => {
                self.compare_soon(step, async |player: &Player<'a>| crate::running::last_trace(&player.world)).await
            }
            Expect::Delivery { times } => {
                for _ in 0..times {
                    self.delivery(step).await?;
                }
                Ok(())
            }
            Expect::Queue => {
                self.compare_soon(step, async |player: &Player<'a>| match &player.running {
                    Some(running) => or("empty", running.queue().await),
                    None => Vec::new(),
                })
                .await
            }
            Expect::Metric => self.metric(step).await,
            Expect::Asked => {
                let mut asked = self.world.with_names(crate::names::Names::take_asked);
                asked.extend(self.world.with_accounts(crate::accounts::Accounts::take_asked));
                let asked = or("none", asked);
                self.compare(step, &asked)
            }
            Expect::Connections => self.connections(step).await,
            Expect::Log => self.logged(step),
            Expect::Posted => {
                let posted = or("none", self.world.take_posted());
                self.compare(step, &posted)
            }
            Expect::Answer => {
                let answer = self.answer.clone();
                self.compare(step, &answer)
            }
            Expect::Mistakes => {
                let mistakes = std::mem::take(&mut self.mistakes);
                self.compare(step, &mistakes)
            }
        }
    }

    /// Everything delivered that nobody has asked for.
    fn unread(&self) -> Vec<String> {
        let peers = self.world.peers().unread();
        let peers = peers.iter().map(|(at, delivery)| format!("{at} {}", delivery.summary()));
        let files = self.world.unread_files();
        let files = files.iter().map(|file| format!("{} {}", file.directory.display(), summary_of(file).0));
        peers.chain(files).collect()
    }

    async fn delivery(&mut self, step: &Step) -> Shown {
        let expected = self.script.expected(step);
        let place = expected[0].split(' ').next().unwrap_or_default().to_owned();
        if place == "none" {
            sleep(MOMENT).await;
            let unread = or("none", self.unread());
            return self.compare(step, &unread);
        }
        for _ in 0..LOOKS {
            sleep(MOMENT).await;
            if let Some((summary, content)) = self.next_delivery(&place)? {
                let mut lines = vec![format!("{place} {summary}")];
                if expected.len() > 1 {
                    lines.extend(shown_lines(&content));
                }
                return self.compare_delivery(step, &lines);
            }
        }
        self.compare(step, &[format!("{place} (nothing)")])
    }

    fn next_delivery(&self, place: &str) -> Result<Option<(String, Vec<u8>)>, String> {
        if place.starts_with('/') {
            return Ok(self.world.next_file(Path::new(place)).map(|file| summary_of(&file)));
        }
        let delivery = self.world.peers().next_delivery(socket(place)?);
        Ok(delivery.map(|delivery| (delivery.summary(), delivery.content)))
    }

    /// As `compare`; the bar in front of a line of content is no part of it.
    fn compare_delivery(&mut self, step: &Step, actual: &[String]) -> Shown {
        let bare = |line: &String| line.strip_prefix('|').map_or(line.clone(), |text| text.trim_start().to_owned());
        let expected: Vec<String> = self.script.expected(step).iter().map(bare).collect();
        let bare: Vec<String> = actual.iter().map(bare).collect();
        if lines_match(&expected, &bare) { Ok(()) } else { self.compare(step, actual) }
    }

    async fn metric(&mut self, step: &Step) -> Shown {
        let expected = self.script.expected(step).remove(0);
        let name = expected.rsplit_once(' ').map_or(expected.as_str(), |(name, _)| name).to_owned();
        let line_of = async |player: &Player<'a>| {
            let text = match &player.running {
                Some(running) => running.metrics().await,
                None => String::new(),
            };
            let found = text.lines().find(|line| line.rsplit_once(' ').is_some_and(|(key, _)| key == name));
            // A counter that has never been counted may not be there yet.
            vec![found.map_or_else(|| format!("{name} 0"), str::to_owned)]
        };
        self.compare_soon(step, line_of).await
    }

    async fn connections(&mut self, step: &Step) -> Shown {
        let place = self.script.expected(step)[0].split(' ').next().unwrap_or_default().to_owned();
        let at = socket(&place)?;
        sleep(MOMENT).await;
        let seen = self.world.peers().connections(at);
        let plural = if seen.len() == 1 { "" } else { "s" };
        let carried = seen.iter().map(|one| one.deliveries.to_string()).collect::<Vec<_>>().join("+");
        let carried = if seen.is_empty() { "no".to_owned() } else { carried };
        let last = seen.last().map(|last| format!(", the last from {}", last.from)).unwrap_or_default();
        self.compare(step, &[format!("{place} {} connection{plural}, {carried} deliveries{last}", seen.len())])
    }

    fn logged(&mut self, step: &Step) -> Shown {
        let expected = self.script.expected(step).join(" ");
        let log = self.world.log();
        let mut from = self.log_seen;
        for line in log[from..].split_inclusive(|octet| *octet == b'\n') {
            from += line.len();
            if line_matches(&expected, String::from_utf8_lossy(line).trim_end()) {
                self.log_seen = from;
                return Ok(());
            }
        }
        Err(format!("no line of the log like\n  - {expected}\nin\n{}", String::from_utf8_lossy(&log[self.log_seen..])))
    }
}

/// A word for no lines at all.
fn or(word: &str, lines: Vec<String>) -> Vec<String> {
    if lines.is_empty() { vec![word.to_owned()] } else { lines }
}
