//! Segments and records written from `docs/spool.md` alone, not with the product's code: so the page
//! and the code hold each other.

use super::settings;
use mail::{ReversePath, Timestamp};
use queue::disk::memory::MemoryDisk;
use queue::spool::Spool;
use queue::{Content, Counted, Draft, Envelope, Kind, MessageId, Recipient, State};
use std::sync::LazyLock;

/// A record to be written, right but for what is to be wrong about it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Record<'a> {
    pub(crate) kind: u32,
    pub(crate) segment: u64,
    pub(crate) id: u64,
    pub(crate) batch: u32,
    pub(crate) turn: u32,
    pub(crate) meaning: &'a [u8],
    pub(crate) body: &'a [u8],
    /// Changed in the checksums of meaning, body and head.
    pub(crate) wrong: [u32; 3],
}

impl Record<'_> {
    pub(crate) fn octets(&self, salt: u64) -> Vec<u8> {
        let mut to = b"BHr1".to_vec();
        to.extend(self.kind.to_le_bytes());
        to.extend(self.segment.to_le_bytes());
        to.extend(self.id.to_le_bytes());
        to.extend(self.batch.to_le_bytes());
        to.extend(self.turn.to_le_bytes());
        for (part, wrong) in [(self.meaning, self.wrong[0]), (self.body, self.wrong[1])] {
            to.extend(u32::try_from(part.len()).unwrap().to_le_bytes());
            to.extend((crc32c::crc32c(part) ^ wrong).to_le_bytes());
        }
        let checksum = crc32c::crc32c(&[&salt.to_le_bytes()[..], &to].concat()) ^ self.wrong[2];
        to.extend(checksum.to_le_bytes());
        to.extend(self.meaning);
        to.extend(self.body);
        to.resize(to.len().next_multiple_of(8), 0);
        to
    }
}

/// Writes both copies of a segment's header.
pub(crate) fn seal(segment: &mut [u8], number: u64, incarnation: u32, salt: u64) {
    let mut header = b"BHspool\n".to_vec();
    // Both formats: they differ in nothing but what an envelope may have.
    let format: u32 = if number.is_multiple_of(2) { 2 } else { 1 };
    header.extend(format.to_le_bytes());
    header.extend(incarnation.to_le_bytes());
    header.extend(number.to_le_bytes());
    header.extend(salt.to_le_bytes());
    header.extend((segment.len() as u64).to_le_bytes());
    header.extend(crc32c::crc32c(&header).to_le_bytes());
    for at in [0, 4096] {
        segment[at..at + header.len()].copy_from_slice(&header);
    }
}

/// The meaning of a message record as the product writes it.
pub(crate) fn first_meaning() -> &'static [u8] {
    static MEANING: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let disk = MemoryDisk::new();
        let (mut spool, _) = Spool::open(disk.clone(), settings()).unwrap();
        let id = spool.ids().next();
        spool.stage_message(&envelope(id), &Draft::new().finish()).unwrap();
        assert_eq!(spool.flush().receipts.len(), 1);
        let segment = disk.content("segment-000001").unwrap();
        let record = &segment[8192..];
        let length = u32::from_le_bytes(record[32..36].try_into().unwrap());
        record[56..56 + length as usize].to_vec()
    });
    &MEANING
}

/// An envelope with something in every field.
pub(crate) fn envelope(id: MessageId) -> Envelope {
    let recipient = Recipient {
        forward_path: "alice@corp.example".parse().unwrap(),
        original: None,
        notify: None,
        state: State::Pending,
        attempts: 0,
        last: None,
    };
    Envelope {
        id,
        kind: Kind::Mail,
        received: Timestamp::from_millis(1),
        server: "inbound".into(),
        client: Some([192, 0, 2, 66].into()),
        hello: Some("there.test".into()),
        reverse_path: ReversePath::Mailbox("bob@there.test".parse().unwrap()),
        ret: None,
        envid: Some("q+1".into()),
        smtputf8: false,
        content: Content::default(),
        trace: b"Received: from there.test\r\n"[..].into(),
        recipients: vec![recipient],
        warned: false,
        held: false,
        counted: Some(Counted::Account("u1".into())),
    }
}
