//! RTP packets of one track, in any order, become complete wire frames in order.
//!
//! ```text
//!   delivered │ next                 a gap        highest
//!   ──────────┼──■──■──■──■ frame ──■──■──□──■──■──■ ──▶ sequence numbers, 64 bits
//!             │           marker          └ waited for, then given up
//! ```
//!
//! A gap is waited for so that a repeated packet can close it. When that takes too long, sound goes on behind the gap;
//! video goes on with the next key frame, because what lies between cannot be decoded. As long as that has not come
//! there is nothing to go on with, and a late repetition still saves what came since.

mod unwrap;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use latchkey_wire::codec::{Codec, MediaKind};
use latchkey_wire::payload;

use crate::jitter::unwrap::Unwrapper;
use crate::transport::IncomingPacket;

/// The reorder buffer of one track. Sans-I/O: `now` is an argument, nothing happens between calls.
#[derive(Debug)]
pub struct Jitter {
    codec: Codec,
    limits: Limits,
    packets: BTreeMap<u64, Held>,
    sequence: Unwrapper<u16>,
    time: Unwrapper<u32>,
    /// The next number to deliver; `None` until a frame is found that decoding can start with.
    next: Option<u64>,
    /// Everything below was delivered or given up.
    floor: u64,
    late_in_a_row: u32,
    /// The present gap was waited for long enough, but there is no key frame behind it yet.
    overdue: bool,
    counters: Counters,
}

/// How long and how much is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long a gap is waited for after the packet behind it has come; in video at least until a key frame comes.
    pub wait: Duration,
    /// Packets held at most, waiting for others.
    pub packets: usize,
}

impl Default for Limits {
    /// 250 ms (two repetitions on a path of 100 ms) and 4096 packets (some 4 MB).
    fn default() -> Self {
        Self { wait: Duration::from_millis(250), packets: 4096 }
    }
}

/// A complete frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Depacketized {
    /// The wire frame, byte for byte as it was packetised.
    pub wire: Bytes,
    /// Whether decoding can start here, by the packet's own word: trust the sealed header instead.
    pub key: bool,
    /// RTP timestamp in ticks of the codec's clock, counted on beyond 32 bits.
    pub timestamp: u64,
    /// Number of the frame's last packet, counted on beyond 16 bits.
    pub last_sequence: u64,
    /// When the frame's first packet came.
    pub first_arrival: Instant,
}

/// What happened so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets that came, all of them.
    pub packets: u64,
    /// Packets that had come before.
    pub duplicates: u64,
    /// Packets that came when their place was delivered or given up.
    pub late: u64,
    /// Packets without payload.
    pub empty: u64,
    /// Packets that were waited for and given up.
    pub lost: u64,
    /// Packets that came but could not be used: their frame was broken, or no key frame was before them.
    pub unusable: u64,
    /// Complete frames given out.
    pub frames: u64,
    /// How often a gap was given up.
    pub gaps: u64,
}

#[derive(Debug)]
struct Held {
    timestamp: u64,
    marker: bool,
    payload: Bytes,
    arrived: Instant,
    /// A frame begins here that needs no other.
    starts: bool,
}

impl Jitter {
    /// Returns an empty buffer.
    #[must_use]
    pub fn new(codec: Codec, limits: Limits) -> Self {
        Self {
            codec,
            limits,
            packets: BTreeMap::new(),
            sequence: Unwrapper::default(),
            time: Unwrapper::default(),
            next: None,
            floor: 0,
            late_in_a_row: 0,
            overdue: false,
            counters: Counters::default(),
        }
    }

    /// Takes a packet in. Repeated and late ones are counted and dropped.
    pub fn push(&mut self, packet: IncomingPacket) {
        self.counters.packets += 1;
        let number = self.sequence.unwrap(packet.sequence_number);
        if number < self.next.unwrap_or(self.floor) {
            self.counters.late += 1;
            self.late_in_a_row += 1;
            if self.late_in_a_row < RESTARTED {
                return;
            }
            self.restart(number);
        }
        self.late_in_a_row = 0;
        if self.packets.contains_key(&number) {
            self.counters.duplicates += 1;
            return;
        }
        if packet.payload.is_empty() {
            self.counters.empty += 1;
        }
        let starts = !packet.payload.is_empty()
            && payload::starts_frame(self.codec, &packet.payload)
            && payload::is_key_frame(self.codec, &packet.payload);
        let held = Held {
            timestamp: self.time.unwrap(packet.timestamp),
            marker: packet.marker,
            payload: packet.payload,
            arrived: packet.arrived,
            starts,
        };
        self.packets.insert(number, held);
    }

    /// Returns the next complete frame. Call until it returns `None`: after each packet, and at [`deadline`](Self::deadline).
    pub fn pop(&mut self, now: Instant) -> Option<Depacketized> {
        self.overdue = false;
        loop {
            let next = match self.next {
                Some(next) => next,
                None => self.find_start(now)?,
            };
            match self.scan(next) {
                Scan::Whole { last } => {
                    if let Some(frame) = self.take(next, last) {
                        return Some(frame);
                    }
                }
                Scan::Empty { last } => self.drop_through(last),
                Scan::Waiting => {
                    if self.packets.len() <= self.limits.packets {
                        return None;
                    }
                    self.give_up(next + self.packets.len() as u64);
                }
                Scan::Gap { at, since } => {
                    let patient = now.saturating_duration_since(since) < self.limits.wait;
                    let waits = patient || !self.can_go_on_behind(at);
                    if waits && self.packets.len() <= self.limits.packets {
                        self.overdue = !patient;
                        return None;
                    }
                    self.give_up(at);
                }
            }
        }
    }

    /// When the present gap will have been waited for long enough; `None` when there is none, or only packets can help.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        if self.overdue {
            return None;
        }
        match self.scan(self.next?) {
            Scan::Gap { since, .. } => Some(since + self.limits.wait),
            _ => None,
        }
    }

    /// Returns whether nothing can be shown before a new key frame comes. Ask for one then, not more than once a second.
    #[must_use]
    pub fn wants_key_frame(&self) -> bool {
        (self.next.is_none() || self.overdue) && self.codec.kind() == MediaKind::Video
    }

    /// Sequence numbers that are missing before packets that came, at most `most`, for a transport that does not ask
    /// for them itself.
    #[must_use]
    pub fn missing(&self, most: usize) -> Vec<u16> {
        let Some(next) = self.next else { return Vec::new() };
        let mut expected = next;
        let mut missing = Vec::new();
        for number in self.packets.keys() {
            missing.extend((expected..*number).take(most - missing.len()).map(|lost| lost as u16));
            expected = number + 1;
        }
        missing
    }

    /// What happened so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// The sender counts from elsewhere: what is held belongs to a stream that has ended.
    fn restart(&mut self, number: u64) {
        self.abandon_below(u64::MAX);
        self.sequence.go_on_from(number);
        self.floor = number;
        self.next = None;
    }

    /// Looks from `next` on for the end of the frame that begins there.
    fn scan(&self, next: u64) -> Scan {
        let mut frame_time = None;
        for (expected, (number, held)) in (next..).zip(self.packets.range(next..)) {
            if *number != expected {
                return Scan::Gap { at: expected, since: held.arrived };
            }
            if held.payload.is_empty() {
                match frame_time {
                    None => return Scan::Empty { last: *number },
                    Some(_) => continue, // padding inside a frame
                }
            }
            if frame_time.is_some_and(|time| time != held.timestamp) {
                return Scan::Whole { last: number - 1 }; // its end was not marked, but another frame begins
            }
            frame_time = Some(held.timestamp);
            if held.marker || self.codec.kind() == MediaKind::Audio {
                return Scan::Whole { last: *number };
            }
        }
        Scan::Waiting
    }

    /// Finds a packet that begins a frame which needs no other, and drops what is before it.
    fn find_start(&mut self, now: Instant) -> Option<u64> {
        let start = self.packets.iter().find(|(_, held)| held.starts).map(|(number, _)| *number);
        if let Some(start) = start {
            self.abandon_below(start);
            self.next = Some(start);
            return Some(start);
        }
        // What is kept is what a late first packet could still make a frame of.
        while let Some((number, held)) = self.packets.first_key_value() {
            let hopeful = now.saturating_duration_since(held.arrived) < self.limits.wait;
            if hopeful && self.packets.len() <= self.limits.packets {
                break;
            }
            self.abandon_below(number + 1);
        }
        None
    }

    /// Takes the packets of a whole frame out. `None` when they are none after all: then the frame is lost.
    fn take(&mut self, first: u64, last: u64) -> Option<Depacketized> {
        let mut wire = Vec::new();
        let frame: Vec<&Held> = self
            .packets
            .range(first..=last)
            .map(|(_, held)| held)
            .filter(|held| !held.payload.is_empty())
            .collect();
        let payloads = frame.iter().map(|held| &held.payload[..]);
        let assembled = payload::assemble(self.codec, payloads, &mut wire);
        let head = frame.first().filter(|_| assembled.is_ok());
        let Some(head) = head else {
            self.go_on_at(last + 1);
            return None;
        };
        let frame = Depacketized {
            wire: wire.into(),
            key: payload::is_key_frame(self.codec, &head.payload),
            timestamp: head.timestamp,
            last_sequence: last,
            first_arrival: frame.iter().map(|held| held.arrived).min()?,
        };
        self.drop_through(last);
        self.counters.frames += 1;
        Some(frame)
    }

    /// Sound can always; video with a key frame.
    fn can_go_on_behind(&self, gap: u64) -> bool {
        self.codec.kind() == MediaKind::Audio || self.packets.range(gap..).any(|(_, held)| held.starts)
    }

    /// Goes on behind a place that cannot be repaired.
    fn give_up(&mut self, at: u64) {
        self.counters.gaps += 1;
        let behind = self.packets.range(at..).next().map(|(number, _)| *number);
        let behind = behind.unwrap_or(at);
        self.counters.lost += behind - at;
        self.go_on_at(behind);
    }

    /// Sound goes on with this packet; video needs a key frame first.
    fn go_on_at(&mut self, number: u64) {
        self.abandon_below(number);
        self.next = (self.codec.kind() == MediaKind::Audio).then_some(number);
    }

    fn drop_through(&mut self, last: u64) {
        self.packets = self.packets.split_off(&(last + 1));
        self.floor = last + 1;
        self.next = Some(last + 1);
    }

    fn abandon_below(&mut self, start: u64) {
        let kept = self.packets.split_off(&start);
        let dropped = std::mem::replace(&mut self.packets, kept);
        self.counters.unusable += dropped.values().filter(|held| !held.payload.is_empty()).count() as u64;
        self.floor = self.floor.max(start);
    }
}

enum Scan {
    /// The packets up to `last` are one frame.
    Whole { last: u64 },
    /// Only padding up to `last`.
    Empty { last: u64 },
    /// Everything there is follows without gap, the end has not come.
    Waiting,
    /// `at` is missing; the packet behind it came at `since`.
    Gap { at: u64, since: Instant },
}

/// So many late packets without one in time mean that the sender began anew.
const RESTARTED: u32 = 200;

#[cfg(test)]
mod tests;
