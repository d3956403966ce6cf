//! Spools as the released formats have them, for ever: one for each row of the state table.
//!
//! `tests/spools/FORMAT/NAME.spool` is a directory as text, without its zeros; `NAME.found` is what a
//! start makes of it. `UPDATE_SPOOLS=1` writes those of today's format that are missing and never one
//! that is there: what has been written by a release must be read by every later one.

#![expect(clippy::disallowed_methods, reason = "the spools are beside the tests")]

use super::*;
use crate::disk::{Disk, DiskFile};
use crate::log::{EARLIEST_FORMAT, FORMAT, slot_name};
use std::fmt::Write;
use std::io::IoSlice;
use std::path::PathBuf;

/// Octets of a line.
const LINE: usize = 32;

fn path(format: u32, name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "spools", &format.to_string(), name].iter().collect()
}

/// The names of the spools that are kept of a format.
fn kept(format: u32) -> Vec<String> {
    let files = std::fs::read_dir(path(format, "")).expect("a directory");
    let names = files.map(|file| file.expect("a file").file_name().into_string().expect("a name"));
    let mut kept: Vec<String> = names.filter_map(|name| Some(name.strip_suffix(".spool")?.to_owned())).collect();
    kept.sort_unstable();
    kept
}

/// A directory as text.
fn printed(disk: &MemoryDisk) -> String {
    let mut names = disk.list().expect("a list");
    names.sort();
    let mut text = String::new();
    for name in names {
        let content = disk.content(&name).expect("it is listed");
        writeln!(text, "{name} {}", content.len()).expect("written");
        for (at, line) in content.chunks(LINE).enumerate().filter(|(_, line)| line.iter().any(|octet| *octet != 0)) {
            write!(text, "{:08x} ", at * LINE).expect("written");
            line.iter().for_each(|octet| write!(text, "{octet:02x}").expect("written"));
            text.push('\n');
        }
    }
    text
}

/// The directory that a text stands for.
fn written(text: &str) -> MemoryDisk {
    let disk = MemoryDisk::new();
    let mut file = None;
    for line in text.lines() {
        let (first, second) = line.split_once(' ').expect("two words");
        if first.contains('-') {
            let begun = disk.create(first).expect("a file");
            let length: usize = second.parse().expect("a length");
            begun.write_at(0, &[IoSlice::new(&vec![0; length])]).expect("written");
            file = Some(begun);
        } else {
            let at = u64::from_str_radix(first, 16).expect("a place");
            let octet = |at: usize| u8::from_str_radix(&second[at..at + 2], 16).expect("an octet");
            let octets: Vec<u8> = (0..second.len()).step_by(2).map(octet).collect();
            file.as_ref().expect("a file first").write_at(at, &[IoSlice::new(&octets)]).expect("written");
        }
    }
    disk.snapshot()
}

/// What a start makes of a directory.
fn found(disk: &MemoryDisk) -> String {
    let (spool, recovery) = Spool::open(disk.clone(), settings()).expect("opens");
    let mut text = String::new();
    for queued in &recovery.messages {
        let body = read(&spool, &queued.location);
        let body = body.map(|octets| format!("{} octets, checksum {:08x}", octets.len(), crc32c::crc32c(&octets)));
        writeln!(text, "{:#?}\ndue {:?}\nbody {body:?}\n", whole(&spool, queued), queued.retry_at).expect("written");
    }
    for damage in &recovery.damages {
        writeln!(text, "{damage:?}").expect("written");
    }
    let mut bodies = disk.list().expect("a list");
    bodies.retain(|name| !name.starts_with("segment-"));
    bodies.sort();
    writeln!(text, "files {bodies:?}\nnext identifier {}", spool.ids().next()).expect("written");
    text
}

/// Makes the spools, one for each row of the state table and some that hold more of the format.
fn rows() -> Vec<(&'static str, MemoryDisk)> {
    let finished = |bench: &mut Bench, id| {
        bench.finish(id);
        assert!(bench.flush().is_none());
    };
    vec![
        ("nothing", row(|_| {})),
        ("arriving", row(|bench| drop(bench.write_file(bench.spool.ids().next(), &[b'x'; 9000])))),
        ("queued", row(|bench| _ = accept(bench, 300))),
        ("queued-large", row(|bench| _ = accept(bench, 9000))),
        ("with-history", row(history)),
        (
            "done",
            row(|bench| {
                let id = accept(bench, 300);
                accept(bench, 10);
                finished(bench, id);
            }),
        ),
        (
            "torn",
            row(|bench| {
                accept(bench, 300);
                accept(bench, 700);
                // The second sector of the last batch is what was there before.
                (0..512).for_each(|at| zero(&bench.disk, 12288 + 512 + at));
            }),
        ),
        (
            "rotten",
            row(|bench| {
                accept(bench, 300);
                accept(bench, 700);
                bench.disk.flip(&slot_name(1), 8192 + 100, 0x20);
            }),
        ),
        (
            "two-starts",
            row(|bench| {
                let id = accept(bench, 300);
                let other = accept(bench, 9000);
                let disk = bench.disk.clone();
                bench.reopen(disk);
                finished(bench, id);
                bench.attempt(other, 1, Ending::Failed);
                assert!(bench.flush().is_none());
            }),
        ),
        ("closed-and-emptied", row(emptied)),
    ]
}

fn row(write: impl Fn(&mut Bench)) -> MemoryDisk {
    let mut bench = Bench::new();
    write(&mut bench);
    bench.disk.snapshot()
}

fn accept(bench: &mut Bench, size: usize) -> MessageId {
    let id = bench.stage(size).expect("room");
    assert!(bench.flush().is_none());
    id
}

fn history(bench: &mut Bench) {
    let id = accept(bench, 300);
    let other = accept(bench, 400);
    bench.attempt(id, 0, Ending::Delivered);
    bench.attempt(id, 1, Ending::Deferred);
    bench.say(other, Fact::Held);
    assert!(bench.flush().is_none());
    bench.attempt(id, 1, Ending::Failed);
    bench.attempt(id, 2, Ending::Relayed);
    bench.say(other, Fact::Released);
    bench.attempt(other, 0, Ending::Deferred);
    bench.say(other, Fact::Held);
    assert!(bench.flush().is_none());
}

/// A segment that failed and was emptied: copies of a message and of what is said about it.
fn emptied(bench: &mut Bench) {
    use crate::disk::memory::{Call, Fault};
    let id = accept(bench, 300);
    bench.attempt(id, 0, Ending::Deferred);
    assert!(bench.flush().is_none());
    bench.disk.fail_call(Call::Write, 0, Fault::Once(std::io::ErrorKind::Other));
    bench.stage(10).expect("staged");
    assert!(bench.flush().is_some());
    while bench.spool.status().copied_bytes == 0 {
        bench.spool.maintain().expect("housekeeping");
        assert!(bench.flush().is_none());
    }
}

fn zero(disk: &MemoryDisk, at: usize) {
    let octet = disk.content(&slot_name(1)).expect("a segment")[at];
    disk.flip(&slot_name(1), at, octet);
}

/// Writes the spools of today's format that are missing.
fn update() {
    for (name, disk) in rows() {
        let spool = path(FORMAT, &format!("{name}.spool"));
        if !spool.exists() {
            std::fs::create_dir_all(path(FORMAT, "")).expect("made");
            std::fs::write(&spool, printed(&disk)).expect("written");
            std::fs::write(path(FORMAT, &format!("{name}.found")), found(&disk.snapshot())).expect("written");
        }
    }
}

#[test]
fn a_released_spool_is_read_for_ever() {
    if std::env::var_os("UPDATE_SPOOLS").is_some() {
        update();
    }
    for format in EARLIEST_FORMAT..=FORMAT {
        let kept = kept(format);
        assert!(kept.len() >= rows().len(), "format {format}: {kept:?}");
        kept.iter().for_each(|name| read_again(format, name));
    }
}

fn read_again(format: u32, name: &str) {
    let read = |end| std::fs::read_to_string(path(format, &format!("{name}.{end}"))).expect("a text");
    let (text, expected) = (read("spool"), read("found"));
    let disk = written(&text);
    assert_eq!(found(&disk.fork()), expected, "{name} of format {format}");
    // A start that does not come to its end finds the same next time.
    let broken_off = disk.fork();
    broken_off.fail_at(1, crate::disk::memory::Fault::PowerCut);
    let _ = Spool::open(broken_off.clone(), settings());
    let again = found(&broken_off.cut(1));
    assert_eq!(but_identifier(&again), but_identifier(&expected), "{name} of format {format}, at the second start");
}

fn but_identifier(text: &str) -> &str {
    text.split("next identifier").next().expect("the first part")
}

#[test]
fn what_is_written_today_is_what_was_released() {
    for (name, disk) in rows() {
        let text = std::fs::read_to_string(path(FORMAT, &format!("{name}.spool"))).expect("a spool");
        assert_eq!(printed(&disk), text, "{name}: another format needs another version, and spools of its own");
    }
}

#[test]
fn a_spool_of_a_later_format_is_refused() {
    let disk = row(|_| {});
    let mut header = disk.content(&slot_name(1)).expect("a segment")[..44].to_vec();
    header[8..12].copy_from_slice(&(FORMAT + 1).to_le_bytes());
    let checksum = crc32c::crc32c(&header[..40]);
    header[40..44].copy_from_slice(&checksum.to_le_bytes());
    let file = disk.open(&slot_name(1)).expect("a segment");
    file.write_at(0, &[IoSlice::new(&header)]).expect("written");
    assert!(matches!(Spool::open(disk, settings()), Err(Error::Version(version)) if version == FORMAT + 1));
}
