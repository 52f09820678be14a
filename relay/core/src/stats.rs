//! Plain counters of a room; the shell takes them about once per loop and adds them to its metrics.

use crate::bandwidth::ESTIMATE_BOUNDS;

/// What happened in a room since the counters were last taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// RTP packets of the publisher that were taken in (RTX included, drops excluded).
    pub packets_in: u64,
    /// Their bytes, without the SRTP tag.
    pub bytes_in: u64,
    /// Frames whose last packet came in.
    pub frames_in: u64,
    /// Key frames that began.
    pub key_frames_in: u64,
    /// RTP packets given to the sink, repairs included.
    pub packets_out: u64,
    /// Their bytes before sealing.
    pub bytes_out: u64,
    /// Packets of the publisher that came by its own RTX and filled a gap.
    pub repaired_in: u64,
    /// Sequence numbers requested from the publisher (each time counted).
    pub nacks_sent: u64,
    /// Sequence numbers that viewers requested.
    pub nacks_received: u64,
    /// Of these, answered by an RTX packet.
    pub repairs_sent: u64,
    /// Key-frame requests that viewers made (PLI and FIR).
    pub key_frame_requests_received: u64,
    /// Key-frame requests sent to the publisher.
    pub key_frame_requests_sent: u64,
    /// Viewers that started from the GOP cache.
    pub starts_from_cache: u64,
    /// Viewers that had to wait for a key frame.
    pub key_frame_waits: u64,
    /// Packets sent to viewers whose path was too slow for a train, and who got it spread. Part of `packets_out`.
    pub packets_paced: u64,
    /// Times that a viewer too far behind went on at a newer key frame.
    pub skips: u64,
    /// Feedback packets of viewers about all their packets.
    pub feedback_received: u64,
    /// Probes: bursts to see whether a path carries more.
    pub probes: u64,
    /// Estimates of viewers' paths, each viewer's once a second: one cell for each of
    /// [`ESTIMATE_BOUNDS`] and one for what is above.
    pub estimates: [u64; ESTIMATE_BOUNDS.len() + 1],
    /// Sum of these, in bits per second.
    pub estimates_sum: u64,
    /// Times that a viewer's leg went to a higher layer.
    pub layers_up: u64,
    /// Times that one went to a lower layer.
    pub layers_down: u64,
    drops: [u64; DropReason::ALL.len()],
}

impl Stats {
    /// How often `reason` applied.
    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.drops[reason as usize]
    }

    pub(crate) fn estimated(&mut self, bits_per_second: u64) {
        let cell = ESTIMATE_BOUNDS.iter().take_while(|bound| bits_per_second > **bound).count();
        self.estimates[cell] += 1;
        self.estimates_sum = self.estimates_sum.saturating_add(bits_per_second);
    }

    pub(crate) fn drop(&mut self, reason: DropReason) {
        self.drops[reason as usize] += 1;
    }
}

/// Why a packet or a request was not acted on. Closed, so that it may label a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DropReason {
    /// Not an RTP packet, or its header lies about its length.
    Malformed,
    /// No track has this SSRC and payload type.
    UnknownTrack,
    /// The sequence number was there already.
    Duplicate,
    /// Too far behind to have a place any more.
    Stale,
    /// Only padding; the viewers' sequence numbers close over it.
    PaddingOnly,
    /// Not shaped like sealed media.
    Unsealed,
    /// Larger than the history or an outgoing datagram can carry.
    TooLarge,
    /// A viewer asked to repeat a packet that is gone or never came.
    RepairGone,
    /// A viewer asked for more repairs than its budget allows, or its leg has no RTX.
    RepairDenied,
    /// A viewer asked for key frames too often.
    KeyFrameDenied,
}

impl DropReason {
    /// Every reason, in the order of the enum.
    pub const ALL: [DropReason; 10] = [
        DropReason::Malformed,
        DropReason::UnknownTrack,
        DropReason::Duplicate,
        DropReason::Stale,
        DropReason::PaddingOnly,
        DropReason::Unsealed,
        DropReason::TooLarge,
        DropReason::RepairGone,
        DropReason::RepairDenied,
        DropReason::KeyFrameDenied,
    ];

    /// The label of a metric: snake case, never changes.
    pub fn label(self) -> &'static str {
        match self {
            DropReason::Malformed => "malformed",
            DropReason::UnknownTrack => "unknown_track",
            DropReason::Duplicate => "duplicate",
            DropReason::Stale => "stale",
            DropReason::PaddingOnly => "padding_only",
            DropReason::Unsealed => "unsealed",
            DropReason::TooLarge => "too_large",
            DropReason::RepairGone => "repair_gone",
            DropReason::RepairDenied => "repair_denied",
            DropReason::KeyFrameDenied => "key_frame_denied",
        }
    }
}
