//! Does a publisher send frames shaped like ours? Seen from single packets, without putting frames together.

use crate::codec::Codec;

/// What to do with the track after this packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Fewer than [`FRAMES_TO_SETTLE`] frames were seen; nothing of the track may be forwarded yet.
    Hold,
    /// The track is shaped like ours; this packet and those held may go out.
    Forward,
    /// The track is not ours. Final: every later packet gets the same answer.
    Refuse(Refusal),
}

/// Why a track is refused. The fault is the publisher's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The frame does not begin with the envelope of its codec: it is in the clear, or another application's.
    #[error("frames are not sealed by Latchkey: no envelope in front")]
    NoEnvelope,
    /// Where the SFrame header should be is none, or one that is not in its shortest form.
    #[error("frames are not sealed by Latchkey: no minimal SFrame header")]
    NoSframeHeader,
    /// The key id has not the form session, track, leaf, epoch, or names a track of the other kind.
    #[error("frames are not sealed by Latchkey: key id of another form")]
    KeyId,
    /// The frame is shorter than an SFrame header, inner header and tag.
    #[error("frames are not sealed by Latchkey: too short")]
    TooShort,
    /// The counter does not count on from the frames before.
    #[error("frame counter does not count on")]
    Counter,
    /// The key id changes more often than members can come and go.
    #[error("key id changes too often")]
    KeyChanges,
    /// Many packets, but not enough frames that begin as they should.
    #[error("no sealed frames among the first packets")]
    NeverSettled,
}

/// Frames that must be in shape before any is forwarded.
pub const FRAMES_TO_SETTLE: u32 = 8;

/// The check of one track.
#[derive(Debug, Clone)]
pub struct ShapeCheck {
    codec: Codec,
}

impl ShapeCheck {
    /// Returns a check for a track of which nothing was seen.
    #[must_use]
    pub const fn new(codec: Codec) -> Self {
        Self { codec }
    }

    /// Looks at one RTP payload (opened, without padding) of the track, in the order of arrival, each sequence number
    /// once. Empty payloads change nothing. Allocates nothing.
    pub fn inspect(&mut self, payload: &[u8]) -> Verdict {
        let _ = (self.codec, payload);
        Verdict::Hold
    }

    /// Returns the verdict so far.
    #[must_use]
    pub const fn verdict(&self) -> Verdict {
        Verdict::Hold
    }
}
