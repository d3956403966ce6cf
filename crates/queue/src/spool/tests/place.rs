//! A reader beside the owner who moves a body and writes over its old place, in every order that
//! threads may take turns and memory may show their writes (loom).
//!
//! The segments are cells with no order of their own: less than any disk promises.

use loom::sync::Arc;
use loom::thread;

#[path = "../place.rs"]
#[expect(clippy::duplicate_mod, reason = "the same file, with the atomics of loom")]
mod checked;

mod atomic {
    pub(super) use loom::sync::atomic::{AtomicU64, Ordering, fence};
}

use atomic::{AtomicU64, Ordering};
use checked::Place;

const BODY: u64 = 7;
const OTHER: u64 = 9;
const GONE: u64 = 99;

/// Two segments, a body in the first, and the number that says so.
struct Spool<P> {
    segments: [AtomicU64; 2],
    place: P,
}

impl<P> Spool<P> {
    fn new(place: P) -> Arc<Spool<P>> {
        Arc::new(Spool { segments: [AtomicU64::new(BODY), AtomicU64::new(0)], place })
    }

    fn write(&self, segment: usize, octets: u64) {
        self.segments[segment].store(octets, Ordering::Relaxed);
    }

    /// What a reader finds at a place; `None` if the message is gone.
    fn octets(&self, number: u64) -> Option<u64> {
        let segment = usize::try_from(number).ok().and_then(|number| self.segments.get(number))?;
        Some(segment.load(Ordering::Relaxed))
    }
}

/// The owner moves the body to the second segment, writes over the first, and finishes the message.
fn own(spool: &Spool<Place>) {
    spool.write(1, BODY);
    spool.place.change(1);
    spool.write(0, OTHER);
    spool.place.change(GONE);
    spool.write(1, OTHER);
}

#[test]
fn no_reader_is_handed_octets_of_another_message() {
    loom::model(|| {
        let spool = Spool::new(Place::new(0));
        let owner = Arc::clone(&spool);
        let owner = thread::spawn(move || own(&owner));
        for _ in 0..2 {
            let read = spool.place.read(|number| spool.octets(number));
            assert!(matches!(read, Some(BODY) | None), "{read:?}");
        }
        owner.join().expect("the owner");
        assert_eq!(spool.place.now(), GONE);
    });
}

#[test]
#[should_panic(expected = "another message")]
fn the_model_finds_a_reader_that_does_not_look_twice() {
    loom::model(|| {
        let spool = Spool::new(Place::new(0));
        let owner = Arc::clone(&spool);
        let owner = thread::spawn(move || own(&owner));
        let read = spool.octets(spool.place.now());
        assert!(matches!(read, Some(BODY) | None), "octets of another message");
        owner.join().expect("the owner");
    });
}

#[test]
#[should_panic(expected = "another message")]
fn the_model_finds_an_owner_that_does_not_wait_for_its_own_store() {
    /// As [`Place`], without the fence behind the store.
    fn hasty(spool: &Spool<AtomicU64>) {
        spool.write(1, BODY);
        spool.place.store(1, Ordering::Release);
        spool.write(0, OTHER);
    }
    loom::model(|| {
        let spool = Spool::new(AtomicU64::new(0));
        let owner = Arc::clone(&spool);
        let owner = thread::spawn(move || hasty(&owner));
        let first = spool.place.load(Ordering::Acquire);
        let read = spool.octets(first);
        atomic::fence(Ordering::Acquire);
        let same = spool.place.load(Ordering::Relaxed) == first;
        assert!(!same || read == Some(BODY), "octets of another message");
        owner.join().expect("the owner");
    });
}
