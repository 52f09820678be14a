//! Bits, most significant first, as H.264 and the Dependency Descriptor pack them.

/// Reads bits from a slice. Every read fails with [`Exhausted`] rather than run past the end.
#[derive(Debug, Clone)]
pub(crate) struct BitReader<'a> {
    bytes: &'a [u8],
    position: usize,
}

/// The bits ended before the value did, or a code is longer than any the format has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exhausted;

impl<'a> BitReader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    /// Reads `count` bits, at most 32.
    pub(crate) fn bits(&mut self, count: u32) -> Result<u32, Exhausted> {
        if count as usize > self.bytes.len() * 8 - self.position {
            return Err(Exhausted);
        }
        let mut value = 0;
        for _ in 0..count {
            let byte = self.bytes[self.position / 8];
            value = value << 1 | u32::from(byte >> (7 - self.position % 8) & 1);
            self.position += 1;
        }
        Ok(value)
    }

    pub(crate) fn flag(&mut self) -> Result<bool, Exhausted> {
        self.bits(1).map(|bit| bit != 0)
    }

    /// Reads ue(v), H.264 9.1; at most 31 leading zeros.
    pub(crate) fn unsigned_exp_golomb(&mut self) -> Result<u32, Exhausted> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
            if zeros > 31 {
                return Err(Exhausted);
            }
        }
        Ok((1 << zeros) - 1 + self.bits(zeros)?)
    }

    /// Reads ns(n) of the Dependency Descriptor, A.2: a number below `count`.
    pub(crate) fn non_symmetric(&mut self, count: u32) -> Result<u32, Exhausted> {
        let width = u32::BITS - count.leading_zeros();
        if width == 0 {
            return Ok(0);
        }
        let short = (1 << width) - count;
        let value = self.bits(width - 1)?;
        if value < short {
            return Ok(value);
        }
        Ok((value << 1) - short + self.bits(1)?)
    }
}

/// Writes bits into a buffer of `N` bytes, zero to begin with.
#[derive(Debug)]
pub(crate) struct BitWriter<const N: usize> {
    bytes: [u8; N],
    position: usize,
}

impl<const N: usize> BitWriter<N> {
    pub(crate) fn new() -> Self {
        Self { bytes: [0; N], position: 0 }
    }

    /// Writes the low `count` bits of `value`. Bits past the end are dropped: see [`Self::overflowed`].
    pub(crate) fn bits(&mut self, count: u32, value: u32) {
        for shift in (0..count).rev() {
            if let Some(byte) = self.bytes.get_mut(self.position / 8) {
                *byte |= ((value >> shift & 1) as u8) << (7 - self.position % 8);
            }
            self.position += 1;
        }
    }

    pub(crate) fn flag(&mut self, value: bool) {
        self.bits(1, u32::from(value));
    }

    /// Writes ue(v), H.264 9.1. `value` is at most 2^32 - 2.
    pub(crate) fn unsigned_exp_golomb(&mut self, value: u32) {
        let code = u64::from(value) + 1;
        let width = u64::BITS - code.leading_zeros();
        self.bits(width - 1, 0);
        self.flag(true);
        self.bits(width - 1, (code & !(1 << (width - 1))) as u32);
    }

    /// Fills the byte begun with zero bits.
    pub(crate) fn align(&mut self) {
        self.position = self.position.next_multiple_of(8);
    }

    pub(crate) fn overflowed(&self) -> bool {
        self.position > N * 8
    }

    /// Returns what was written, the last byte filled with zero bits.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.position.div_ceil(8).min(N)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn golomb_codes_of_the_standard() {
        // H.264 table 9-2.
        for (value, code) in [(0, 0x80), (1, 0x40), (2, 0x60), (3, 0x20), (6, 0x38), (7, 0x10)] {
            let mut writer = BitWriter::<8>::new();
            writer.unsigned_exp_golomb(value);
            assert_eq!(writer.as_bytes()[0], code);
        }
        assert_eq!(BitReader::new(&[0; 8]).unsigned_exp_golomb(), Err(Exhausted));
    }

    #[test]
    fn non_symmetric_codes_of_five_values() {
        // The example of the AV1 RTP specification, A.2: n = 5.
        for (bits, value) in [(0x00, 0), (0x40, 1), (0x80, 2), (0xC0, 3), (0xE0, 4)] {
            assert_eq!(BitReader::new(&[bits]).non_symmetric(5), Ok(value));
        }
    }

    proptest! {
        #[test]
        fn golomb_comes_back(values in proptest::collection::vec(0..u32::MAX, 0..8)) {
            let mut writer = BitWriter::<64>::new();
            values.iter().for_each(|&value| writer.unsigned_exp_golomb(value));
            prop_assert!(!writer.overflowed());
            let mut reader = BitReader::new(writer.as_bytes());
            for value in values {
                prop_assert_eq!(reader.unsigned_exp_golomb(), Ok(value));
            }
        }
    }
}
