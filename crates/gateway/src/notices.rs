//! What directories have to say to an operator, on its way to the log.
//!
//! They speak whenever something happens to them, also while the gateway is being put together.

use crate::Gateway;
use crate::event::Event;
use crate::world::{Hear, World};
use std::sync::Arc;
use tokio::sync::mpsc;

/// What may wait to be said; what comes beyond that is not said.
const WAITING: usize = 64;

/// Which directory, and what has happened to it.
type Notice = (Box<str>, String);

/// The way of notices.
pub(crate) struct Notices(mpsc::Sender<Notice>);

impl Notices {
    /// The way, and its end.
    pub(crate) fn new() -> (Notices, mpsc::Receiver<Notice>) {
        let (to, from) = mpsc::channel(WAITING);
        (Notices(to), from)
    }

    /// For a directory that has something to say. It does not wait.
    pub(crate) fn hear(&self) -> Hear {
        let to = self.0.clone();
        Arc::new(move |directory, what| _ = to.try_send((directory.into(), what)))
    }
}

/// Says to the log what comes, until everything stops.
pub(crate) fn start<W: World>(gateway: &Arc<Gateway<W>>, mut from: mpsc::Receiver<Notice>) {
    let said = gateway.clone();
    gateway.tasks.spawn(async move {
        loop {
            tokio::select! {
                biased;
                () = said.stop.soft.given() => return,
                notice = from.recv() => match notice {
                    Some((directory, what)) => {
                        said.recorder.record(&Event::Directory { directory: &directory, what: &what });
                    }
                    None => return,
                },
            }
        }
    });
}
