//! The caller's time as MLS counts it.

use std::time::{SystemTime, UNIX_EPOCH};

/// The time at which a camera changes its group. Made from one [`SystemTime`] where clock and group agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommitTime {
    /// What the group is told. It never falls, so it must not run ahead for a clock that is wrong for a while.
    pub group: SystemTime,
    /// What the camera's clock says: whose stay has ended by it is taken out, and comes back if the clock was wrong.
    pub clock: SystemTime,
}

impl From<SystemTime> for CommitTime {
    fn from(now: SystemTime) -> Self {
        Self { group: now, clock: now }
    }
}

/// Whole seconds since the Unix epoch; 0 for a clock that stands before it.
pub(super) fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
