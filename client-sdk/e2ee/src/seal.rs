//! Sealing: one frame of the camera becomes one SFrame ciphertext (RFC 9605 section 4.4.3).
//!
//! ```text
//! out = SFrame header || AES-128-GCM(inner header || frame) || tag        AAD = SFrame header || envelope
//! ```
//!
//! Now and then a checkpoint block stands between inner header and frame, as [`crate::inner`] says.

use latchkey_api::checks::{self, Check};
use latchkey_cipher::TAG_LEN;
use latchkey_wire::sframe_header::MAX_LEN;
use sframe::crypto::EncryptionBufferView;
use sframe::header::SframeHeader;

use crate::checkpoint::MAX_BLOCK_BYTES;
use crate::cipher::SealingKey;
use crate::inner::InnerHeader;
use crate::key_schedule::EpochKeys;
use crate::kid::{Kid, SenderSession};

/// Largest frame that is sealed or opened, in bytes.
pub const MAX_FRAME_BYTES: usize = 16 * 1024 * 1024;
/// Bytes of a block's length in front of it.
pub(crate) const BLOCK_LENGTH_LEN: usize = 4;
/// Frames that one key seals at most; then a new epoch is needed. At 30 per second these last 4 years.
pub const MAX_FRAMES_PER_KEY: u64 = 1 << 32;

/// Seals the frames of one sender in one session. Counts per track from 0 and never repeats a counter.
pub struct FrameSealer {
    keys: EpochKeys,
    session: SenderSession,
    tracks: Vec<TrackKey>,
    aad: Vec<u8>,
    aead_calls: u64,
}

impl FrameSealer {
    /// Returns a sealer for the device's own leaf. The session must be new for this epoch: take it from
    /// [`crate::group::CameraGroup::next_session`].
    #[must_use]
    pub fn new(keys: &EpochKeys, session: SenderSession) -> Self {
        Self { keys: keys.copy(), session, tracks: Vec::new(), aad: Vec::with_capacity(256), aead_calls: 0 }
    }

    /// Goes on with the keys of a later epoch; the very next frame is sealed with them. The same epoch
    /// again changes nothing, so counters never start over under a key that was used.
    ///
    /// # Errors
    /// [`SealError::OldEpoch`] for an earlier epoch of the same group.
    pub fn rekey(&mut self, keys: &EpochKeys) -> Result<(), SealError> {
        if keys.group == self.keys.group && keys.own_leaf == self.keys.own_leaf {
            if keys.epoch == self.keys.epoch {
                return Ok(());
            }
            if keys.epoch < self.keys.epoch {
                return Err(SealError::OldEpoch);
            }
        }
        self.keys = keys.copy();
        self.tracks.clear();
        Ok(())
    }

    /// Seals one frame. `out` becomes the SFrame bytes, without the envelope; what it held is dropped,
    /// its capacity is used again. `envelope` is authenticated with the frame and travels in clear.
    ///
    /// # Errors
    /// [`SealError::TooLarge`] for a frame above [`MAX_FRAME_BYTES`], [`SealError::Exhausted`] when the
    /// track's key has sealed [`MAX_FRAMES_PER_KEY`] frames, [`SealError::Cipher`]. After an error `out`
    /// is empty, and the counter that was to be used is not used again.
    pub fn seal(
        &mut self,
        track: u8,
        header: InnerHeader,
        envelope: &[u8],
        frame: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Sealed, SealError> {
        self.seal_with(track, header, None, envelope, frame, out)
    }

    /// Seals one frame that carries a [checkpoint](crate::checkpoint) block, where there is one; else as
    /// [`Self::seal`].
    ///
    /// # Errors
    /// As [`Self::seal`]; [`SealError::TooLarge`] also for a block above [`MAX_BLOCK_BYTES`].
    pub fn seal_with(
        &mut self,
        track: u8,
        header: InnerHeader,
        block: Option<&[u8]>,
        envelope: &[u8],
        frame: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Sealed, SealError> {
        out.clear();
        if frame.len() > MAX_FRAME_BYTES || block.is_some_and(|block| block.len() > MAX_BLOCK_BYTES) {
            return Err(SealError::TooLarge);
        }
        let track = self.track(track)?;
        let key = self.tracks.get_mut(track).ok_or(SealError::Cipher)?;
        let ctr = key.next;
        if ctr >= MAX_FRAMES_PER_KEY {
            return Err(SealError::Exhausted);
        }
        key.next += 1;

        let sframe_header = SframeHeader::new(key.kid.value(), ctr);
        let mut bytes = [0; MAX_LEN];
        let bytes = bytes.get_mut(..sframe_header.len()).ok_or(SealError::Cipher)?;
        sframe_header.serialize(&mut *bytes).map_err(|_| SealError::Cipher)?;
        self.aad.clear();
        self.aad.reserve(MAX_LEN + envelope.len());
        self.aad.extend_from_slice(bytes);
        if !checks::skipped(Check::FrameEnvelope) {
            self.aad.extend_from_slice(envelope);
        }

        let block_len = block.map_or(0, |block| BLOCK_LENGTH_LEN + block.len());
        let plain_len = InnerHeader::LEN + block_len + frame.len();
        out.reserve(bytes.len() + plain_len + TAG_LEN);
        out.extend_from_slice(bytes);
        match block {
            None => out.extend_from_slice(&header.to_bytes()),
            Some(block) => {
                let len = u32::try_from(block.len()).map_err(|_| SealError::TooLarge)?;
                out.extend_from_slice(&header.to_bytes_before_block());
                out.extend_from_slice(&len.to_be_bytes());
                out.extend_from_slice(block);
            }
        }
        out.extend_from_slice(frame);
        out.extend_from_slice(&[0; TAG_LEN]);
        let body = out.split_at_mut(bytes.len()).1;
        let (data, tag) = body.split_at_mut(plain_len);
        let buffer = EncryptionBufferView { aad: &mut self.aad, data, tag };
        self.aead_calls += 1;
        if key.key.encrypt(buffer, ctr).is_err() {
            out.clear();
            return Err(SealError::Cipher);
        }
        Ok(Sealed { kid: key.kid, ctr })
    }

    /// How often the cipher was called: once per frame, however many watch.
    #[must_use]
    pub fn aead_calls(&self) -> u64 {
        self.aead_calls
    }

    /// The session that this sealer's key ids name.
    #[must_use]
    pub fn session(&self) -> SenderSession {
        self.session
    }

    /// The epoch whose keys it uses.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.keys.epoch
    }

    fn track(&mut self, track: u8) -> Result<usize, SealError> {
        let kid = Kid::new(self.session, track, self.keys.own_leaf, self.keys.epoch);
        if let Some(at) = self.tracks.iter().position(|known| known.kid == kid) {
            return Ok(at);
        }
        let key = self.keys.sealing_key(kid).ok_or(SealError::Cipher)?;
        self.tracks.push(TrackKey { kid, key, next: 0 });
        Ok(self.tracks.len() - 1)
    }
}

/// Under which key id and counter a frame was sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// The key id.
    pub kid: Kid,
    /// The counter.
    pub ctr: u64,
}

/// A frame cannot be sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// The caller's frame is larger than [`MAX_FRAME_BYTES`].
    #[error("the frame is larger than {MAX_FRAME_BYTES} bytes")]
    TooLarge,
    /// The key has sealed as many frames as it may: commit a new epoch and [`FrameSealer::rekey`].
    #[error("the key of this track is used up; a new epoch is needed")]
    Exhausted,
    /// The caller wants to go back to an earlier epoch, where counters would repeat.
    #[error("the epoch is earlier than the one in use")]
    OldEpoch,
    /// The cipher failed. Ours.
    #[error("the cipher failed")]
    Cipher,
}

struct TrackKey {
    kid: Kid,
    key: SealingKey,
    next: u64,
}

#[cfg(test)]
mod tests;
