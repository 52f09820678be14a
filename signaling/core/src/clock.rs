//! The wall clock as numbers: what rows and tokens carry.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Milliseconds since the Unix epoch; 0 for times before it.
#[must_use]
pub fn unix_millis(time: SystemTime) -> u64 {
    let millis = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    u64::try_from(millis).unwrap_or(u64::MAX)
}

/// Seconds since the Unix epoch; 0 for times before it.
#[must_use]
pub fn unix_seconds(time: SystemTime) -> u64 {
    unix_millis(time) / 1000
}

/// The time this many seconds after the Unix epoch, as late as the clock can say.
#[must_use]
pub fn from_unix_seconds(seconds: u64) -> SystemTime {
    // The year 10000 is further than any list reaches and still fits every platform's clock.
    UNIX_EPOCH + Duration::from_secs(seconds.min(253_402_300_799))
}
