//! A directory built step by step as an input says. Each step is one octet and what it needs.

use super::{Record, SEGMENT_BYTES, first_meaning, seal};
use crate::input::Input;
use queue::disk::memory::MemoryDisk;
use queue::disk::{Disk, DiskFile};
use std::io::IoSlice;

/// The salt of all segments here; the reader finds it in their headers.
pub(crate) const SALT: u64 = 42;
/// Segments of one directory.
const SEGMENTS: usize = 3;

/// What has been built.
pub(crate) struct Directory {
    pub(crate) disk: MemoryDisk,
    /// The bodies that were written into records, each with its message.
    pub(crate) bodies: Vec<(u64, Vec<u8>)>,
    /// Some record says that a message is finished or where a segment ends, and it may be a lie.
    pub(crate) speaks: bool,
}

/// A segment being filled.
struct Segment {
    octets: Vec<u8>,
    slot: u32,
    number: u64,
    at: usize,
    batch: usize,
}

impl Directory {
    pub(crate) fn build(mut input: Input<'_>) -> Directory {
        let mut built = Directory { disk: MemoryDisk::new(), bodies: Vec::new(), speaks: false };
        let mut numbers = std::collections::BTreeSet::new();
        for _ in 0..SEGMENTS {
            if input.is_empty() {
                break;
            }
            let mut segment = Segment::begin(&mut input);
            // Two files with one number are what no spool writes; which is believed is not promised.
            if !numbers.insert(segment.number) {
                continue;
            }
            while !input.is_empty() && built.step(&mut segment, &mut input) {}
            built.file(&format!("segment-{:06}", segment.slot), &segment.octets);
        }
        built
    }

    fn file(&self, name: &str, octets: &[u8]) {
        let file = self.disk.create(name).unwrap();
        file.write_at(0, &[IoSlice::new(octets)]).unwrap();
        file.sync_data().unwrap();
        self.disk.sync_directory().unwrap();
    }

    /// One step; whether the segment goes on.
    fn step(&mut self, segment: &mut Segment, input: &mut Input<'_>) -> bool {
        match input.octet() % 16 {
            kind @ 0..=5 => self.record(segment, u32::from(kind) + 1, input),
            6 => {
                let (id, body) = (identifier(input), input.counted());
                segment.put(&Record { kind: 1, id, meaning: first_meaning(), body, ..Record::default() });
                self.bodies.push((id, body.to_vec()));
            }
            7 => segment.pad(),
            8 => segment.raw(input.counted()),
            9 => {
                let at = input.wide() % segment.octets.len();
                segment.octets[at] ^= input.octet();
            }
            10 => {
                let (id, body) = (identifier(input), input.counted());
                self.file(&format!("body-{}", queue::MessageId(id)), body);
            }
            11 => self.with_file(segment, input),
            12 => self.finished(segment, input),
            13 => segment.octets.truncate(input.wide().max(1)),
            14 => {
                let name = String::from_utf8_lossy(input.counted()).into_owned();
                self.file(&name, b"something");
            }
            _ => return false,
        }
        segment.octets.len() >= SEGMENT_BYTES
    }

    /// A record of any kind, with any meaning and, perhaps, wrong checksums.
    fn record(&mut self, segment: &mut Segment, kind: u32, input: &mut Input<'_>) {
        let flags = input.octet();
        self.speaks |= kind >= 5;
        let (id, turn) = (identifier(input), u32::from(input.octet()));
        let meaning = if flags & 1 == 1 { first_meaning() } else { input.counted() };
        let body = if flags & 2 == 2 { input.counted() } else { b"" };
        let wrong = [flags >> 2 & 1, flags >> 3 & 1, flags >> 4 & 1].map(u32::from);
        segment.put(&Record { kind, id, turn, meaning, body, wrong, ..Record::default() });
        self.bodies.push((id, body.to_vec()));
    }

    /// A message whose body is in a file that may be another than the record says.
    fn with_file(&mut self, segment: &mut Segment, input: &mut Input<'_>) {
        let (id, body, wrong) = (identifier(input), input.counted(), input.octet());
        let mut meaning = vec![1];
        meaning.extend((body.len() as u64 ^ u64::from(wrong >> 4)).to_le_bytes());
        meaning.extend((crc32c::crc32c(body) ^ u32::from(wrong & 15)).to_le_bytes());
        meaning.extend(&first_meaning()[1..]);
        segment.put(&Record { kind: 1, id, meaning: &meaning, ..Record::default() });
        self.file(&format!("body-{}", queue::MessageId(id)), body);
    }

    /// That a message is finished, as long as some segments are there.
    fn finished(&mut self, segment: &mut Segment, input: &mut Input<'_>) {
        let (id, turn, count) = (identifier(input), u32::from(input.octet()), input.octet() % 4);
        let mut meaning = u32::from(count).to_le_bytes().to_vec();
        (0..count).for_each(|_| meaning.extend(u64::from(input.octet()).to_le_bytes()));
        self.speaks = true;
        segment.put(&Record { kind: 5, id, turn, meaning: &meaning, ..Record::default() });
    }
}

/// Few identifiers, so that facts meet their messages.
fn identifier(input: &mut Input<'_>) -> u64 {
    let octet = input.octet();
    u64::from(octet >> 4) << 32 | u64::from(octet & 15)
}

impl Segment {
    fn begin(input: &mut Input<'_>) -> Segment {
        let (slot, number, incarnation) = (u32::from(input.octet()), input.octet(), u32::from(input.octet()));
        // Sometimes the last numbers there are.
        let slot = if slot < 250 { slot } else { u32::MAX - (255 - slot) };
        let number = if number < 250 { u64::from(number) } else { u64::MAX - u64::from(255 - number) };
        let mut octets = vec![0; SEGMENT_BYTES];
        seal(&mut octets, number, incarnation, SALT);
        Segment { octets, slot, number, at: 8192, batch: 8192 }
    }

    fn put(&mut self, record: &Record<'_>) {
        let batch = u32::try_from(self.batch / 4096).unwrap();
        let octets = Record { segment: self.number, batch, ..*record }.octets(SALT);
        self.raw(&octets);
    }

    fn raw(&mut self, octets: &[u8]) {
        if let Some(room) = self.octets.get_mut(self.at..self.at + octets.len()) {
            room.copy_from_slice(octets);
            self.at = (self.at + octets.len()).next_multiple_of(8);
        }
    }

    fn pad(&mut self) {
        self.at = self.at.next_multiple_of(4096);
        self.batch = self.at;
    }
}
