//! One leg's packet numbers: a seamless 48-bit line whose low 16 bits are the RTP sequence number.
//!
//! The track knows packets by *position*, a number that only grows but may jump: where a publisher restarted, and where
//! packets are left out for this leg. The leg's own *number* never jumps. A position in between that has not arrived yet
//! keeps its number, so a packet repaired later goes out in its right place.
//!
//! ```text
//! position   100 101 102 ... 180 181  x  183      (x left out: padding, or a layer not chosen)
//! number       7   8   9 ...  10  11      12
//!            |--- span ---|  |-span-|   |-span
//! ```
//!
//! Spans are kept for the last few jumps only; older positions can no longer be mapped and count as gone.

/// Maps positions of a track to numbers of one leg, and back for NACKs.
#[derive(Clone, Debug)]
pub(crate) struct Munger {
    next: u64,
    first: u64,
    spans: [Span; SPANS],
    newest: usize,
    len: usize,
}

/// From `position` on, numbers run from `number` on, up to where the next span's begin.
#[derive(Clone, Copy, Debug, Default)]
struct Span {
    position: u64,
    number: u64,
}

impl Munger {
    /// Starts a line whose first number is `first_sequence`. Its top bit is ignored, so that the index starts well below
    /// the first wrap and both ends agree that the roll-over counter is 0.
    pub(crate) fn new(first_sequence: u16) -> Self {
        let first = u64::from(first_sequence & 0x7FFF);
        Self { next: first, first, spans: [Span::default(); SPANS], newest: 0, len: 0 }
    }

    /// Takes the next position, greater than every one before, and returns its number. Positions passed over since the
    /// last call get none.
    #[inline]
    pub(crate) fn advance(&mut self, position: u64) -> u64 {
        let number = self.next;
        let span = self.spans[self.newest];
        if self.len == 0 || position.wrapping_sub(span.position) != number - span.number {
            debug_assert!(
                self.len == 0 || position.wrapping_sub(span.position) > number - span.number,
                "positions only grow"
            );
            self.open_span(Span { position, number });
        }
        self.next += 1;
        number
    }

    /// Returns the number that a position got in [`advance`](Self::advance), or `None` when it got none or is too old.
    pub(crate) fn number(&self, position: u64) -> Option<u64> {
        let mut end = self.next;
        for span in self.newest_first() {
            if position >= span.position {
                let number = span.number + (position - span.position);
                return (number < end).then_some(number);
            }
            end = span.number;
        }
        None
    }

    /// Returns the position whose number ended in `sequence` most recently.
    pub(crate) fn position(&self, sequence: u16) -> Option<u64> {
        let newest = self.next.checked_sub(1)?;
        let number = newest.checked_sub(u64::from((newest as u16).wrapping_sub(sequence)))?;
        if number < self.first {
            return None;
        }
        let span = self.newest_first().find(|span| number >= span.number)?;
        Some(span.position + (number - span.number))
    }

    fn newest_first(&self) -> impl Iterator<Item = &Span> {
        (0..self.len).map(|back| &self.spans[(self.newest + SPANS - back) % SPANS])
    }

    fn open_span(&mut self, span: Span) {
        self.newest = (self.newest + 1) % SPANS;
        self.spans[self.newest] = span;
        self.len = (self.len + 1).min(SPANS);
    }
}

/// Jumps remembered; with every second frame left out at 30 fps about two seconds' worth.
const SPANS: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    #[test]
    fn positions_left_out_leave_no_gap() {
        let mut munger = Munger::new(7);
        let numbers: Vec<u64> =
            [100, 101, 102, 180, 181, 183].map(|position| munger.advance(position)).into();
        assert_eq!(numbers, [7, 8, 9, 10, 11, 12]);
        assert_eq!(munger.number(103), None, "passed over");
        assert_eq!(munger.number(182), None, "left out");
        assert_eq!(munger.number(184), None, "not yet there");
        assert_eq!(munger.number(181), Some(11));
        assert_eq!(munger.position(9), Some(102));
        assert_eq!(munger.position(12), Some(183));
        assert_eq!(munger.position(13), None, "in the future, so far in the past");
    }

    #[test]
    fn sequence_numbers_are_found_across_the_wrap() {
        let mut munger = Munger::new(0x7FFF);
        for position in 0..80_000 {
            assert_eq!(munger.advance(position), 0x7FFF + position);
        }
        let newest = 0x7FFF + 79_999;
        assert_eq!(munger.position(newest as u16), Some(79_999));
        assert_eq!(munger.position((newest - 65_535) as u16), Some(79_999 - 65_535));
    }

    proptest! {
        /// Whatever is left out, numbers are unbroken, and both directions agree for everything still remembered.
        #[test]
        fn numbers_never_gap_nor_repeat(first: u16, steps in prop::collection::vec((1u64..4, 0u64..2000), 1..400)) {
            let mut munger = Munger::new(first);
            let mut position = 0;
            let mut given = BTreeMap::new();
            for (step, rare) in steps {
                position += if rare == 0 { 100_000 } else if rare < 200 { step } else { 1 };
                let number = munger.advance(position);
                prop_assert_eq!(number, u64::from(first & 0x7FFF) + given.len() as u64);
                given.insert(position, number);
            }
            let distinct: BTreeSet<u64> = given.values().copied().collect();
            prop_assert_eq!(distinct.len(), given.len());
            for probe in 0..=position.min(5000) {
                if let Some(number) = munger.number(probe) {
                    prop_assert_eq!(given.get(&probe), Some(&number));
                }
            }
            for (&position, &number) in &given {
                if let Some(found) = munger.position(number as u16) {
                    prop_assert_eq!(found, position);
                }
            }
            prop_assert_eq!(munger.number(position), given.get(&position).copied());
        }
    }
}
