use super::*;
use crate::envelope::Ending;
use mail::{Class, EnhancedStatus};
use proptest::prelude::*;

fn envelope(paths: &[String]) -> Envelope {
    let recipient = |path: &String| Recipient {
        forward_path: path.parse().expect("an address"),
        original: None,
        notify: None,
        state: State::Pending,
        attempts: 0,
        last: None,
    };
    Envelope {
        id: MessageId(7),
        kind: Kind::Mail,
        received: Timestamp::from_millis(1_795_301_320_123),
        server: "inbound".into(),
        client: None,
        hello: None,
        reverse_path: ReversePath::Null,
        ret: None,
        envid: None,
        smtputf8: false,
        content: Content { size_bytes: 1234, ..Content::default() },
        trace: Box::default(),
        recipients: paths.iter().map(recipient).collect(),
        warned: false,
        held: false,
        counted: None,
    }
}

fn path() -> impl Strategy<Value = String> {
    (
        "[!-~&&[^\"\\\\]]{1,64}|[ -~&&[^\"\\\\]]{1,64}",
        "[a-z]{1,60}\\.[a-z]{2,5}|\\[192\\.0\\.2\\.7\\]|\\[IPv6:2001:db8::1\\]",
    )
        .prop_map(|(local, host)| format!("\"{local}\"@{host}"))
}

fn outcome() -> impl Strategy<Value = Outcome> {
    let ending =
        prop_oneof![Just(Ending::Delivered), Just(Ending::Relayed), Just(Ending::Deferred), Just(Ending::Failed)];
    (0..6_usize, ending, "[a-z]{0,3}").prop_map(|(recipient, result, text)| {
        let status = EnhancedStatus::new(Class::Transient, 4, 1);
        Outcome { recipient, result, diagnosis: Diagnosis { status, text: text.into(), host: None } }
    })
}

proptest! {
    #[test]
    fn a_brief_knows_what_an_envelope_knows(
        from in proptest::option::of(path()),
        paths in proptest::collection::vec(path(), 0..5),
        attempts in proptest::collection::vec(proptest::collection::vec(outcome(), 0..4), 0..4),
        flags in any::<[bool; 2]>(),
    ) {
        let accepted = Envelope {
            reverse_path: from.map_or(ReversePath::Null, |path| ReversePath::Mailbox(path.parse().expect("an address"))),
            ..envelope(&paths)
        };
        let mut diagnoses = Diagnoses::default();
        let mut brief = Brief::new(&accepted, &mut diagnoses);
        let mut now = accepted.clone();
        prop_assert_eq!(brief.outline(accepted.id), accepted.clone());
        for outcomes in &attempts {
            now.apply(outcomes);
            brief.apply(outcomes, &mut diagnoses);
        }
        let [warned, held] = flags;
        (now.warned, now.held) = (warned, held);
        if warned {
            brief.set_warned();
        }
        brief.set_held(!held);
        brief.set_held(held);
        prop_assert_eq!(brief.is_finished(), now.is_finished());
        let pending: Vec<_> = now.pending().map(|(place, recipient)| (place, recipient.forward_path.clone())).collect();
        prop_assert_eq!(brief.pending().collect::<Vec<_>>(), pending);
        prop_assert_eq!((brief.server(), brief.size_bytes(), brief.len()), ("inbound", 1234, paths.len()));
        prop_assert_eq!(brief.complete(accepted), now.clone());
        prop_assert_eq!(Brief::new(&now, &mut diagnoses), brief);
    }
}
