//! What a shard counts: plain integers while it works, published with relaxed stores once per loop.
//!
//! The shard owns a [`Tally`]; readers see its last published copy through [`ShardCounters`]. All cells lie in one
//! array, so that publishing is one pass and no cell can be forgotten.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use latchkey_relay_core::bandwidth::ESTIMATE_BOUNDS;

use crate::shard::end::EndReason;

/// Which way a packet went, seen from the relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From a peer to the relay.
    In,
    /// From the relay to a peer.
    Out,
}

/// What a packet carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketKind {
    /// RTP of a video track, RTX included.
    Video,
    /// RTP of an audio track.
    Audio,
    /// RTCP.
    Rtcp,
    /// STUN and DTLS.
    Transport,
}

/// Why an inbound packet went no further. Labels as in `relay_packets_dropped_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropReason {
    /// A bounded queue of ours, or the socket's send buffer, was full.
    QueueFull,
    /// Not a packet of the protocol that its first byte names.
    Malformed,
    /// Integrity check, authentication tag or handshake failed.
    Auth,
    /// From an address without a session, or naming a session that does not exist.
    UnknownPeer,
    /// The peer sends more than it may.
    RateLimit,
    /// Authentic, but seen before or too old.
    Replay,
    /// Authentic, but not allowed: unknown SSRC, media of a viewer, unsealed media, an unnegotiated payload type.
    Policy,
}

/// Control traffic worth counting on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Sequence numbers asked for by viewers' NACKs.
    NackedPackets,
    /// Packets sent again on an RTX stream.
    RtxPackets,
    /// Payload bytes sent again on an RTX stream.
    RtxBytes,
    /// Key frame requests (PLI or FIR) from viewers.
    PliIn,
    /// Key frame requests sent to publishers.
    PliOut,
    /// NACKs sent to publishers.
    NackOut,
    /// Sessions taken in.
    SessionOpened,
    /// DTLS handshakes completed.
    DtlsConnected,
    /// Datagrams that the kernel dropped because the receive buffer was full (SO_RXQ_OVFL).
    SocketReceiveDrops,
    /// Datagrams handed to another shard.
    HandedOver,
    /// Send system calls.
    SendCalls,
    /// GSO trains (or single datagrams) handed to the kernel.
    Trains,
    /// Sessions that sent more than they may, each counted once.
    SessionsLimited,
    /// Processor time of the shard's thread, in microseconds.
    CpuMicros,
    /// Packets of rooms handed to other shards that have viewers of them.
    HandedOn,
    /// Times that packets for other shards had to wait for the next batch, because too many were under way.
    HandOnsPutOff,
    /// Feedback of viewers about all packets sent to them (transport-cc).
    TransportFeedbackIn,
    /// The same, sent to publishers.
    TransportFeedbackOut,
    /// Packets that went out spread, because their viewer's path is slower than a burst.
    PacedPackets,
    /// Times that a viewer too far behind its path went on at a newer key frame.
    Skips,
    /// Bursts sent to see whether a viewer's path carries more.
    Probes,
    /// Times that a viewer's video went to a higher layer.
    LayersUp,
    /// Times that one went to a lower layer.
    LayersDown,
}

/// What is there now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gauge {
    /// Rooms with a publisher.
    Rooms,
    /// Publishing sessions.
    Publishers,
    /// Viewing sessions.
    Viewers,
    /// Sessions of both roles whose DTLS handshake is not done.
    Connecting,
    /// Processor time of the shard's thread in the last second, in thousandths of a processor. Of one shard: not to be added up.
    LoadPerMille,
    /// Video legs that get the smallest layer of their source.
    Layer0,
    /// The next larger one.
    Layer1,
    /// The one above that.
    Layer2,
    /// One above these.
    LayersAbove,
    /// Video legs that get key frames only, whatever their layer.
    KeyFramesOnly,
    /// Layers that their publisher was asked to pause.
    PausedLayers,
}

/// What somebody sent too much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limited {
    /// RTP packets of a publisher.
    MediaPackets,
    /// RTP bytes of a publisher.
    MediaBytes,
    /// STUN, DTLS or RTCP packets.
    ControlPackets,
    /// Bytes of them.
    ControlBytes,
}

/// Upper bounds of the forward latency buckets, 50 µs to 50 ms; one more cell counts what is above.
pub const FORWARD_LATENCY_BOUNDS: [Duration; 13] = [
    Duration::from_micros(50),
    Duration::from_micros(100),
    Duration::from_micros(200),
    Duration::from_micros(400),
    Duration::from_micros(600),
    Duration::from_micros(800),
    Duration::from_millis(1),
    Duration::from_millis(2),
    Duration::from_millis(4),
    Duration::from_millis(8),
    Duration::from_millis(15),
    Duration::from_millis(25),
    Duration::from_millis(50),
];

/// Upper bounds of the buckets for joins (command to first forwarded packet) and for waits for a key frame; one more cell
/// counts what is above.
pub const JOIN_BOUNDS: [Duration; 9] = [
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_millis(1000),
    Duration::from_millis(2500),
    Duration::from_millis(5000),
    Duration::from_millis(10_000),
];

const PACKETS: usize = 0;
const BYTES: usize = PACKETS + 2 * 4;
const DROPS: usize = BYTES + 2 * 4;
const EVENTS: usize = DROPS + 7;
const GAUGES: usize = EVENTS + 23;
const LIMITED: usize = GAUGES + 11;
const ENDS: usize = LIMITED + Limited::ALL.len();
const LATENCY: usize = ENDS + EndReason::ALL.len();
const LATENCY_SUM_NANOS: usize = LATENCY + FORWARD_LATENCY_BOUNDS.len() + 1;
const JOIN: usize = LATENCY_SUM_NANOS + 1;
const JOIN_SUM_NANOS: usize = JOIN + JOIN_BOUNDS.len() + 1;
const KEY_FRAME: usize = JOIN_SUM_NANOS + 1;
const KEY_FRAME_SUM_NANOS: usize = KEY_FRAME + JOIN_BOUNDS.len() + 1;
const ESTIMATE: usize = KEY_FRAME_SUM_NANOS + 1;
const ESTIMATE_SUM: usize = ESTIMATE + ESTIMATE_BOUNDS.len() + 1;
const CELLS: usize = ESTIMATE_SUM + 1;

/// The shard's own counters, and what a reader gets as a snapshot.
#[derive(Clone, Debug)]
pub struct Tally {
    cells: [u64; CELLS],
}

impl Default for Tally {
    fn default() -> Self {
        Self { cells: [0; CELLS] }
    }
}

impl Tally {
    pub(crate) fn add_packets(&mut self, direction: Direction, kind: PacketKind, packets: u64, bytes: u64) {
        let cell = 4 * direction as usize + kind as usize;
        self.cells[PACKETS + cell] += packets;
        self.cells[BYTES + cell] += bytes;
    }

    pub(crate) fn drop_one(&mut self, reason: DropReason) {
        self.cells[DROPS + reason as usize] += 1;
    }

    pub(crate) fn drop_many(&mut self, reason: DropReason, packets: u64) {
        self.cells[DROPS + reason as usize] += packets;
    }

    pub(crate) fn add(&mut self, event: Event, n: u64) {
        self.cells[EVENTS + event as usize] += n;
    }

    pub(crate) fn set(&mut self, gauge: Gauge, value: usize) {
        self.cells[GAUGES + gauge as usize] = value as u64;
    }

    pub(crate) fn ended(&mut self, reason: EndReason) {
        self.cells[ENDS + reason as usize] += 1;
    }

    pub(crate) fn forwarded(&mut self, latency: Duration, packets: u64) {
        let bucket = FORWARD_LATENCY_BOUNDS.iter().take_while(|bound| latency > **bound).count();
        self.cells[LATENCY + bucket] += packets;
        self.cells[LATENCY_SUM_NANOS] += latency.as_nanos() as u64 * packets;
    }

    pub(crate) fn joined(&mut self, after: Duration) {
        let bucket = JOIN_BOUNDS.iter().take_while(|bound| after > **bound).count();
        self.cells[JOIN + bucket] += 1;
        self.cells[JOIN_SUM_NANOS] += after.as_nanos() as u64;
    }

    pub(crate) fn key_frame_came(&mut self, after: Duration) {
        let bucket = JOIN_BOUNDS.iter().take_while(|bound| after > **bound).count();
        self.cells[KEY_FRAME + bucket] += 1;
        self.cells[KEY_FRAME_SUM_NANOS] += after.as_nanos() as u64;
    }

    pub(crate) fn estimated(&mut self, cells: &[u64; ESTIMATE_BOUNDS.len() + 1], sum: u64) {
        self.cells[ESTIMATE..ESTIMATE_SUM].iter_mut().zip(cells).for_each(|(mine, more)| *mine += more);
        self.cells[ESTIMATE_SUM] = self.cells[ESTIMATE_SUM].wrapping_add(sum);
    }

    pub(crate) fn limit(&mut self, what: Limited) {
        self.cells[LIMITED + what as usize] += 1;
    }

    /// Packets of one kind and direction.
    pub fn packets(&self, direction: Direction, kind: PacketKind) -> u64 {
        self.cells[PACKETS + 4 * direction as usize + kind as usize]
    }

    /// UDP payload bytes of one kind and direction.
    pub fn bytes(&self, direction: Direction, kind: PacketKind) -> u64 {
        self.cells[BYTES + 4 * direction as usize + kind as usize]
    }

    /// Packets dropped for one reason.
    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.cells[DROPS + reason as usize]
    }

    /// How often something happened.
    pub fn event(&self, event: Event) -> u64 {
        self.cells[EVENTS + event as usize]
    }

    /// How many there are now.
    pub fn gauge(&self, gauge: Gauge) -> u64 {
        self.cells[GAUGES + gauge as usize]
    }

    /// Sessions ended for one reason.
    pub fn sessions_ended(&self, reason: EndReason) -> u64 {
        self.cells[ENDS + reason as usize]
    }

    /// Forwarded packets by latency from the kernel's receive stamp to the send call: one cell per bound of
    /// [`FORWARD_LATENCY_BOUNDS`], then one for what is above; not cumulative.
    pub fn forward_latency(&self) -> &[u64] {
        &self.cells[LATENCY..LATENCY_SUM_NANOS]
    }

    /// Sum of all forward latencies.
    pub fn forward_latency_sum(&self) -> Duration {
        Duration::from_nanos(self.cells[LATENCY_SUM_NANOS])
    }

    /// Viewers by time from the join command to their first packet, as in [`Tally::forward_latency`].
    pub fn join_time(&self) -> &[u64] {
        &self.cells[JOIN..JOIN_SUM_NANOS]
    }

    /// Sum of all join times.
    pub fn join_time_sum(&self) -> Duration {
        Duration::from_nanos(self.cells[JOIN_SUM_NANOS])
    }

    /// Key frames that came after they were asked for, by the time from the first request, as in
    /// [`Tally::forward_latency`].
    pub fn key_frame_wait(&self) -> &[u64] {
        &self.cells[KEY_FRAME..KEY_FRAME_SUM_NANOS]
    }

    /// Sum of all waits for a key frame.
    pub fn key_frame_wait_sum(&self) -> Duration {
        Duration::from_nanos(self.cells[KEY_FRAME_SUM_NANOS])
    }

    /// Estimates of what viewers' paths carry, each viewer's once a second: one cell per bound of [`ESTIMATE_BOUNDS`], then one
    /// for what is above; not cumulative.
    pub fn estimates(&self) -> &[u64] {
        &self.cells[ESTIMATE..ESTIMATE_SUM]
    }

    /// Sum of them, in bits per second.
    pub fn estimates_sum(&self) -> u64 {
        self.cells[ESTIMATE_SUM]
    }

    /// Packets dropped because a session sent too much of this. They are part of [`DropReason::RateLimit`].
    pub fn limited(&self, what: Limited) -> u64 {
        self.cells[LIMITED + what as usize]
    }

    /// Adds another shard's counters, for a total over shards.
    pub fn merge(&mut self, other: &Tally) {
        for (mine, theirs) in self.cells.iter_mut().zip(other.cells) {
            *mine += theirs;
        }
    }
}

/// The published side: written by the shard about once per loop, read by anyone at any time.
#[derive(Debug)]
pub struct ShardCounters {
    cells: [AtomicU64; CELLS],
}

impl Default for ShardCounters {
    fn default() -> Self {
        Self { cells: [const { AtomicU64::new(0) }; CELLS] }
    }
}

impl ShardCounters {
    /// The counters as last published. Cells are read one by one: sums may differ by what happened in between.
    pub fn snapshot(&self) -> Tally {
        let mut tally = Tally::default();
        for (out, cell) in tally.cells.iter_mut().zip(&self.cells) {
            *out = cell.load(Ordering::Relaxed);
        }
        tally
    }

    pub(crate) fn publish(&self, tally: &Tally) {
        for (cell, value) in self.cells.iter().zip(tally.cells) {
            cell.store(value, Ordering::Relaxed);
        }
    }
}

impl Direction {
    /// Both directions.
    pub const ALL: [Self; 2] = [Self::In, Self::Out];

    /// The metric label.
    pub fn label(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
        }
    }
}

impl PacketKind {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Video, Self::Audio, Self::Rtcp, Self::Transport];

    /// The metric label.
    pub fn label(self) -> &'static str {
        match self {
            Self::Video => "video",
            Self::Audio => "audio",
            Self::Rtcp => "rtcp",
            Self::Transport => "transport",
        }
    }
}

impl Limited {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::MediaPackets, Self::MediaBytes, Self::ControlPackets, Self::ControlBytes];

    /// The metric labels: what was sent, and which limit it reached.
    pub fn labels(self) -> (&'static str, &'static str) {
        match self {
            Self::MediaPackets => ("media", "packets"),
            Self::MediaBytes => ("media", "bytes"),
            Self::ControlPackets => ("control", "packets"),
            Self::ControlBytes => ("control", "bytes"),
        }
    }
}

impl DropReason {
    /// All reasons.
    pub const ALL: [Self; 7] = [
        Self::QueueFull,
        Self::Malformed,
        Self::Auth,
        Self::UnknownPeer,
        Self::RateLimit,
        Self::Replay,
        Self::Policy,
    ];

    /// The metric label.
    pub fn label(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::Malformed => "malformed",
            Self::Auth => "auth",
            Self::UnknownPeer => "unknown_peer",
            Self::RateLimit => "rate_limit",
            Self::Replay => "replay",
            Self::Policy => "policy",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cell_has_one_meaning() {
        let mut tally = Tally::default();
        let mut counted = 0;
        for direction in Direction::ALL {
            for kind in PacketKind::ALL {
                tally.add_packets(direction, kind, 1, 1);
                counted += 2;
            }
        }
        for reason in DropReason::ALL {
            tally.drop_one(reason);
            counted += 1;
        }
        for reason in EndReason::ALL {
            tally.ended(reason);
            counted += 1;
        }
        for what in Limited::ALL {
            tally.limit(what);
            counted += 1;
        }
        for event in [Event::NackedPackets, Event::Probes] {
            tally.add(event, 1);
            counted += 1;
        }
        for gauge in [Gauge::Rooms, Gauge::LoadPerMille] {
            tally.set(gauge, 1);
            counted += 1;
        }
        tally.forwarded(Duration::from_nanos(1), 1);
        tally.forwarded(Duration::from_secs(1), 1);
        tally.joined(Duration::from_nanos(1));
        tally.joined(Duration::from_secs(60));
        tally.key_frame_came(Duration::from_nanos(1));
        tally.key_frame_came(Duration::from_secs(60));
        counted += 6;
        let mut ends = [0; ESTIMATE_BOUNDS.len() + 1];
        (ends[0], ends[ESTIMATE_BOUNDS.len()]) = (1, 1);
        tally.estimated(&ends, 1);
        counted += 3;
        let ones = tally.cells.iter().filter(|cell| **cell == 1).count();
        assert_eq!(ones, counted, "two counters share a cell");
    }

    #[test]
    fn a_published_tally_is_read_back() {
        let shared = ShardCounters::default();
        let mut tally = Tally::default();
        tally.forwarded(Duration::from_micros(70), 3);
        shared.publish(&tally);
        let seen = shared.snapshot();
        assert_eq!(seen.forward_latency()[1], 3);
        assert_eq!(seen.forward_latency_sum(), Duration::from_micros(210));
    }
}
