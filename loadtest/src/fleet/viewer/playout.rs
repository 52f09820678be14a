//! What a person would see of one viewer's frames: which can be shown, when, and how long the picture stands still.
//!
//! Frames are shown in order. A missing one is waited for; what lies behind it cannot be decoded until the next key frame.
//! A picture that stands still is told as in W3C webrtc-stats (freezeCount): from one shown frame to the next at least
//! three times the mean of the last 30 such intervals, and at least that mean and 150 ms; then all of it is frozen time.
//! One that still stands counts as it goes on.

use std::collections::VecDeque;

use crate::measure::tally::ViewerTally;

/// A frame that is complete, by the numbers of its packets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Complete {
    /// Number of its first packet, counted on beyond 16 bits.
    pub(crate) first: u64,
    /// Of its last.
    pub(crate) last: u64,
    /// Decoding can begin with it.
    pub(crate) key: bool,
}

/// The picture of one viewer. Times are microseconds since any fixed moment.
#[derive(Default)]
pub(crate) struct Playout {
    /// The packet that the next frame to be shown begins with.
    next: Option<u64>,
    /// Complete frames behind a missing one, in order.
    waiting: Vec<Complete>,
    /// Since when the missing one is waited for.
    missing_since: Option<u64>,
    shown_at: Option<u64>,
    intervals: VecDeque<u64>,
    sum: u64,
    /// Of the interval that goes on, how much was counted as frozen already.
    counted: u64,
    watched_until: u64,
}

impl Playout {
    /// Takes a frame that was complete at `now`.
    pub(crate) fn complete(&mut self, frame: Complete, now: u64, tally: &mut ViewerTally) {
        match self.next {
            None if !frame.key => return,
            None => self.watched_until = now,
            Some(next) if frame.first < next => return,
            Some(next) if frame.first > next => {
                let at = self.waiting.partition_point(|waiting| waiting.first < frame.first);
                self.waiting.insert(at, frame);
                self.missing_since.get_or_insert(now);
                self.give_up_waiting(now, tally);
                return;
            }
            Some(_) => {}
        }
        self.show(frame, now, tally);
        self.show_waiting(now, tally);
    }

    /// Counts up to `now`.
    pub(crate) fn settle(&mut self, now: u64, tally: &mut ViewerTally) {
        self.give_up_waiting(now, tally);
        let Some(shown_at) = self.shown_at else { return };
        tally.watched_us += now.saturating_sub(self.watched_until);
        self.watched_until = self.watched_until.max(now);
        let still = now.saturating_sub(shown_at);
        if still >= self.threshold() {
            tally.frozen_us += still.saturating_sub(self.counted);
            self.counted = self.counted.max(still);
        }
    }

    /// Returns whether nothing can be shown until a key frame comes: none came yet, or a frame is lost.
    pub(crate) fn wants_key_frame(&self, now: u64) -> bool {
        self.next.is_none() || self.missing_since.is_some_and(|since| now.saturating_sub(since) >= WAIT)
    }

    /// Goes on with the next key frame, where the missing one was waited for long enough.
    fn give_up_waiting(&mut self, now: u64, tally: &mut ViewerTally) {
        let overdue = self.missing_since.is_some_and(|since| now.saturating_sub(since) >= WAIT);
        let full = self.waiting.len() > MOST_WAITING;
        if !overdue && !full {
            return;
        }
        match self.waiting.iter().position(|frame| frame.key) {
            Some(at) => {
                self.next = Some(self.waiting[at].first);
                self.waiting.drain(..at);
                self.show_waiting(now, tally);
            }
            None if full => self.waiting.truncate(MOST_WAITING / 2),
            None => {}
        }
    }

    fn show_waiting(&mut self, now: u64, tally: &mut ViewerTally) {
        let before = self.waiting.len();
        while let Some(frame) = self.waiting.first().copied()
            && self.next.is_none_or(|next| frame.first <= next)
        {
            self.waiting.remove(0);
            if self.next == Some(frame.first) {
                self.show(frame, now, tally);
            }
        }
        if self.waiting.is_empty() {
            self.missing_since = None;
        } else if self.waiting.len() != before {
            self.missing_since = Some(now);
        }
    }

    fn show(&mut self, frame: Complete, now: u64, tally: &mut ViewerTally) {
        self.next = Some(frame.last + 1);
        if let Some(before) = self.shown_at {
            let interval = now.saturating_sub(before);
            if interval >= self.threshold() {
                tally.frozen_us += interval.saturating_sub(self.counted);
            }
            if self.intervals.len() == INTERVALS {
                self.sum -= self.intervals.pop_front().unwrap_or(0);
            }
            self.intervals.push_back(interval);
            self.sum += interval;
        }
        self.counted = 0;
        self.shown_at = Some(self.shown_at.map_or(now, |before| before.max(now)));
    }

    fn threshold(&self) -> u64 {
        if self.intervals.is_empty() {
            return UNKNOWN_PACE;
        }
        let mean = self.sum / self.intervals.len() as u64;
        (3 * mean).max(mean + 150_000)
    }
}

/// How long a missing frame is waited for, as our own viewers do; microseconds.
const WAIT: u64 = 250_000;
const INTERVALS: usize = 30;
const MOST_WAITING: usize = 256;
/// What counts as standing still while a single frame was shown; microseconds.
const UNKNOWN_PACE: u64 = 2_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: u64 = 33_333;

    /// Ten packets a frame.
    fn frame(number: u64, key: bool) -> Complete {
        Complete { first: number * 10, last: number * 10 + 9, key }
    }

    fn play(frames: impl IntoIterator<Item = (u64, bool, u64)>, until: u64) -> ViewerTally {
        let (mut playout, mut tally) = (Playout::default(), ViewerTally::default());
        for (number, key, at) in frames {
            playout.complete(frame(number, key), at, &mut tally);
        }
        playout.settle(until, &mut tally);
        tally
    }

    #[test]
    fn an_even_picture_never_stands_still() {
        let tally = play((0..100).map(|n| (n, n % 30 == 0, n * FRAME)), 100 * FRAME);
        assert_eq!((tally.frozen_us, tally.watched_us), (0, 100 * FRAME));
    }

    #[test]
    fn a_gap_beyond_both_bounds_is_frozen_as_a_whole() {
        // A mean of 33.3 ms: the bounds are 100 ms and 183.3 ms.
        for (gap, frozen) in [(183_000, 0), (183_400, 183_400), (2_000_000, 2_000_000)] {
            let late = |n: u64| n * FRAME + if n >= 50 { gap - FRAME } else { 0 };
            let tally = play((0..60).map(|n| (n, n == 0, late(n))), late(60));
            assert_eq!(tally.frozen_us, frozen, "a gap of {gap} us");
        }
    }

    #[test]
    fn slow_cameras_have_longer_bounds() {
        // One frame a second: only from three seconds on it is frozen.
        for (gap, frozen) in [(2_900_000, 0), (3_000_000, 3_000_000)] {
            let at = |n: u64| n * 1_000_000 + if n >= 4 { gap - 1_000_000 } else { 0 };
            let tally = play((0..6).map(|n| (n, n == 0, at(n))), at(6));
            assert_eq!(tally.frozen_us, frozen, "a gap of {gap} us");
        }
    }

    #[test]
    fn a_standstill_counts_while_it_lasts_and_once() {
        let (mut playout, mut tally) = (Playout::default(), ViewerTally::default());
        (0..30).for_each(|n| playout.complete(frame(n, n == 0), n * FRAME, &mut tally));
        let last = 29 * FRAME;
        for (after, frozen) in [(150_000, 0), (1_000_000, 1_000_000), (1_500_000, 1_500_000)] {
            playout.settle(last + after, &mut tally);
            assert_eq!(tally.frozen_us, frozen);
        }
        playout.complete(frame(30, false), last + 1_600_000, &mut tally);
        assert_eq!(tally.frozen_us, 1_600_000);
        playout.settle(last + 1_700_000, &mut tally);
        assert_eq!((tally.frozen_us, tally.watched_us), (1_600_000, last + 1_700_000));
    }

    #[test]
    fn what_lies_behind_a_lost_frame_waits_for_the_next_key_frame() {
        // Frame 10 is lost for good; the next key frame is 30.
        let frames = (0..40).filter(|n| *n != 10).map(|n| (n, n % 30 == 0, n * FRAME));
        let tally = play(frames, 40 * FRAME);
        assert_eq!(tally.frozen_us, 21 * FRAME, "from frame 9 to frame 30");
    }

    #[test]
    fn a_repaired_frame_goes_on_with_all_that_waited() {
        let at = |n: u64| if n == 10 { 13 * FRAME + 1000 } else { n * FRAME };
        let mut frames: Vec<_> = (0..40).map(|n| (n, n == 0, at(n))).collect();
        frames.sort_by_key(|(_, _, at)| *at);
        let (mut playout, mut tally) = (Playout::default(), ViewerTally::default());
        for (number, key, at) in frames {
            playout.complete(frame(number, key), at, &mut tally);
        }
        playout.settle(40 * FRAME, &mut tally);
        assert_eq!(tally.frozen_us, 0, "134 ms are no standstill");
        assert!(!playout.wants_key_frame(40 * FRAME) && playout.waiting.is_empty());
    }

    #[test]
    fn a_key_frame_is_wanted_before_the_first_and_after_a_loss() {
        let (mut playout, mut tally) = (Playout::default(), ViewerTally::default());
        playout.complete(frame(5, false), 0, &mut tally);
        assert!(playout.wants_key_frame(0));
        playout.complete(frame(6, true), FRAME, &mut tally);
        playout.complete(frame(8, false), 3 * FRAME, &mut tally);
        assert!(!playout.wants_key_frame(3 * FRAME), "it may still be repaired");
        assert!(playout.wants_key_frame(3 * FRAME + WAIT));
        playout.complete(frame(20, true), 20 * FRAME, &mut tally);
        assert!(!playout.wants_key_frame(20 * FRAME));
    }
}
