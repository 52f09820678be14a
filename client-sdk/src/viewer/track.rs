//! One track as it comes: its jitter buffer, and whether it can be decoded.

use std::time::{Duration, Instant};

use latchkey_wire::codec::{Codec, MediaKind};

use crate::jitter::{Counters, Jitter, Limits};

/// Video first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct MediaKindOrder(pub(super) u8);

/// What comes of picture or sound.
pub(super) struct Track {
    pub(super) codec: Codec,
    pub(super) jitter: Jitter,
    pub(super) first_timestamp: Option<u64>,
    /// Nothing can be decoded before the next key frame.
    pub(super) needs_key: bool,
    /// Since when there has been nothing to show.
    pub(super) blind_since: Option<Instant>,
}

impl Track {
    pub(super) fn new(codec: Codec) -> Self {
        Self {
            codec,
            jitter: Jitter::new(codec, Limits::default()),
            first_timestamp: None,
            needs_key: codec.kind() == MediaKind::Video,
            blind_since: None,
        }
    }
}

/// Adds counters of a jitter buffer to a sum.
pub(super) fn add(sum: &mut Counters, more: Counters) {
    sum.packets += more.packets;
    sum.duplicates += more.duplicates;
    sum.late += more.late;
    sum.empty += more.empty;
    sum.lost += more.lost;
    sum.unusable += more.unusable;
    sum.frames += more.frames;
    sum.gaps += more.gaps;
}

/// The time that ticks of a codec's RTP clock take.
pub(super) fn duration_of(ticks: u64, codec: Codec) -> Duration {
    let nanoseconds = u128::from(ticks) * 1_000_000_000 / u128::from(codec.clock_rate());
    Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
}
