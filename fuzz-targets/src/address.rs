//! Paths, mailboxes, domains and literals: whatever is read is printed in a form that is read as the
//! same again, and that a line of SMTP can carry.

use crate::input::has_control;
use mail::{Domain, Host, LocalPart, Mailbox, Path};

pub(crate) fn run(octets: &[u8]) {
    let Ok(text) = std::str::from_utf8(octets) else { return };
    if let Ok(domain) = text.parse::<Domain>() {
        is_domain(&domain);
    }
    if let Ok(host) = text.parse::<Host>() {
        is_host(&host);
    }
    if let Ok(local) = text.parse::<LocalPart>() {
        is_local(&local);
    }
    if let Ok(mailbox) = text.parse::<Mailbox>() {
        is_mailbox(&mailbox);
    }
    if let Ok((path, rest)) = Path::take(text) {
        assert!(text.ends_with(rest) && text[..text.len() - rest.len()].ends_with('>'));
        match path {
            Path::Null => assert!(text.starts_with("<>")),
            Path::Bare(local) => is_local(&local),
            Path::Mailbox(mailbox) => is_mailbox(&mailbox),
        }
    }
}

fn is_domain(domain: &Domain) {
    let text = domain.as_str();
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b);
    assert!(text.len() <= 255 && text.bytes().all(allowed), "{text}");
    assert!(text.split('.').all(|label| (1..=63).contains(&label.len())), "{text}");
    assert_eq!(text.parse().as_ref(), Ok(domain), "{text}");
    let upper = text.to_ascii_uppercase();
    assert_eq!(upper.parse().as_ref(), Ok(domain), "{upper}");
    if let Some(parent) = domain.parent() {
        assert!(domain.is_below(&parent) && !parent.is_below(domain), "{text}");
    }
    assert!(!domain.is_below(domain));
}

fn is_host(host: &Host) {
    if let Host::Domain(domain) = host {
        is_domain(domain);
    }
    let text = host.to_string();
    assert!(!has_control(&text));
    assert_eq!(text.parse().as_ref(), Ok(host), "{text}");
}

fn is_local(local: &LocalPart) {
    assert!((1..=64).contains(&local.as_str().len()), "{local}");
    let text = local.to_string();
    assert!(!has_control(&text));
    assert_eq!(text.parse().as_ref(), Ok(local), "{text}");
}

/// A path as it leaves must be read as the same path by whoever takes it, with nothing behind it.
fn is_mailbox(mailbox: &Mailbox) {
    is_local(&mailbox.local);
    is_host(&mailbox.host);
    let text = format!("<{mailbox}>");
    // A-labels and quotes may be longer than what they stand for (RFC 5321 §4.5.3.1.3).
    if text.len() <= 256 {
        assert_eq!(Path::take(&text), Ok((Path::Mailbox(mailbox.clone()), "")), "{text}");
    }
    let named = mailbox.local.as_str();
    assert_eq!(mailbox.local.looks_routed(), named.contains(['%', '!', '@']), "{text}");
}
