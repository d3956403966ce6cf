//! Whether to report, and how much to return: decisions only.

use super::{Event, ReportSettings};
use crate::envelope::{Ending, Envelope, Notify, Recipient, Ret};

/// What to report about a recipient after an attempt that ended in `ending`, if anything (RFC 3461 §5.2).
///
/// `hop_reports` says whether the next hop offers DSN, and so reports for itself; a drop directory
/// is the destination, and whoever delivered into it says `false`. Lateness is not an ending; see
/// [`wants`].
#[must_use]
pub fn should_report(recipient: &Recipient, ending: Ending, hop_reports: bool) -> Option<Event> {
    let notify = recipient.notify.unwrap_or(Notify::UNSAID);
    match ending {
        Ending::Failed => notify.failure.then_some(Event::Failed),
        Ending::Relayed => (notify.success && !hop_reports).then_some(Event::Relayed),
        Ending::Delivered => (notify.success && !hop_reports).then_some(Event::Delivered),
        Ending::Deferred => None,
    }
}

/// Whether `event` is to be reported about this recipient, as far as its sender has a say.
#[must_use]
pub fn wants(recipient: &Recipient, event: Event) -> bool {
    let notify = recipient.notify.unwrap_or(Notify::UNSAID);
    match event {
        Event::Failed => notify.failure,
        Event::Delayed { .. } => notify.delay,
        Event::Relayed | Event::Delivered => notify.success,
    }
}

/// How much of the message a report returns; what [`super::compose`] must be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Its header.
    Headers,
    /// All of it.
    Full,
}

/// How much of the message a report of `event` returns. The whole is returned only with a failure
/// (RFC 3461 §4.3), only if it was asked for, and only if it is small and can stand inside another
/// message unchanged.
#[must_use]
pub fn extent(envelope: &Envelope, event: Event, settings: &ReportSettings) -> Extent {
    let content = &envelope.content;
    let fits = content.size_bytes <= settings.returned_bytes && !content.binary && !content.long_lines;
    match (event, envelope.ret) {
        (Event::Failed, Some(Ret::Full)) if fits => Extent::Full,
        _ => Extent::Headers,
    }
}
