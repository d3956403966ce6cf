//! Plays a plan: the gateway in a world that does what the plan says, life after life.
//!
//! A life is one runtime. When the host or the program dies the runtime is dropped, and with it every
//! task at whatever it was doing; the next life begins with what the disk has kept.

use super::client::{self, Stage};
use super::law;
use super::plan::{Act, Crash, DiskTrouble, Law, LineTrouble, Plan};
use super::seen::{Count, Life, Seen};
use crate::dice::Dice;
use crate::plant::Plant;
use crate::running::{self, Running};
use crate::world::SimWorld;
use queue::disk::Disk;
use queue::disk::memory::Fault;
use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// A planned death comes at the latest after this.
const DEATH: Duration = Duration::from_secs(2);
/// A graceful stop may take so long (faults page, figure 4).
const STOP: Duration = Duration::from_secs(15);
/// When all is well again, everything must have come to an end after this: the longest anybody waits
/// for a peer that stalls (RFC 5321 §4.5.3.2.6: ten minutes), and the rests that follow.
const PEACE: Duration = Duration::from_secs(30 * 60);
/// Longer than a stalled peer keeps its connection.
const STALLED: Duration = Duration::from_secs(31 * 60);
/// How often a start that fails is tried before somebody mends the disk.
const STARTS: usize = 5;

/// How a life ended.
enum End {
    /// To be started again after a pause; of what was not flushed, `cut` decides what survives.
    Down { pause: Duration, cut: Option<u64> },
    /// The plan is over.
    Over,
}

/// Plays a plan, in a world that is broken on purpose if there is a plant.
///
/// # Panics
/// If the runtime cannot be built, which needs nothing of the machine.
#[must_use]
pub fn run(plan: &Plan, plant: Option<Plant>) -> Seen {
    let mut show: Option<Show<'_>> = None;
    let mut rest = None;
    loop {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime =
            builder.enable_time().start_paused(true).build().expect("a runtime without a driver is only memory");
        let (end, lasted) = runtime.block_on(async {
            let show = show.get_or_insert_with(|| Show::new(plan, plant));
            if let Some((lasted, pause, cut)) = rest.take() {
                show.world.clock().go_on(lasted, pause);
                show.world.power_up(cut);
            }
            let end = Box::pin(show.live()).await;
            (end, show.world.clock().elapsed())
        });
        drop(runtime);
        match end {
            End::Down { pause, cut } => rest = Some((lasted, pause, cut)),
            End::Over => break,
        }
    }
    show.map(Show::end).unwrap_or_default()
}

/// A plan that is being played.
struct Show<'a> {
    plan: &'a Plan,
    world: Arc<SimWorld>,
    seen: Arc<Mutex<Seen>>,
    /// The settings in force.
    law: Law,
    /// The event that is next.
    next: usize,
    /// After how many steps the next starts die.
    deaths: VecDeque<(u64, Crash)>,
    /// Something is wrong with the disk.
    disk_fails: bool,
    /// Where in the log this life begins.
    log_begin: usize,
    /// The plan is over; what is left is to look at what the disk has kept.
    last: bool,
}

impl<'a> Show<'a> {
    fn new(plan: &'a Plan, plant: Option<Plant>) -> Show<'a> {
        let world = Arc::new(SimWorld::rough(Dice::new(plan.seed).fork("world"), plant));
        for (_, door) in law::DOORS {
            world.add_own_address(door.parse::<std::net::SocketAddr>().expect("an address in the law").ip());
        }
        for peer in law::PEERS {
            world.peers().set(peer.parse().expect("an address in the law"), crate::mood::Mood::default());
        }
        law::NAMES.into_iter().for_each(|line| enter(&world, line));
        Show {
            plan,
            world,
            seen: Arc::default(),
            law: plan.law,
            next: 0,
            deaths: VecDeque::new(),
            disk_fails: false,
            log_begin: 0,
            last: false,
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wrong(&self, what: String) {
        self.world.tell(&format!("WRONG {what}"));
        self.seen().wrong.push(what);
    }

    /// The life that is going on.
    fn life<T>(&self, change: impl FnOnce(&mut Life) -> T) -> T {
        change(self.seen().lives.last_mut().expect("invariant: a life has begun"))
    }

    /// One life.
    async fn live(&mut self) -> End {
        self.log_begin = self.world.log().len();
        let disk_failed = self.disk_fails;
        self.world.loose_ends().forget();
        self.seen().lives.push(Life { disk_failed, ..Life::default() });
        let (end, killed) = self.live_on().await;
        let ended = self.world.clock().elapsed();
        let disk_failing = self.disk_fails;
        let (loose_ends, disk_lied) = (self.world.loose_ends().are_there(), self.world.disk_lies());
        self.life(|life| {
            (life.ended, life.killed) = (ended, killed);
            (life.disk_failing, life.loose_ends, life.disk_lied) = (disk_failing, loose_ends, disk_lied);
        });
        end
    }

    async fn live_on(&mut self) -> (End, bool) {
        let death = self.deaths.pop_front();
        if let Some((steps, _)) = &death {
            self.world.power().fail_at(*steps);
        }
        let started = {
            let (world, start) = (self.world.clone(), self.start());
            tokio::select! {
                biased;
                () = world.power().failed() => None,
                started = start => started,
            }
        };
        let Some(mut running) = started else {
            // It did not get far.
            return match death {
                Some((_, crash)) => (self.down(&crash), true),
                None => (End::Over, false),
            };
        };
        if let Some((_, crash)) = death {
            // It dies a little later.
            let _ = timeout(DEATH, self.world.power().failed()).await;
            self.world.power().fail();
            return (self.down(&crash), true);
        }
        if self.last {
            self.look(&running).await;
            running.stop().await;
            return (End::Over, false);
        }
        let (released, waiting) = watch::channel(false);
        let stage =
            Stage { seed: self.plan.seed, world: self.world.clone(), seen: self.seen.clone(), released: waiting };
        if let Some(end) = self.play(&mut running, &stage).await {
            return match end {
                Played::Died(crash) => (self.down(&crash), true),
                Played::Stop(pause) => (self.stop(running, pause).await, false),
                Played::Lost => (End::Over, false),
            };
        }
        (self.finish(running, &released).await, false)
    }

    /// The host, or the program, is dead.
    fn down(&self, crash: &Crash) -> End {
        self.world.tell("-- dead");
        End::Down { pause: Duration::from_millis(crash.down_ms), cut: crash.cut }
    }

    /// Starts the gateway; an operator mends the disk if it does not start otherwise.
    async fn start(&mut self) -> Option<Running> {
        for attempt in 0.. {
            let world = self.world.clone();
            match Box::pin(Running::start(world, "sim.toml", &law::text(self.law))).await {
                Ok((running, _)) => {
                    self.world.tell("-- started");
                    return Some(running);
                }
                Err(why) if attempt > STARTS => {
                    self.wrong(format!("it does not start: {}", why.join(" ")));
                    return None;
                }
                Err(why) => self.world.tell(&format!("-- not started: {}", why.join(" "))),
            }
            if attempt == STARTS - 1 {
                self.heal_disk();
            }
            sleep(Duration::from_secs(1)).await;
        }
        None
    }

    /// Plays events until there are no more, or the life is over.
    async fn play(&mut self, running: &mut Running, stage: &Stage) -> Option<Played> {
        let mut dying: Option<(Crash, Duration)> = None;
        loop {
            let event = self.plan.events.get(self.next);
            let due = event.map(|event| Duration::from_millis(event.at_ms));
            let deadline = dying.as_ref().map(|(_, at)| *at);
            let until = [due, deadline].into_iter().flatten().min()?;
            let power = self.world.power().clone();
            tokio::select! {
                biased;
                () = power.failed() => {}
                () = running.owner_lost() => {
                    self.wrong("the owner of the spool or of the schedule has died".to_owned());
                    return Some(Played::Lost);
                }
                () = sleep(until.saturating_sub(self.world.clock().elapsed())) => {}
            }
            if let Some((crash, _)) = dying.take_if(|(_, at)| power.is_off() || *at <= self.world.clock().elapsed()) {
                power.fail();
                return Some(Played::Died(crash));
            }
            let Some(event) = event else { continue };
            if due.is_some_and(|due| due > self.world.clock().elapsed()) {
                continue;
            }
            self.next += 1;
            self.world.tell(&format!("-- {}", brief(&event.act)));
            match &event.act {
                Act::Crash(crash) if dying.is_none() => {
                    self.world.power().fail_at(crash.after);
                    for steps in crash.again.iter().rev() {
                        self.deaths.push_front((*steps, Crash { again: Vec::new(), ..crash.clone() }));
                    }
                    dying = Some((crash.clone(), self.world.clock().elapsed() + DEATH));
                }
                // One death at a time.
                Act::Crash(_) => {}
                Act::Stop { down_ms } if dying.is_none() => {
                    return Some(Played::Stop(Duration::from_millis(*down_ms)));
                }
                Act::Stop { .. } => {}
                act => {
                    // Without power nobody answers.
                    tokio::select! {
                        biased;
                        () = power.failed() => {}
                        () = self.perform(act, running, stage) => {}
                    }
                }
            }
        }
    }

    async fn perform(&mut self, act: &Act, running: &mut Running, stage: &Stage) {
        match act {
            Act::Session(session) => _ = tokio::spawn(client::call(stage.clone(), session.clone())),
            Act::Peer(at, mood) => match mood.parse() {
                Ok(mood) => self.world.peers().set(*at, mood),
                Err(what) => self.wrong(what),
            },
            Act::Line(far, trouble) => match trouble {
                LineTrouble::Delay(ms) => self.world.links().delay(*far, *ms),
                LineTrouble::Cut => self.world.links().cut(*far),
                LineTrouble::Silent => self.world.links().silence(*far),
                LineTrouble::Clear => self.world.links().clear(*far),
            },
            Act::Disk(trouble) => self.disk(*trouble),
            Act::Name(line) => enter(&self.world, line),
            Act::Clock(ms) => self.world.clock().jump(*ms),
            Act::Log { deaf } => self.world.set_log_deaf(*deaf),
            Act::Stillborn(count) => self.world.lose_arrivals(*count),
            Act::Directories { missing } => self.directories(*missing),
            Act::Queue(command) => self.command(running, command),
            Act::Reload(law) => self.reload(running, *law).await,
            Act::Count => _ = self.count(running).await,
            Act::Crash(_) | Act::Stop { .. } => {}
        }
    }

    fn directories(&self, missing: bool) {
        self.world.set_missing(&law::drop_directory(), missing);
        self.world.set_missing(&law::bad_mail_directory(), missing);
    }

    fn disk(&mut self, trouble: DiskTrouble) {
        let disk = self.world.disk(Path::new("/spool"));
        self.disk_fails = true;
        self.life(|life| life.disk_failed = true);
        match trouble {
            DiskTrouble::Fails { call, n, on, kind } => {
                let fault = if on { Fault::FromThenOn(kind) } else { Fault::Once(kind) };
                match call {
                    None => disk.fail_at(n, fault),
                    Some(call) => disk.fail_call(call, n, fault),
                }
            }
            DiskTrouble::Full(octets) => disk.set_capacity(Some(octets)),
            DiskTrouble::Heals => self.heal_disk(),
            DiskTrouble::Lies => self.world.let_disk_lie(),
        }
    }

    fn heal_disk(&mut self) {
        let disk = self.world.disk(Path::new("/spool"));
        disk.heal();
        disk.set_capacity(None);
        // One that has lied keeps what it kept then, and nobody knows what that is.
        self.disk_fails = self.world.disk_lies();
    }

    /// A command that is not waited for: its answer comes when it is durable.
    fn command(&self, running: &Running, command: &str) {
        if let Some((verb, number)) = deleted(command) {
            self.seen().deleted.push((number, verb.to_owned()));
        }
        let (control, command, world, seen) =
            (running.control(), command.to_owned(), self.world.clone(), self.seen.clone());
        tokio::spawn(async move {
            let answer = running::perform(&control, &command).await.unwrap_or_else(|what| vec![what]).join("\n");
            world.tell(&format!("{command}: {}", answer.replace('\n', " / ")));
            seen.lock().unwrap_or_else(PoisonError::into_inner).said.push_str(&answer);
        });
    }

    async fn reload(&mut self, running: &mut Running, law: Option<Law>) {
        let text = law.map_or_else(|| "hostname = 7\n".to_owned(), law::text);
        match (running.reload("sim.toml", &text).await, law) {
            (Ok(_), Some(law)) => self.law = law,
            (Err(_), None) => {}
            (Ok(_), None) => self.wrong("broken settings were taken".to_owned()),
            (Err(why), Some(_)) => self.wrong(format!("good settings were refused: {}", why.join(" "))),
        }
    }

    /// Compares nothing; keeps what there is to compare.
    async fn count(&self, running: &Running) -> String {
        let metrics = running.metrics().await;
        let log = String::from_utf8_lossy(&self.world.log()[self.log_begin..]).into_owned();
        self.life(|life| life.counts.push(Count { metrics: metrics.clone(), log }));
        metrics
    }

    async fn stop(&self, running: Running, pause: Duration) -> End {
        self.count(&running).await;
        self.stop_in_time(running).await;
        End::Down { pause, cut: None }
    }

    async fn stop_in_time(&self, running: Running) {
        let begin = self.world.clock().elapsed();
        running.stop().await;
        let took = self.world.clock().elapsed().saturating_sub(begin);
        self.world.tell(&format!("-- stopped after {} ms", took.as_millis()));
        if took > STOP {
            self.wrong(format!("stopping took {} s", took.as_secs()));
        }
    }

    /// All is well again: everything must come to an end now.
    async fn finish(&mut self, running: Running, released: &watch::Sender<bool>) -> End {
        self.world.tell("-- peace");
        self.heal_disk();
        self.world.links().clear_all();
        self.world.peers().appease();
        self.world.set_log_deaf(false);
        self.world.lose_arrivals(0);
        self.directories(false);
        law::NAMES.into_iter().for_each(|line| enter(&self.world, line));
        for command in ["release", "unfreeze to "] {
            self.command(&running, command);
        }
        self.drain(&running).await;
        // Whoever is left now is left for good.
        let _ = released.send(true);
        sleep(Duration::from_secs(1)).await;
        let metrics = self.count(&running).await;
        let queue = running.queue().await;
        self.left_on_disk(&queue);
        {
            let mut seen = self.seen();
            seen.said.push_str(&queue.join("\n"));
            (seen.queue, seen.last_metrics) = (queue, metrics);
        }
        self.stop_in_time(running).await;
        // Peers that stall give up by themselves.
        sleep(STALLED).await;
        self.seen().tasks_left = tokio::runtime::Handle::current().metrics().num_alive_tasks();
        self.last = true;
        End::Down { pause: Duration::ZERO, cut: Some(self.plan.seed) }
    }

    /// Waits until nobody is inside and nothing is queued, or for as long as that may take.
    async fn drain(&self, running: &Running) {
        let begin = self.world.clock().elapsed();
        let mut pause = Duration::from_secs(1);
        while self.world.clock().elapsed() - begin < PEACE {
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(30));
            let metrics = running.metrics().await;
            if super::counters::is_quiet(&metrics) {
                return;
            }
        }
    }

    /// Nothing is queued, so no body needs a file. One that a failing disk would not remove goes with the
    /// next start.
    fn left_on_disk(&self, queue: &[String]) {
        let names = self.world.disk(Path::new("/spool")).list().unwrap_or_default();
        let bodies: Vec<_> = names.iter().filter(|name| name.starts_with("body-")).collect();
        if queue.is_empty() && !bodies.is_empty() && !self.life(|life| life.disk_failed) {
            self.wrong(format!("nothing is queued, and there are {bodies:?}"));
        }
    }

    /// What the disk has kept must be what was left in the queue.
    async fn look(&self, running: &Running) {
        let queue = running.queue().await;
        // What was written last to a disk that failed or lied may be read for a while, and is gone later:
        // what has become of messages is not known then, and they are ours again.
        let forgetful = self.seen().lives.iter().any(|life| life.disk_failing);
        if queue != self.seen().queue && !forgetful {
            self.wrong(format!("after the last start the queue holds {queue:?}"));
        }
    }

    fn end(self) -> Seen {
        let mut seen = std::mem::take(&mut *self.seen());
        let peers = self.world.peers();
        (seen.deliveries, seen.complaints) = (peers.all(), peers.complaints());
        seen.files = self.world.unread_files();
        seen.log = String::from_utf8_lossy(&self.world.log()).into_owned();
        seen.story = self.world.story();
        seen
    }
}

/// Why playing ended before the plan did.
enum Played {
    Died(Crash),
    Stop(Duration),
    Lost,
}

fn enter(world: &SimWorld, line: &str) {
    if let Err(what) = world.with_names(|names| names.enter(line)) {
        world.tell(&format!("WRONG name: {what}"));
    }
}

/// Whose messages a command deletes, if it does that.
fn deleted(command: &str) -> Option<(&str, u32)> {
    let (verb, filter) = command.split_once(' ')?;
    let number = filter.strip_prefix("from:<s")?.strip_suffix('@')?;
    verb.starts_with("delete").then_some(())?;
    Some((verb, number.parse().ok()?))
}

/// An event for the story; a session has its own lines.
fn brief(act: &Act) -> String {
    let text = act.to_string();
    text.chars().take(160).collect()
}
