//! What a viewer's path carries: the estimate that pacing and the choice of layers go by.
//!
//! ```text
//! feedback ─▶ sent (what was it?) ─▶ trend ────── does a queue build up? ──┐
//!                                 ─▶ clusters ── how fast came a burst? ──┼─▶ estimator ─▶ Estimate ─▶ pacer, layers
//!                                 ─▶ throughput ─ how much came? ─────────┤
//!                                 ─▶ loss ────── how much did not? ───────┘
//! ```
//!
//! In the manner of Google's congestion control (draft-ietf-rmcat-gcc-02), for a source that does not obey: a camera sends
//! what it sends, mostly far less than the path carries, and each frame in one burst.

mod arrivals;
mod cluster;
mod estimator;
mod loss;
mod path;
mod queue;
mod sent;
mod throughput;
mod trend;

use std::time::Instant;

pub use arrivals::Arrivals;
pub(crate) use path::PROBE_PACKETS;
pub use path::Path;

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

/// Upper bounds of the buckets in which estimates are counted, in bits per second; one more counts what is above.
pub const ESTIMATE_BOUNDS: [u64; 9] =
    [100_000, 250_000, 500_000, 1_000_000, 2_000_000, 4_000_000, 8_000_000, 16_000_000, 32_000_000];
