//! What is kept of refusals, and what is not.

use super::*;
use proptest::prelude::*;

/// Rules under which nothing is granted: no domain is ours, and nobody may relay.
fn law(config: &config::Config) -> (Arc<Rules>, Arc<RuleBook>) {
    (config.servers[0].rules.clone(), config.book.clone())
}

fn config() -> config::Config {
    let text = "hostname = \"mx.corp.example\"\nstate_dir = \"/tmp/x\"\n\
                [virtual_server.x]\nlisten = [\"127.0.0.1:0\"]\n";
    config::Config::from_text("x.toml", text).unwrap().0
}

fn past(number: u32, law: &(Arc<Rules>, Arc<RuleBook>), memory: &Arc<Memory>, octets: u64) -> Arc<Past> {
    let recipient: Mailbox = "bob@ext.example".parse().unwrap();
    let identity = Identity::Anonymous;
    let by = By { client: [192, 0, 2, 1].into(), now: Timestamp::from_millis(0), identity };
    Arc::new(Past {
        id: DecisionId(number),
        server: "x".into(),
        law: law.clone(),
        facts: Facts::Recipient { by, recipient },
        ledger: Ledger::new(),
        trace: Trace::default(),
        reply: Reply::never(50, 7, 1, "no"),
        octets,
        _held: memory.hold(octets),
    })
}

#[test]
fn names_cannot_be_counted_by_and_are_read_back() {
    let (decisions, _orders) = Decisions::new([7; 32]);
    let (others, _orders) = Decisions::new([8; 32]);
    let names: Vec<DecisionId> = (0..1000).map(|_| decisions.name()).collect();
    let distances: std::collections::BTreeSet<u32> =
        names.windows(2).map(|two| two[1].0.wrapping_sub(two[0].0)).collect();
    assert!(distances.len() > 990, "the distance between two names says nothing");
    assert!(names.iter().all(|name| others.name() != *name), "another process has other names");
    for name in names {
        assert_eq!(name.to_string().parse(), Ok(name));
    }
    for wrong in ["", "7f3a21c", "7f3a21c99", "+7f3a21c", "7f3a21cg", "7f3a 1c9"] {
        assert_eq!(wrong.parse::<DecisionId>(), Err(()), "{wrong:?}");
    }
}

#[test]
fn the_oldest_are_forgotten_first_and_give_their_memory_back() {
    let memory = Arc::new(Memory::new(u64::MAX, 0));
    let (law, mut ring) = (law(&config()), Ring::default());
    for number in 0..u32::try_from(KEPT).unwrap() + 10 {
        ring.keep(past(number, &law, &memory, 100));
    }
    assert!(ring.find(DecisionId(9)).is_none());
    assert_eq!(ring.find(DecisionId(10)).map(|past| past.id), Some(DecisionId(10)));
    assert_eq!((ring.kept.len(), ring.octets), (KEPT, KEPT as u64 * 100));

    ring.keep(past(0, &law, &memory, KEPT_OCTETS / 16 + 1));
    assert!(ring.find(DecisionId(0)).is_none(), "one that is too large is not kept");
    for number in 0..100 {
        ring.keep(past(number, &law, &memory, KEPT_OCTETS / 16));
    }
    assert!(ring.octets <= KEPT_OCTETS && ring.kept.len() <= 16);
    assert!(ring.find(DecisionId(99)).is_some());
}

#[test]
fn old_settings_are_not_kept_alive() {
    let memory = Arc::new(Memory::new(u64::MAX, 0));
    let mut ring = Ring::default();
    let laws: Vec<_> = (0..LAWS + 2).map(|_| law(&config())).collect();
    for (number, law) in (0..).zip(&laws) {
        ring.keep(past(number, law, &memory, 100));
    }
    assert_eq!(ring.kept.len(), LAWS);
    assert!(ring.find(DecisionId(1)).is_none() && ring.find(DecisionId(2)).is_some());
    assert_eq!(Arc::strong_count(&laws[0].1), 1);
    assert_eq!(ring.octets, LAWS as u64 * 100);
}

#[test]
fn the_name_stands_behind_the_text_and_the_facts_are_those_of_then() {
    let (config, memory) = (config(), Arc::new(Memory::new(u64::MAX, 0)));
    let (rules, book) = law(&config);
    let (decisions, mut orders) = Decisions::new([7; 32]);
    let recipient: Mailbox = "bob@ext.example".parse().unwrap();
    let facts = RecipientFacts {
        client: [192, 0, 2, 1].into(),
        now: Timestamp::from_millis(5),
        identity: &Identity::Anonymous,
        recipient: &recipient,
    };
    let question = Question::Recipient(facts);
    let mut ledger = Ledger::new();
    ledger.enter(mail::Query::Addresses("unasked.example".parse().unwrap()), mail::Found::Absent);
    let decision = question.ask(&rules, &ledger).unwrap();
    let reply = Reply::never(50, 7, 1, "Unable to relay for bob@ext.example");
    let (id, reply) = decisions.keep(&memory, (&rules, &book), &question, &ledger, (&decision.trace, reply));
    assert_eq!(reply.to_string(), format!("550 5.7.1 Unable to relay for bob@ext.example ({id})"));
    let Ok(Order::Keep(past)) = orders.0.try_recv() else { panic!("nothing is kept") };
    assert_eq!(past.facts.question(None).ask(&rules, &past.ledger).unwrap().trace, decision.trace);
    assert_eq!(past.facts.question(None).now(), Timestamp::from_millis(5));
    assert!(past.ledger.find(&mail::Query::Addresses("unasked.example".parse().unwrap())).is_none());
}

proptest! {
    #[test]
    fn any_text_is_a_name_or_is_not(text in "\\PC{0,12}") {
        if let Ok(id) = text.parse::<DecisionId>() {
            prop_assert_eq!(id.to_string(), text.to_ascii_lowercase());
        }
    }
}
