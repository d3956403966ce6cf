//! How many messages a second the spool makes durable here: `cargo run --release --example
//! spool_speed -p queue -- DIRECTORY [messages in a flush] [octets in a body]`. A tool, not a part
//! of the product: it has its own clock and its own disk.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

use mail::{ReversePath, Timestamp};
use queue::disk::{Disk, DiskFile};
use queue::spool::{Settings, Spool};
use queue::{Content, Draft, Envelope, Kind, MessageId, Recipient, State};
use std::fs::File;
use std::io::{self, IoSlice};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[derive(Clone)]
struct Directory(PathBuf);

#[derive(Clone)]
struct OpenFile(Arc<File>);

impl Disk for Directory {
    type File = OpenFile;

    fn list(&self) -> io::Result<Vec<String>> {
        self.0.read_dir()?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }

    fn create(&self, name: &str) -> io::Result<OpenFile> {
        let mut options = File::options();
        let file = options.read(true).write(true).create(true).truncate(true).open(self.0.join(name))?;
        Ok(OpenFile(Arc::new(file)))
    }

    fn open(&self, name: &str) -> io::Result<OpenFile> {
        Ok(OpenFile(Arc::new(File::options().read(true).write(true).open(self.0.join(name))?)))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.0.join(name))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.0.join(from), self.0.join(to))
    }

    fn sync_directory(&self) -> io::Result<()> {
        File::open(&self.0)?.sync_all()
    }

    fn free_bytes(&self) -> io::Result<u64> {
        Ok(1 << 40)
    }
}

impl DiskFile for OpenFile {
    /// The standard library has no vectored write at a place; one copy takes its place here.
    fn write_at(&self, offset: u64, parts: &[IoSlice<'_>]) -> io::Result<()> {
        let octets = parts.iter().map(|part| &**part).collect::<Vec<_>>().concat();
        self.0.write_all_at(&octets, offset)
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.0.read_at(into, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }
}

fn envelope(id: MessageId) -> Envelope {
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
        received: Timestamp::from_millis(0),
        server: "inbound".into(),
        client: None,
        hello: Some("there.test".into()),
        reverse_path: ReversePath::Mailbox("bob@far.example".parse().unwrap()),
        ret: None,
        envid: None,
        smtputf8: false,
        content: Content::default(),
        trace: vec![b'x'; 200].into(),
        recipients: vec![recipient],
        warned: false,
        held: false,
        counted: None,
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let directory = PathBuf::from(arguments.next().expect("usage: spool_speed DIRECTORY [messages] [octets]"));
    let in_flush: usize = arguments.next().map_or(64, |text| text.parse().unwrap());
    let octets: usize = arguments.next().map_or(4096, |text| text.parse().unwrap());
    std::fs::create_dir_all(&directory).unwrap();
    let disk = Directory(directory);
    let settings = Settings { reserve_bytes: 0, body_file_over_bytes: 1 << 20, ..Settings::default() };
    let (mut spool, _) = Spool::open(disk.clone(), settings.clone()).unwrap();
    while spool.maintain().unwrap() {}
    let body = b"Received: no\r\n".repeat(octets / 14 + 1);
    let begin = Instant::now();
    let (mut messages, mut flushes, mut last) = (0_u64, 0_u64, Vec::new());
    while begin.elapsed() < Duration::from_secs(3) {
        last.drain(..).for_each(|id| spool.stage_finished(id));
        for _ in 0..in_flush {
            let id = spool.ids().next();
            let mut draft = Draft::new();
            draft.push(&body[..octets]);
            spool.stage_message(&envelope(id), &draft.finish()).unwrap();
        }
        last.extend(spool.flush().receipts.iter().map(queue::spool::Receipt::id));
        spool.maintain().unwrap();
        messages += last.len() as u64;
        flushes += 1;
    }
    let seconds = begin.elapsed().as_secs_f64();
    println!(
        "{:.0} messages/s, {:.0} flushes/s, {:?}",
        messages as f64 / seconds,
        flushes as f64 / seconds,
        spool.status()
    );
    for _ in 0..100_000 / in_flush {
        for _ in 0..in_flush {
            let id = spool.ids().next();
            let mut draft = Draft::new();
            draft.push(&body[..octets]);
            spool.stage_message(&envelope(id), &draft.finish()).unwrap();
        }
        assert!(spool.flush().error.is_none());
    }
    drop(spool);
    let begin = Instant::now();
    let (_, recovery) = Spool::open(disk, settings).unwrap();
    let seconds = begin.elapsed().as_secs_f64();
    let gigabytes = recovery.bytes_read as f64 / 1e9;
    println!(
        "recovery: {} messages, {gigabytes:.2} GB in {seconds:.2} s, {:.2} GB/s",
        recovery.messages.len(),
        gigabytes / seconds
    );
}
