//! What the server offers in its answer to EHLO, and whether that is enough for a given mail.

use super::mail::Mail;
use super::outcome::Response;

/// The extensions a server announced. All false after HELO, and until EHLO has been answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Offers {
    /// PIPELINING (RFC 2920).
    pub pipelining: bool,
    /// SIZE (RFC 1870): the size may be declared.
    pub size: bool,
    /// The largest message the server takes, in octets; `None` if it did not say, or said 0.
    pub size_limit: Option<u64>,
    /// 8BITMIME (RFC 6152).
    pub eight_bit: bool,
    /// CHUNKING (RFC 3030).
    pub chunking: bool,
    /// BINARYMIME (RFC 3030); worth nothing without `chunking`.
    pub binary: bool,
    /// DSN (RFC 3461): the peer takes over the duty to report. Without it, whoever asked for a
    /// report of success is to be told that the message has been relayed (RFC 3461 §5.2.2).
    pub dsn: bool,
    /// SMTPUTF8 (RFC 6531).
    pub smtputf8: bool,
    /// STARTTLS (RFC 3207); without meaning once the connection is secured.
    pub starttls: bool,
    /// ENHANCEDSTATUSCODES (RFC 2034).
    pub enhanced_status: bool,
    /// LIMITS RCPTMAX (RFC 9422): recipients the server takes in one transaction.
    pub recipients_limit: Option<u32>,
    /// LIMITS MAILMAX (RFC 9422): transactions the server takes on one connection.
    pub transactions_limit: Option<u32>,
}

impl Offers {
    /// Learns from one line of the answer to EHLO (without its code), the first line excepted.
    /// Unknown keywords, and parameters that are not understood, are passed over (RFC 5321 §4.1.1.1).
    pub(super) fn learn(&mut self, line: &[u8]) {
        let Ok(line) = std::str::from_utf8(line) else { return };
        let mut words = line.split_ascii_whitespace();
        let Some(keyword) = words.next() else { return };
        let is = |name: &str| keyword.eq_ignore_ascii_case(name);
        if is("PIPELINING") {
            self.pipelining = true;
        } else if is("SIZE") {
            self.size = true;
            // RFC 1870 §4: up to 20 digits, and 0 means no fixed limit. What does not fit is no limit either.
            self.size_limit = words.next().and_then(number).filter(|limit| *limit > 0);
        } else if is("8BITMIME") {
            self.eight_bit = true;
        } else if is("CHUNKING") {
            self.chunking = true;
        } else if is("BINARYMIME") {
            self.binary = true;
        } else if is("DSN") {
            self.dsn = true;
        } else if is("SMTPUTF8") {
            self.smtputf8 = true;
        } else if is("STARTTLS") {
            self.starttls = true;
        } else if is("ENHANCEDSTATUSCODES") {
            self.enhanced_status = true;
        } else if is("LIMITS") {
            words.for_each(|limit| self.learn_limit(limit));
        }
    }

    fn learn_limit(&mut self, limit: &str) {
        let Some((name, value)) = limit.split_once('=') else { return };
        let value = number(value).filter(|n| *n > 0).and_then(|n| u32::try_from(n).ok());
        if name.eq_ignore_ascii_case("RCPTMAX") {
            self.recipients_limit = value;
        } else if name.eq_ignore_ascii_case("MAILMAX") {
            self.transactions_limit = value;
        }
    }
}

/// Decimal digits and nothing else; `None` also for what does not fit.
fn number(text: &str) -> Option<u64> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// Why this mail cannot go to a server with these offers, if so. Judged before MAIL is sent: what
/// the server has said it cannot take is not tried, and never sent in another shape than it came.
pub(super) fn unfit(mail: &Mail, offers: &Offers) -> Option<Response> {
    let never = |code, subject, detail, text: &str| Some(Response::never(code, subject, detail, text));
    if let Some(limit) = offers.size_limit.filter(|limit| mail.size > *limit) {
        let text = format!("The message has {} octets and the next hop takes {limit}", mail.size);
        return never(552, 3, 4, &text);
    }
    // RFC 6531 §3.6.
    if mail.needs_smtputf8() && !offers.smtputf8 {
        return never(550, 6, 7, "The message needs SMTPUTF8, which the next hop does not offer");
    }
    // RFC 3030 §3: BINARYMIME travels by BDAT only.
    if mail.content.binary && !(offers.binary && offers.chunking) {
        return never(554, 6, 1, "The message is binary and the next hop does not offer BINARYMIME with CHUNKING");
    }
    // RFC 6152 §3; a server with BINARYMIME takes octets of every kind.
    if mail.content.eight_bit && !mail.content.binary && !offers.eight_bit {
        return never(554, 6, 3, "The message is 8-bit and the next hop does not offer 8BITMIME");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offers(lines: &[&str]) -> Offers {
        let mut offers = Offers::default();
        lines.iter().for_each(|line| offers.learn(line.as_bytes()));
        offers
    }

    #[test]
    fn keywords_in_any_case_and_unknown_ones_passed_over() {
        let o =
            offers(&["pipelining", "8BitMime", "X-WHAT ever", "AUTH=LOGIN", "", "DSN", "limits RCPTMAX=7 mailmax=2 Q"]);
        assert!(o.pipelining && o.eight_bit && o.dsn && !o.chunking && !o.smtputf8 && !o.starttls);
        assert_eq!((o.recipients_limit, o.transactions_limit), (Some(7), Some(2)));
        let mut nothing = Offers::default();
        nothing.learn(b"\xff\xfe");
        assert_eq!(nothing, Offers::default());
    }

    #[test]
    fn row27_sizes() {
        for (line, limit) in [
            ("SIZE 1000", Some(1000)),
            ("SIZE", None),
            ("SIZE 0", None),
            ("SIZE 18446744073709551615", Some(u64::MAX)),
            ("SIZE 99999999999999999999", None),
            ("SIZE +5", None),
            ("SIZE -1", None),
            ("SIZE many", None),
        ] {
            let o = offers(&[line]);
            assert!(o.size, "{line}");
            assert_eq!(o.size_limit, limit, "{line}");
        }
    }
}
