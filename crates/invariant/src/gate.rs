//! The gate: asked of a message that the rules have accepted, just before it is committed.
//!
//! It knows what has happened, and nothing of why it was permitted. If a message breaks an invariant, the
//! proof at load was wrong or was not made, and something between the settings and this line has a
//! mistake in it: the message is put off, and somebody must look.

use crate::domains::Domains;
use crate::prefix::Ranges;
use crate::{Invariant, Never, Who};
use std::net::IpAddr;

/// Who has sent a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client<'a> {
    /// Nobody in particular.
    Anonymous,
    /// An account.
    Account {
        /// Its name.
        name: &'a str,
        /// Its groups.
        groups: &'a [Box<str>],
    },
    /// A server of the organization.
    Peer(&'a str),
}

/// How the session has come to know who its client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// Not by AUTH in this session: it does not know, or a certificate or a peer has said it.
    NotByAuth,
    /// By AUTH, under TLS.
    ByAuthSecured,
    /// By AUTH, in the clear.
    ByAuthInClear,
}

/// What the gate is told of a message.
#[derive(Clone, Copy, Debug)]
pub struct Mail<'a> {
    /// Whom it comes from.
    pub client: Client<'a>,
    /// The address it comes from.
    pub address: IpAddr,
    /// How it is known whom it comes from.
    pub known: Known,
}

/// The invariants of one virtual server, ready to be asked.
#[derive(Clone, Debug, Default)]
pub struct Gate {
    /// The domains in which a recipient is inside.
    inside: Domains,
    bars: Box<[Bar]>,
}

/// One invariant.
#[derive(Clone, Debug)]
struct Bar {
    name: Box<str>,
    never: Never,
    who: Who,
    /// From where; `None`: from everywhere.
    from: Option<Ranges>,
    except_from: Ranges,
    except_to: Domains,
}

impl Gate {
    /// The gate of a virtual server, from what is said of all of them. A recipient is inside exactly if its
    /// domain is one of `inside`.
    #[must_use]
    pub fn new<'n>(server: &str, inside: impl IntoIterator<Item = &'n str>, invariants: &[Invariant]) -> Gate {
        let bars = invariants.iter().filter(|invariant| invariant.holds_at(server)).map(Bar::new).collect();
        Gate { inside: Domains::named(inside), bars }
    }

    /// The name of the first invariant that the message would break; `None` lets it pass. Each recipient
    /// is its domain, or `None` for an address literal, which is outside.
    #[must_use]
    pub fn stops<'r, R>(&self, mail: &Mail<'_>, recipients: &R) -> Option<&str>
    where
        R: Iterator<Item = Option<&'r str>> + Clone,
    {
        let broken = self.bars.iter().find(|bar| bar.is_broken(mail, &self.inside, recipients.clone()));
        broken.map(|bar| &*bar.name)
    }

    /// The name of the first invariant that a session has broken without any mail: by having been opened from
    /// `address`, and by AUTH having been offered there. Asked where the session becomes that of another client.
    #[must_use]
    pub fn broken_by_session(&self, address: IpAddr, known: Known) -> Option<&str> {
        let broken = self.bars.iter().find(|bar| bar.comes_from(address) && bar.never.is_of_session(known));
        broken.map(|bar| &*bar.name)
    }
}

impl Bar {
    fn new(invariant: &Invariant) -> Bar {
        Bar {
            name: invariant.name.clone(),
            never: invariant.never,
            who: invariant.who.clone(),
            from: (!invariant.from.is_empty()).then(|| Ranges::of(&invariant.from)),
            except_from: Ranges::of(&invariant.except_from),
            except_to: Domains::of(&invariant.except_to),
        }
    }

    fn is_broken<'r>(
        &self,
        mail: &Mail<'_>,
        inside: &Domains,
        mut recipients: impl Iterator<Item = Option<&'r str>>,
    ) -> bool {
        if !self.who.means(&mail.client) || !self.comes_from(mail.address) {
            return false;
        }
        match self.never {
            Never::Submit => true,
            Never::Relay => {
                // Recipients in one domain usually stand together, and are looked for once.
                let mut last = None;
                recipients.any(|recipient| {
                    let Some(domain) = recipient else { return true };
                    last.replace(domain) != Some(domain) && !inside.contains(domain) && !self.except_to.contains(domain)
                })
            }
            never => never.is_of_session(mail.known),
        }
    }

    fn comes_from(&self, address: IpAddr) -> bool {
        self.from.as_ref().is_none_or(|from| from.contains(address)) && !self.except_from.contains(address)
    }
}

impl Never {
    /// Whether it has happened in a session in which this is known of its client, before any mail.
    fn is_of_session(self, known: Known) -> bool {
        match self {
            // A session that is there has been opened.
            Never::Connect => true,
            // Whoever has authenticated was offered it.
            Never::AuthOffered => known != Known::NotByAuth,
            Never::AuthInClear => known == Known::ByAuthInClear,
            Never::Submit | Never::Relay => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INSIDE: [&str; 1] = ["corp.example"];

    fn invariant(never: Never) -> Invariant {
        Invariant {
            name: "x".into(),
            line: 1,
            never,
            who: Who::Anybody,
            at: None,
            from: Vec::new(),
            except_from: Vec::new(),
            except_to: Vec::new(),
            waived_at: Vec::new(),
        }
    }

    fn prefixes(texts: &[&str]) -> Vec<crate::Prefix> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn anonymous(address: &str) -> Mail<'static> {
        Mail { client: Client::Anonymous, address: address.parse().unwrap(), known: Known::NotByAuth }
    }

    /// Whether one invariant stops a message at `inbound`.
    fn stopped(invariant: &Invariant, mail: &Mail<'_>, recipients: &[Option<&str>]) -> bool {
        let gate = Gate::new("inbound", INSIDE, std::slice::from_ref(invariant));
        gate.stops(mail, &recipients.iter().copied()).is_some()
    }

    #[test]
    fn relaying_is_a_recipient_outside() {
        let never = invariant(Never::Relay);
        let mail = anonymous("192.0.2.66");
        assert!(!stopped(&never, &mail, &[Some("corp.example"), Some("CORP.example")]));
        assert!(stopped(&never, &mail, &[Some("corp.example"), Some("ext.example")]));
        assert!(stopped(&never, &mail, &[Some("corp.example"), Some("corp.example"), Some("ext.example")]));
        assert!(stopped(&never, &mail, &[Some("sub.corp.example")]));
        assert!(stopped(&never, &mail, &[None]), "an address literal is outside");
        let except = Invariant { except_to: vec!["*.partner.example".parse().unwrap()], ..never };
        assert!(!stopped(&except, &mail, &[Some("a.partner.example")]));
        assert!(stopped(&except, &mail, &[Some("a.partner.example"), Some("partner.example")]));
    }

    #[test]
    fn who_and_from_where_both_count() {
        let groups: [Box<str>; 1] = ["Workers".into()];
        let account = Client::Account { name: "U1", groups: &groups };
        let who = |who: Who, client: Client<'_>| {
            stopped(&Invariant { who, ..invariant(Never::Submit) }, &Mail { client, ..anonymous("10.0.0.7") }, &[])
        };
        for (wanted, [nobody, person, server]) in [
            (Who::Anybody, [true, true, true]),
            (Who::Anonymous, [true, false, false]),
            (Who::Accounts, [false, true, false]),
            (Who::Peers, [false, false, true]),
            (Who::Account("u1".into()), [false, true, false]),
            (Who::Account("u2".into()), [false; 3]),
            (Who::Group("WORKERS".into()), [false, true, false]),
            (Who::Group("bosses".into()), [false; 3]),
            (Who::Peer("ex1".into()), [false, false, true]),
            (Who::Peer("u1".into()), [false; 3]),
        ] {
            let found = [Client::Anonymous, account, Client::Peer("ex1")].map(|client| who(wanted.clone(), client));
            assert_eq!(found, [nobody, person, server], "{wanted}");
        }
        let from = Invariant {
            from: prefixes(&["10.0.0.0/8", "2001:db8::/32"]),
            except_from: prefixes(&["10.0.0.7"]),
            ..invariant(Never::Connect)
        };
        for (address, is_stopped) in [
            ("10.0.0.6", true),
            ("10.0.0.7", false),
            ("::ffff:10.0.0.8", true),
            ("192.0.2.1", false),
            ("2001:db8::1", true),
        ] {
            assert_eq!(stopped(&from, &anonymous(address), &[Some("corp.example")]), is_stopped, "{address}");
        }
    }

    #[test]
    fn authentication_is_what_auth_has_proved_here() {
        let proved = |never, known| stopped(&invariant(never), &Mail { known, ..anonymous("10.0.0.7") }, &[]);
        for (never, [not_by_auth, secured, in_clear]) in
            [(Never::AuthOffered, [false, true, true]), (Never::AuthInClear, [false, false, true])]
        {
            assert_eq!(proved(never, Known::NotByAuth), not_by_auth);
            assert_eq!(proved(never, Known::ByAuthSecured), secured);
            assert_eq!(proved(never, Known::ByAuthInClear), in_clear);
        }
    }

    #[test]
    fn what_a_session_has_come_to_is_told_without_mail() {
        let past = |never, known| {
            let bar = Invariant { from: prefixes(&["10.0.0.0/8"]), ..invariant(never) };
            let gate = Gate::new("inbound", INSIDE, &[bar]);
            let [inside, outside] = ["10.0.0.7", "192.0.2.1"]
                .map(|address| gate.broken_by_session(address.parse().unwrap(), known).is_some());
            assert!(!outside, "{never} is said of other addresses");
            inside
        };
        for (never, expected) in [
            (Never::Connect, [true, true, true]),
            (Never::AuthOffered, [false, true, true]),
            (Never::AuthInClear, [false, false, true]),
            (Never::Submit, [false; 3]),
            (Never::Relay, [false; 3]),
        ] {
            let found = [Known::NotByAuth, Known::ByAuthSecured, Known::ByAuthInClear].map(|known| past(never, known));
            assert_eq!(found, expected, "{never}");
        }
    }

    #[test]
    fn it_is_for_its_virtual_server_unless_somebody_insists() {
        let elsewhere = Invariant { at: Some("outbound".into()), ..invariant(Never::Submit) };
        let waived = Invariant { waived_at: vec!["inbound".into()], ..invariant(Never::Submit) };
        assert!(!stopped(&elsewhere, &anonymous("192.0.2.66"), &[]));
        assert!(!stopped(&waived, &anonymous("192.0.2.66"), &[]));
        assert!(
            Gate::new("outbound", INSIDE, &[waived]).stops(&anonymous("192.0.2.66"), &std::iter::empty()).is_some()
        );
    }

    #[test]
    fn the_first_that_is_broken_is_named() {
        let named = |name: &str, never| Invariant { name: name.into(), ..invariant(never) };
        let gate = Gate::new("inbound", INSIDE, &[named("auth", Never::AuthInClear), named("mail", Never::Submit)]);
        assert_eq!(gate.stops(&anonymous("192.0.2.66"), &std::iter::empty()), Some("mail"));
        assert_eq!(Gate::default().stops(&anonymous("192.0.2.66"), &std::iter::once(None)), None);
    }
}
