//! A limit on what a program may have in memory, set by the kernel: beyond it the program is killed.

use std::fs;
use std::path::{Path, PathBuf};

use crate::until;

/// A control group with a limit, removed when dropped. What runs in it must have ended by then.
#[derive(Debug)]
pub struct MemoryLimit {
    group: PathBuf,
    unified: bool,
}

impl MemoryLimit {
    /// A group that may have so much, page cache included. Or says why there is none.
    pub fn of(bytes: u64) -> Result<Self, String> {
        let unified = Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
        let root = if unified { "/sys/fs/cgroup" } else { "/sys/fs/cgroup/memory" };
        let group = Path::new(root).join(crate::mail::token().replace("token", "bridgehead-e2e"));
        let file = if unified { "memory.max" } else { "memory.limit_in_bytes" };
        let made = fs::create_dir(&group).and_then(|()| fs::write(group.join(file), bytes.to_string()));
        let limit = Self { group, unified };
        match made {
            Ok(()) => Ok(limit),
            Err(error) => Err(format!("no memory limit can be set in {root}: {error}")),
        }
    }

    /// What stands in front of a program that is to run in the group.
    #[must_use]
    pub fn words(&self) -> [String; 4] {
        let script = format!("echo $$ > {}/cgroup.procs && exec \"$@\"", self.group.display());
        ["sh".to_owned(), "-c".to_owned(), script, "sh".to_owned()]
    }

    /// Most bytes the group ever had.
    #[must_use]
    pub fn peak(&self) -> u64 {
        let file = if self.unified { "memory.peak" } else { "memory.max_usage_in_bytes" };
        self.read(file).trim().parse().unwrap_or(0)
    }

    /// How many programs were killed for want of memory.
    #[must_use]
    pub fn killed(&self) -> u64 {
        let text = self.read(if self.unified { "memory.events" } else { "memory.oom_control" });
        let count = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
        count.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.group.join(file)).unwrap_or_default()
    }
}

impl Drop for MemoryLimit {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = fs::remove_dir(&self.group);
            return;
        }
        // The last process may still be on its way out.
        until("the group to be empty", || fs::remove_dir(&self.group).is_ok().then_some(()));
    }
}
