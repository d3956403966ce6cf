//! The segments of the log.

/// The file name of a slot.
pub(crate) fn slot_name(slot: u32) -> String {
    format!("segment-{slot:06}")
}
