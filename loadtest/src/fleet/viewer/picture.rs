//! A picture that moves, and how long it stands still.
//!
//! It is told as in W3C webrtc-stats (freezeCount): from one shown frame to the next at least three times the mean of the last
//! 30 such intervals, and at least that mean and 150 ms; then all of it is frozen time. One that still stands counts as it
//! goes on.

use std::collections::VecDeque;

/// One picture. Times are microseconds since any fixed moment, and may lie ahead: a player knows when it will show what.
#[derive(Default)]
pub(crate) struct Picture {
    shown_at: Option<u64>,
    intervals: VecDeque<u64>,
    sum: u64,
    /// Of the interval that goes on, how much was counted as frozen already.
    counted: u64,
}

impl Picture {
    /// Shows a frame; returns the frozen time that it ends, as far as nobody counted it.
    pub(crate) fn show(&mut self, at: u64) -> u64 {
        let mut frozen = 0;
        if let Some(before) = self.shown_at {
            let interval = at.saturating_sub(before);
            if interval >= self.threshold() {
                frozen = interval.saturating_sub(self.counted);
            }
            if self.intervals.len() == INTERVALS {
                self.sum -= self.intervals.pop_front().unwrap_or(0);
            }
            self.intervals.push_back(interval);
            self.sum += interval;
        }
        self.counted = 0;
        self.shown_at = Some(self.shown_at.map_or(at, |before| before.max(at)));
        frozen
    }

    /// Returns the frozen time up to `now` that nobody counted.
    pub(crate) fn settle(&mut self, now: u64) -> u64 {
        let Some(shown_at) = self.shown_at else { return 0 };
        let still = now.saturating_sub(shown_at);
        if still < self.threshold() {
            return 0;
        }
        let frozen = still.saturating_sub(self.counted);
        self.counted = self.counted.max(still);
        frozen
    }

    fn threshold(&self) -> u64 {
        if self.intervals.is_empty() {
            return UNKNOWN_PACE;
        }
        let mean = self.sum / self.intervals.len() as u64;
        (3 * mean).max(mean + 150_000)
    }
}

const INTERVALS: usize = 30;
/// What counts as standing still while a single frame was shown; microseconds.
const UNKNOWN_PACE: u64 = 2_000_000;
