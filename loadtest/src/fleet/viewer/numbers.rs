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
    /// The number after the newest that was opened.
    seen: u64,
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
        self.seen = if begins { number + 1 } else { self.seen.max(number + 1) };
    }

    /// The camera has sent all frames before `next`: what does not come in time is missed, though no later one comes either.
    pub(crate) fn sent(&mut self, next: u64, now: Instant) {
        let known = self.base + self.slots.len() as u64;
        // Whoever has seen nothing yet joins anew; a camera that counts anew is told by its next frame.
        if known > 0 {
            let unknown = next.saturating_sub(known).min(LONGEST_GAP);
            self.slots.extend((0..unknown).map(|_| (now, false)));
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

    /// Counts all frames up to the newest that was opened; those that the camera has just sent are still on their way.
    pub(crate) fn close(&mut self, tally: &mut ViewerTally) {
        while self.base < self.seen
            && let Some((_, opened)) = self.slots.front().copied()
        {
            self.count(opened, tally);
        }
        self.slots.clear();
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

    /// A server that forwards no more leaves no gap: only the camera knows what it sent.
    #[test]
    fn frames_that_nothing_follows_are_missed_too() {
        let now = Instant::now();
        let (mut numbers, mut tally) = (Numbers::default(), ViewerTally::default());
        numbers.sent(50, now);
        numbers.opened(100, now, &mut tally);
        numbers.sent(131, now);
        numbers.opened(101, now, &mut tally);
        numbers.settle(now + PATIENCE, &mut tally);
        assert_eq!((tally.frames_expected, tally.frames_opened), (31, 2));
        let later = now + PATIENCE;
        numbers.sent(134, later);
        numbers.opened(131, later, &mut tally);
        numbers.close(&mut tally);
        assert_eq!((tally.frames_expected, tally.frames_opened), (32, 3), "what is on its way is not missed");
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
