//! Delivery into a directory: one file a message, whole or not there.

use super::{Assignment, Carrier, Job, Source, exhausted, same, unreadable};
use crate::event::Event;
use crate::world::World;
use mail::{Class, EnhancedStatus};
use queue::spool::ReadError;
use queue::{ConnectionEnd, Ending, Outcome};
use std::fmt::Write;
use std::io;
use std::path::Path;
use tokio::sync::mpsc;

impl<W: World> Carrier<W> {
    pub(super) async fn carry_to_directory(
        &self,
        directory: &Path,
        first: Assignment,
        jobs: &mut mpsc::Receiver<Assignment>,
    ) -> ConnectionEnd {
        let mut next = Some(first);
        while let Some(assignment) = next {
            let mut job = self.prepare(assignment).await;
            let dropped = match job.unreadable.take() {
                Some(error) => Err(io::Error::other(error)),
                None => self.drop_file(directory, &job).await,
            };
            let outcomes = match dropped {
                Ok(()) => delivered(&job, directory),
                Err(error) => match error.downcast::<ReadError>() {
                    // The message alone is at fault, and must not stand before all others.
                    Ok(ReadError::Gone) => return ConnectionEnd::Closed,
                    Ok(error) => match exhausted(&error) {
                        Some(why) => return self.exhausted(why),
                        None => unreadable(&job, &error),
                    },
                    Err(error) if is_want(&error) => {
                        return self.exhausted(format!("{}: {error}", directory.display()).into());
                    }
                    // The disk or the directory is, and every message would meet the same.
                    Err(error) => return self.refused(directory, &error),
                },
            };
            self.settle(&job, outcomes, &self.way.name, false).await;
            next = self.next(jobs).await;
        }
        ConnectionEnd::Closed
    }

    fn refused(&self, directory: &Path, error: &io::Error) -> ConnectionEnd {
        let why = format!("{}: {error}", directory.display());
        let event = Event::HopRefused { server: &self.way.server, hop: &self.way.name, why: &why };
        self.gateway.recorder.record(&event);
        ConnectionEnd::Failed { error: why.into() }
    }

    /// The name of the file is the identifier: a message dropped again after a crash replaces itself.
    async fn drop_file(&self, directory: &Path, job: &Job) -> io::Result<()> {
        let mut source = Source::new(&self.gateway, head(job), &job.content);
        let pieces = Box::new(move || source.next_blocking().map_err(io::Error::other));
        let name = format!("{}.eml", job.item.message);
        self.gateway.world.place_file(directory, &name, pieces).await
    }
}

/// Whether something of this host has run out: room again, or a descriptor, may be had any moment.
fn is_want(error: &io::Error) -> bool {
    use io::ErrorKind::{OutOfMemory, QuotaExceeded, StorageFull};
    matches!(error.kind(), OutOfMemory | QuotaExceeded | StorageFull)
}

fn delivered(job: &Job, directory: &Path) -> Vec<Outcome> {
    let status = EnhancedStatus::new(Class::Success, 1, 5);
    same(job, Ending::Delivered, status, &format!("written to {}", directory.display()))
}

/// X-Sender and X-Receiver are the envelope (reference 1.7); Return-Path is RFC 5321 §4.4.
fn head(job: &Job) -> Vec<u8> {
    let from = &job.envelope.reverse_path;
    let mut head = format!("X-Sender: <{from}>\r\n");
    for place in job.item.recipients.iter() {
        if let Some(recipient) = job.envelope.recipients.get(place) {
            // Writing to a string cannot fail.
            let _ = write!(head, "X-Receiver: <{}>\r\n", recipient.forward_path);
        }
    }
    let _ = write!(head, "Return-Path: <{from}>\r\n");
    let mut head = head.into_bytes();
    head.extend_from_slice(&job.envelope.trace);
    head
}
