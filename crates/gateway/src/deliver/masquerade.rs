//! Masquerade: mail that leaves the organization shows one domain in its reverse-path (reference 1.4).
//!
//! Only what is ours is replaced. Mail of others that is passed on keeps the reverse-path it came with, or its reports
//! would come to us; and mail that stays inside needs no mask.

use config::Masquerade;
use mail::{Host, Mailbox, ReversePath};

/// The reverse-path that the next hop is told.
pub(super) fn shown<'a>(
    masquerade: Option<&Masquerade>,
    reverse_path: &ReversePath,
    mut recipients: impl Iterator<Item = &'a Mailbox>,
) -> ReversePath {
    if let Some(Masquerade { domain, instead_of }) = masquerade
        && let ReversePath::Mailbox(sender) = reverse_path
        && sender.domain().is_some_and(|own| instead_of.contains(own))
        && recipients.any(|to| !to.domain().is_some_and(|own| instead_of.contains(own)))
    {
        return ReversePath::Mailbox(Mailbox { local: sender.local.clone(), host: Host::Domain(domain.clone()) });
    }
    reverse_path.clone()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn l10_what_is_ours_is_replaced_on_its_way_out() {
        let ours = ["corp.example", "bogus1"].map(|name| name.parse().unwrap());
        let masquerade = Masquerade { domain: "m.example".parse().unwrap(), instead_of: Arc::new(ours.into()) };
        for (from, to, expected) in [
            ("alice@corp.example", &["bob@ext.example"][..], "alice@m.example"),
            ("Alice@BOGUS1", &["bob@ext.example"], "Alice@m.example"),
            ("alice@corp.example", &["carol@corp.example", "bob@ext.example"], "alice@m.example"),
            ("alice@corp.example", &["carol@corp.example"], "alice@corp.example"),
            ("alice@sub.corp.example", &["bob@ext.example"], "alice@sub.corp.example"),
            ("x@foreign.example", &["bob@ext.example"], "x@foreign.example"),
            ("x@[192.0.2.1]", &["bob@ext.example"], "x@[192.0.2.1]"),
        ] {
            let to: Vec<Mailbox> = to.iter().map(|to| to.parse().unwrap()).collect();
            let said = ReversePath::Mailbox(from.parse().unwrap());
            let expected = ReversePath::Mailbox(expected.parse().unwrap());
            assert_eq!(shown(Some(&masquerade), &said, to.iter()), expected, "{from} to {to:?}");
            assert_eq!(shown(None, &said, to.iter()), said);
        }
        let bob: Mailbox = "bob@ext.example".parse().unwrap();
        assert_eq!(shown(Some(&masquerade), &ReversePath::Null, [&bob].into_iter()), ReversePath::Null);
    }
}
