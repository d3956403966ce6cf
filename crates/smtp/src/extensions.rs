//! What EHLO offers and what that obliges.

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
        Offers {
            pipelining: true,
            eight_bit: true,
            chunking: true,
            binary: true,
            dsn: true,
            smtputf8: true,
            starttls: false,
            limits: true,
        }
    }
}
