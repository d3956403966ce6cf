//! Octets of the fuzzer, read as decisions. An input that has run out gives zeros, so that every
//! prefix of an input is an input.

/// What is left of an input.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Input<'a>(pub(crate) &'a [u8]);

impl<'a> Input<'a> {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn octet(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    pub(crate) fn flag(&mut self) -> bool {
        self.octet() & 1 == 1
    }

    /// A number of two octets.
    pub(crate) fn wide(&mut self) -> usize {
        usize::from(self.octet()) | usize::from(self.octet()) << 8
    }

    /// So many octets, or what is left.
    pub(crate) fn take(&mut self, count: usize) -> &'a [u8] {
        let (front, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        front
    }

    /// Octets with their number (one octet) in front.
    pub(crate) fn counted(&mut self) -> &'a [u8] {
        let count = self.octet();
        self.take(count.into())
    }

    /// A number that seems to come from nowhere.
    pub(crate) fn dice(&mut self) -> Dice {
        Dice(u64::from(self.octet()))
    }
}

/// Decisions that follow from one octet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    /// One of `sides` numbers from 0.
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (self.0 >> 33) % sides
    }
}

/// The pieces of `octets`, cut as `dice` decides; with the first number even, octet by octet.
pub(crate) fn pieces(octets: &[u8], mut dice: Dice) -> impl Iterator<Item = &[u8]> {
    let mut rest = octets;
    let single = dice.roll(2) == 0;
    std::iter::from_fn(move || {
        let count = if single { 1 } else { 1 + usize::try_from(dice.roll(7)).unwrap_or(0) };
        let (now, later) = rest.split_at(count.min(rest.len()));
        rest = later;
        (!now.is_empty()).then_some(now)
    })
}

/// Whether an octet stands there that could move a terminal or begin a line.
pub(crate) fn has_control(text: &str) -> bool {
    text.chars().any(char::is_control)
}

/// Whether a CR or LF stands alone.
pub(crate) fn has_bare_newline(octets: &[u8]) -> bool {
    (0..octets.len()).any(|at| match octets[at] {
        b'\r' => octets.get(at + 1) != Some(&b'\n'),
        b'\n' => at == 0 || octets[at - 1] != b'\r',
        _ => false,
    })
}
