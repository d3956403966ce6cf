//! A disk in memory that can go wrong in every way a disk can, on demand and repeatably.
//!
//! It remembers what has not been flushed. [`MemoryDisk::cut`] is a power cut: of every unflushed
//! write each 512-octet sector survives or not as a seed decides, and so does each unflushed change
//! of the directory. Any call can be made to fail, once or from then on, and the disk can be full.
//! [`MemoryDisk::fork`] and [`MemoryDisk::film`] copy it with all that has not been flushed, so that
//! the power can be cut many times over at the same moment.

use super::{Disk, DiskFile};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, IoSlice};
use std::sync::{Arc, Mutex, MutexGuard};

/// What survives a power cut or does not, as a whole.
const SECTOR: usize = 512;

/// What a call that is made to fail does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It fails, and so does every call after it, and nothing reaches the disk: the power is gone.
    PowerCut,
    /// It alone fails, with this error.
    Once(io::ErrorKind),
    /// It fails, and every later call that changes something does too.
    FromThenOn(io::ErrorKind),
}

/// The calls that can be counted and made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    /// [`Disk::create`]
    Create,
    /// [`Disk::remove`]
    Remove,
    /// [`Disk::rename`]
    Rename,
    /// [`Disk::sync_directory`]
    SyncDirectory,
    /// [`DiskFile::write_at`]
    Write,
    /// [`DiskFile::sync_data`]
    Sync,
    /// Everything that only looks: list, open, read, length, free space.
    Look,
}

/// A file; copies share their octets until one of them changes.
#[derive(Clone, Default)]
struct Node {
    /// What a reader sees.
    now: Arc<Vec<u8>>,
    /// What is certain to survive.
    durable: Arc<Vec<u8>>,
    /// Writes since the last flush, in order: where, and what.
    unflushed: Vec<(usize, Bytes)>,
}

/// A change of the directory.
#[derive(Clone)]
enum Change {
    Put(String, u64),
    Drop(String),
}

#[derive(Clone, Default)]
struct State {
    nodes: BTreeMap<u64, Node>,
    next_node: u64,
    names: BTreeMap<String, u64>,
    durable_names: BTreeMap<String, u64>,
    changes: Vec<Vec<Change>>,
    calls: u64,
    counts: BTreeMap<Call, u64>,
    /// What goes wrong, and at which of the calls that count.
    faults: Vec<(u64, Fault)>,
    /// When set, only calls of this kind count towards the fault.
    only: Option<Call>,
    faultable: u64,
    dead: bool,
    failing: Option<io::ErrorKind>,
    capacity: Option<u64>,
    /// Handles made before the last power cut no longer reach the disk.
    generation: u64,
    /// Flushes do nothing.
    lying: bool,
    /// The disk before each changing call, while it is being filmed.
    film: Option<Vec<State>>,
}

/// The disk. Clones are the same disk.
#[derive(Clone, Default)]
pub struct MemoryDisk {
    state: Arc<Mutex<State>>,
    generation: u64,
}

/// A file of a [`MemoryDisk`].
#[derive(Clone)]
pub struct MemoryFile {
    disk: MemoryDisk,
    node: u64,
}

impl MemoryDisk {
    /// An empty disk without a limit.
    #[must_use]
    pub fn new() -> MemoryDisk {
        MemoryDisk::default()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// How many calls have been made that change something (everything but [`Call::Look`]).
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.lock().calls
    }

    /// How many calls of one kind have been made.
    #[must_use]
    pub fn count(&self, call: Call) -> u64 {
        self.lock().counts.get(&call).copied().unwrap_or(0)
    }

    /// Makes the `n`-th changing call from now on (0 is the next) go wrong.
    pub fn fail_at(&self, n: u64, fault: Fault) {
        let mut state = self.lock();
        state.only = None;
        state.faultable = 0;
        state.faults = vec![(n, fault)];
    }

    /// Makes the `n`-th changing call go wrong besides those that will already, counted as they are.
    pub fn fail_also_at(&self, n: u64, fault: Fault) {
        self.lock().faults.push((n, fault));
    }

    /// Makes the `n`-th call of one kind from now on (0 is the next) go wrong.
    pub fn fail_call(&self, call: Call, n: u64, fault: Fault) {
        let mut state = self.lock();
        state.only = Some(call);
        state.faultable = 0;
        state.faults = vec![(n, fault)];
    }

    /// Lifts every fault; what has been lost stays lost.
    pub fn heal(&self) {
        let mut state = self.lock();
        state.faults.clear();
        state.failing = None;
    }

    /// Whether the planned power cut has happened.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.lock().dead
    }

    /// Limits what all files may have together; `None` lifts the limit.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.lock().capacity = bytes;
    }

    /// A second disk in the same condition: what is not flushed here is not flushed there either.
    /// Handles of files lead to the disk they were opened on; no fault is taken along.
    #[must_use]
    pub fn fork(&self) -> MemoryDisk {
        self.lock().fork()
    }

    /// Keeps a [fork](MemoryDisk::fork) of the disk from before every changing call from now on.
    pub fn film(&self) {
        self.lock().film = Some(Vec::new());
    }

    /// What has been filmed: the n-th is the disk before the n-th changing call since.
    #[must_use]
    pub fn frames(&self) -> Vec<MemoryDisk> {
        self.lock().film.take().unwrap_or_default().iter().map(State::fork).collect()
    }

    /// A number that differs if names or contents do, as far as 64 bits can tell.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let state = self.lock();
        let (mut names, mut contents) = (0, 0);
        for (name, node) in &state.names {
            names = crc32c::crc32c_append(names, name.as_bytes());
            names = crc32c::crc32c_append(names, &state.nodes[node].now.len().to_le_bytes());
            contents = crc32c::crc32c_append(contents, &state.nodes[node].now);
        }
        u64::from(names) << 32 | u64::from(contents)
    }

    /// A second disk with nothing but what is certain to survive a power cut.
    #[must_use]
    pub fn durable(&self) -> MemoryDisk {
        let disk = self.fork();
        let mut state = disk.lock();
        state.changes.clear();
        state.names = state.durable_names.clone();
        for node in state.nodes.values_mut() {
            node.unflushed.clear();
            node.now = Arc::clone(&node.durable);
        }
        drop(state);
        disk
    }

    /// From now on a flush is answered as if it had been done, as by a disk whose cache is not told.
    pub fn lie(&self) {
        self.lock().lying = true;
    }

    /// Octets of all files together.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        used_bytes(&self.lock())
    }

    /// The power goes and comes back: of what was not flushed, `seed` decides what survives, all of
    /// it, nothing, or sector by sector some large or small part. The returned handle is the disk afterwards; handles from before only return errors.
    #[must_use]
    pub fn cut(&self, seed: u64) -> MemoryDisk {
        let mut dice = Dice(seed ^ 0x9E37_79B9_7F4A_7C15);
        let mut state = self.lock();
        cut_names(&mut state, &mut dice);
        let share = SHARES[dice.below(SHARES.len())];
        for node in state.nodes.values_mut() {
            cut_node(node, share, &mut dice);
        }
        state.dead = false;
        state.faults.clear();
        state.failing = None;
        state.generation += 1;
        MemoryDisk { state: Arc::clone(&self.state), generation: state.generation }
    }

    /// A copy of the disk as a reader would see it now, everything durable.
    #[must_use]
    pub fn snapshot(&self) -> MemoryDisk {
        let from = self.lock();
        let copy = MemoryDisk::new();
        let mut to = copy.lock();
        for (name, node) in &from.names {
            let now = from.nodes[node].now.clone();
            to.nodes.insert(*node, Node { durable: Arc::clone(&now), now, unflushed: Vec::new() });
            to.names.insert(name.clone(), *node);
        }
        to.durable_names = to.names.clone();
        to.next_node = from.next_node;
        drop(to);
        copy
    }

    /// The content of a file; `None` if there is none of that name.
    #[must_use]
    pub fn content(&self, name: &str) -> Option<Vec<u8>> {
        let state = self.lock();
        state.names.get(name).map(|node| state.nodes[node].now.to_vec())
    }

    /// Changes one octet of a file by exclusive-or, durably, as a rotting medium would.
    ///
    /// # Panics
    /// If there is no such file or octet.
    pub fn flip(&self, name: &str, at: usize, mask: u8) {
        let mut state = self.lock();
        let node = state.names[name];
        let node = state.nodes.get_mut(&node).expect("a name leads to a node");
        Arc::make_mut(&mut node.now)[at] ^= mask;
        Arc::make_mut(&mut node.durable)[at] ^= mask;
    }

    /// Cuts a file off, durably; it stays as it is if it is shorter already.
    ///
    /// # Panics
    /// If there is no such file.
    pub fn truncate(&self, name: &str, length: usize) {
        let mut state = self.lock();
        let node = state.names[name];
        let node = state.nodes.get_mut(&node).expect("a name leads to a node");
        Arc::make_mut(&mut node.now).truncate(length);
        Arc::make_mut(&mut node.durable).truncate(length);
    }

    /// Counts a call and decides whether it fails.
    fn enter(&self, call: Call) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.lock();
        if state.dead || state.generation != self.generation {
            return Err(io::Error::other("the power is gone"));
        }
        *state.counts.entry(call).or_default() += 1;
        if call != Call::Look {
            if state.film.is_some() {
                let frame = state.bare();
                state.film.as_mut().expect("looked at before").push(frame);
            }
            state.calls += 1;
            if let Some(kind) = state.failing {
                return Err(kind.into());
            }
        }
        let counts = match state.only {
            Some(only) => only == call,
            None => call != Call::Look,
        };
        if counts {
            let index = state.faultable;
            state.faultable += 1;
            if let Some(planned) = state.faults.iter().position(|(at, _)| *at == index) {
                let (_, fault) = state.faults.swap_remove(planned);
                return Err(strike(&mut state, fault));
            }
        }
        Ok(state)
    }
}

impl State {
    /// Contents and names, flushed or not, and nothing that is planned.
    fn bare(&self) -> State {
        State {
            nodes: self.nodes.clone(),
            next_node: self.next_node,
            names: self.names.clone(),
            durable_names: self.durable_names.clone(),
            changes: self.changes.clone(),
            capacity: self.capacity,
            ..State::default()
        }
    }

    fn fork(&self) -> MemoryDisk {
        MemoryDisk { state: Arc::new(Mutex::new(self.bare())), generation: 0 }
    }
}

fn strike(state: &mut State, fault: Fault) -> io::Error {
    match fault {
        Fault::PowerCut => {
            state.dead = true;
            io::Error::other("the power is gone")
        }
        Fault::Once(kind) => kind.into(),
        Fault::FromThenOn(kind) => {
            state.failing = Some(kind);
            kind.into()
        }
    }
}

/// Directory changes survive in order up to some point, as a journalling file system keeps them.
fn cut_names(state: &mut State, dice: &mut Dice) {
    let keep = dice.below(state.changes.len() + 1);
    let mut names = std::mem::take(&mut state.durable_names);
    for change in state.changes.drain(..).take(keep).flatten() {
        match change {
            Change::Put(name, node) => names.insert(name, node),
            Change::Drop(name) => names.remove(&name),
        };
    }
    state.names = names.clone();
    let named: BTreeSet<u64> = names.values().copied().collect();
    state.nodes.retain(|node, _| named.contains(node));
    state.durable_names = names;
}

/// Of sixteen sectors so many survive: nothing and everything, hardly any and nearly all, are where
/// an order that was only hoped for shows.
const SHARES: [usize; 7] = [0, 1, 4, 8, 12, 15, 16];

fn cut_node(node: &mut Node, share: usize, dice: &mut Dice) {
    for (offset, octets) in node.unflushed.drain(..) {
        for (place, piece) in sectors(offset, &octets) {
            if dice.below(16) < share {
                put(Arc::make_mut(&mut node.durable), place, piece);
            }
        }
    }
    node.now = Arc::clone(&node.durable);
}

/// The parts of a write that lie in one sector each.
fn sectors(offset: usize, octets: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut at = 0;
    std::iter::from_fn(move || {
        if at == octets.len() {
            return None;
        }
        let room = SECTOR - (offset + at) % SECTOR;
        let end = octets.len().min(at + room);
        let piece = (offset + at, &octets[at..end]);
        at = end;
        Some(piece)
    })
}

fn put(content: &mut Vec<u8>, offset: usize, octets: &[u8]) {
    let end = offset + octets.len();
    if content.len() == offset {
        return content.extend_from_slice(octets);
    }
    if content.len() < end {
        content.resize(end, 0);
    }
    content[offset..end].copy_from_slice(octets);
}

/// A small generator; good enough to choose sectors, and the same on every machine.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        let n = n as u64;
        usize::try_from(z % n).expect("less than a usize")
    }
}

impl Disk for MemoryDisk {
    type File = MemoryFile;

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.enter(Call::Look)?.names.keys().cloned().collect())
    }

    fn create(&self, name: &str) -> io::Result<MemoryFile> {
        let mut state = self.enter(Call::Create)?;
        let node = state.next_node;
        state.next_node += 1;
        state.nodes.insert(node, Node::default());
        state.names.insert(name.to_owned(), node);
        state.changes.push(vec![Change::Put(name.to_owned(), node)]);
        drop(state);
        Ok(MemoryFile { disk: self.clone(), node })
    }

    fn open(&self, name: &str) -> io::Result<MemoryFile> {
        let state = self.enter(Call::Look)?;
        let node = *state.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        drop(state);
        Ok(MemoryFile { disk: self.clone(), node })
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.enter(Call::Remove)?;
        state.names.remove(name).ok_or(io::ErrorKind::NotFound)?;
        state.changes.push(vec![Change::Drop(name.to_owned())]);
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.enter(Call::Rename)?;
        let node = state.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        state.names.insert(to.to_owned(), node);
        state.changes.push(vec![Change::Drop(from.to_owned()), Change::Put(to.to_owned(), node)]);
        Ok(())
    }

    fn sync_directory(&self) -> io::Result<()> {
        let mut state = self.enter(Call::SyncDirectory)?;
        state.changes.clear();
        state.durable_names = state.names.clone();
        Ok(())
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let state = self.enter(Call::Look)?;
        let used = used_bytes(&state);
        Ok(state.capacity.map_or(1 << 50, |capacity| capacity.saturating_sub(used)))
    }
}

fn used_bytes(state: &State) -> u64 {
    state.names.values().map(|node| state.nodes[node].now.len() as u64).sum()
}

impl DiskFile for MemoryFile {
    fn write_at(&self, offset: u64, parts: &[IoSlice<'_>]) -> io::Result<()> {
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        let mut octets = Vec::with_capacity(parts.iter().map(|part| part.len()).sum());
        parts.iter().for_each(|part| octets.extend_from_slice(part));
        let mut state = self.disk.enter(Call::Write);
        if let Err(failure) = state {
            self.half_written(offset, &octets);
            return Err(failure);
        }
        let state = state.as_mut().expect("checked above");
        let used = used_bytes(state);
        let capacity = state.capacity;
        let node = state.nodes.get_mut(&self.node).ok_or(io::ErrorKind::NotFound)?;
        let growth = (offset + octets.len()).saturating_sub(node.now.len()) as u64;
        if capacity.is_some_and(|capacity| growth > 0 && used + growth > capacity) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        put(Arc::make_mut(&mut node.now), offset, &octets);
        node.unflushed.push((offset, octets.into()));
        Ok(())
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let state = self.disk.enter(Call::Look)?;
        let node = state.nodes.get(&self.node).ok_or(io::ErrorKind::NotFound)?;
        let offset = usize::try_from(offset).map_err(io::Error::other)?.min(node.now.len());
        let count = into.len().min(node.now.len() - offset);
        into[..count].copy_from_slice(&node.now[offset..offset + count]);
        Ok(count)
    }

    fn sync_data(&self) -> io::Result<()> {
        let entered = self.disk.enter(Call::Sync);
        if entered.is_err() {
            drop(entered);
            let mut state = self.disk.lock();
            let dead = state.dead || state.generation != self.disk.generation;
            if let Some(node) = state.nodes.get_mut(&self.node)
                && !dead
            {
                // As Linux does: the pages are marked clean, read back as written, and are lost later.
                node.unflushed.truncate(node.unflushed.len() / 2);
            }
            return Err(io::Error::other("flush failed"));
        }
        let mut state = entered.expect("checked above");
        if state.lying {
            return Ok(());
        }
        let node = state.nodes.get_mut(&self.node).ok_or(io::ErrorKind::NotFound)?;
        // Only what was still remembered becomes durable; a lost page stays lost.
        for (offset, octets) in std::mem::take(&mut node.unflushed) {
            put(Arc::make_mut(&mut node.durable), offset, &octets);
        }
        Ok(())
    }

    fn length(&self) -> io::Result<u64> {
        let state = self.disk.enter(Call::Look)?;
        Ok(state.nodes.get(&self.node).ok_or(io::ErrorKind::NotFound)?.now.len() as u64)
    }
}

impl MemoryFile {
    /// A write that fails has often written something: here, its first half.
    fn half_written(&self, offset: usize, octets: &[u8]) {
        let mut state = self.disk.lock();
        if state.generation != self.disk.generation {
            return;
        }
        if let Some(node) = state.nodes.get_mut(&self.node) {
            let half = &octets[..octets.len() / 2];
            let inside = half.len().min(node.now.len().saturating_sub(offset));
            put_if_any(node, offset, &half[..inside]);
        }
    }
}

fn put_if_any(node: &mut Node, offset: usize, octets: &[u8]) {
    if !octets.is_empty() {
        put(Arc::make_mut(&mut node.now), offset, octets);
        node.unflushed.push((offset, Bytes::copy_from_slice(octets)));
    }
}
