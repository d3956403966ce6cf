//! A file of the state directory in which an owner keeps what it knows, so that a restart forgets nothing: read at the
//! start, written some time after something has changed, and when everything stops.
//!
//! A file that cannot be read keeps the gateway from starting. One that is damaged, or cannot be written, is told about
//! and harms nothing else: what it is about goes on in memory.

use crate::event::Event;
use crate::world::World;
use crate::{Gateway, Law};
use std::fmt::Display;
use std::io;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// How long what has changed may stay unwritten.
const SAVE_AFTER: Duration = Duration::from_secs(10);

/// The file, seen by its owner.
pub(crate) struct Kept {
    name: &'static str,
    path: PathBuf,
    /// What stood in it at the start, until it is restored.
    found: Option<Vec<u8>>,
    /// When it is to be written.
    due: Option<Instant>,
}

impl Kept {
    /// Reads the file of this name, if there is one.
    ///
    /// # Errors
    /// It is there and cannot be read.
    pub(crate) fn read<W: World>(world: &W, law: &Law<W>, name: &'static str) -> io::Result<Kept> {
        let path = law.config.state_dir.join(name);
        let found = world.read_file(&path)?;
        Ok(Kept { name, path, found, due: None })
    }

    /// What stood in it; what begins anew if there was none, or it is damaged.
    pub(crate) fn restore<W: World, T, E: Display>(
        &mut self,
        gateway: &Gateway<W>,
        restore: impl FnOnce(&[u8]) -> Result<T, E>,
        anew: impl FnOnce() -> T,
    ) -> T {
        match self.found.take().map(|found| restore(&found)) {
            None => anew(),
            Some(Ok(restored)) => restored,
            Some(Err(error)) => {
                self.damaged(gateway, format_args!(": {error}; it begins anew"));
                anew()
            }
        }
    }

    /// Something has changed that may be lost with a process that is killed soon.
    pub(crate) fn changed(&mut self) {
        self.due.get_or_insert_with(|| Instant::now() + SAVE_AFTER);
    }

    /// Something has changed that must not be lost.
    pub(crate) fn changed_for_good(&mut self) {
        self.due = Some(Instant::now());
    }

    /// The next order for the owner; writes the file meanwhile, `text` at that moment. `None` when everything stops,
    /// and all is written.
    pub(crate) async fn next<W: World, T>(
        &mut self,
        gateway: &Gateway<W>,
        orders: &mut mpsc::Receiver<T>,
        text: impl Fn() -> String,
    ) -> Option<T> {
        loop {
            tokio::select! {
                biased;
                () = gateway.stop.soft.given() => break,
                () = due(self.due) => self.save(gateway, &text).await,
                order = orders.recv() => match order {
                    Some(order) => return Some(order),
                    None => break,
                },
            }
        }
        self.save(gateway, &text).await;
        None
    }

    async fn save<W: World>(&mut self, gateway: &Gateway<W>, text: impl Fn() -> String) {
        if self.due.take().is_none() {
            return;
        }
        if let Err(error) = gateway.world.write_file(&self.path, text().into_bytes()).await {
            self.damaged(gateway, format_args!(" could not be written: {error}"));
        }
    }

    fn damaged<W: World>(&self, gateway: &Gateway<W>, how: impl Display) {
        let what = format!("the file `{}` of the state directory{how}", self.name);
        gateway.recorder.record(&Event::Damaged { what: &what });
    }
}

async fn due(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
