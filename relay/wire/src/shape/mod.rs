//! Does a publisher send frames shaped like ours? Seen from single packets, without putting frames together.
//!
//! Encryption cannot be seen from outside, its form can: an envelope exactly as [`crate::envelope`] makes it, then an
//! SFrame header in its shortest form whose key id is built like ours and whose counter counts on. The first
//! [`FRAMES_TO_SETTLE`] frames must have it before any is forwarded. This keeps out every publisher that sends in the
//! clear by mistake or by default; one who disguises plaintext as an SFrame on purpose harms only itself, since no
//! viewer opens its frames.
//!
//! `relay/docs/wire.md` works out how likely plain media passes. Opus has the best chance, as it has no envelope: what
//! browsers send is refused by its first byte, the modes they do not send pass below 2^-200.

mod frame_start;
mod key_history;
#[cfg(test)]
mod tests;

use crate::codec::Codec;
use frame_start::{FrameStart, FrameStarts};
use key_history::KeyHistory;

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
    #[error("frames are not sealed: no envelope in front")]
    NoEnvelope,
    /// Where the SFrame header should be is none, or one that is not in its shortest form.
    #[error("frames are not sealed: no SFrame header in its shortest form")]
    NoSframeHeader,
    /// The key id has not the form session, track, leaf, epoch, or names a track of the other kind.
    #[error("frames are not sealed: no key id of a session")]
    KeyId,
    /// The frame is shorter than SFrame header, inner header and tag.
    #[error("frames are not sealed: too short")]
    TooShort,
    /// The counter does not count on from the frames before.
    #[error("frames are not sealed: the counter does not count on")]
    Counter,
    /// The key id changes more often than members come and go.
    #[error("frames are not sealed: the key id changes too often")]
    KeyChanges,
    /// Many packets, but too few frames that begin as they should.
    #[error("no sealed frames among the first packets")]
    NeverSettled,
}

impl Refusal {
    /// Every refusal, for tables of counters.
    pub const ALL: [Self; 7] = [
        Self::NoEnvelope,
        Self::NoSframeHeader,
        Self::KeyId,
        Self::TooShort,
        Self::Counter,
        Self::KeyChanges,
        Self::NeverSettled,
    ];

    /// Returns the metric label.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::NoEnvelope => "no_envelope",
            Self::NoSframeHeader => "no_sframe_header",
            Self::KeyId => "key_id",
            Self::TooShort => "too_short",
            Self::Counter => "counter",
            Self::KeyChanges => "key_changes",
            Self::NeverSettled => "never_settled",
        }
    }
}

/// Frames that must be in shape before any is forwarded.
pub const FRAMES_TO_SETTLE: u32 = 8;

/// The check of one track. Holds no packets; about 150 bytes.
#[derive(Debug, Clone)]
pub struct ShapeCheck {
    starts: FrameStarts,
    keys: KeyHistory,
    verdict: Verdict,
    packets: u32,
    frames: u32,
}

impl ShapeCheck {
    /// Returns a check for a track of which nothing was seen.
    #[must_use]
    pub const fn new(codec: Codec) -> Self {
        Self {
            starts: FrameStarts::new(codec),
            keys: KeyHistory::new(),
            verdict: Verdict::Hold,
            packets: 0,
            frames: 0,
        }
    }

    /// Looks at one RTP payload (opened, without padding) of the track, in the order of arrival, each sequence number
    /// once. Packets may be missing or late. Empty payloads change nothing. Allocates nothing.
    pub fn inspect(&mut self, payload: &[u8]) -> Verdict {
        if payload.is_empty() || matches!(self.verdict, Verdict::Refuse(_)) {
            return self.verdict;
        }
        self.verdict = match self.judge(payload) {
            Ok(verdict) => verdict,
            Err(refusal) => Verdict::Refuse(refusal),
        };
        self.verdict
    }

    /// Returns the verdict so far.
    #[must_use]
    pub const fn verdict(&self) -> Verdict {
        self.verdict
    }

    fn judge(&mut self, payload: &[u8]) -> Result<Verdict, Refusal> {
        let settled = self.verdict == Verdict::Forward;
        if let FrameStart::Sealed(header) = self.starts.inspect(payload)? {
            self.keys.frame(header.kid, header.ctr, settled)?;
            self.frames = self.frames.saturating_add(1);
        }
        if settled || self.keys.distinct_frames() >= FRAMES_TO_SETTLE {
            return Ok(Verdict::Forward);
        }
        self.packets += 1;
        if self.frames >= MAX_FRAMES_TO_SETTLE || self.packets >= MAX_PACKETS_TO_SETTLE {
            return Err(Refusal::NeverSettled);
        }
        Ok(Verdict::Hold)
    }
}

/// Frames whose counters repeat do not settle a track; this many of them are enough to know.
const MAX_FRAMES_TO_SETTLE: u32 = 64;
/// Eight frames have far fewer packets than this, also where key frames are large and starts were lost.
const MAX_PACKETS_TO_SETTLE: u32 = 4096;
