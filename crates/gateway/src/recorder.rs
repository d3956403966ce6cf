//! Where events go: into the counters, and into the log as one line.

use crate::counters::Counters;
use crate::event::Event;
use crate::world::World;
use std::sync::Arc;

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
        let mut line = Vec::with_capacity(256);
        match self.form {
            LogForm::Text => event.write_text(self.world.now(), &mut line),
            LogForm::Json => event.write_json(self.world.now(), &mut line),
        }
        if !self.world.write_log(line) {
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
