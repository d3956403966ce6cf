//! What holds for all rights, loans and accounts: drawn from a world so small that everything overlaps.

use mail::{Account, Author, Authors, Identity, Ledger, Mailbox, ReversePath, Timestamp};
use policy::{
    Action, Addresses, Admission, Allowed, AppliesTo, Authentication, Borrower, Check, ConnectionControl, Domains,
    FilteredSender, FilteredSenders, Holder, Holders, Limits, List, Loan, MessageFacts, Mode, OnMatch, PeerRights,
    RecipientFacts, Refusal, Relay, Rights, RuleBook, RuleId, Rules, SendAs, SenderFacts, SenderFilter, SenderList,
    Term, Who,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const ACCOUNTS: [&str; 3] = ["u1", "u2", "u3"];
const GROUPS: [&str; 3] = ["g1", "g2", "g3"];
const ADDRESSES: [&str; 5] = ["a@corp.example", "A+x@old.example", "b@corp.example", "x@ext.example", "x@[192.0.2.1]"];
const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));

/// Whom an entry means, and whether it is over.
type Named = (Who, bool);

#[derive(Clone, Debug)]
struct Plan {
    submit: Option<Vec<Named>>,
    submit_deny: Vec<Named>,
    relay: Vec<Named>,
    relay_deny: Vec<Named>,
    relay_authenticated: bool,
    /// Submit, relay, send as anybody, bypass filters.
    peer: [bool; 4],
    /// Whether the sender filter is applied, what it has, and whether the null reverse-path is in it.
    filter: (bool, Vec<(Addresses, bool)>, bool),
    /// Envelope, From, Sender, Resent-From, outside, null sender, anonymous.
    actions: [Action; 7],
    sub_addresses: bool,
    loans: Vec<(Borrower, Addresses, bool)>,
}

fn who() -> impl Strategy<Value = Who> {
    prop_oneof![
        select(ACCOUNTS.to_vec()).prop_map(|name| Who::Account(name.into())),
        select(GROUPS.to_vec()).prop_map(|name| Who::Group(name.to_uppercase().into())),
    ]
}

fn named() -> impl Strategy<Value = Vec<Named>> {
    vec((who(), any::<bool>()), 0..4)
}

fn borrower() -> impl Strategy<Value = Borrower> {
    prop_oneof![
        3 => who().prop_map(Borrower::Holder),
        1 => Just(Borrower::Peer("ex1".into())),
        1 => Just(Borrower::Clients("10.0.0.0/8".parse().unwrap())),
        1 => Just(Borrower::Clients("192.0.2.0/24".parse().unwrap())),
    ]
}

fn addresses() -> impl Strategy<Value = Addresses> {
    prop_oneof![
        select(ADDRESSES.to_vec()).prop_map(|one| Addresses::One(one.parse().unwrap())),
        select(ADDRESSES.to_vec()).prop_map(|one| Addresses::AllAt(one.parse::<Mailbox>().unwrap().host)),
    ]
}

fn actions() -> impl Strategy<Value = [Action; 7]> {
    let action = || select(vec![Action::Refuse, Action::Mark, Action::Off]);
    [action(), action(), action(), action(), action(), action(), action()]
}

fn plan() -> impl Strategy<Value = Plan> {
    let submit = (proptest::option::of(named()), named());
    let relay = (named(), named(), any::<bool>());
    let send_as = (actions(), any::<bool>(), vec((borrower(), addresses(), any::<bool>()), 0..3));
    let filter = (any::<bool>(), vec((addresses(), any::<bool>()), 0..3), any::<bool>());
    (submit, relay, any::<[bool; 4]>(), filter, send_as).prop_map(|(submit, relay, peer, filter, send_as)| Plan {
        submit: submit.0,
        submit_deny: submit.1,
        relay: relay.0,
        relay_deny: relay.1,
        relay_authenticated: relay.2,
        peer,
        filter,
        actions: send_as.0,
        sub_addresses: send_as.1,
        loans: send_as.2,
    })
}

fn identity() -> impl Strategy<Value = Identity> {
    let groups = proptest::sample::subsequence(GROUPS.to_vec(), 0..=GROUPS.len());
    let own = proptest::sample::subsequence(ADDRESSES[..3].to_vec(), 0..=2);
    let account = (select(ACCOUNTS.to_vec()), groups, own).prop_map(|(name, groups, own)| {
        Identity::Account(Arc::new(Account {
            name: name.into(),
            groups: groups.into_iter().map(Into::into).collect(),
            addresses: own.into_iter().map(|one| one.parse().unwrap()).collect(),
        }))
    });
    prop_oneof![
        6 => account,
        1 => Just(Identity::Anonymous),
        1 => Just(Identity::Peer("ex1".into())),
        1 => Just(Identity::Peer("stranger".into())),
    ]
}

/// What a client wants: to send from an address, to one outside, with this From and this Sender.
#[derive(Clone, Debug)]
struct Wish {
    identity: Identity,
    from: ReversePath,
    authors: Authors,
}

fn author() -> impl Strategy<Value = Author> {
    prop_oneof![
        4 => select(ADDRESSES.to_vec()).prop_map(|one| Author::Mailbox(one.parse().unwrap())),
        1 => Just(Author::Unreadable),
    ]
}

fn wish() -> impl Strategy<Value = Wish> {
    let from = prop_oneof![
        4 => select(ADDRESSES.to_vec()).prop_map(|one| ReversePath::Mailbox(one.parse().unwrap())),
        1 => Just(ReversePath::Null),
    ];
    (identity(), from, vec(author(), 0..3), vec(author(), 0..2), vec(author(), 0..2)).prop_map(
        |(identity, from, authors, sender, resent_from)| Wish {
            identity,
            from,
            authors: Authors { from: authors, sender, resent_from },
        },
    )
}

fn term(over: bool) -> Term {
    Term { expires: over.then_some(NOW), ..Term::default() }
}

impl Plan {
    fn rules(&self) -> Rules {
        let mut book = RuleBook::new();
        let mut rule = |key: &str| book.add(key, None);
        let allow = match &self.submit {
            Some(list) => Allowed::Only(holders(&mut rule, list)),
            None => Allowed::Everyone(rule("submit.allow")),
        };
        let submit = Rights { deny: holders(&mut rule, &self.submit_deny), allow };
        let rights = Rights {
            deny: holders(&mut rule, &self.relay_deny),
            allow: Allowed::Only(holders(&mut rule, &self.relay)),
        };
        let relay = Relay {
            mode: Mode::Only,
            mode_rule: rule("relay.mode"),
            list: List::new(rule("relay.list"), Vec::new()),
            authenticated: self.relay_authenticated,
            authenticated_rule: rule("relay.authenticated"),
            rights,
        };
        let connection = ConnectionControl {
            rule: rule("connection_control"),
            mode: Mode::AllExcept,
            mode_rule: rule("connection_control.mode"),
            list: List::new(rule("connection_control.list"), Vec::new()),
            applies_to: AppliesTo::Everyone,
            applies_rule: rule("connection_control.applies_to"),
        };
        let domains = Arc::new(domains(&mut rule));
        Rules {
            server: "inbound".into(),
            connection,
            sender_filter: self.sender_filter(&mut rule, &domains),
            authentication: Authentication { anonymous: true, anonymous_rule: rule("anonymous") },
            submit,
            relay,
            send_as: self.send_as(&mut rule),
            peers: self.peers(&mut rule),
            domains,
            limits: limits(&mut rule),
        }
    }

    fn sender_filter(&self, rule: &mut impl FnMut(&str) -> RuleId, domains: &Domains) -> SenderFilter {
        let (applied, entries, null_sender) = &self.filter;
        let entries = entries.iter().map(|(addresses, over)| FilteredSender {
            rule: rule("filtered"),
            addresses: addresses.clone(),
            term: term(*over),
        });
        let entries = entries.collect();
        let senders = FilteredSenders {
            list: SenderList::new(rule("sender_filter.list"), entries, &domains.aliases),
            null_sender: *null_sender,
            null_sender_rule: rule("sender_filter.null_sender"),
            on_match: OnMatch::Drop,
        };
        SenderFilter { applied: *applied, applied_rule: rule("filters.sender"), senders: Arc::new(senders) }
    }

    fn send_as(&self, rule: &mut impl FnMut(&str) -> RuleId) -> SendAs {
        let grants = self.loans.iter().map(|(to, addresses, over)| Loan {
            rule: rule("loan"),
            to: to.clone(),
            addresses: Box::new([addresses.clone()]),
            term: term(*over),
        });
        let grants: Vec<Loan> = grants.collect();
        let mut check = |at: usize| Check { rule: rule("send_as"), action: self.actions[at] };
        SendAs {
            envelope: check(0),
            from: check(1),
            sender: check(2),
            resent_from: check(3),
            outside: check(4),
            null_sender: check(5),
            anonymous: check(6),
            sub_addresses: self.sub_addresses,
            grants: Arc::new(grants.into()),
        }
    }

    fn peers(&self, rule: &mut impl FnMut(&str) -> RuleId) -> Arc<BTreeMap<Box<str>, PeerRights>> {
        let rights = PeerRights {
            submit: self.peer[0],
            submit_rule: rule("peer.submit"),
            relay: self.peer[1],
            relay_rule: rule("peer.relay"),
            send_as_anybody: self.peer[2],
            send_as_anybody_rule: rule("peer.send_as_anybody"),
            bypass_filters: self.peer[3],
            bypass_filters_rule: rule("peer.bypass_filters"),
        };
        Arc::new(BTreeMap::from([("ex1".into(), rights)]))
    }

    /// The same with one permit less or one denial more; `None` if the change drawn is not one.
    fn narrowed(&self, change: usize, which: Index, extra: Who, filtered: Addresses) -> Option<Plan> {
        let mut plan = self.clone();
        match change {
            0 => plan.submit = Some(remove(self.submit.clone()?, which)?),
            1 if plan.submit.is_none() => plan.submit = Some(vec![(extra, false)]),
            2 => plan.submit_deny.push((extra, false)),
            3 => plan.relay = remove(plan.relay, which)?,
            4 => plan.relay_deny.push((extra, false)),
            5 => plan.relay_authenticated = false,
            6..=8 => plan.peer[change - 6] = false,
            9..=15 => {
                let action = &mut plan.actions[change - 9];
                *action = if *action == Action::Off { Action::Mark } else { Action::Refuse };
            }
            16 => plan.loans = remove(plan.loans, which)?,
            17 => plan.sub_addresses = false,
            18 => plan.filter.0 = true,
            19 => plan.filter.1.push((filtered, false)),
            20 => plan.filter.2 = true,
            21 => plan.peer[3] = false,
            _ => return None,
        }
        Some(plan)
    }

    /// Without what is over.
    fn pruned(&self) -> Plan {
        let live = |list: &[Named]| list.iter().filter(|one| !one.1).cloned().collect();
        Plan {
            submit: self.submit.as_deref().map(live),
            submit_deny: live(&self.submit_deny),
            relay: live(&self.relay),
            relay_deny: live(&self.relay_deny),
            loans: self.loans.iter().filter(|loan| !loan.2).cloned().collect(),
            filter: (self.filter.0, self.filter.1.iter().filter(|one| !one.1).cloned().collect(), self.filter.2),
            ..self.clone()
        }
    }
}

fn holders(rule: &mut impl FnMut(&str) -> RuleId, list: &[Named]) -> Holders {
    let whole = rule("list");
    let entry = |(who, over): &Named| Holder { rule: rule("entry"), who: who.clone(), term: term(*over) };
    Holders::new(whole, list.iter().map(entry).collect())
}

fn domains(rule: &mut impl FnMut(&str) -> RuleId) -> Domains {
    let alias = policy::Alias { rule: rule("alias"), target: "corp.example".parse().unwrap() };
    Domains {
        organization_rule: rule("organization"),
        organization: BTreeMap::from([("corp.example".parse().unwrap(), rule("corp.example"))]),
        aliases: BTreeMap::from([("old.example".parse().unwrap(), alias)]),
        default_domain: None,
        remote_rule: rule("remote"),
        remote: BTreeMap::new(),
        remote_below: BTreeMap::new(),
        recipients: None,
        recipients_in: None,
    }
}

fn limits(rule: &mut impl FnMut(&str) -> RuleId) -> Limits {
    Limits {
        connections: None,
        connections_rule: rule("connections"),
        connections_per_address: None,
        connections_per_address_rule: rule("connections_per_address"),
        connections_per_network: None,
        connections_per_network_rule: rule("connections_per_network"),
        connections_in_all: None,
        connections_in_all_rule: rule("connections_in_all"),
        hop_count: 30,
        hop_count_rule: rule("hop_count"),
    }
}

fn remove<T>(mut from: Vec<T>, which: Index) -> Option<Vec<T>> {
    if from.is_empty() {
        return None;
    }
    from.remove(which.index(from.len()));
    Some(from)
}

/// How far a wish gets at MAIL, at RCPT for somebody outside, and with the message: 0 refused, 1 marked, 2 granted.
fn granted(rules: &Rules, wish: &Wish) -> [u8; 3] {
    let ledger = Ledger::new();
    let identity = &wish.identity;
    let facts = SenderFacts {
        client: CLIENT,
        now: NOW,
        admission: Admission::Admitted,
        identity,
        secured: true,
        reverse_path: &wish.from,
    };
    let sender = policy::sender(rules, &facts, &ledger).unwrap().verdict;
    let recipient = "bob@ext.example".parse().unwrap();
    let facts = RecipientFacts { client: CLIENT, now: NOW, identity, recipient: &recipient };
    let relayed = policy::recipient(rules, &facts, &ledger).unwrap().verdict;
    let facts = MessageFacts { client: CLIENT, now: NOW, identity, authors: &wish.authors, hops: 0 };
    let taken = policy::message(rules, &facts, &ledger).unwrap().verdict;
    let marked = |marked: bool| if marked { 1 } else { 2 };
    [
        sender.map_or(0, |submission| marked(submission.marked)),
        if relayed.is_ok() { 2 } else { 0 },
        taken.map_or(0, |taken| marked(!taken.marks.is_empty())),
    ]
}

/// Whether an entry of the sender filter means an address; `old.example` is another name of `corp.example`.
fn filters(addresses: &Addresses, from: &Mailbox) -> bool {
    let host = |mailbox: &Mailbox| mailbox.host.to_string().replace("old.example", "corp.example");
    match addresses {
        Addresses::One(one) => host(one) == host(from) && one.local.as_str().eq_ignore_ascii_case(from.local.as_str()),
        Addresses::AllAt(all) => all.to_string().replace("old.example", "corp.example") == host(from),
    }
}

/// Whether some entry that is not over means the account.
fn means(list: &[Named], account: &Account) -> bool {
    list.iter().any(|(who, over)| {
        !over
            && match who {
                Who::Account(name) => name.eq_ignore_ascii_case(&account.name),
                Who::Group(name) => account.groups.iter().any(|group| group.eq_ignore_ascii_case(name)),
            }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2048, ..ProptestConfig::default() })]

    #[test]
    fn less_permission_never_permits_more(
        plan in plan(), wish in wish(), change in 0..22_usize, which in any::<Index>(), extra in who(),
        filtered in addresses(),
    ) {
        if let Some(narrowed) = plan.narrowed(change, which, extra, filtered) {
            let (before, after) = (granted(&plan.rules(), &wish), granted(&narrowed.rules(), &wish));
            for (after, before) in after.into_iter().zip(before) {
                prop_assert!(after <= before, "{narrowed:?}");
            }
        }
    }

    #[test]
    fn rights_are_what_they_say(plan in plan(), wish in wish()) {
        let Identity::Account(account) = &wish.identity else { return Ok(()) };
        let mut free = plan.clone();
        free.actions = [Action::Off; 7];
        let [submits, relays, _] = granted(&free.rules(), &wish);
        let may_submit = !means(&plan.submit_deny, account)
            && plan.submit.as_ref().is_none_or(|allow| means(allow, account));
        let may_relay = !means(&plan.relay_deny, account)
            && (plan.relay_authenticated || means(&plan.relay, account));
        prop_assert_eq!((submits > 0, relays > 0), (may_submit, may_relay));
    }

    #[test]
    fn who_is_not_asked_for_authors_is_not_judged_by_them(plan in plan(), wish in wish()) {
        let rules = plan.rules();
        let facts = MessageFacts { client: CLIENT, now: NOW, identity: &wish.identity, authors: &wish.authors, hops: 0 };
        let taken = policy::message(&rules, &facts, &Ledger::new()).unwrap().verdict;
        let asks = policy::asks_authors(&rules, &wish.identity);
        let trusted = plan.peer[2] && wish.identity == Identity::Peer("ex1".into());
        let asked = match wish.identity {
            Identity::Anonymous => &plan.actions[6..],
            _ => &plan.actions[1..4],
        };
        prop_assert_eq!(asks, !trusted && asked.iter().any(|action| *action != Action::Off));
        match taken {
            Ok(taken) => {
                prop_assert!(asks || taken.marks.is_empty());
                let mut once = taken.marks.clone();
                once.dedup();
                prop_assert_eq!(once, taken.marks, "each place once");
            }
            Err(_) => prop_assert!(asks),
        }
    }

    #[test]
    fn what_is_over_is_as_if_it_were_not_there(plan in plan(), wish in wish()) {
        prop_assert_eq!(granted(&plan.rules(), &wish), granted(&plan.pruned().rules(), &wish));
    }

    #[test]
    fn the_order_of_entries_never_changes_a_verdict(plan in plan(), wish in wish()) {
        let mut turned = plan.clone();
        turned.submit.iter_mut().for_each(|list| list.reverse());
        for list in [&mut turned.submit_deny, &mut turned.relay, &mut turned.relay_deny] {
            list.reverse();
        }
        turned.loans.reverse();
        turned.filter.1.reverse();
        prop_assert_eq!(granted(&plan.rules(), &wish), granted(&turned.rules(), &wish));
    }

    #[test]
    fn c10_filters_are_for_the_anonymous_and_for_peers_that_may_not_bypass_them(plan in plan(), wish in wish()) {
        let mut free = plan.clone();
        (free.actions, free.peer[0]) = ([Action::Off; 7], true);
        let (applied, entries, null_sender) = &plan.filter;
        let subject = match &wish.identity {
            Identity::Anonymous => true,
            Identity::Account(_) => false,
            Identity::Peer(name) => **name == *"ex1" && !plan.peer[3],
        };
        let filtered = match &wish.from {
            ReversePath::Null => *null_sender,
            ReversePath::Mailbox(from) => entries.iter().any(|(addresses, over)| !over && filters(addresses, from)),
        };
        let facts = SenderFacts {
            client: CLIENT,
            now: NOW,
            admission: Admission::Admitted,
            identity: &wish.identity,
            secured: true,
            reverse_path: &wish.from,
        };
        let rules = free.rules();
        let refusal = policy::sender(&rules, &facts, &Ledger::new()).unwrap().verdict.err();
        let is_filtered = refusal == Some(Refusal::SenderFiltered { close: true });
        prop_assert_eq!(is_filtered, subject && *applied && filtered, "{:?}", refusal);
        // The table of who may do what looks the filter up without asking the question.
        if let ReversePath::Mailbox(from) = &wish.from {
            let has = |senders: &FilteredSenders| senders.list.has(from, &rules.domains, NOW);
            prop_assert_eq!(rules.senders_filtered_for(&wish.identity).is_some_and(has), is_filtered);
        }
    }

    #[test]
    fn row19_nobody_sends_as_somebody_else_inside(plan in plan(), wish in wish()) {
        // With every place checked, what gets through unmarked is the account's own or lent to it.
        let (Identity::Account(account), ReversePath::Mailbox(from)) = (&wish.identity, &wish.from) else {
            return Ok(());
        };
        let strict = Plan { actions: [Action::Refuse; 7], loans: Vec::new(), sub_addresses: false, ..plan };
        let inside = matches!(from.domain().map(mail::Domain::as_str), Some("corp.example" | "old.example"));
        if granted(&strict.rules(), &wish)[0] > 0 {
            let own = account.addresses.iter().any(|own| own.local.as_str().eq_ignore_ascii_case(from.local.as_str()));
            prop_assert!(inside && own, "{from} by {account:?}");
        }
    }
}
