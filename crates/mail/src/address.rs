//! Domains, mailboxes and paths, by the grammar of RFC 5321 §4.1.2 and §4.1.3.
//!
//! One hand-written parser for the envelope: no comments, no display names, no encoded words. What
//! it returns is what is routed and what is sent on; nobody searches for an `@` again.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Octets a local part may have (RFC 5321 §4.5.3.1.1).
const LOCAL_PART_OCTETS: usize = 64;
/// Octets a domain may have (RFC 5321 §4.5.3.1.2).
const DOMAIN_OCTETS: usize = 255;
/// Octets a path may have between its angle brackets (RFC 5321 §4.5.3.1.3, which counts them too).
const PATH_OCTETS: usize = 254;

/// Why a text is not an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressError {
    /// The text does not follow the grammar.
    Syntax,
    /// A local part, domain or path is longer than RFC 5321 §4.5.3.1 allows.
    TooLong,
    /// The domain is not a domain: a bad label, or an IDN that UTS 46 refuses.
    Domain,
    /// The address literal is not one of RFC 5321 §4.1.3 that we know.
    Literal,
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AddressError::Syntax => "not a mail address",
            AddressError::TooLong => "address too long",
            AddressError::Domain => "not a domain name",
            AddressError::Literal => "not an address literal",
        })
    }
}

impl std::error::Error for AddressError {}

/// A domain name, kept as lower-case A-labels without a trailing dot, so that two domains are the
/// same exactly when their texts are.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Domain(Box<str>);

impl Domain {
    /// The name, in lower-case A-labels.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is a name below `parent`; a domain is not below itself.
    #[must_use]
    pub fn is_below(&self, parent: &Domain) -> bool {
        self.0.strip_suffix(&*parent.0).is_some_and(|front| front.len() > 1 && front.ends_with('.'))
    }

    /// The parent name, one label shorter; `None` for a single label.
    #[must_use]
    pub fn parent(&self) -> Option<Domain> {
        self.0.split_once('.').map(|(_, rest)| Domain(rest.into()))
    }

    /// The domain in ASCII that `text` already is, if it is one.
    fn from_ascii(text: &str) -> Result<Domain, AddressError> {
        let name = text.strip_suffix('.').unwrap_or(text);
        if name.is_empty() {
            return Err(AddressError::Domain);
        }
        if name.len() > DOMAIN_OCTETS {
            return Err(AddressError::TooLong);
        }
        let mut last = "";
        for label in name.split('.') {
            if !is_label(label) {
                return Err(AddressError::Domain);
            }
            last = label;
        }
        // "192.0.2.1" and "0x7f000001" are addresses in disguise, not names.
        if last.bytes().all(|b| b.is_ascii_digit()) || last.starts_with("0x") || last.starts_with("0X") {
            return Err(AddressError::Domain);
        }
        Ok(Domain(name.to_ascii_lowercase().into()))
    }
}

/// Letters, digits and inner hyphens. Departs from RFC 5321 by allowing the underscore, because
/// real hosts have names with one and refusing them protects nobody.
fn is_label(label: &str) -> bool {
    let bytes = label.as_bytes();
    let inside = |b: &u8| b.is_ascii_alphanumeric() || *b == b'-' || *b == b'_';
    !bytes.is_empty()
        && bytes.len() <= 63
        && bytes.iter().all(inside)
        && bytes[0] != b'-'
        && bytes[bytes.len() - 1] != b'-'
}

impl FromStr for Domain {
    type Err = AddressError;

    /// Reads a domain name; one trailing dot is dropped, U-labels become A-labels (UTS 46).
    fn from_str(text: &str) -> Result<Domain, AddressError> {
        if text.is_ascii() {
            return Domain::from_ascii(text);
        }
        if text.len() > 4 * DOMAIN_OCTETS {
            return Err(AddressError::TooLong);
        }
        let ascii = idna::domain_to_ascii_strict(text).map_err(|_| AddressError::Domain)?;
        Domain::from_ascii(&ascii)
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What stands right of the `@`, or after HELO: a domain or an address literal.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// A domain name.
    Domain(Domain),
    /// `[192.0.2.1]` or `[IPv6:2001:db8::1]`.
    Literal(IpAddr),
}

impl Host {
    /// The domain, if it is one.
    #[must_use]
    pub fn domain(&self) -> Option<&Domain> {
        match self {
            Host::Domain(domain) => Some(domain),
            Host::Literal(_) => None,
        }
    }
}

impl FromStr for Host {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Host, AddressError> {
        match text.strip_prefix('[') {
            None => text.parse().map(Host::Domain),
            Some(rest) => {
                let inner = rest.strip_suffix(']').ok_or(AddressError::Literal)?;
                literal(inner).map(Host::Literal)
            }
        }
    }
}

/// The inside of an address literal. Zone identifiers and untagged IPv6 are refused.
fn literal(inner: &str) -> Result<IpAddr, AddressError> {
    let v6 = inner.get(..5).filter(|tag| tag.eq_ignore_ascii_case("IPv6:"));
    match v6 {
        Some(_) => inner[5..].parse::<Ipv6Addr>().map(IpAddr::V6),
        None => inner.parse::<Ipv4Addr>().map(IpAddr::V4),
    }
    .map_err(|_| AddressError::Literal)
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Domain(domain) => domain.fmt(f),
            Host::Literal(address) => {
                f.write_str(if address.is_ipv4() { "[" } else { "[IPv6:" })?;
                crate::network::Address(*address).fmt(f)?;
                f.write_str("]")
            }
        }
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What stands left of the `@`: kept unquoted and in its own case, quoted again when printed and
/// the grammar needs it. It has no meaning to anybody but its final host.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalPart(Box<str>);

impl LocalPart {
    /// The unquoted text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether an old server could read another address in this local part: `u%host`, `host!u`,
    /// `"u@host"` (reference 1.2; conformance row 21).
    #[must_use]
    pub fn looks_routed(&self) -> bool {
        self.0.bytes().any(|b| matches!(b, b'%' | b'!' | b'@'))
    }

    fn new(text: String) -> Result<LocalPart, AddressError> {
        if text.len() > LOCAL_PART_OCTETS {
            return Err(AddressError::TooLong);
        }
        if text.chars().any(char::is_control) {
            return Err(AddressError::Syntax);
        }
        Ok(LocalPart(text.into()))
    }
}

impl FromStr for LocalPart {
    type Err = AddressError;

    /// Reads a dot-string or a quoted string.
    fn from_str(text: &str) -> Result<LocalPart, AddressError> {
        let (local, rest) = split_local_part(text)?;
        if rest.is_empty() { Ok(local) } else { Err(AddressError::Syntax) }
    }
}

impl fmt::Display for LocalPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_dot_string(&self.0) {
            return f.write_str(&self.0);
        }
        f.write_str("\"")?;
        for c in self.0.chars() {
            if matches!(c, '"' | '\\') {
                f.write_str("\\")?;
            }
            write!(f, "{c}")?;
        }
        f.write_str("\"")
    }
}

impl fmt::Debug for LocalPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn is_atext(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c) || !c.is_ascii()
}

fn is_dot_string(text: &str) -> bool {
    !text.is_empty() && text.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atext))
}

/// Takes a local part from the front of `text`; what is left is returned with it.
fn split_local_part(text: &str) -> Result<(LocalPart, &str), AddressError> {
    if let Some(inside) = text.strip_prefix('"') {
        return split_quoted(inside);
    }
    let end = text.find(|c| c != '.' && !is_atext(c)).unwrap_or(text.len());
    let (local, rest) = text.split_at(end);
    if !is_dot_string(local) {
        return Err(AddressError::Syntax);
    }
    Ok((LocalPart::new(local.to_owned())?, rest))
}

fn split_quoted(inside: &str) -> Result<(LocalPart, &str), AddressError> {
    let mut content = String::new();
    let mut chars = inside.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' if content.is_empty() => return Err(AddressError::Syntax),
            '"' => return Ok((LocalPart::new(content)?, &inside[at + 1..])),
            '\\' => content.push(chars.next().ok_or(AddressError::Syntax)?.1),
            _ => content.push(c),
        }
        if content.len() > LOCAL_PART_OCTETS {
            return Err(AddressError::TooLong);
        }
    }
    Err(AddressError::Syntax)
}

/// A mailbox: local part and host.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mailbox {
    /// Left of the `@`.
    pub local: LocalPart,
    /// Right of the `@`.
    pub host: Host,
}

impl Mailbox {
    /// The domain, unless the mailbox is at an address literal.
    #[must_use]
    pub fn domain(&self) -> Option<&Domain> {
        self.host.domain()
    }

    /// Whether the mailbox can be written without SMTPUTF8 (RFC 6531).
    #[must_use]
    pub fn is_ascii(&self) -> bool {
        self.local.0.is_ascii()
    }
}

impl FromStr for Mailbox {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Mailbox, AddressError> {
        match parse_inside(text)? {
            Path::Mailbox(mailbox) => Ok(mailbox),
            Path::Null | Path::Bare(_) => Err(AddressError::Syntax),
        }
    }
}

impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.local.fmt(f)?;
        f.write_str("@")?;
        self.host.fmt(f)
    }
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What can stand between the angle brackets of MAIL and RCPT, before the session gives it meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Path {
    /// `<>`
    Null,
    /// `<postmaster>` or any local part without a domain.
    Bare(LocalPart),
    /// `<user@example.com>`; a source route before it has been read and dropped.
    Mailbox(Mailbox),
}

impl Path {
    /// Takes a path with its angle brackets from the front of `text`; returns what follows it.
    ///
    /// # Errors
    /// Two `@` outside quotes, an empty local part, a control character, a bad literal and
    /// everything else the grammar does not know are [`AddressError`]s.
    pub fn take(text: &str) -> Result<(Path, &str), AddressError> {
        let inside = text.strip_prefix('<').ok_or(AddressError::Syntax)?;
        let end = closing_bracket(inside).ok_or(AddressError::Syntax)?;
        let rest = &inside[end + 1..];
        let inside = &inside[..end];
        if inside.is_empty() {
            return Ok((Path::Null, rest));
        }
        Ok((parse_inside(drop_source_route(inside)?)?, rest))
    }
}

/// The place of the `>` that closes the path: the first one outside a quoted string.
fn closing_bracket(inside: &str) -> Option<usize> {
    let mut quoted = false;
    let mut escaped = false;
    for (at, b) in inside.bytes().enumerate() {
        match b {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'>' if !quoted => return Some(at),
            _ => {}
        }
    }
    None
}

/// RFC 5321 §4.1.2: a source route is accepted, and ignored.
fn drop_source_route(inside: &str) -> Result<&str, AddressError> {
    if !inside.starts_with('@') {
        return Ok(inside);
    }
    let (route, rest) = inside.split_once(':').ok_or(AddressError::Syntax)?;
    for hop in route.split(',') {
        hop.strip_prefix('@').ok_or(AddressError::Syntax)?.parse::<Host>()?;
    }
    Ok(rest)
}

fn parse_inside(inside: &str) -> Result<Path, AddressError> {
    let (local, rest) = split_local_part(inside)?;
    if rest.is_empty() {
        return Ok(Path::Bare(local));
    }
    let host: Host = rest.strip_prefix('@').ok_or(AddressError::Syntax)?.parse().map_err(|e| {
        // A second `@` is a mistake of the whole address, not of a label.
        if rest[1..].contains('@') { AddressError::Syntax } else { e }
    })?;
    let mailbox = Mailbox { local, host };
    if inside.len() > PATH_OCTETS {
        return Err(AddressError::TooLong);
    }
    Ok(Path::Mailbox(mailbox))
}

/// Who a message comes from, as MAIL said: a mailbox, or nobody (reports have no sender).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReversePath {
    /// `<>`: no report is ever sent about this message.
    Null,
    /// Reports about this message go here.
    Mailbox(Mailbox),
}

impl ReversePath {
    /// The mailbox, unless the path is null.
    #[must_use]
    pub fn mailbox(&self) -> Option<&Mailbox> {
        match self {
            ReversePath::Null => None,
            ReversePath::Mailbox(mailbox) => Some(mailbox),
        }
    }
}

impl fmt::Display for ReversePath {
    /// Without angle brackets; nothing for the null reverse-path.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReversePath::Null => Ok(()),
            ReversePath::Mailbox(mailbox) => mailbox.fmt(f),
        }
    }
}

impl fmt::Debug for ReversePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{self}>")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn path(text: &str) -> Result<Path, AddressError> {
        Path::take(text).map(|(path, rest)| {
            assert_eq!(rest, "", "{text}");
            path
        })
    }

    fn mailbox(text: &str) -> String {
        match path(text) {
            Ok(Path::Mailbox(mailbox)) => mailbox.to_string(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn paths_of_every_kind() {
        assert_eq!(path("<>"), Ok(Path::Null));
        assert_eq!(mailbox("<a@b.example>"), "a@b.example");
        assert_eq!(mailbox("<A.b@CORP.Example.>"), "A.b@corp.example");
        assert_eq!(mailbox("<\"a b\"@c.example>"), "\"a b\"@c.example");
        assert_eq!(mailbox("<\"ab\"@c.example>"), "ab@c.example");
        assert_eq!(mailbox("<\"a>b\"@c.example>"), "\"a>b\"@c.example");
        assert_eq!(mailbox("<u@[192.0.2.1]>"), "u@[192.0.2.1]");
        assert_eq!(mailbox("<u@[IPv6:2001:db8::1]>"), "u@[IPv6:2001:db8::1]");
        assert_eq!(mailbox("<u@bücher.example>"), "u@xn--bcher-kva.example");
        assert_eq!(Path::take("<a@b.c> SIZE=1").map(|p| p.1), Ok(" SIZE=1"));
        assert!(matches!(path("<postmaster>"), Ok(Path::Bare(_))));
    }

    #[test]
    fn a_source_route_is_dropped() {
        assert_eq!(mailbox("<@corp.example:bob@ext.example>"), "bob@ext.example");
        assert_eq!(mailbox("<@a.example,@b.example:bob@ext.example>"), "bob@ext.example");
        assert_eq!(path("<@a.example>"), Err(AddressError::Syntax));
    }

    #[test]
    fn what_is_not_an_address() {
        for text in [
            "<a@b@c.example>",
            "<a@>",
            "<@>",
            "<a b@c.example>",
            "<\"a@c.example>",
            "a@b.c",
            "<a@b.c",
            "<.a@b.c>",
            "<\"\"@b.c>",
            "<a\u{7}@b.c>",
        ] {
            assert!(Path::take(text).is_err(), "{text}");
        }
        for text in [
            "<u@1.2.3.4>",
            "<u@[1.2.3]>",
            "<u@[::1]>",
            "<u@[IPv6:fe80::1%eth0]>",
            "<u@-a.example>",
            "<u@a..b>",
            "<u@0x7f000001>",
        ] {
            assert!(matches!(path(text), Err(AddressError::Domain | AddressError::Literal)), "{text}");
        }
        assert_eq!(path(&format!("<{}@b.c>", "a".repeat(65))), Err(AddressError::TooLong));
    }

    #[test]
    fn local_parts_that_route() {
        for text in
            ["<bob%ext.example@corp.example>", "<\"bob@ext.example\"@corp.example>", "<ext.example!bob@corp.example>"]
        {
            let Ok(Path::Mailbox(mailbox)) = path(text) else { panic!("{text}") };
            assert!(mailbox.local.looks_routed(), "{text}");
        }
    }

    #[test]
    fn below_is_by_whole_labels() {
        let corp: Domain = "corp.example".parse().unwrap();
        assert!("sub.corp.example".parse::<Domain>().unwrap().is_below(&corp));
        assert!(!"notcorp.example".parse::<Domain>().unwrap().is_below(&corp));
        assert!(!corp.is_below(&corp));
    }

    proptest! {
        #[test]
        fn print_then_parse_is_identity(local in "[ -~]{1,40}", host in "[a-z]{1,9}\\.[a-z]{2,5}") {
            let mailbox = Mailbox { local: LocalPart(local.into()), host: host.parse().unwrap() };
            prop_assert_eq!(mailbox.to_string().parse::<Mailbox>(), Ok(mailbox));
        }

        #[test]
        fn nothing_panics(text in "\\PC{0,80}") {
            let _ = Path::take(&text);
            let _ = text.parse::<Mailbox>();
            let _ = text.parse::<Host>();
        }
    }
}
