//! What EHLO offers and what that obliges.
//!
//! What is shown and what is honoured are read from the same value, so they cannot differ
//! (conformance row 33).

use crate::claims::Verb;
use crate::server::{Settings, Trust};
use std::borrow::Cow;

/// Which extensions are shown and honoured. ENHANCEDSTATUSCODES and SIZE always are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offers {
    /// PIPELINING (RFC 2920).
    pub pipelining: bool,
    /// 8BITMIME (RFC 6152).
    pub eight_bit: bool,
    /// CHUNKING (RFC 3030).
    pub chunking: bool,
    /// BINARYMIME (RFC 3030); only together with CHUNKING.
    pub binary: bool,
    /// DSN (RFC 3461).
    pub dsn: bool,
    /// SMTPUTF8 (RFC 6531); only together with 8BITMIME.
    pub smtputf8: bool,
    /// STARTTLS (RFC 3207), until TLS is on.
    pub starttls: bool,
    /// LIMITS (RFC 9422).
    pub limits: bool,
}

impl Default for Offers {
    /// Everything but STARTTLS, which needs a certificate.
    fn default() -> Offers {
        Offers { pipelining: true, eight_bit: true, starttls: false, limits: true, ..Offers::NONE }.with_bodies()
    }
}

impl Offers {
    /// Nothing: what a client that said HELO may use.
    pub const NONE: Offers = Offers {
        pipelining: false,
        eight_bit: false,
        chunking: false,
        binary: false,
        dsn: false,
        smtputf8: false,
        starttls: false,
        limits: false,
    };

    fn with_bodies(self) -> Offers {
        Offers { chunking: true, binary: true, dsn: true, smtputf8: true, ..self }
    }

    /// The same without what lacks what it stands on: BINARYMIME without CHUNKING (RFC 3030 §3),
    /// SMTPUTF8 without 8BITMIME (RFC 6531 §3.1).
    #[must_use]
    pub fn sound(self) -> Offers {
        Offers { binary: self.binary && self.chunking, smtputf8: self.smtputf8 && self.eight_bit, ..self }
    }
}

/// The lines of the answer to EHLO. AUTH and STARTTLS are shown only where they would work now,
/// and what a peer may claim only to that peer.
#[must_use]
pub fn ehlo_lines(settings: &Settings, secured: bool, trust: Trust) -> Vec<Cow<'static, str>> {
    let offers = settings.offers.sound();
    let mut lines: Vec<Cow<'static, str>> = Vec::with_capacity(12);
    lines.push(settings.hostname.to_string().into());
    // RFC 1870 §4: zero says that there is no fixed limit.
    lines.push(format!("SIZE {}", settings.message_size_bytes.unwrap_or(0)).into());
    for (shown, keyword) in [
        (offers.pipelining, "PIPELINING"),
        (offers.eight_bit, "8BITMIME"),
        (offers.smtputf8, "SMTPUTF8"),
        (offers.chunking, "CHUNKING"),
        (offers.binary, "BINARYMIME"),
        (offers.dsn, "DSN"),
        (offers.starttls && !secured, "STARTTLS"),
    ] {
        if shown {
            lines.push(keyword.into());
        }
    }
    if secured || !settings.tls_required {
        lines.extend(auth_line(settings, secured));
    }
    for (shown, verb) in [(trust.xclient, Verb::Xclient), (trust.xforward, Verb::Xforward)] {
        if shown {
            lines.push(verb.keyword().into());
        }
    }
    if offers.limits {
        lines.push(format!("LIMITS RCPTMAX={}", settings.recipients_per_message).into());
    }
    lines.push("ENHANCEDSTATUSCODES".into());
    lines
}

fn auth_line(settings: &Settings, secured: bool) -> Option<Cow<'static, str>> {
    let mechanisms = if secured { &settings.mechanisms_when_secured } else { &settings.mechanisms };
    let mut line = String::from("AUTH");
    for mechanism in mechanisms {
        line.push(' ');
        line.push_str(mechanism);
    }
    (line.len() > "AUTH".len()).then(|| line.into())
}
