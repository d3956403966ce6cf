//! Whatever is written reads back, and whatever is read is bounded.

use super::super::codec::{self, Closed, Place};
use super::*;
use proptest::prelude::*;

fn text() -> impl Strategy<Value = Box<str>> {
    "\\PC{0,20}|[\\x00-\\x1f]{0,4}|\\r\\n\\.\\r\\n".prop_map(String::into)
}

fn mailbox() -> impl Strategy<Value = mail::Mailbox> {
    ("[!-~]{1,20}|[ -~]{1,20}", "[a-z]{1,9}\\.[a-z]{2,5}|\\[192\\.0\\.2\\.7\\]|\\[IPv6:2001:db8::1\\]").prop_map(
        |(local, host)| {
            let quoted = local.replace('\\', "\\\\").replace('"', "\\\"");
            format!("\"{quoted}\"@{host}").parse().expect("an address")
        },
    )
}

fn diagnosis() -> impl Strategy<Value = Diagnosis> {
    let class = prop_oneof![Just(Class::Success), Just(Class::Transient), Just(Class::Permanent)];
    (class, any::<u16>(), any::<u16>(), text(), proptest::option::of(text()))
        .prop_map(|(class, a, b, text, host)| Diagnosis { status: EnhancedStatus::new(class, a, b), text, host })
}

fn some_recipient() -> impl Strategy<Value = Recipient> {
    let state = prop_oneof![Just(State::Pending), Just(State::Delivered), Just(State::Failed)];
    let original = proptest::option::of((text(), text()).prop_map(|(kind, address)| Original { kind, address }));
    let notify = proptest::option::of(any::<[bool; 3]>().prop_map(|[success, failure, delay]| Notify {
        success,
        failure,
        delay,
    }));
    (mailbox(), original, notify, state, any::<u32>(), proptest::option::of(diagnosis())).prop_map(
        |(forward_path, original, notify, state, attempts, last)| Recipient {
            forward_path,
            original,
            notify,
            state,
            attempts,
            last,
        },
    )
}

fn some_envelope() -> impl Strategy<Value = Envelope> {
    let who = (any::<u64>(), any::<bool>(), any::<u64>(), text(), proptest::option::of(any::<std::net::IpAddr>()));
    let said = (proptest::option::of(text()), proptest::option::of(mailbox()), 0..3_u8, proptest::option::of(text()));
    let what = (any::<[bool; 8]>(), any::<u64>(), proptest::collection::vec(any::<u8>(), 0..40));
    let counted =
        prop_oneof![Just(None), Just(Some(Counted::Client)), text().prop_map(|name| Some(Counted::Account(name)))];
    let recipients = (counted, proptest::collection::vec(some_recipient(), 0..5));
    (who, said, what, recipients).prop_map(|(who, said, what, (counted, recipients))| {
        let [smtputf8, warned, held, eight_bit, binary, dots, long_lines, utf8_headers] = what.0;
        Envelope {
            id: MessageId(who.0),
            kind: if who.1 { Kind::Report } else { Kind::Mail },
            received: Timestamp::from_millis(who.2),
            server: who.3,
            client: who.4,
            hello: said.0,
            reverse_path: said.1.map_or(ReversePath::Null, ReversePath::Mailbox),
            ret: [None, Some(Ret::Full), Some(Ret::Headers)][usize::from(said.2)],
            envid: said.3,
            smtputf8,
            content: Content { size_bytes: what.1, eight_bit, binary, dots, long_lines, utf8_headers },
            trace: what.2.into(),
            recipients,
            warned,
            held,
            counted,
        }
    })
}

fn some_attempt() -> impl Strategy<Value = Attempt> {
    let result =
        prop_oneof![Just(Ending::Delivered), Just(Ending::Relayed), Just(Ending::Deferred), Just(Ending::Failed)];
    let outcome = (0..u32::MAX as usize, result, diagnosis()).prop_map(|(recipient, result, diagnosis)| Outcome {
        recipient,
        result,
        diagnosis,
    });
    let outcomes = proptest::collection::vec(outcome, 0..5);
    (any::<u64>(), outcomes, proptest::option::of(any::<u64>()), any::<bool>()).prop_map(
        |(id, outcomes, retry_at, warned)| Attempt {
            id: MessageId(id),
            outcomes,
            retry_at: retry_at.map(Timestamp::from_millis),
            warned,
        },
    )
}

proptest! {
    #[test]
    fn a_message_reads_back(envelope in some_envelope(), size in any::<u64>(), checksum in any::<u32>(), file in any::<bool>()) {
        let place = if file { Place::File { size, checksum } } else { Place::Inline };
        let octets = codec::write_message(&envelope, place);
        prop_assert_eq!(codec::read_message(envelope.id, &octets), Some((envelope, place)));
    }

    #[test]
    fn an_attempt_reads_back(attempt in some_attempt()) {
        prop_assert_eq!(codec::read_attempt(attempt.id, &codec::write_attempt(&attempt)), Some(attempt));
    }

    #[test]
    fn the_small_ones_read_back(homes in proptest::collection::vec(any::<u64>(), 0..5), closed in any::<[u64; 3]>()) {
        prop_assert_eq!(codec::read_finished(&codec::write_finished(&homes)), Some(homes));
        let closed = Closed { segment: closed[0], settled: closed[1], end: closed[2] };
        prop_assert_eq!(codec::read_closed(&codec::write_closed(closed)), Some(closed));
    }

    #[test]
    fn any_octets_are_read_without_panic(octets in proptest::collection::vec(any::<u8>(), 0..300)) {
        read_all(&octets);
    }

    #[test]
    fn a_changed_message_is_read_without_panic(envelope in some_envelope(), at in any::<usize>(), with in any::<u8>(), end in any::<usize>()) {
        let mut octets = codec::write_message(&envelope, Place::Inline);
        let at = at % octets.len();
        octets[at] = with;
        read_all(&octets);
        octets.truncate(end % octets.len());
        read_all(&octets);
    }
}

fn read_all(octets: &[u8]) {
    let _ = codec::read_message(MessageId(1), octets);
    let _ = codec::read_attempt(MessageId(1), octets);
    let _ = codec::read_finished(octets);
    let _ = codec::read_closed(octets);
}

#[test]
fn a_count_that_cannot_be_true_allocates_nothing() {
    let mut octets = vec![0xFF; 4];
    assert_eq!(codec::read_finished(&octets), None);
    octets.splice(0..0, [0, 0]);
    assert_eq!(codec::read_attempt(MessageId(1), &octets), None);
}
