//! The inner header: eight sealed bytes in front of every frame.
//!
//! ```text
//!  0                   5    6       7
//! +--------------------+-------+-------+
//! | capture time, ms   | flags | codec |
//! +--------------------+-------+-------+
//! ```
//!
//! Capture time is a 48-bit big-endian number of milliseconds since the Unix epoch. Flag bit 0 marks a
//! key frame. Bit 1 announces a [checkpoint](crate::checkpoint) block between header and codec frame,
//! behind its length:
//!
//! ```text
//! header with bit 1 || length(4, big-endian) || block || codec frame
//! ```

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use latchkey_wire::codec::Codec;

/// What the camera says about a frame, readable only inside the sealed frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InnerHeader {
    /// When it was captured, by the camera's clock, in milliseconds since the Unix epoch; 48 bits.
    pub captured_ms: u64,
    /// Decoding can start here.
    pub key_frame: bool,
    /// How the frame is encoded.
    pub codec: Codec,
}

impl InnerHeader {
    /// Length in bytes.
    pub const LEN: usize = 8;

    /// Returns the header of a frame captured at `captured`; a time outside the 48 bits is set to the
    /// nearest one inside.
    #[must_use]
    pub fn new(captured: SystemTime, key_frame: bool, codec: Codec) -> Self {
        let since = captured.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let captured_ms = u64::try_from(since).unwrap_or(MAX_CAPTURED_MS).min(MAX_CAPTURED_MS);
        Self { captured_ms, key_frame, codec }
    }

    /// The capture time as a wall clock time.
    #[must_use]
    pub fn captured(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.captured_ms)
    }

    /// The bytes of the header. Bits of the capture time above 48 are dropped.
    #[must_use]
    pub fn to_bytes(self) -> [u8; Self::LEN] {
        let [_, _, time @ ..] = self.captured_ms.to_be_bytes();
        let mut bytes = [0; Self::LEN];
        bytes[..6].copy_from_slice(&time);
        bytes[FLAGS_AT] = if self.key_frame { KEY_FRAME } else { 0 };
        bytes[7] = self.codec.code();
        bytes
    }

    /// Whether these bytes of a header announce a checkpoint block behind it.
    #[must_use]
    pub fn announces_block(bytes: [u8; Self::LEN]) -> bool {
        bytes[FLAGS_AT] & BLOCK != 0
    }

    /// The bytes of the header, announcing a checkpoint block behind it.
    #[must_use]
    pub(crate) fn to_bytes_before_block(self) -> [u8; Self::LEN] {
        let mut bytes = self.to_bytes();
        bytes[FLAGS_AT] |= BLOCK;
        bytes
    }

    /// Reads a header, whether or not it announces a block; `None` when it has flags or a codec that this
    /// version does not know.
    #[must_use]
    pub fn from_bytes(bytes: [u8; Self::LEN]) -> Option<Self> {
        let [time @ .., flags, codec] = bytes;
        let captured_ms = time.iter().fold(0, |ms, byte| ms << 8 | u64::from(*byte));
        if flags & !(KEY_FRAME | BLOCK) != 0 {
            return None;
        }
        Some(Self { captured_ms, key_frame: flags & KEY_FRAME != 0, codec: Codec::from_code(codec)? })
    }
}

const FLAGS_AT: usize = 6;
const KEY_FRAME: u8 = 1;
const BLOCK: u8 = 2;
const MAX_CAPTURED_MS: u64 = (1 << 48) - 1;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn round_trip_and_layout() {
        let header = InnerHeader { captured_ms: 0x0102_0304_0506, key_frame: true, codec: Codec::Av1 };
        assert_eq!(header.to_bytes(), [1, 2, 3, 4, 5, 6, 1, 3]);
        for codec in Codec::ALL {
            for key_frame in [false, true] {
                let header = InnerHeader { captured_ms: MAX_CAPTURED_MS, key_frame, codec };
                assert_eq!(InnerHeader::from_bytes(header.to_bytes()), Some(header));
            }
        }
    }

    #[test]
    fn a_block_is_announced_beside_what_the_header_says() {
        for key_frame in [false, true] {
            let header = InnerHeader { captured_ms: 9, key_frame, codec: Codec::H264 };
            let (without, with) = (header.to_bytes(), header.to_bytes_before_block());
            assert_eq!(
                (InnerHeader::announces_block(without), InnerHeader::announces_block(with)),
                (false, true)
            );
            assert_eq!(InnerHeader::from_bytes(with), Some(header));
            assert_eq!(with[6], without[6] | 2);
        }
    }

    #[test]
    fn unknown_flags_and_codecs_are_refused() {
        assert_eq!(InnerHeader::from_bytes([0, 0, 0, 0, 0, 0, 4, 0]), None);
        assert_eq!(InnerHeader::from_bytes([0, 0, 0, 0, 0, 0, 0, 5]), None);
    }

    #[test]
    fn times_outside_the_range_are_clamped() {
        let before = InnerHeader::new(UNIX_EPOCH - Duration::from_secs(9), false, Codec::Opus);
        assert_eq!(before.captured_ms, 0);
        let after = InnerHeader::new(UNIX_EPOCH + Duration::from_millis(1 << 50), false, Codec::Opus);
        assert_eq!(after.captured_ms, MAX_CAPTURED_MS);
    }
}
