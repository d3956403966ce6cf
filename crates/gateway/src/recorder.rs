//! Where events go: into the counters, and into the log as one line.

use crate::counters::Counters;
use crate::event::Event;
use crate::world::World;
use std::cell::RefCell;
use std::sync::Arc;

thread_local! {
    /// The line that is being written: events follow one another by the thousand, and a line each is
    /// no reason to allocate.
    static LINE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The shape of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogForm {
    /// One line a person reads.
    Text,
    /// One JSON object a line.
    Json,
}

/// Takes events.
#[derive(Debug)]
pub(crate) struct Recorder<W> {
    world: Arc<W>,
    counters: Counters,
    form: LogForm,
}

impl<W: World> Recorder<W> {
    /// A recorder.
    pub(crate) fn new(world: Arc<W>, counters: Counters, form: LogForm) -> Recorder<W> {
        Recorder { world, counters, form }
    }

    /// Something happened.
    pub(crate) fn record(&self, event: &Event<'_>) {
        self.counters.fold(event);
        if !event.is_logged() {
            return;
        }
        let written = LINE.with_borrow_mut(|line| {
            line.clear();
            match self.form {
                LogForm::Text => event.write_text(self.world.now(), line),
                LogForm::Json => event.write_json(self.world.now(), line),
            }
            self.world.write_log(line)
        });
        if !written {
            self.counters.log_line_lost();
        }
    }

    /// Something happened that is not worth a line this time; it counts all the same.
    pub(crate) fn count(&self, event: &Event<'_>) {
        self.counters.fold(event);
    }

    /// The counters.
    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }
}
