//! The replay window of one key id: each counter is accepted once, and only if it is not too old.

/// How far behind the highest accepted counter a frame may come.
pub(crate) const WINDOW: u64 = 1024;

/// Remembers which of the last [`WINDOW`] counters were accepted.
#[derive(Clone, Debug)]
pub(crate) struct ReplayWindow {
    /// One more than the highest accepted counter; 0 while none was.
    next: u64,
    /// Bit `counter % WINDOW` is set when that counter, within the window, was accepted.
    seen: [u64; WORDS],
}

impl ReplayWindow {
    pub(crate) const fn new() -> Self {
        Self { next: 0, seen: [0; WORDS] }
    }

    /// One more than the highest accepted counter; 0 while none was.
    pub(crate) const fn next(&self) -> u64 {
        self.next
    }

    /// A window in which every counter below `end` counts as accepted.
    pub(crate) const fn after(end: u64) -> Self {
        Self { next: end, seen: [u64::MAX; WORDS] }
    }

    /// Returns true when the counter lies before the window, whatever was accepted.
    pub(crate) fn is_too_old(&self, counter: u64) -> bool {
        counter < self.next && self.next - counter > WINDOW
    }

    /// Returns true when the counter was not accepted before and is not older than the window.
    pub(crate) fn is_fresh(&self, counter: u64) -> bool {
        counter >= self.next || (self.next - counter <= WINDOW && !self.bit(counter))
    }

    /// Marks a fresh counter as accepted. Call it only after the frame was authenticated.
    pub(crate) fn accept(&mut self, counter: u64) {
        if counter >= self.next {
            if counter - self.next >= WINDOW {
                self.seen = [0; WORDS];
            } else {
                for skipped in self.next..counter {
                    self.seen[word(skipped)] &= !mask(skipped);
                }
            }
            self.next = counter.saturating_add(1);
        }
        self.seen[word(counter)] |= mask(counter);
    }

    fn bit(&self, counter: u64) -> bool {
        self.seen[word(counter)] & mask(counter) != 0
    }
}

const fn word(counter: u64) -> usize {
    (counter % WINDOW / 64) as usize
}

const fn mask(counter: u64) -> u64 {
    1 << (counter % 64)
}

const WORDS: usize = (WINDOW / 64) as usize;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    proptest! {
        /// Against a model that remembers everything: accepted once, never when older than the window.
        #[test]
        fn agrees_with_the_model(steps in proptest::collection::vec((0u64..3000, any::<bool>()), 1..400), base in 0u64..u64::MAX - 9000) {
            let mut window = ReplayWindow::new();
            let mut seen = HashSet::new();
            let mut highest: Option<u64> = None;
            let mut near = base;
            for (step, forward) in steps {
                let counter = if forward { near.saturating_add(step % 40) } else { near.saturating_sub(step) };
                let in_time = highest.is_none_or(|highest| counter > highest || highest - counter < WINDOW);
                let expected = in_time && !seen.contains(&counter);
                prop_assert_eq!(window.is_fresh(counter), expected, "counter {} highest {:?}", counter, highest);
                if expected {
                    window.accept(counter);
                    seen.insert(counter);
                    highest = Some(highest.map_or(counter, |highest| highest.max(counter)));
                }
                near = highest.unwrap_or(near);
            }
        }
    }

    #[test]
    fn a_window_that_begins_somewhere_takes_nothing_from_before() {
        for end in [0, 1, 63, 64, 1023, 1024, 5000] {
            let mut window = ReplayWindow::after(end);
            assert!((0..end).all(|counter| !window.is_fresh(counter)));
            assert_eq!(window.is_too_old(0), end > WINDOW);
            for counter in (end..end + 2000).rev() {
                let fresh = end + 2000 - counter <= WINDOW;
                assert_eq!(window.is_fresh(counter), fresh);
                if fresh {
                    window.accept(counter);
                }
                assert!(!window.is_fresh(counter));
            }
        }
    }

    #[test]
    fn the_largest_counter_is_accepted_once() {
        let mut window = ReplayWindow::new();
        assert!(window.is_fresh(u64::MAX - 1));
        window.accept(u64::MAX - 1);
        assert!(!window.is_fresh(u64::MAX - 1));
        assert!(!window.is_fresh(5));
    }
}
