//! Which packets of a source came already: a window over their full indices (RFC 3711 section 3.3.2).

use crate::srtp::OpenError;

/// A window for each source of one peer; a source is known from its first authenticated packet on.
#[derive(Default)]
pub(super) struct Sources {
    windows: Vec<(u32, Window)>,
}

impl Sources {
    /// Sources that one peer may use at once.
    pub(super) const MOST: usize = 16;

    /// Where a known source's window is.
    #[inline]
    pub(super) fn place_of(&self, ssrc: u32) -> Option<usize> {
        self.windows.iter().position(|(known, _)| *known == ssrc)
    }

    /// The full index of a sequence number, see [`Window::index_of`].
    #[inline]
    pub(super) fn index_of(&self, place: Option<usize>, sequence: u16) -> u64 {
        place.map_or(u64::from(sequence), |place| self.windows[place].1.index_of(sequence))
    }

    /// Whether a packet with this index may still be taken. Changes nothing.
    #[inline]
    pub(super) fn admits(&self, place: Option<usize>, index: u64) -> bool {
        place.is_none_or(|place| self.windows[place].1.admits(index))
    }

    /// Notes an admitted index after its packet was authenticated. [`OpenError::TooManySources`] when the source would be
    /// one too many.
    #[inline]
    pub(super) fn note(&mut self, place: Option<usize>, ssrc: u32, index: u64) -> Result<(), OpenError> {
        let place = match place {
            Some(place) => place,
            None if self.windows.len() == Self::MOST => return Err(OpenError::TooManySources),
            None => {
                self.windows.push((ssrc, Window::default()));
                self.windows.len() - 1
            }
        };
        self.windows[place].1.note(index);
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.windows.len()
    }
}

/// The last [`Window::SIZE`] indices of one source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Window {
    /// Bit of index i: word (i / 64) % WORDS, bit i % 64.
    seen: [u64; WORDS],
    highest: u64,
    started: bool,
}

impl Window {
    /// Older packets than this cannot be told from repeated ones.
    pub(super) const SIZE: u64 = 1024;

    /// Whether a packet with this index may still be taken. Changes nothing.
    pub(super) fn admits(&self, index: u64) -> bool {
        if !self.started || index > self.highest {
            return true;
        }
        self.highest - index < Self::SIZE && self.seen[Self::word(index)] >> (index % 64) & 1 == 0
    }

    /// Notes an index that [`Window::admits`], after its packet was authenticated.
    pub(super) fn note(&mut self, index: u64) {
        if !self.started || index > self.highest {
            let (from, to) = (self.highest / 64, index / 64);
            if !self.started || to - from >= WORDS as u64 {
                self.seen = [0; WORDS];
            } else {
                (from + 1..=to).for_each(|word| self.seen[word as usize % WORDS] = 0);
            }
            self.highest = index;
            self.started = true;
        }
        self.seen[Self::word(index)] |= 1 << (index % 64);
    }

    /// The full index of a 16-bit sequence number: the one nearest to the highest so far (RFC 3711 section 3.3.1).
    pub(super) fn index_of(&self, sequence: u16) -> u64 {
        if !self.started {
            return u64::from(sequence);
        }
        let behind = (self.highest as u16).wrapping_sub(sequence) as i16;
        let index = self.highest.wrapping_sub(behind as i64 as u64);
        // Before the first index there is nothing: such a number can only be one of the next round.
        if behind > 0 && u64::from(behind as u16) > self.highest {
            index.wrapping_add(1 << 16)
        } else {
            index
        }
    }

    fn word(index: u64) -> usize {
        (index / 64) as usize % WORDS
    }
}

/// One more than the window is long, because it rarely begins at the edge of a word.
const WORDS: usize = Window::SIZE as usize / 64 + 1;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sequence_numbers_become_the_nearest_index() {
        let mut window = Window::default();
        assert_eq!(window.index_of(65_000), 65_000);
        window.note(65_000);
        assert_eq!(window.index_of(3), 65_536 + 3);
        window.note(65_536 + 3);
        assert_eq!(window.index_of(65_500), 65_500);
        assert_eq!(window.index_of(40_000), 65_536 * 2 + 40_000 - 65_536 * 2);
        let mut early = Window::default();
        early.note(5);
        assert_eq!(early.index_of(65_530), 65_530, "there is no index before 0");
    }

    proptest! {
        /// Against a plain set: nothing is taken twice, and what is new and inside the window is taken.
        #[test]
        fn no_index_is_admitted_twice(steps in proptest::collection::vec(0u64..3000, 1..400), base in 0u64..1 << 40) {
            let mut window = Window::default();
            let mut seen = HashSet::new();
            let mut highest = None::<u64>;
            for step in steps {
                let index = base + step;
                let fresh = !seen.contains(&index);
                let inside = highest.is_none_or(|h| index > h || h - index < Window::SIZE);
                prop_assert_eq!(window.admits(index), fresh && inside);
                if window.admits(index) {
                    window.note(index);
                    seen.insert(index);
                    highest = Some(highest.map_or(index, |h| h.max(index)));
                }
            }
        }
    }
}
