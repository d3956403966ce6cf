//! Numbers as text, for what every message has several of: statuses, addresses, moments.
//!
//! The formatting machinery of the standard library is made for widths and signs; without it these
//! few cost a tenth (18,000 of the 64,000 instructions a message took were formatting).

/// Text that is put together piece by piece in place; what does not fit is left out.
pub(crate) struct Short<const OCTETS: usize> {
    octets: [u8; OCTETS],
    length: usize,
}

impl<const OCTETS: usize> Short<OCTETS> {
    /// Nothing yet.
    pub(crate) fn new() -> Short<OCTETS> {
        Short { octets: [0; OCTETS], length: 0 }
    }

    /// Appends an ASCII character.
    pub(crate) fn put(&mut self, character: u8) {
        debug_assert!(character.is_ascii());
        if let Some(place) = self.octets.get_mut(self.length) {
            *place = character;
            self.length += 1;
        }
    }

    /// Appends a number without leading zeros.
    pub(crate) fn number(&mut self, value: u16) {
        let mut digits = [b'0'; 5];
        write_digits(&mut digits, u64::from(value));
        let first = digits.iter().position(|digit| *digit != b'0').unwrap_or(4);
        digits[first..].iter().for_each(|digit| self.put(*digit));
    }

    /// The text.
    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.octets[..self.length]).expect("invariant: only ASCII is put in")
    }
}

/// Fills the room with the last digits of a value.
pub(crate) fn write_digits(room: &mut [u8], mut value: u64) {
    for digit in room.iter_mut().rev() {
        *digit = b"0123456789"[(value % 10) as usize];
        value /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_the_standard_library_writes_them() {
        for value in [0, 1, 9, 10, 99, 100, 254, 999, 1_000, 65_535] {
            let mut text: Short<5> = Short::new();
            text.number(value);
            assert_eq!(text.as_str(), value.to_string());
        }
    }
}
