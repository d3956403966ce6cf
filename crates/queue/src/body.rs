//! A body on its way in: collected, measured and checked in one pass, copied once.
//!
//! A [`Draft`] takes the octets as they come from the network, copies them into chunks that the
//! spool writes from where they are, and finds out on the way what a next hop will need to know.
//! A body that grows large goes on into a [`BodyFile`] of its own, chunk by chunk, away from the
//! owner of the spool; it is durable before the message record that names it is written.

use crate::disk::{Disk, DiskFile};
use crate::envelope::{Content, MessageId};
use bytes::{Bytes, BytesMut};
use memchr::memmem;
use std::io::{self, IoSlice};

/// The first chunk of a draft; most bodies fit.
const FIRST_CHUNK_BYTES: usize = 4 << 10;
/// No chunk is larger than this.
const CHUNK_BYTES: usize = 32 << 10;
/// A line longer than this, without its CRLF, must be folded for most next hops (RFC 5321 §4.5.3.1.6).
const LINE_OCTETS: u64 = 998;
/// What ends within so many octets, its LF included, is no such line, whether or not it has a CR too.
const SHORT_LINE: usize = 999;
/// What a header field that counts a hop begins with.
const RECEIVED: &[u8] = b"received:";

/// What one pass over a body finds out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Glance {
    /// What a next hop needs to know; `binary` is for the session to say, it stays false here.
    pub content: Content,
    /// Received fields in the header: how many hops the message has behind it.
    pub hops: u32,
    /// Octets of the header with the empty line that ends it; the whole body if there is none.
    pub header_bytes: u64,
}

/// Reads a body once, in pieces of any size, and finds out about it.
#[derive(Clone, Debug)]
struct Eye {
    found: Glance,
    in_header: bool,
    /// Octets of the line so far, without a CR that may belong to its end.
    line: u64,
    carriage_return: bool,
    /// The line so far agrees with [`RECEIVED`] this far; past its end it has been counted.
    matched: Option<usize>,
}

impl Eye {
    fn new() -> Eye {
        Eye { found: Glance::default(), in_header: true, line: 0, carriage_return: false, matched: Some(0) }
    }

    fn see(&mut self, octets: &[u8]) {
        if !octets.is_ascii() {
            self.found.content.eight_bit = true;
        }
        let mut rest = octets;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            self.see_part(&rest[..end]);
            self.end_line();
            rest = &rest[end + 1..];
            rest = &rest[self.see_lines(rest)..];
        }
        self.see_part(rest);
    }

    /// Passes lines behind the header many at once, as long as none of them can be long: `octets` begins
    /// a line, and one that ends within as many octets as a line may have is short enough.
    fn see_lines(&mut self, octets: &[u8]) -> usize {
        if self.in_header {
            return 0;
        }
        let mut passed = 0;
        while let Some(end) = last_line_end(&octets[passed..]) {
            passed += end + 1;
        }
        if passed == 0 {
            return 0;
        }
        let lines = &octets[..passed];
        self.found.content.size_bytes += passed as u64;
        self.found.content.dots =
            self.found.content.dots || lines.first() == Some(&b'.') || memmem::find(lines, b"\n.").is_some();
        passed
    }

    /// A part of a line, without its line feed.
    fn see_part(&mut self, part: &[u8]) {
        let Some((last, _)) = part.split_last() else { return };
        if self.line == 0 && !self.carriage_return && part[0] == b'.' {
            self.found.content.dots = true;
        }
        if self.in_header {
            self.see_header(part);
        }
        self.line += part.len() as u64 + u64::from(self.carriage_return) - u64::from(*last == b'\r');
        self.carriage_return = *last == b'\r';
        self.found.content.size_bytes += part.len() as u64;
        self.found.content.long_lines |= self.line > LINE_OCTETS;
    }

    fn see_header(&mut self, part: &[u8]) {
        self.found.content.utf8_headers |= !part.is_ascii();
        let Some(at) = self.matched else { return };
        let count = part.len().min(RECEIVED.len() - at);
        self.matched = part[..count].eq_ignore_ascii_case(&RECEIVED[at..at + count]).then_some(at + count);
        if self.matched == Some(RECEIVED.len()) {
            self.found.hops += 1;
            self.matched = None;
        }
    }

    fn end_line(&mut self) {
        self.found.content.size_bytes += 1;
        if self.in_header && self.line == 0 {
            self.in_header = false;
            self.found.header_bytes = self.found.content.size_bytes;
        }
        self.line = 0;
        self.carriage_return = false;
        self.matched = Some(0);
    }

    fn glance(&self) -> Glance {
        let mut found = self.found;
        if self.in_header {
            found.header_bytes = found.content.size_bytes;
        }
        // A last line that ends in a lone CR has one octet more than was counted.
        found.content.long_lines |= self.line + u64::from(self.carriage_return) > LINE_OCTETS;
        found
    }
}

/// The last LF of as many octets as a short line may have; none where there are fewer.
fn last_line_end(octets: &[u8]) -> Option<usize> {
    memchr::memrchr(b'\n', octets.first_chunk::<SHORT_LINE>()?)
}

/// What one pass over a whole body finds out.
#[must_use]
pub fn glance(body: &[u8]) -> Glance {
    let mut eye = Eye::new();
    eye.see(body);
    eye.glance()
}

/// A body that is arriving. It costs no memory until the first octet.
#[derive(Debug)]
pub struct Draft {
    full: Vec<Bytes>,
    current: BytesMut,
    /// The chunks that have been taken out of memory and have some of the header.
    header: Vec<Bytes>,
    held: u64,
    checksum: u32,
    eye: Eye,
}

impl Default for Draft {
    fn default() -> Draft {
        Draft::new()
    }
}

impl Draft {
    /// An empty body.
    #[must_use]
    pub fn new() -> Draft {
        Draft { full: Vec::new(), current: BytesMut::new(), header: Vec::new(), held: 0, checksum: 0, eye: Eye::new() }
    }

    /// Adds octets at the end; the only copy that is made of them.
    pub fn push(&mut self, octets: &[u8]) {
        self.eye.see(octets);
        self.checksum = crc32c::crc32c_append(self.checksum, octets);
        self.held += octets.len() as u64;
        let mut rest = octets;
        while !rest.is_empty() {
            if self.current.len() == self.current.capacity() {
                self.turn_page(rest.len());
            }
            let count = rest.len().min(self.current.capacity() - self.current.len());
            self.current.extend_from_slice(&rest[..count]);
            rest = &rest[count..];
        }
    }

    /// Puts the full chunk away and takes a larger one.
    fn turn_page(&mut self, wanted: usize) {
        if !self.current.is_empty() {
            self.full.push(std::mem::take(&mut self.current).freeze());
        }
        let next = usize::try_from(self.held).unwrap_or(CHUNK_BYTES).max(wanted);
        self.current = BytesMut::with_capacity(next.clamp(FIRST_CHUNK_BYTES, CHUNK_BYTES));
    }

    /// Octets of the body so far.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.eye.found.content.size_bytes
    }

    /// Octets that are in memory: all of them, until a [`BodyFile`] takes them.
    #[must_use]
    pub fn held_bytes(&self) -> u64 {
        self.held
    }

    /// Octets of the header that are in memory beside those.
    #[must_use]
    pub fn held_header_bytes(&self) -> u64 {
        self.header.iter().map(|chunk| chunk.len() as u64).sum()
    }

    /// What is known about the body so far; final once everything has been pushed.
    #[must_use]
    pub fn glance(&self) -> Glance {
        self.eye.glance()
    }

    /// The finished body, in memory.
    #[must_use]
    pub fn finish(mut self) -> Body {
        let chunks = self.take();
        let kept = Kept::Memory(chunks);
        Body { size: self.size_bytes(), checksum: self.checksum, glance: self.glance(), header: Vec::new(), kept }
    }

    /// Goes on holding those chunks that have some of the header, of which the session allows no more than memory can
    /// bear. `before`: octets that had been taken before them.
    fn keep_header(&mut self, chunks: &[Bytes], before: u64) {
        let mut at = before;
        for chunk in chunks {
            if !self.eye.in_header && at >= self.eye.found.header_bytes {
                return;
            }
            self.header.push(chunk.clone());
            at += chunk.len() as u64;
        }
    }

    fn take(&mut self) -> Vec<Bytes> {
        self.held = 0;
        let mut chunks = std::mem::take(&mut self.full);
        if !self.current.is_empty() {
            chunks.push(std::mem::take(&mut self.current).freeze());
        }
        chunks
    }
}

/// A body that has arrived completely and is ready to be promised.
#[derive(Clone, Debug)]
pub struct Body {
    pub(crate) size: u64,
    pub(crate) checksum: u32,
    pub(crate) kept: Kept,
    /// The chunks with the header, of a body in a file of its own.
    header: Vec<Bytes>,
    glance: Glance,
}

/// Where the octets of a [`Body`] are.
#[derive(Clone, Debug)]
pub(crate) enum Kept {
    Memory(Vec<Bytes>),
    File(MessageId),
}

impl Body {
    /// Octets.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.size
    }

    /// What was found out about it on the way.
    #[must_use]
    pub fn glance(&self) -> Glance {
        self.glance
    }

    /// The octets, if they are in memory: for delivering soon without reading them back.
    #[must_use]
    pub fn chunks(&self) -> Option<&[Bytes]> {
        match &self.kept {
            Kept::Memory(chunks) => Some(chunks),
            Kept::File(_) => None,
        }
    }

    /// Its header, with the empty line that ends it: copied, for whoever has to read it.
    #[must_use]
    pub fn header(&self) -> Vec<u8> {
        let length = usize::try_from(self.glance.header_bytes).unwrap_or(usize::MAX);
        let mut header = Vec::new();
        for chunk in self.chunks().unwrap_or(&self.header) {
            header.extend_from_slice(&chunk[..chunk.len().min(length - header.len())]);
        }
        header
    }

    /// Whether it has a file of its own; such a body must be staged or discarded.
    #[must_use]
    pub fn is_file(&self) -> bool {
        matches!(self.kept, Kept::File(_))
    }
}

/// The name of the file of a large body.
pub(crate) fn file_name(id: MessageId) -> String {
    format!("body-{id}")
}

/// The message that a body file belongs to, by its name; none for a name that we never give.
pub(crate) fn file_owner(name: &str) -> Option<MessageId> {
    let id: MessageId = name.strip_prefix("body-")?.parse().ok()?;
    (id.is_possible() && file_name(id) == name).then_some(id)
}

/// Makes and removes the files of large bodies, away from the owner of the spool.
#[derive(Clone)]
pub struct Bodies<D: Disk> {
    disk: D,
    limit: u64,
}

impl<D: Disk> Bodies<D> {
    pub(crate) fn new(disk: D, limit: u64) -> Bodies<D> {
        Bodies { disk, limit }
    }

    /// A draft that holds more than this must go on into a [`BodyFile`]: `body_file_over_bytes`.
    #[must_use]
    pub fn limit_bytes(&self) -> u64 {
        self.limit
    }

    /// Begins the file of a large body. The identifier must be the one its envelope will have.
    ///
    /// # Errors
    /// The disk's; the message cannot be taken now.
    pub fn create(&self, id: MessageId) -> io::Result<BodyFile<D>> {
        let file = self.disk.create(&file_name(id))?;
        Ok(BodyFile { disk: self.disk.clone(), id, file: Some(file), written: 0 })
    }

    /// Forgets a finished body that will not be staged; one in memory costs nothing to forget.
    pub fn discard(&self, body: &Body) {
        if let Kept::File(id) = &body.kept {
            // What cannot be removed now is removed at the next start: no record names it.
            let _ = self.disk.remove(&file_name(*id));
        }
    }
}

/// The file of a large body while it arrives. Dropped unfinished, it removes itself.
pub struct BodyFile<D: Disk> {
    disk: D,
    id: MessageId,
    file: Option<D::File>,
    written: u64,
}

impl<D: Disk> BodyFile<D> {
    /// Writes what the draft holds and takes it out of memory. Call it whenever the draft holds
    /// some tens of kilobytes.
    ///
    /// # Errors
    /// The disk's; the body is lost then.
    pub fn append(&mut self, draft: &mut Draft) -> io::Result<()> {
        let held = draft.held;
        let chunks = draft.take();
        draft.keep_header(&chunks, self.written);
        let parts: Vec<IoSlice<'_>> = chunks.iter().map(|chunk| IoSlice::new(chunk)).collect();
        if parts.is_empty() {
            return Ok(());
        }
        let file = self.file.as_ref().expect("invariant: the file is there until it is finished");
        file.write_at(self.written, &parts)?;
        self.written += held;
        Ok(())
    }

    /// Writes the rest and makes file and name durable.
    ///
    /// # Errors
    /// The disk's; the body is lost then, and its file removed.
    pub fn finish(mut self, mut draft: Draft) -> io::Result<Body> {
        self.append(&mut draft)?;
        assert_eq!(self.written, draft.size_bytes(), "a body file takes all of its draft and of no other");
        if let Some(file) = &self.file {
            file.sync_data()?;
        }
        self.disk.sync_directory()?;
        self.file = None;
        let kept = Kept::File(self.id);
        let header = std::mem::take(&mut draft.header);
        Ok(Body { size: self.written, checksum: draft.checksum, glance: draft.glance(), header, kept })
    }
}

impl<D: Disk> Drop for BodyFile<D> {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            // What cannot be removed now is removed at the next start: no record names it.
            let _ = self.disk.remove(&file_name(self.id));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::memory::MemoryDisk;
    use proptest::prelude::*;

    /// The same found out slowly, line by line.
    fn slowly(body: &[u8]) -> Glance {
        let mut found = Glance { header_bytes: body.len() as u64, ..Glance::default() };
        let (mut in_header, mut seen) = (true, 0);
        for line in body.split_inclusive(|b| *b == b'\n') {
            seen += line.len() as u64;
            let ended = line.strip_suffix(b"\n");
            let text = ended.map_or(line, |text| text.strip_suffix(b"\r").unwrap_or(text));
            found.content.dots |= line[0] == b'.';
            found.content.long_lines |= text.len() > 998;
            if in_header {
                found.content.utf8_headers |= !line.is_ascii();
                found.hops += u32::from(text.len() >= 9 && text[..9].eq_ignore_ascii_case(b"Received:"));
                if text.is_empty() && ended.is_some() {
                    in_header = false;
                    found.header_bytes = seen;
                }
            }
        }
        found.content.size_bytes = seen;
        found.content.eight_bit = !body.is_ascii();
        found
    }

    fn pieces() -> impl Strategy<Value = Vec<Vec<u8>>> {
        let piece = prop_oneof![
            4 => "[a-z .:]{0,12}".prop_map(String::into_bytes),
            3 => Just(b"\r\n".to_vec()),
            2 => "(?i)received:".prop_map(String::into_bytes),
            1 => "Receive|\\.|\\.\\.|\r|\n|\r\n\r\n".prop_map(String::into_bytes),
            1 => Just("\u{e9}".as_bytes().to_vec()),
            1 => (990..1005_usize).prop_map(|n| vec![b'x'; n]),
            1 => (0..40_usize).prop_map(|n| b"some line\r\n".repeat(n)),
        ];
        proptest::collection::vec(piece, 0..60)
    }

    proptest! {
        #[test]
        fn a_glance_is_the_same_however_the_body_comes(pieces in pieces(), cut in 1..7_usize) {
            let body = pieces.concat();
            prop_assert_eq!(glance(&body), slowly(&body));
            let mut whole = Draft::new();
            whole.push(&body);
            let mut parts = Draft::new();
            body.chunks(cut).for_each(|part| parts.push(part));
            let (whole, parts) = (whole.finish(), parts.finish());
            prop_assert_eq!(whole.glance(), slowly(&body));
            prop_assert_eq!(parts.glance(), whole.glance());
            prop_assert_eq!(parts.checksum, crc32c::crc32c(&body));
            prop_assert_eq!(parts.chunks().unwrap().concat(), body);
        }
    }

    #[test]
    fn a_draft_costs_nothing_at_first_and_grows_by_chunks() {
        let mut draft = Draft::new();
        assert_eq!(draft.current.capacity(), 0);
        draft.push(b"x");
        assert_eq!(draft.current.capacity(), FIRST_CHUNK_BYTES);
        draft.push(&vec![b'y'; 1 << 20]);
        assert!(draft.full.len() < 40, "{}", draft.full.len());
    }

    #[test]
    fn a_body_file_holds_what_came_and_removes_itself_when_abandoned() {
        let disk = MemoryDisk::new();
        let bodies = Bodies::new(disk.clone(), 100);
        let name = file_name(MessageId(7));
        drop(bodies.create(MessageId(7)).unwrap());
        assert!(disk.content(&name).is_none());
        let mut file = bodies.create(MessageId(7)).unwrap();
        let mut draft = Draft::new();
        for _ in 0..10 {
            draft.push(&[b'x'; 777]);
            file.append(&mut draft).unwrap();
            assert_eq!(draft.held_bytes(), 0);
        }
        draft.push(b"end");
        let body = file.finish(draft).unwrap();
        assert!(body.is_file() && body.size_bytes() == 7773);
        let disk = disk.cut(1);
        let content = disk.content(&name).unwrap();
        assert_eq!(content.len(), 7773);
        assert_eq!(crc32c::crc32c(&content), body.checksum);
        Bodies::new(disk.clone(), 100).discard(&body);
        assert!(disk.content(&name).is_none());
    }
}
