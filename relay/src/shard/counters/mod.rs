//! What a shard counts: plain integers while it works, published with relaxed stores once per loop.
//!
//! The shard owns a [`Tally`]; readers see its last published copy through [`ShardCounters`]. All cells lie in one
//! array, so that publishing is one pass and no cell can be forgotten.

pub mod buckets;
pub mod events;
pub mod packets;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use latchkey_relay_core::bandwidth::ESTIMATE_BOUNDS;

use crate::shard::counters::buckets::{FORWARD_LATENCY_BOUNDS, JOIN_BOUNDS, bucket};
use crate::shard::counters::events::{Event, Gauge};
use crate::shard::counters::packets::{Direction, DropReason, Limited, PacketKind};
use crate::shard::end::EndReason;

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
        let cell = KINDS * direction as usize + kind as usize;
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
        let bucket = bucket(&FORWARD_LATENCY_BOUNDS, latency);
        self.cells[LATENCY + bucket] += packets;
        self.cells[LATENCY_SUM_NANOS] += latency.as_nanos() as u64 * packets;
    }

    pub(crate) fn joined(&mut self, after: Duration) {
        let bucket = bucket(&JOIN_BOUNDS, after);
        self.cells[JOIN + bucket] += 1;
        self.cells[JOIN_SUM_NANOS] += after.as_nanos() as u64;
    }

    pub(crate) fn key_frame_came(&mut self, after: Duration) {
        let bucket = bucket(&JOIN_BOUNDS, after);
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
        self.cells[PACKETS + KINDS * direction as usize + kind as usize]
    }

    /// UDP payload bytes of one kind and direction.
    pub fn bytes(&self, direction: Direction, kind: PacketKind) -> u64 {
        self.cells[BYTES + KINDS * direction as usize + kind as usize]
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

const KINDS: usize = PacketKind::ALL.len();
const PACKETS: usize = 0;
const BYTES: usize = PACKETS + Direction::ALL.len() * KINDS;
const DROPS: usize = BYTES + Direction::ALL.len() * KINDS;
const EVENTS: usize = DROPS + DropReason::ALL.len();
const GAUGES: usize = EVENTS + Event::COUNT;
const LIMITED: usize = GAUGES + Gauge::COUNT;
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
