//! What a server and all its processes cost: processor time and memory, read from /proc.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

/// Ticks of the clock in which the kernel counts processor time; 100 on every Linux we run on.
const TICKS_PER_SECOND: u64 = 100;

/// Reading the memory of a few hundred processes takes time from those it measures.
const BETWEEN_SAMPLES: Duration = Duration::from_millis(500);

/// Watches a process group.
pub(super) struct Load {
    group: u32,
    before: Cell<u64>,
    peak_kib: Cell<u64>,
    sampled: RefCell<Option<Instant>>,
}

/// What it cost from [`Load::begin`] on.
pub(super) struct Usage {
    pub(super) processor: Duration,
    pub(super) peak_kib: f64,
}

impl Load {
    pub(super) fn of(group: u32) -> Self {
        Self { group, before: Cell::new(0), peak_kib: Cell::new(0), sampled: RefCell::new(None) }
    }

    pub(super) fn begin(&self) {
        self.before.set(self.ticks());
    }

    pub(super) fn sample(&self) {
        let due = self.sampled.borrow().is_none_or(|last| last.elapsed() >= BETWEEN_SAMPLES);
        if due {
            self.peak_kib.set(self.peak_kib.get().max(self.memory_kib()));
            *self.sampled.borrow_mut() = Some(Instant::now());
        }
    }

    pub(super) fn usage(&self) -> Usage {
        let ticks = self.ticks().saturating_sub(self.before.get());
        let peak = self.peak_kib.get().max(self.memory_kib());
        let processor = Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND);
        Usage { processor, peak_kib: f64::from(u32::try_from(peak).unwrap_or(u32::MAX)) }
    }

    /// Processor time of all living processes of the group, and of the dead ones the first has
    /// waited for.
    fn ticks(&self) -> u64 {
        let own = |fields: &[u64]| fields[11] + fields[12];
        let waited = |fields: &[u64]| fields[13] + fields[14];
        let each = self
            .processes()
            .into_iter()
            .map(|(process, fields)| own(&fields) + if process == self.group { waited(&fields) } else { 0 });
        each.sum()
    }

    fn memory_kib(&self) -> u64 {
        self.processes().keys().map(|process| proportional_kib(*process)).sum()
    }

    /// The processes of the group with the numbers of their `stat` line from the fourth field on
    /// (proc(5): state is third and no number, so index 0 is a placeholder).
    fn processes(&self) -> BTreeMap<u32, Vec<u64>> {
        let entries = fs::read_dir("/proc").map(Iterator::flatten).into_iter().flatten();
        let ids = entries.filter_map(|entry| entry.file_name().to_string_lossy().parse::<u32>().ok());
        let mut found = BTreeMap::new();
        for id in ids {
            let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
            let fields: Vec<u64> = fields(&stat);
            if fields.get(2) == Some(&u64::from(self.group)) && fields.len() > 14 {
                found.insert(id, fields);
            }
        }
        found
    }
}

/// What follows the name in parentheses, which may itself contain anything.
fn fields(stat: &str) -> Vec<u64> {
    let rest = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    rest.split(' ').map(|field| field.trim().parse().unwrap_or(0)).collect()
}

fn proportional_kib(process: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{process}/smaps_rollup")).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("Pss:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|figure| figure.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_is_read_behind_its_name() {
        let stat = "42 (a) b) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 3 4 20 0 1 0 0";
        let fields = fields(stat);
        assert_eq!((fields[2], fields[11], fields[12], fields[13], fields[14]), (7, 250, 50, 3, 4));
    }

    #[test]
    fn our_own_group_has_used_something() {
        let fields = fields(&fs::read_to_string("/proc/self/stat").unwrap());
        let load = Load::of(u32::try_from(fields[2]).unwrap());
        load.sample();
        assert!(load.usage().peak_kib > 0.0);
    }
}
