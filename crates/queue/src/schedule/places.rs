//! Some of the recipients of a message, by their places in its envelope, in little memory.

use std::fmt;

/// A set of places in the list of recipients of an envelope, in rising order. Sixteen octets as
/// long as the places are neighbours, which they nearly always are.
#[derive(Clone, PartialEq, Eq)]
pub struct Places(Set);

#[derive(Clone, PartialEq, Eq)]
enum Set {
    Run { first: u32, count: u32 },
    List(Box<[u32]>),
}

const _: () = assert!(size_of::<Places>() == 16);

impl Places {
    /// No place at all.
    pub const NONE: Places = Places(Set::Run { first: 0, count: 0 });

    /// One place. A place that does not fit 32 bits does not exist: no envelope is that long.
    #[must_use]
    pub fn one(place: usize) -> Places {
        Places(Set::Run { first: narrow(place), count: 1 })
    }

    /// The places, in rising order.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        let (run, list) = match &self.0 {
            Set::Run { first, count } => (*first..first + count, &[][..]),
            Set::List(list) => (0..0, &list[..]),
        };
        run.chain(list.iter().copied()).map(|place| place as usize)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.0 {
            Set::Run { count, .. } => *count as usize,
            Set::List(list) => list.len(),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether `place` is one of them.
    #[must_use]
    pub fn contains(&self, place: usize) -> bool {
        let Ok(place) = u32::try_from(place) else { return false };
        match &self.0 {
            Set::Run { first, count } => place >= *first && place - first < *count,
            Set::List(list) => list.binary_search(&place).is_ok(),
        }
    }
}

impl FromIterator<usize> for Places {
    fn from_iter<I: IntoIterator<Item = usize>>(places: I) -> Places {
        let mut list: Vec<u32> = places.into_iter().map(narrow).collect();
        list.sort_unstable();
        list.dedup();
        let Some((&first, &last)) = list.first().zip(list.last()) else { return Places::NONE };
        let count = narrow(list.len());
        if last - first == count - 1 {
            return Places(Set::Run { first, count });
        }
        Places(Set::List(list.into()))
    }
}

impl fmt::Debug for Places {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

fn narrow(place: usize) -> u32 {
    u32::try_from(place).expect("invariant: an envelope has fewer than 2^32 recipients")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    proptest::proptest! {
        #[test]
        fn a_set_of_places_is_a_set(wanted: Vec<u8>) {
            let expected: BTreeSet<usize> = wanted.iter().map(|&p| usize::from(p)).collect();
            let places: Places = wanted.iter().map(|&p| usize::from(p)).collect();
            assert!(places.iter().eq(expected.iter().copied()));
            assert_eq!(places.len(), expected.len());
            assert_eq!(places.is_empty(), expected.is_empty());
            for place in 0..256 {
                assert_eq!(places.contains(place), expected.contains(&place));
            }
        }
    }
}
