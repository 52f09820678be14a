//! The SFrame key id: which sender session, track, leaf and epoch a frame belongs to (RFC 9605 section 5.2).
//!
//! ```text
//!  63      56 55           24 23     16 15      8 7       0
//! +----------+---------------+---------+---------+---------+
//! |    0     |    session    |  track  |  leaf   |  epoch  |
//! +----------+---------------+---------+---------+---------+
//! ```
//!
//! Epoch is the MLS epoch modulo 256, leaf the sender's MLS leaf index; session and track together are
//! the context of RFC 9605. Every key id has its own key and its own counter.

use std::fmt;

/// The track number of the camera's picture.
pub const VIDEO: u8 = 0;
/// The track number of the camera's sound.
pub const AUDIO: u8 = 1;
/// The track number of the second layer of a camera's simulcast picture; the first is [`VIDEO`].
pub const SECOND_LAYER: u8 = 3;
/// The track number of the third layer.
pub const THIRD_LAYER: u8 = 4;

/// A key id in our layout; at most 56 bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kid(u64);

impl Kid {
    /// Returns the key id of a track that the device at `leaf` seals in `epoch`.
    #[must_use]
    pub fn new(session: SenderSession, track: u8, leaf: u8, epoch: u64) -> Self {
        let [.., epoch] = epoch.to_be_bytes();
        Self(u64::from(session.0) << 24 | u64::from(track) << 16 | u64::from(leaf) << 8 | u64::from(epoch))
    }

    /// Returns the key id with this value, `None` when it has more than 56 bits.
    #[must_use]
    pub fn from_value(value: u64) -> Option<Self> {
        (value >> 56 == 0).then_some(Self(value))
    }

    /// The value as the SFrame header carries it.
    #[must_use]
    pub const fn value(self) -> u64 {
        self.0
    }

    /// The session of the sender.
    #[must_use]
    pub const fn session(self) -> SenderSession {
        SenderSession((self.0 >> 24) as u32)
    }

    /// The track: [`VIDEO`], [`AUDIO`], or a later one.
    #[must_use]
    pub const fn track(self) -> u8 {
        (self.0 >> 16) as u8
    }

    /// The sender's leaf in the MLS tree; 0 is the camera.
    #[must_use]
    pub const fn leaf(self) -> u8 {
        (self.0 >> 8) as u8
    }

    /// The MLS epoch modulo 256.
    #[must_use]
    pub const fn epoch_bits(self) -> u8 {
        self.0 as u8
    }
}

impl fmt::Debug for Kid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kid")
            .field("session", &self.session().0)
            .field("track", &self.track())
            .field("leaf", &self.leaf())
            .field("epoch_bits", &self.epoch_bits())
            .finish()
    }
}

/// Tells apart the runs of one sender within an epoch, so that a restarted camera never repeats a nonce
/// although it starts counting from 0 again.
///
/// A camera takes it from [`crate::group::CameraGroup::next_session`], which gives none twice in an epoch as far as
/// its stored state knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SenderSession(pub u32);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_part_comes_back(session: u32, track: u8, leaf: u8, epoch: u64) {
            let kid = Kid::new(SenderSession(session), track, leaf, epoch);
            prop_assert_eq!(kid.session(), SenderSession(session));
            prop_assert_eq!(kid.track(), track);
            prop_assert_eq!(kid.leaf(), leaf);
            prop_assert_eq!(u64::from(kid.epoch_bits()), epoch % 256);
            prop_assert_eq!(Kid::from_value(kid.value()), Some(kid));
        }
    }

    #[test]
    fn layout_is_the_documented_one() {
        let kid = Kid::new(SenderSession(0x0102_0304), 5, 6, 0x1_07);
        assert_eq!(kid.value(), 0x01_0203_0405_0607);
        assert_eq!(Kid::from_value(1 << 56), None);
    }
}
