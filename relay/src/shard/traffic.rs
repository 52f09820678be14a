//! What one room costs and what its viewers get, kept by its shard and read by operators.

use std::time::Duration;

use latchkey_relay_core::room::LayerFigures;
use latchkey_relay_core::{DropReason, Stats};
use latchkey_wire::id::RoomId;

use crate::shard::counters::buckets::{FORWARD_LATENCY_BOUNDS, bucket};

/// One room as one shard sees it, when asked.
#[derive(Clone, Debug)]
pub struct RoomFigures {
    /// Which room.
    pub room: RoomId,
    /// Somebody publishes into it, on this shard.
    pub live: bool,
    /// Viewing sessions, those that still connect included.
    pub viewers: usize,
    /// Since the room began on this shard.
    pub traffic: RoomTraffic,
    /// Layers of its video, from the least to the most.
    pub layers: Vec<LayerFigures>,
}

/// Counters of a room since it began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoomTraffic {
    /// RTP packets of the publisher that were taken in.
    pub packets_in: u64,
    /// Their bytes, without SRTP's tag.
    pub bytes_in: u64,
    /// RTP packets sent to viewers, repairs included.
    pub packets_out: u64,
    /// Their bytes, SRTP included.
    pub bytes_out: u64,
    /// Packets sent again at a viewer's wish.
    pub repaired: u64,
    /// Packets of its sessions dropped because they sent more than they may.
    pub over_limit: u64,
    /// Authentic packets of its publisher that the room refused: duplicates, too late, of no track, not sealed.
    pub refused: u64,
    /// Sent packets by latency: one cell for each bound of [`FORWARD_LATENCY_BOUNDS`] and one for what is above.
    pub latency: [u64; FORWARD_LATENCY_BOUNDS.len() + 1],
}

impl RoomTraffic {
    pub(super) fn took_in(&mut self, stats: &Stats) {
        self.packets_in += stats.packets_in;
        self.bytes_in += stats.bytes_in;
        self.refused += REFUSED.iter().map(|reason| stats.dropped(*reason)).sum::<u64>();
    }

    pub(super) fn forwarded(&mut self, latency: Duration, packets: u64) {
        let cell = bucket(&FORWARD_LATENCY_BOUNDS, latency);
        self.latency[cell] += packets;
    }

    /// Adds what another shard saw of the same room.
    pub fn merge(&mut self, other: &Self) {
        self.packets_in += other.packets_in;
        self.bytes_in += other.bytes_in;
        self.packets_out += other.packets_out;
        self.bytes_out += other.bytes_out;
        self.repaired += other.repaired;
        self.over_limit += other.over_limit;
        self.refused += other.refused;
        self.latency.iter_mut().zip(other.latency).for_each(|(mine, theirs)| *mine += theirs);
    }
}

/// What of a room's reasons is about packets of its publisher; the others are about wishes of viewers.
const REFUSED: [DropReason; 6] = [
    DropReason::Malformed,
    DropReason::UnknownTrack,
    DropReason::Duplicate,
    DropReason::Stale,
    DropReason::Unsealed,
    DropReason::TooLarge,
];
