//! Conclude: what has to be said when something has become of a recipient.
//!
//! A report is made durable before the outcome it tells of is recorded: a crash between the two
//! reports twice and never loses a word. If it cannot be made durable, the failure is put off.

use crate::Gateway;
use crate::deliver::{Source, Stored};
use crate::event::{Event, Reported};
use crate::keeper::NotCommitted;
use crate::recorder::Recorder;
use crate::session::caught;
use crate::world::World;
use mail::{Class, EnhancedStatus, ReversePath, Timestamp};
use queue::Draft;
use queue::report::badmail::bad_mail;
use queue::report::{self, Case, Extent, ReportSettings, Returned, Subject};
use queue::spool::ReadError;
use queue::{Diagnosis, Ending, Envelope, Outcome};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

/// Octets of a header that is returned with a report.
const HEADER_OCTETS: usize = 64 * 1024;

/// Outcomes whose reports are durable.
#[derive(Debug)]
pub(crate) struct Settled {
    /// The outcomes; failures that could not be reported yet have become deferrals.
    pub outcomes: Vec<Outcome>,
}

/// What brought the outcomes about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Occasion {
    /// An attempt; the next hop may report for itself from here on (it offers DSN).
    Attempt {
        /// It does.
        hop_reports: bool,
    },
    /// Nothing was attempted: too late, no route, deleted.
    Decision,
}

/// Makes every report durable that these outcomes ask for. A panic on the way is like a report that
/// could not be made: nothing of the message may be lost with it.
pub(crate) async fn settle<W: World>(
    gateway: &Arc<Gateway<W>>,
    envelope: &Arc<Envelope>,
    content: &Stored,
    mut outcomes: Vec<Outcome>,
    occasion: Occasion,
) -> Settled {
    if caught(pin!(report_all(gateway, envelope, content, &mut outcomes, occasion))).await.is_none() {
        gateway.recorder.record(&Event::Fault { place: "report", what: "panic; the report is put off" });
        defer(&mut outcomes, report::Event::Failed);
    }
    Settled { outcomes }
}

async fn report_all<W: World>(
    gateway: &Arc<Gateway<W>>,
    envelope: &Arc<Envelope>,
    content: &Stored,
    outcomes: &mut [Outcome],
    occasion: Occasion,
) {
    let (hop_reports, attempted) = match occasion {
        Occasion::Attempt { hop_reports } => (hop_reports, Some(gateway.world.now())),
        Occasion::Decision => (false, None),
    };
    for event in [report::Event::Failed, report::Event::Relayed, report::Event::Delivered] {
        let asked = |outcome: &&Outcome| {
            let recipient = envelope.recipients.get(outcome.recipient);
            recipient.and_then(|r| report::should_report(r, outcome.result, hop_reports)) == Some(event)
        };
        let cases: Vec<(usize, Diagnosis)> =
            outcomes.iter().filter(asked).map(|o| (o.recipient, o.diagnosis.clone())).collect();
        if !cases.is_empty() && tell(gateway, envelope, content, event, &cases, attempted).await.is_err() {
            defer(outcomes, event);
        }
    }
    if envelope.reverse_path == ReversePath::Null {
        bury(gateway, envelope, content, outcomes).await;
    }
}

/// Outcomes of which nobody can be told now.
pub(crate) fn put_off(mut outcomes: Vec<Outcome>) -> Settled {
    defer(&mut outcomes, report::Event::Failed);
    Settled { outcomes }
}

/// What could not be told has not happened yet. A delivery cannot be taken back; its report is lost
/// with the disk that would not keep it.
fn defer(outcomes: &mut [Outcome], event: report::Event) {
    for outcome in outcomes.iter_mut().filter(|o| event == report::Event::Failed && o.result == Ending::Failed) {
        outcome.result = Ending::Deferred;
        outcome.diagnosis.status.class = Class::Transient;
    }
}

/// Queues one report about some recipients of a message.
///
/// # Errors
/// It could not be made durable, or what it must return could not be read now.
pub(crate) async fn tell<W: World>(
    gateway: &Arc<Gateway<W>>,
    envelope: &Arc<Envelope>,
    content: &Stored,
    event: report::Event,
    cases: &[(usize, Diagnosis)],
    attempted: Option<Timestamp>,
) -> Result<(), NotCommitted> {
    if envelope.reverse_path == ReversePath::Null {
        return Ok(());
    }
    let settings = report_settings(gateway);
    let now = gateway.world.now();
    let cases: Vec<Case<'_>> =
        cases.iter().map(|(recipient, diagnosis)| Case { recipient: *recipient, diagnosis, attempted }).collect();
    let extent = report::extent(envelope, event, &settings);
    let limit = if extent == Extent::Full { usize::MAX } else { HEADER_OCTETS };
    let (octets, whole) = match read(gateway, content, limit).await {
        Ok(octets) => (octets, extent == Extent::Full),
        Err(ReadError::Disk(_)) => return Err(NotCommitted::Failed),
        // What the disk has lost does not come back, and its sender must hear of it all the same.
        Err(ReadError::Damaged | ReadError::Gone) => (Vec::new(), false),
    };
    let returned = if whole { Returned::Full(&octets) } else { Returned::Headers(&octets) };
    let subject = Subject { envelope, event, cases: &cases, returned };
    let Some((report, body)) = report::compose(&subject, &settings, gateway.ids.next(), now) else {
        return Ok(());
    };
    let mut draft = Draft::new();
    draft.push(&body);
    let report = Arc::new(report);
    // Of the receipt nothing is wanted but that it is there.
    let (receipt, admission) = gateway.keeper.commit(report.clone(), draft.finish()).await?;
    admission.enter().await;
    let kind = kind(event);
    let event = Event::Reported { server: &report.server, id: receipt.id(), about: envelope.id, kind };
    gateway.recorder.record(&event);
    Ok(())
}

fn kind(event: report::Event) -> Reported {
    match event {
        report::Event::Failed => Reported::Failed,
        report::Event::Delayed { .. } => Reported::Delayed,
        report::Event::Relayed => Reported::Relayed,
        report::Event::Delivered => Reported::Delivered,
    }
}

/// What holds for all that we write ourselves.
pub(crate) fn report_settings<W: World>(gateway: &Gateway<W>) -> ReportSettings {
    let law = gateway.law.load();
    let config = &law.config;
    let mut settings = ReportSettings::new(config.hostname.clone(), config.organization.postmaster.clone());
    settings.copies_to.clone_from(&config.queue.copy_of_reports);
    settings
}

/// The beginning of a body.
async fn read<W: World>(gateway: &Gateway<W>, content: &Stored, limit: usize) -> Result<Vec<u8>, ReadError> {
    let mut source = Source::new(gateway, Vec::new(), content);
    let mut octets = Vec::new();
    while octets.len() < limit
        && let Some(chunk) = source.next(&gateway.world).await?
    {
        octets.extend_from_slice(&chunk);
    }
    Ok(octets)
}

/// A message without a sender has failed: there is nobody to tell, so it goes to the bad-mail
/// directory. If even that fails it is kept and tried again.
async fn bury<W: World>(
    gateway: &Arc<Gateway<W>>,
    envelope: &Arc<Envelope>,
    content: &Stored,
    outcomes: &mut [Outcome],
) {
    let failed: Vec<Outcome> = outcomes.iter().filter(|o| o.result == Ending::Failed).cloned().collect();
    let Some(first) = failed.first() else { return };
    match place(gateway, envelope, content, &failed).await {
        Ok(()) => {
            let event = Event::BadMail { server: &envelope.server, id: envelope.id, why: &first.diagnosis.text };
            gateway.recorder.record(&event);
        }
        Err(error) => {
            let what = format!("bad-mail directory: {error}");
            gateway.recorder.record(&Event::NotBuried { server: &envelope.server, id: envelope.id, why: &what });
            defer(outcomes, report::Event::Failed);
        }
    }
}

async fn place<W: World>(
    gateway: &Arc<Gateway<W>>,
    envelope: &Envelope,
    content: &Stored,
    failed: &[Outcome],
) -> io::Result<()> {
    let now = gateway.world.now();
    let cases: Vec<Case<'_>> =
        failed.iter().map(|o| Case { recipient: o.recipient, diagnosis: &o.diagnosis, attempted: None }).collect();
    let bad = bad_mail(envelope, &cases, now);
    let directory = gateway.law.load().config.queue.bad_mail_directory.clone();
    let mut source = Source::new(gateway, bad.message_head, content);
    let pieces = Box::new(move || match source.next_blocking() {
        Err(ReadError::Disk(error)) => Err(error),
        // What can still be read of it is all that there will ever be.
        Err(ReadError::Damaged | ReadError::Gone) => Ok(None),
        Ok(piece) => Ok(piece),
    });
    gateway.world.place_file(&directory, &bad.message_name, pieces).await?;
    let mut reason = Some(bad.reason.into_bytes().into());
    gateway.world.place_file(&directory, &bad.reason_name, Box::new(move || Ok(reason.take()))).await
}

/// Says each outcome to the log and the counters.
pub(crate) fn say<W: World>(
    recorder: &Recorder<W>,
    envelope: &Envelope,
    outcomes: &[Outcome],
    hop: &str,
    age: Duration,
) {
    for outcome in outcomes {
        let Some(recipient) = envelope.recipients.get(outcome.recipient) else { continue };
        recorder.record(&Event::Outcome {
            server: &envelope.server,
            id: envelope.id,
            recipient: &recipient.forward_path,
            ending: outcome.result,
            status: outcome.diagnosis.status,
            text: &outcome.diagnosis.text,
            hop,
            age,
        });
    }
}

/// The words for a message that has been tried for as long as it may.
#[must_use]
pub(crate) fn expired(last_error: Option<&str>) -> Diagnosis {
    let text = match last_error {
        Some(error) => format!("given up: it could not be delivered in time; last error: {error}"),
        None => "given up: it could not be delivered in time".to_owned(),
    };
    Diagnosis { status: report::EXPIRED, text: text.into(), host: None }
}

/// The words for a message that is late.
#[must_use]
pub(crate) fn late(last_error: Option<&str>) -> Diagnosis {
    let text = last_error.map_or("not delivered yet".to_owned(), |error| format!("not delivered yet: {error}"));
    Diagnosis { status: EnhancedStatus::new(Class::Transient, 4, 1), text: text.into(), host: None }
}

/// The words for a recipient that no route leads to.
#[must_use]
pub(crate) fn no_route() -> Diagnosis {
    Diagnosis { status: report::NO_ROUTE, text: "no route leads to this domain".into(), host: None }
}

/// The words for a way whose hosts are all ourselves (reference 2, 5.4.6).
#[must_use]
pub(crate) fn own_loop() -> Diagnosis {
    let text = "mail for this destination loops back to this gateway".into();
    Diagnosis { status: report::LOOP, text, host: None }
}

/// The words for a message that an administrator deleted.
#[must_use]
pub(crate) fn deleted() -> Diagnosis {
    Diagnosis { status: report::DELETED, text: "deleted by an administrator".into(), host: None }
}
