//! When frames are due: on a grid that does not drift, whatever happened to the frames before.

use std::time::{Duration, Instant};

/// RTP ticks a second.
const CLOCK_RATE: f64 = 90_000.0;
/// A camera that is later than this leaves frames out instead of sending them all in one go.
const MOST_LATE: Duration = Duration::from_secs(1);

/// A camera's grid.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    zero: Instant,
    fps: f64,
    /// Place of the next frame in the grid.
    place: u64,
}

impl Schedule {
    pub(crate) fn new(zero: Instant, fps: f64) -> Self {
        Self { zero, fps, place: 0 }
    }

    pub(crate) fn frame_time(&self) -> Duration {
        Duration::from_secs_f64(1.0 / self.fps)
    }

    /// When the next frame is due.
    pub(crate) fn due(&self) -> Instant {
        self.zero + Duration::from_secs_f64(self.place as f64 / self.fps)
    }

    /// Leaves out all places that are over; the next frame is due at `now` or at most a frame time later.
    pub(crate) fn skip_to(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.zero).as_secs_f64() * self.fps;
        self.place = self.place.max(passed.ceil() as u64);
    }

    /// Returns when the next frame is due and its RTP timestamp, and goes on to the one after.
    pub(crate) fn next(&mut self, now: Instant) -> (Instant, u32) {
        if now.saturating_duration_since(self.due()) > MOST_LATE {
            self.skip_to(now);
        }
        let due = self.due();
        let ticks = (self.place as f64 * CLOCK_RATE / self.fps).round();
        self.place += 1;
        (due, ticks as u64 as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_frame_makes_no_other_late_and_a_long_sleep_is_left_out() {
        let zero = Instant::now();
        let mut schedule = Schedule::new(zero, 30.0);
        for frame in 0..300u64 {
            let (due, ticks) =
                schedule.next(zero + Duration::from_millis(900) + schedule.frame_time() * frame as u32);
            assert_eq!(due, zero + Duration::from_secs_f64(frame as f64 / 30.0));
            assert_eq!(u64::from(ticks), frame * 3000);
        }
        let woken = zero + Duration::from_secs(100);
        let (due, ticks) = schedule.next(woken);
        assert!(
            due >= woken && due < woken + schedule.frame_time(),
            "{:?}",
            due.saturating_duration_since(woken)
        );
        assert!((9_000_000..9_003_001).contains(&ticks), "{ticks}");
    }

    #[test]
    fn odd_rates_do_not_drift_within_a_day() {
        let zero = Instant::now();
        let mut schedule =
            Schedule { place: 24 * 3600 * 30_000 / 1001, ..Schedule::new(zero, 30_000.0 / 1001.0) };
        let (due, _) = schedule.next(zero);
        let day = Duration::from_secs(24 * 3600);
        assert!(due.saturating_duration_since(zero).abs_diff(day) < Duration::from_millis(40));
    }
}
