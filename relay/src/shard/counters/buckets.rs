//! The buckets into which times are counted.

use std::time::Duration;

/// Upper bounds of the forward latency buckets, 50 µs to 50 ms; one more cell counts what is above.
pub const FORWARD_LATENCY_BOUNDS: [Duration; 13] = [
    Duration::from_micros(50),
    Duration::from_micros(100),
    Duration::from_micros(200),
    Duration::from_micros(400),
    Duration::from_micros(600),
    Duration::from_micros(800),
    Duration::from_millis(1),
    Duration::from_millis(2),
    Duration::from_millis(4),
    Duration::from_millis(8),
    Duration::from_millis(15),
    Duration::from_millis(25),
    Duration::from_millis(50),
];

/// Upper bounds of the buckets for joins (command to first forwarded packet) and for waits for a key frame; one more cell
/// counts what is above.
pub const JOIN_BOUNDS: [Duration; 9] = [
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_millis(1000),
    Duration::from_millis(2500),
    Duration::from_millis(5000),
    Duration::from_millis(10_000),
];

/// Which bucket a time belongs to: the first whose bound it does not exceed, or the one after all.
#[inline]
pub(in crate::shard) fn bucket(bounds: &[Duration], time: Duration) -> usize {
    bounds.iter().take_while(|bound| time > **bound).count()
}
