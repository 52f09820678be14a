//! What a viewer's path carries: the estimate that pacing and the choice of layers go by.

use std::time::Instant;

/// How much a viewer's path carried when it was last worked out. Handed to a viewer's subscriptions when it changes by enough
/// to matter, and at least once a second while feedback comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Estimate {
    /// Bits per second of RTP packets, headers included, for all legs of the viewer together. It is never above twice what
    /// the path was seen to carry, unless a probe showed more, so a small value can mean that little was sent:
    /// see [`limited_by_source`](Self::limited_by_source).
    pub bits_per_second: u64,
    /// The path was not seen to hold anything up: the estimate is bounded by what was sent, not by the path.
    pub limited_by_source: bool,
    /// When it was worked out.
    pub at: Instant,
}
