//! What a server and all its processes cost: processor time, context switches and memory, read from
//! /proc.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

/// Ticks of the clock in which the kernel tells processor time; 100 on every Linux we run on.
const TICKS_PER_SECOND: u64 = 100;

/// Watches a process group.
pub(super) struct Meter {
    group: u32,
    before: Duration,
    switches: u64,
}

/// What it cost from [`Meter::begin`] on.
pub(super) struct Usage {
    pub(super) processor: Duration,
    /// Times that a thread gave the processor away because it had to wait; only of a server that is
    /// one process, since those of processes that have ended are not to be had.
    pub(super) switches: Option<u64>,
    pub(super) peak_kib: u64,
}

/// What is read from `/proc/…/stat`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Stat {
    pub(super) parent: u64,
    pub(super) group: u64,
    /// Of the process itself, and of its children that have ended.
    own_ticks: u64,
    waited_ticks: u64,
}

impl Meter {
    pub(super) fn begin(group: u32) -> Self {
        for process in members(group).keys() {
            // proc(5): resets the peak of resident memory.
            let _ = fs::write(format!("/proc/{process}/clear_refs"), "5");
        }
        Self { group, before: processor_time(group), switches: switches(group).unwrap_or(0) }
    }

    pub(super) fn usage(&self) -> Usage {
        Usage {
            processor: processor_time(self.group).saturating_sub(self.before),
            switches: switches(self.group).map(|switches| switches.saturating_sub(self.switches)),
            peak_kib: self.peak_kib(),
        }
    }

    /// The most that one process ever had. For a family of processes what they have now, which is about
    /// the most: Postfix keeps its processes for a while. Reading it costs milliseconds for each
    /// hundred processes, so it is not sampled while anything is measured.
    fn peak_kib(&self) -> u64 {
        let processes = members(self.group);
        match processes.keys().next() {
            Some(process) if processes.len() == 1 => status(*process, "VmHWM:"),
            _ => processes.keys().map(|process| proportional_kib(*process)).sum(),
        }
    }
}

/// What a group has in memory now; pages that its processes share count once.
pub(super) fn memory_kib(group: u32) -> u64 {
    members(group).keys().map(|process| proportional_kib(*process)).sum()
}

/// The processes of which this holds.
pub(super) fn processes(wanted: impl Fn(&Stat) -> bool) -> BTreeMap<u32, Stat> {
    let entries = fs::read_dir("/proc").map(Iterator::flatten).into_iter().flatten();
    let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let read = ids.filter_map(|id| Some((id, stat(&fs::read_to_string(format!("/proc/{id}/stat")).ok()?)?)));
    read.filter(|(_, stat)| wanted(stat)).collect()
}

fn members(group: u32) -> BTreeMap<u32, Stat> {
    processes(|stat| stat.group == u64::from(group))
}

/// Of all living processes of the group, and of the dead ones that the first has waited for.
fn processor_time(group: u32) -> Duration {
    let ticks = |ticks: u64| Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND);
    let each = members(group).into_iter().map(|(process, stat)| {
        // A tick is coarse for each of a hundred processes. The scheduler knows nanoseconds, but only
        // those of living threads; neither is ever too much.
        let own = scheduled(process).max(ticks(stat.own_ticks));
        let waited = if process == group { ticks(stat.waited_ticks) } else { Duration::ZERO };
        own + waited
    });
    each.sum()
}

/// Of its living threads.
fn scheduled(process: u32) -> Duration {
    let each = threads(process, "schedstat").into_iter();
    let nanoseconds = each.filter_map(|text| text.split(' ').next()?.parse::<u64>().ok());
    Duration::from_nanos(nanoseconds.sum())
}

fn switches(group: u32) -> Option<u64> {
    let processes = members(group);
    let process = processes.keys().next().filter(|_| processes.len() == 1)?;
    Some(threads(*process, "status").iter().map(|status| figure(status, "voluntary_ctxt_switches:")).sum())
}

/// A file of each of its threads.
fn threads(process: u32, file: &str) -> Vec<String> {
    let threads = fs::read_dir(format!("/proc/{process}/task")).map(Iterator::flatten).into_iter().flatten();
    threads.filter_map(|thread| fs::read_to_string(thread.path().join(file)).ok()).collect()
}

fn status(process: u32, field: &str) -> u64 {
    figure(&fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default(), field)
}

fn proportional_kib(process: u32) -> u64 {
    figure(&fs::read_to_string(format!("/proc/{process}/smaps_rollup")).unwrap_or_default(), "Pss:")
}

/// The number behind the name at the beginning of a line.
fn figure(text: &str, name: &str) -> u64 {
    let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|figure| figure.parse().ok()).unwrap_or(0)
}

/// Reads a `stat` line behind the name in parentheses, which may itself contain anything. proc(5)
/// counts fields from 1, and the first behind the name is the third.
fn stat(text: &str) -> Option<Stat> {
    let fields: Vec<&str> = text.rsplit_once(") ")?.1.split_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    Some(Stat {
        parent: field(4)?,
        group: field(5)?,
        own_ticks: field(14)? + field(15)?,
        waited_ticks: field(16)? + field(17)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_is_read_behind_its_name() {
        let line = "42 (a) b) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 3 4 20 0 9 0 0";
        let expected = Stat { parent: 1, group: 7, own_ticks: 300, waited_ticks: 7 };
        assert_eq!(stat(line), Some(expected));
        assert_eq!(stat("42 (cut off) S 1 7"), None);
    }

    #[test]
    fn figures_are_found_by_the_beginning_of_their_line() {
        let status = "Name:\tx\nnonvoluntary_ctxt_switches:\t9\nvoluntary_ctxt_switches:\t5\nVmHWM:\t  1234 kB\n";
        assert_eq!((figure(status, "voluntary_ctxt_switches:"), figure(status, "VmHWM:")), (5, 1234));
        assert_eq!(figure(status, "VmRSS:"), 0);
    }

    #[test]
    fn a_child_that_works_is_seen_to_work() {
        use std::os::unix::process::CommandExt;
        let mut command = std::process::Command::new("sh");
        let mut child = command.args(["-c", "while :; do :; done"]).process_group(0).spawn().unwrap();
        let meter = Meter::begin(child.id());
        let worked = || meter.usage().processor >= Duration::from_millis(20);
        e2e::until("20 ms of processor time", || worked().then_some(()));
        let usage = meter.usage();
        assert!(usage.peak_kib > 0 && memory_kib(child.id()) > 0 && usage.switches.is_some());
        let own = u64::from(std::process::id());
        assert!(processes(|stat| stat.parent == own).contains_key(&child.id()));
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
