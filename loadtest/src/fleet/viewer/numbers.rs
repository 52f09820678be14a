//! The ledger of one viewer's frames: which of those that the camera numbered were opened.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::measure::tally::ViewerTally;

/// How long a frame is waited for, from when a later one (or itself) was there.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);

/// The numbers inside the frames of one camera.
#[derive(Default)]
pub(crate) struct Numbers {
    base: u64,
    /// When it was known that the frame exists, and whether it was opened.
    slots: VecDeque<(Instant, bool)>,
}

impl Numbers {
    /// Notes that a frame was opened.
    pub(crate) fn opened(&mut self, number: u64, now: Instant, tally: &mut ViewerTally) {
        let next = self.base + self.slots.len() as u64;
        let begins = next == 0 || number > next + LONGEST_GAP || number + LONGEST_DELAY < self.base;
        if begins {
            // The first frame, or a camera that counts anew: nobody knows what came before.
            self.close(tally);
            self.base = number;
        }
        while self.base + self.slots.len() as u64 <= number {
            self.slots.push_back((now, false));
        }
        let slot = number.checked_sub(self.base).and_then(|at| self.slots.get_mut(at as usize));
        if let Some((_, opened)) = slot {
            *opened = true;
        }
    }

    /// Counts the frames whose time is over.
    pub(crate) fn settle(&mut self, now: Instant, tally: &mut ViewerTally) {
        while let Some((known, opened)) = self.slots.front().copied()
            && now.saturating_duration_since(known) >= PATIENCE
        {
            self.count(opened, tally);
        }
    }

    /// Counts all frames that are known of.
    pub(crate) fn close(&mut self, tally: &mut ViewerTally) {
        while let Some((_, opened)) = self.slots.front().copied() {
            self.count(opened, tally);
        }
    }

    fn count(&mut self, opened: bool, tally: &mut ViewerTally) {
        self.slots.pop_front();
        self.base += 1;
        tally.frames_expected += 1;
        tally.frames_opened += u64::from(opened);
    }
}

/// Frames that may be missing at once.
const LONGEST_GAP: u64 = 10_000;
/// Frames by which one may come late; one that is further behind is of a camera that counts anew.
const LONGEST_DELAY: u64 = 300;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_frames_that_were_missed() {
        let now = Instant::now();
        let (mut numbers, mut tally) = (Numbers::default(), ViewerTally::default());
        for number in [1000, 1001, 1004, 1003, 1007] {
            numbers.opened(number, now, &mut tally);
        }
        numbers.settle(now + PATIENCE / 2, &mut tally);
        assert_eq!(tally.frames_expected, 0);
        numbers.settle(now + PATIENCE, &mut tally);
        assert_eq!((tally.frames_expected, tally.frames_opened), (8, 5));
        numbers.opened(1002, now + PATIENCE, &mut tally);
        numbers.close(&mut tally);
        assert_eq!((tally.frames_expected, tally.frames_opened), (8, 5), "too late is missed");
    }

    #[test]
    fn a_camera_that_counts_anew_has_missed_nothing() {
        let now = Instant::now();
        let (mut numbers, mut tally) = (Numbers::default(), ViewerTally::default());
        for number in [5000, 5001, 0, 1, 2, 90_000] {
            numbers.opened(number, now, &mut tally);
        }
        numbers.close(&mut tally);
        assert_eq!((tally.frames_expected, tally.frames_opened), (6, 6));
    }
}
