//! Which packets of a track a leg gets, and where it starts: at a key frame, or for audio at the next packet.
//!
//! There is one layer, so once started everything with a payload is kept. Choosing among layers belongs here and nowhere
//! else: a leg asks about every packet in order, and what is left out leaves no gap.

use std::time::{Duration, Instant};

use crate::history::Parts;
use crate::track::Track;

/// Decides for one leg.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Selector;

/// What to do with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// Send it.
    Keep,
    /// Leave it out; the numbers close over it.
    LeaveOut,
}

impl Selector {
    /// Returns the position where a leg that has sent nothing beyond `cursor` may start now, if there is one.
    pub(crate) fn start(&self, track: &Track, cursor: u64, now: Instant, gop_age: Duration) -> Option<u64> {
        let start = if track.is_video() { track.gop_start(now, gop_age)? } else { track.live_from()? };
        (start >= cursor).then_some(start)
    }

    /// Decides about one packet.
    #[inline]
    pub(crate) fn choose(&self, parts: &Parts<'_>) -> Choice {
        if parts.payload.is_empty() { Choice::LeaveOut } else { Choice::Keep }
    }
}
