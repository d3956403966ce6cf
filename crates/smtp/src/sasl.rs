//! The framing of AUTH (RFC 4954).

/// Octets a line of an AUTH exchange may have, its CR LF included (RFC 4954 §4).
pub const AUTH_LINE_OCTETS: usize = 12_288;
