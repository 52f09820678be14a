//! The time that the camera gives its group: that of its clock, but no further ahead than something vouches for.
//!
//! The group's time never falls. A clock that once ran far ahead would end every guest's stay for good, make members count
//! as silent and their key packages as too old.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use latchkey_e2ee::group::CommitTime;
use web_time::Instant;

/// What is known about the time without the clock.
#[derive(Debug)]
pub(super) struct GroupClock {
    /// A time in seconds since the Unix epoch that a signed list, or the group, named, and when that was known.
    vouched: (u64, Instant),
    /// What the clock said when this run began; no earlier than what was vouched for then.
    began: (u64, Instant),
}

/// The time to commit at.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) time: CommitTime,
    /// By how many seconds the clock is ahead of what is vouched for, where that is too much.
    pub(super) ahead: Option<i64>,
    /// It came to that in this run. Before, the camera may have been off for long.
    pub(super) jumped: bool,
}

impl GroupClock {
    /// Begins with the time that the newest list, or the group, names.
    pub(super) fn begin(vouched: u64, clock: SystemTime, now: Instant) -> Self {
        Self { vouched: (vouched, now), began: (seconds(clock).max(vouched), now) }
    }

    /// A signed list names a time.
    pub(super) fn vouch(&mut self, time: u64, now: Instant) {
        if time > run_on(self.vouched, now) {
            self.vouched = (time, now);
        }
    }

    /// What to commit at, when the clock says `clock`.
    pub(super) fn read(&self, clock: SystemTime, now: Instant) -> Reading {
        let (says, vouched) = (seconds(clock), run_on(self.vouched, now));
        let limit = vouched.saturating_add(STEP);
        if says <= limit {
            return Reading { time: CommitTime::from(clock), ahead: None, jumped: false };
        }
        let group = UNIX_EPOCH.checked_add(Duration::from_secs(limit)).unwrap_or(clock);
        Reading {
            time: CommitTime { group, clock },
            ahead: Some(i64::try_from(says - vouched).unwrap_or(i64::MAX)),
            jumped: says > run_on(self.began, now).saturating_add(STEP),
        }
    }
}

/// A time, and what has passed since it was known.
fn run_on((time, known): (u64, Instant), now: Instant) -> u64 {
    time.saturating_add(now.saturating_duration_since(known).as_secs())
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Seconds that a clock may be ahead of what is vouched for: a day.
const STEP: u64 = 24 * 3600;

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods)]
    use super::*;

    const NOW: u64 = 1_790_000_000;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn a_clock_that_jumps_moves_the_group_by_a_day_at_most() {
        let begin = Instant::now();
        let mut clock = GroupClock::begin(NOW - 3600, at(NOW), begin);
        assert_eq!(clock.read(at(NOW), begin).time, CommitTime::from(at(NOW)));
        // Weeks of running are no jump.
        let later = begin + Duration::from_secs(30 * STEP);
        assert_eq!(clock.read(at(NOW + 30 * STEP), later).ahead, None);

        let wrong = at(NOW + 400 * STEP);
        let reading = clock.read(wrong, begin);
        assert_eq!(reading.time, CommitTime { group: at(NOW - 3600 + STEP), clock: wrong });
        assert!(reading.jumped);
        assert_eq!(reading.ahead, i64::try_from(400 * STEP + 3600).ok());
        // Committing does not move what is vouched for; an hour does, by an hour.
        let hour = begin + Duration::from_secs(3600);
        assert_eq!(clock.read(wrong, hour).time.group, at(NOW + STEP));
        // A newer list vouches for it, an older one changes nothing.
        clock.vouch(NOW + 400 * STEP, hour);
        clock.vouch(NOW, hour);
        assert_eq!(clock.read(wrong, hour).ahead, None);
    }

    #[test]
    fn a_camera_that_was_off_for_long_has_no_jump() {
        let begin = Instant::now();
        let clock = GroupClock::begin(NOW - 30 * STEP, at(NOW), begin);
        let reading = clock.read(at(NOW), begin);
        assert_eq!(reading.time, CommitTime { group: at(NOW - 29 * STEP), clock: at(NOW) });
        assert!(reading.ahead.is_some() && !reading.jumped);
        // Nor has one whose clock stood in 1970 until the network set it.
        let clock = GroupClock::begin(NOW, at(0), begin);
        assert_eq!(clock.read(at(0), begin).ahead, None);
        assert_eq!(clock.read(at(NOW + 60), begin).ahead, None);
    }
}
