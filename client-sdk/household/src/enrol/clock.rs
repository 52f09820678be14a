//! The two clocks of an enrolment.

use std::time::Duration;

use latchkey_e2ee::enrol::Moment;
use web_time::Instant;

use crate::clock::unix_seconds;

/// A wall clock: seconds since the Unix epoch, `None` while the machine has no time it can trust.
pub type WallClock = fn() -> Option<u64>;

/// The machine's clock. One that says a year before this program was made has not been set.
#[must_use]
pub fn machine_clock() -> Option<u64> {
    Some(unix_seconds()).filter(|now| *now >= MADE)
}

/// Time since an enrolment began.
pub(super) struct Clock {
    began: Instant,
    wall: WallClock,
}

impl Clock {
    pub(super) fn start(wall: WallClock) -> Self {
        Self { began: Instant::now(), wall }
    }

    pub(super) fn now(&self) -> Moment {
        Moment { uptime: self.passed(), unix_seconds: (self.wall)() }
    }

    pub(super) fn passed(&self) -> Duration {
        self.began.elapsed()
    }
}

/// 2026-01-01.
const MADE: u64 = 1_767_225_600;
