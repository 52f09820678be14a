//! One leg's packet numbers: a seamless 48-bit line whose low 16 bits are the RTP sequence number.
//!
//! A track knows packets by *position*, a number that only grows but may jump: where a publisher restarted, and where
//! packets are left out for this leg. The leg's own *number* never jumps, also when the leg goes over to another simulcast
//! layer, which is a track with positions of its own. A position in between that has not arrived yet keeps its number, so a
//! packet repaired later goes out in its right place.
//!
//! ```text
//! position   100 101 102 ... 180 181  x  183      (x left out: padding, or a layer not chosen)
//! number       7   8   9 ...  10  11      12
//!            |--- span ---|  |-span-|   |-span
//! ```
//!
//! Spans are kept for the last few jumps only; older positions can no longer be mapped and count as gone. Each knows what is
//! added to the timestamps and frame numbers of its packets, so that a repair says what the first copy said.

use crate::id::TrackId;

/// Maps positions of tracks to numbers of one leg, and back for NACKs.
#[derive(Clone, Debug)]
pub(crate) struct Munger {
    next: u64,
    first: u64,
    line: Line,
    spans: [Span; SPANS],
    newest: usize,
    len: usize,
}

/// Which track's packets a leg sends, and what is added to their timestamps and frame numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) track: TrackId,
    pub(crate) frame_number: u16,
    pub(crate) timestamp: u32,
}

/// From `position` of the line's track on, numbers run from `number` on, up to where the next span's begin.
#[derive(Clone, Copy, Debug)]
struct Span {
    position: u64,
    number: u64,
    line: Line,
}

impl Munger {
    /// Starts a line whose first number is `first_sequence`. Its top bit is ignored, so that the index starts well below
    /// the first wrap and both ends agree that the roll-over counter is 0.
    pub(crate) fn new(first_sequence: u16, line: Line) -> Self {
        let first = u64::from(first_sequence & 0x7FFF);
        let empty = Span { position: 0, number: 0, line };
        Self { next: first, first, line, spans: [empty; SPANS], newest: 0, len: 0 }
    }

    /// What is sent now.
    pub(crate) fn line(&self) -> Line {
        self.line
    }

    /// Goes over to another track, or to other offsets.
    pub(crate) fn set_line(&mut self, line: Line) {
        self.line = line;
    }

    /// Takes the next position of the line's track, greater than every one before, and returns its number. Positions passed
    /// over since the last call get none.
    #[inline]
    pub(crate) fn advance(&mut self, position: u64) -> u64 {
        let number = self.next;
        let span = &self.spans[self.newest];
        let goes_on = position.wrapping_sub(span.position) == number - span.number && span.line == self.line;
        if self.len == 0 || !goes_on {
            self.open_span(Span { position, number, line: self.line });
        }
        self.next += 1;
        number
    }

    /// Returns the number that a position got in [`advance`](Self::advance), or `None` when it got none or is too old.
    pub(crate) fn number(&self, track: TrackId, position: u64) -> Option<(u64, Line)> {
        let mut end = self.next;
        for span in self.newest_first() {
            if span.line.track == track && position >= span.position {
                let number = span.number + (position - span.position);
                return (number < end).then_some((number, span.line));
            }
            end = span.number;
        }
        None
    }

    /// Returns the position whose number ended in `sequence` most recently.
    pub(crate) fn position(&self, sequence: u16) -> Option<(u64, Line)> {
        let newest = self.next.checked_sub(1)?;
        let number = newest.checked_sub(u64::from((newest as u16).wrapping_sub(sequence)))?;
        if number < self.first {
            return None;
        }
        let span = self.newest_first().find(|span| number >= span.number)?;
        Some((span.position + (number - span.number), span.line))
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

    const A: TrackId = TrackId(0);
    const B: TrackId = TrackId(1);

    fn line(track: TrackId) -> Line {
        Line { track, frame_number: u16::from(track.0) * 7, timestamp: u32::from(track.0) * 90 }
    }

    fn of(munger: &Munger, position: u64) -> Option<u64> {
        munger.number(A, position).map(|(number, _)| number)
    }

    fn back(munger: &Munger, sequence: u16) -> Option<u64> {
        munger.position(sequence).map(|(position, _)| position)
    }

    #[test]
    fn numbers_close_over_what_is_left_out() {
        let mut munger = Munger::new(7, line(A));
        let given: Vec<u64> =
            [100, 101, 102, 180, 181, 183].iter().map(|&position| munger.advance(position)).collect();
        assert_eq!(given, [7, 8, 9, 10, 11, 12]);
        assert_eq!(of(&munger, 150), None, "passed over");
        assert_eq!(of(&munger, 182), None, "left out");
        assert_eq!(of(&munger, 184), None, "not yet there");
        assert_eq!(of(&munger, 181), Some(11));
        assert_eq!(back(&munger, 9), Some(102));
        assert_eq!(back(&munger, 12), Some(183));
        assert_eq!(back(&munger, 13), None, "in the future, so far in the past");
    }

    #[test]
    fn sequence_numbers_are_found_across_the_wrap() {
        let mut munger = Munger::new(0x7FFF, line(A));
        for position in 0..80_000 {
            assert_eq!(munger.advance(position), 0x7FFF + position);
        }
        let newest = 0x7FFF + 79_999;
        assert_eq!(back(&munger, newest as u16), Some(79_999));
        assert_eq!(back(&munger, (newest - 65_535) as u16), Some(79_999 - 65_535));
    }

    #[test]
    fn numbers_go_on_from_one_layer_to_another() {
        let mut munger = Munger::new(7, line(A));
        munger.advance(100);
        munger.set_line(line(B));
        assert_eq!((munger.advance(5000), munger.advance(5001)), (8, 9));
        munger.set_line(line(A));
        assert_eq!(munger.advance(101), 10, "the position after the last one, but not the number");
        assert_eq!(munger.number(B, 5001), Some((9, line(B))));
        assert_eq!(munger.number(A, 5001), None);
        assert_eq!(munger.position(8), Some((5000, line(B))));
        assert_eq!(munger.position(10), Some((101, line(A))));
        assert_eq!(munger.number(B, 5002), None, "went by while the other was sent");
    }

    proptest! {
        /// Whatever is left out and whichever layer is sent, numbers are unbroken, and both directions agree for everything
        /// still remembered.
        #[test]
        fn numbers_never_gap_nor_repeat(
            first: u16,
            steps in prop::collection::vec((1u64..4, 0u64..2000, 0u8..40), 1..400),
        ) {
            let mut munger = Munger::new(first, line(A));
            let mut positions = [0, 0];
            let mut given = BTreeMap::new();
            for (step, rare, layer) in steps {
                if layer < 2 {
                    munger.set_line(line(TrackId(layer)));
                }
                let track = munger.line().track;
                let position = &mut positions[usize::from(track.0)];
                *position += if rare == 0 { 100_000 } else if rare < 200 { step } else { 1 };
                let number = munger.advance(*position);
                prop_assert_eq!(number, u64::from(first & 0x7FFF) + given.len() as u64);
                given.insert((track, *position), number);
            }
            let distinct: BTreeSet<u64> = given.values().copied().collect();
            prop_assert_eq!(distinct.len(), given.len());
            for track in [A, B] {
                for probe in 0..=positions[usize::from(track.0)].min(5000) {
                    if let Some((number, _)) = munger.number(track, probe) {
                        prop_assert_eq!(given.get(&(track, probe)), Some(&number));
                    }
                }
            }
            for (&(track, position), &number) in &given {
                if let Some((found, line)) = munger.position(number as u16) {
                    prop_assert_eq!((line.track, found), (track, position));
                }
            }
        }
    }
}
