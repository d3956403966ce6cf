//! The header field that says that an address in a message is not its sender's own.
//!
//! It only ever warns: no program may take its absence, or anything in it, for a recommendation. So a copy that a
//! stranger brings along does no harm, and stays.

use mail::HeaderName;
use policy::AddressPlace;
use std::fmt::Write;

/// Writes the field behind `trace`; nothing where there is nothing to say. It does not name who sent the message,
/// which may go to strangers; the log does.
pub(crate) fn write(trace: &mut String, authenticated: bool, marks: &[AddressPlace]) {
    if marks.is_empty() {
        return;
    }
    let who = if authenticated { "not-owner" } else { "anonymous" };
    let places: Vec<&str> = marks.iter().copied().map(place).collect();
    // Writing into a string cannot fail.
    let _ = write!(trace, "{}: {who}; not-own={}\r\n", HeaderName::BridgeheadAuth.as_str(), places.join(","));
}

/// What a place is called in the field.
pub(crate) fn place(place: AddressPlace) -> &'static str {
    match place {
        AddressPlace::Envelope => "envelope",
        AddressPlace::From => "from",
        AddressPlace::Sender => "sender",
        AddressPlace::ResentFrom => "resent-from",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c09_who_is_not_who_the_message_says_is_named_by_place() {
        let field = |authenticated, marks: &[AddressPlace]| {
            let mut text = String::new();
            write(&mut text, authenticated, marks);
            text
        };
        assert_eq!(field(false, &[]), "");
        assert_eq!(field(false, &[AddressPlace::From]), "X-Bridgehead-Auth: anonymous; not-own=from\r\n");
        let places = [AddressPlace::Envelope, AddressPlace::Sender, AddressPlace::ResentFrom];
        assert_eq!(field(true, &places), "X-Bridgehead-Auth: not-owner; not-own=envelope,sender,resent-from\r\n");
    }
}
