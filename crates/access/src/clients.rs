//! Classes of clients: where they come from, and what names they have.
//!
//! The address of a client is looked at in four places only: connection control, relay restrictions, loans
//! to clients, and the addresses of peers. Addresses for which all of these say the same cannot be told
//! apart by any answer, so they are one class, wherever they lie. Names are looked at in the two lists
//! alone, and only where no address entry decides; a client may have several, and what they do together is
//! what any one of them does, so classes are closed under having both.

use crate::classes::Cuts;
use crate::verdict::Why;
use config::Config;
use mail::{
    AddressSet, Domain, Found, Identity, Ledger, Mailbox, Net, Query, ReversePath, Span, Timestamp, canonical,
    intervals,
};
use policy::{
    Acceptance, Admission, Borrower, ConnectionFacts, Grant, List, Match, RecipientFacts, Rules, SenderFacts,
};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Clients that no answer tells apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientClass {
    /// Their addresses.
    pub addresses: AddressSet,
    /// Their forward-confirmed names.
    pub names: Names,
    /// The address that stands for them.
    pub representative: IpAddr,
    key: ClientKey,
}

impl ClientClass {
    /// Those of them that have one of these addresses.
    pub(crate) fn within(&self, addresses: &AddressSet) -> Option<ClientClass> {
        let addresses = self.addresses.intersection(addresses);
        let is_empty = addresses.is_empty();
        (!is_empty).then(|| ClientClass { representative: addresses.representative(), addresses, ..self.clone() })
    }
}

/// The forward-confirmed names of clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Names {
    /// No answer depends on them.
    Any,
    /// None, or none that an entry means.
    Unlisted,
    /// Those that entries mean.
    Confirmed {
        /// The names that stand for them, all at once.
        example: Vec<Domain>,
        /// Each of which alone would do, or one below it; none when it takes several.
        alike: Vec<Domain>,
    },
    /// They could not be found out.
    Unavailable,
}

impl Names {
    /// What a look-up finds.
    #[must_use]
    pub fn found(&self) -> Found {
        match self {
            Names::Any | Names::Unlisted => Found::Absent,
            Names::Confirmed { example, .. } => Found::Names(example.clone()),
            Names::Unavailable => Found::Unavailable,
        }
    }
}

/// What the lists of one configuration say; `None`: it depends on the names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Outcome {
    /// Whether it is let in, and if so, whether it must authenticate.
    connection: Option<Result<bool, Why>>,
    /// Whether it may submit without authenticating, should it be let in.
    anonymous: Option<Result<(), Why>>,
    /// Whether relay restrictions let it through.
    relay: Option<Result<Option<Grant>, Why>>,
}

/// All that an answer can depend on: one outcome for each configuration that has the virtual server, then
/// whether each set of addresses that matters has the client in it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ClientKey {
    outcomes: Vec<Option<Outcome>>,
    within: Vec<bool>,
}

/// What decides which class a client of one virtual server belongs to.
pub(crate) struct Clients<'a> {
    rules: Vec<Option<&'a Rules>>,
    /// Peers' addresses, clients that something is lent to, and cuts that were asked for.
    sets: Vec<Vec<Net>>,
    nets: Vec<Net>,
    domains: Vec<Domain>,
    outside: Mailbox,
    now: Timestamp,
}

impl<'a> Clients<'a> {
    pub(crate) fn new(
        name: &str,
        configs: &[&'a Config],
        cuts: &Cuts,
        outside: Mailbox,
        now: Timestamp,
    ) -> Clients<'a> {
        let rules: Vec<Option<&Rules>> =
            configs.iter().map(|config| config.server(name).map(|server| &*server.rules)).collect();
        let mut sets: Vec<Vec<Net>> = cuts.nets.iter().map(|net| vec![*net]).collect();
        for config in configs {
            sets.extend(config.peers.iter().map(|peer| peer.addresses.clone()).filter(|nets| !nets.is_empty()));
        }
        for rules in rules.iter().flatten() {
            let live = rules.send_as.grants.iter().filter(|loan| !loan.term.is_over(now));
            let clients = live.filter_map(|loan| match loan.to {
                Borrower::Clients(net) => Some(net),
                Borrower::Holder(_) | Borrower::Peer(_) => None,
            });
            sets.push(clients.collect());
        }
        let lists: Vec<&List> =
            rules.iter().flatten().flat_map(|rules| [&rules.connection.list, &rules.relay.list]).collect();
        let mut nets: Vec<Net> = sets.iter().flatten().copied().collect();
        let mut domains = Vec::new();
        for entry in lists.into_iter().flat_map(List::entries) {
            match &entry.what {
                Match::Net(net) => nets.push(*net),
                Match::Domain(domain) => domains.push(domain.clone()),
            }
        }
        domains.sort_unstable();
        domains.dedup();
        Clients { rules, sets, nets, domains, outside, now }
    }

    /// All classes. Those for whom names matter come once for each thing that names can do.
    pub(crate) fn classes(&self) -> Vec<ClientClass> {
        let mut merged: BTreeMap<ClientKey, Vec<Span>> = BTreeMap::new();
        for span in intervals(&self.nets) {
            merged.entry(self.key(span.representative(), None)).or_default().push(span);
        }
        let mut classes = Vec::new();
        for (key, spans) in merged {
            let addresses: AddressSet = spans.into_iter().collect();
            let representative = addresses.representative();
            if key.is_settled() {
                classes.push(ClientClass { addresses, names: Names::Any, representative, key });
                continue;
            }
            for (key, names) in self.by_name(representative) {
                classes.push(ClientClass { addresses: addresses.clone(), names, representative, key });
            }
        }
        classes
    }

    /// What names can do for a client of this address, and with which.
    fn by_name(&self, client: IpAddr) -> Vec<(ClientKey, Names)> {
        let mut out = vec![(self.key(client, Some(&Found::Absent)), Names::Unlisted)];
        for domain in &self.domains {
            self.with_names(client, vec![domain.clone()], &mut out);
        }
        // Two names do what either does; a handful of classes, so this ends soon.
        let mut at = 1;
        while at < out.len() {
            for other in 1..at {
                if let (Names::Confirmed { example: one, .. }, Names::Confirmed { example: two, .. }) =
                    (&out[at].1, &out[other].1)
                {
                    let both = one.iter().chain(two).cloned().collect();
                    self.with_names(client, both, &mut out);
                }
            }
            at += 1;
        }
        let unavailable = self.key(client, Some(&Found::Unavailable));
        if out.iter().all(|(key, _)| *key != unavailable) {
            out.push((unavailable, Names::Unavailable));
        }
        out
    }

    fn with_names(&self, client: IpAddr, names: Vec<Domain>, out: &mut Vec<(ClientKey, Names)>) {
        let key = self.key(client, Some(&Found::Names(names.clone())));
        match out.iter_mut().find(|(known, _)| *known == key) {
            Some((_, Names::Confirmed { alike, .. })) if names.len() == 1 => alike.extend(names),
            Some(_) => {}
            None => {
                let alike = if names.len() == 1 { names.clone() } else { Vec::new() };
                out.push((key, Names::Confirmed { example: names, alike }));
            }
        }
    }

    /// The class of a client; `names` is what a look-up of its names would find.
    pub(crate) fn class<'c>(
        &self,
        classes: &'c [ClientClass],
        client: IpAddr,
        names: &Found,
    ) -> Option<&'c ClientClass> {
        let (settled, named) = (self.key(client, None), self.key(client, Some(names)));
        classes.iter().find(|class| class.key == if class.names == Names::Any { &settled } else { &named }.clone())
    }

    fn key(&self, client: IpAddr, names: Option<&Found>) -> ClientKey {
        let mut ledger = Ledger::new();
        if let Some(found) = names {
            ledger.enter(Query::ConfirmedNames(canonical(client)), found.clone());
        }
        ClientKey {
            outcomes: self.rules.iter().map(|rules| rules.map(|rules| self.outcome(rules, client, &ledger))).collect(),
            within: self.sets.iter().map(|nets| nets.iter().any(|net| net.contains(client))).collect(),
        }
    }

    /// What the lists say, by asking the questions of somebody anonymous who depends on nothing else.
    fn outcome(&self, rules: &Rules, client: IpAddr, ledger: &Ledger) -> Outcome {
        let connection = policy::connection(rules, &arrival(client, self.now), ledger).ok();
        let admission = connection.as_ref().and_then(|decision| decision.verdict.as_ref().ok()).copied();
        let anonymous = admission.and_then(|admission| {
            let facts = SenderFacts {
                client,
                now: self.now,
                admission,
                identity: &Identity::Anonymous,
                secured: true,
                reverse_path: &ReversePath::Null,
            };
            policy::sender(rules, &facts, ledger).ok()
        });
        let facts = RecipientFacts { client, now: self.now, identity: &Identity::Anonymous, recipient: &self.outside };
        let relay = policy::recipient(rules, &facts, ledger).ok();
        Outcome {
            connection: connection.map(|decision| {
                decision.verdict.map(|admission| admission == Admission::MustAuthenticate).map_err(|why| Why::of(&why))
            }),
            anonymous: anonymous.map(|decision| decision.verdict.map(drop).map_err(|why| Why::of(&why))),
            relay: relay
                .map(|decision| decision.verdict.map(|acceptance| granted(&acceptance)).map_err(|why| Why::of(&why))),
        }
    }
}

impl ClientKey {
    /// Whether no name can change anything.
    fn is_settled(&self) -> bool {
        self.outcomes.iter().flatten().all(|outcome| {
            let admitted = matches!(outcome.connection, Some(Ok(_)));
            outcome.connection.is_some() && outcome.relay.is_some() && (!admitted || outcome.anonymous.is_some())
        })
    }
}

/// What lets a client relay; `None` where it submits.
pub(crate) fn granted(acceptance: &Acceptance) -> Option<Grant> {
    match acceptance {
        Acceptance::Submitted { .. } => None,
        Acceptance::Relayed { by } => Some(*by),
    }
}

/// A client that has just connected, when nobody else is here.
pub(crate) fn arrival(client: IpAddr, now: Timestamp) -> ConnectionFacts {
    ConnectionFacts { client, now, open_in_all: 0, open: 0, open_from_client: 0, open_from_network: 0 }
}
