//! Values of the two extensions that are more than a string or a counter.

use std::time::Duration;

/// Capture time of a frame: seconds since 1900 in 32.32 fixed point (64-bit NTP), big-endian on the wire.
///
/// The optional clock offset that some senders add is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AbsCaptureTime(u64);

impl AbsCaptureTime {
    /// Wraps a 64-bit NTP time.
    #[must_use]
    pub const fn from_ntp(ntp: u64) -> Self {
        Self(ntp)
    }

    /// Returns the 64-bit NTP time of an age since the Unix epoch.
    #[must_use]
    pub fn from_unix(since_epoch: Duration) -> Self {
        let seconds = since_epoch.as_secs().wrapping_add(NTP_UNIX_OFFSET_SECONDS);
        let fraction = (u64::from(since_epoch.subsec_nanos()) << 32) / NANOS_PER_SECOND;
        Self(seconds << 32 | fraction)
    }

    /// Returns the 64-bit NTP time.
    #[must_use]
    pub const fn ntp(self) -> u64 {
        self.0
    }

    /// Reads an element's value; `None` when it has neither 8 nor 16 bytes.
    #[must_use]
    pub fn read(value: &[u8]) -> Option<Self> {
        match value.len() {
            8 | 16 => value.first_chunk().map(|ntp| Self(u64::from_be_bytes(*ntp))),
            _ => None,
        }
    }

    /// Returns the element's value.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }
}

/// Bounds of the receiver's playout delay: two times 12 bits of 10 ms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlayoutDelay {
    /// The receiver waits at least this long.
    pub min: Duration,
    /// The receiver waits at most this long.
    pub max: Duration,
}

impl PlayoutDelay {
    /// Shows each frame as soon as it is there.
    pub const NONE: Self = Self { min: Duration::ZERO, max: Duration::ZERO };

    /// Reads an element's value; `None` when it has not three bytes.
    #[must_use]
    pub fn read(value: &[u8]) -> Option<Self> {
        let [a, b, c] = *value else { return None };
        let bits = u32::from_be_bytes([0, a, b, c]);
        Some(Self { min: GRAIN * (bits >> 12), max: GRAIN * (bits & 0xFFF) })
    }

    /// Returns the element's value; delays above 40.95 s become that.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 3] {
        let grains = |delay: Duration| (delay.as_millis() / GRAIN.as_millis()).min(0xFFF) as u32;
        let [_, bytes @ ..] = (grains(self.min) << 12 | grains(self.max)).to_be_bytes();
        bytes
    }
}

const NTP_UNIX_OFFSET_SECONDS: u64 = 2_208_988_800;
const NANOS_PER_SECOND: u64 = 1_000_000_000;
const GRAIN: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capture_time_counts_from_1900() {
        let time = AbsCaptureTime::from_unix(Duration::from_millis(1_500));
        assert_eq!(time.ntp(), (2_208_988_801 << 32) | 0x8000_0000);
        assert_eq!(AbsCaptureTime::read(&time.to_bytes()), Some(time));
        assert_eq!(AbsCaptureTime::read(&[0; 9]), None);
        assert!(AbsCaptureTime::read(&[0; 16]).is_some());
    }

    #[test]
    fn playout_delay_has_twelve_bits_each() {
        let delay = PlayoutDelay { min: Duration::from_millis(100), max: Duration::from_secs(60) };
        assert_eq!(delay.to_bytes(), [0x00, 0xAF, 0xFF]);
        let read = PlayoutDelay::read(&delay.to_bytes()).unwrap();
        assert_eq!((read.min, read.max), (delay.min, Duration::from_millis(40_950)));
        assert_eq!(PlayoutDelay::NONE.to_bytes(), [0; 3]);
        assert_eq!(PlayoutDelay::read(&[0; 4]), None);
    }
}
