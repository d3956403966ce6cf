//! The one source of chance: numbers that follow from a seed, the same on every machine.
//!
//! Each part of a simulation throws dice of its own, forked by name, so that taking one part out of a
//! plan does not change what the others do.

/// A small generator (SplitMix64). Good enough to choose what goes wrong.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// The dice of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Dice {
        Dice(seed ^ 0x6A09_E667_F3BC_C909)
    }

    /// Dice for a part of what these are for.
    #[must_use]
    pub fn fork(&self, name: &str) -> Dice {
        // FNV-1a: which bits it takes of a name does not matter, only that they are always the same.
        let named = name.bytes().fold(0xCBF2_9CE4_8422_2325, |hash: u64, octet| {
            (hash ^ u64::from(octet)).wrapping_mul(0x0000_0100_0000_01B3)
        });
        let mut fork = Dice(self.0 ^ named);
        let _ = fork.roll();
        fork
    }

    /// Any number.
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `n`, which is not 0.
    pub fn below(&mut self, n: u64) -> u64 {
        self.roll() % n
    }

    /// A number from `least` to `most`, both included.
    pub fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.below(most - least + 1)
    }

    /// Whether something happens that happens in `percent` of all cases.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// An index into something that has `length` elements, which is not 0.
    pub fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap_or(0)
    }

    /// One of several.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.index(of.len())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fork_depends_on_its_name_and_on_nothing_else() {
        let dice = Dice::new(7);
        assert_eq!(dice.fork("disk").roll(), Dice::new(7).fork("disk").roll());
        assert_ne!(dice.fork("disk").roll(), dice.fork("net").roll());
        assert_ne!(Dice::new(8).fork("disk").roll(), dice.fork("disk").roll());
    }
}
