//! Packets on their way from a room to its branches on other threads: copied once, read by all of them.
//!
//! ```text
//! heads    one per track: where its publisher begins, its newest key frame, its clock
//! entries  track, position, facts, lengths      bytes   | dependency descriptor | capture time | payload | next ...
//! ```
//!
//! Positions, timestamps and frame numbers are on the track's lines already, so a branch stores and never works out again.

use crate::gop::GopCache;
use crate::history::{Facts, Parts};
use crate::id::TrackId;
use crate::rates::Rates;
use crate::report::SourceClock;

/// Up to [`Parcel::PACKETS`] packets of one room. Its memory is allocated once; [`clear`](Parcel::clear) keeps it.
#[derive(Debug)]
pub struct Parcel {
    heads: Vec<Head>,
    entries: Vec<Entry>,
    bytes: Vec<u8>,
}

/// What a branch has to know about a track besides its packets.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) track: TrackId,
    /// Where the present publisher's forwarded packets begin.
    pub(crate) begin: u64,
    /// First position that this parcel speaks of.
    pub(crate) from: u64,
    pub(crate) gop: GopCache,
    pub(crate) clock: SourceClock,
    /// What its layers take, and when a packet came last.
    pub(crate) rates: Rates,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    track: TrackId,
    position: u64,
    facts: Facts,
    payload_len: u16,
    descriptor_len: u8,
    capture_len: u8,
}

/// The parcel has no room for this packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl Parcel {
    /// Packets in a parcel at most.
    pub const PACKETS: usize = 64;
    /// Bytes in a parcel at most.
    const BYTES: usize = 64 << 10;

    /// Allocates an empty parcel.
    pub fn new() -> Self {
        Self {
            heads: Vec::with_capacity(TRACKS),
            entries: Vec::with_capacity(Self::PACKETS),
            bytes: Vec::with_capacity(Self::BYTES),
        }
    }

    /// Empties it.
    pub fn clear(&mut self) {
        self.heads.clear();
        self.entries.clear();
        self.bytes.clear();
    }

    /// Packets in it.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no packet in it.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Says what a track's packets that follow belong to; the first word on a track counts.
    pub(crate) fn head(&mut self, track: TrackId, head: impl FnOnce() -> Head) {
        if !self.heads.iter().any(|known| known.track == track) {
            self.heads.push(head());
        }
    }

    /// Copies a packet in.
    ///
    /// # Errors
    /// [`Full`]; nothing has changed then.
    pub(crate) fn push(
        &mut self,
        track: TrackId,
        position: u64,
        facts: Facts,
        parts: &Parts<'_>,
    ) -> Result<(), Full> {
        let pieces = [parts.dependency_descriptor, parts.capture_time, parts.payload];
        let len: usize = pieces.iter().map(|piece| piece.len()).sum();
        if self.entries.len() == Self::PACKETS || self.bytes.len() + len > Self::BYTES {
            return Err(Full);
        }
        pieces.iter().for_each(|piece| self.bytes.extend_from_slice(piece));
        self.entries.push(Entry {
            track,
            position,
            facts,
            // What comes out of a history is as short as the history takes.
            payload_len: parts.payload.len() as u16,
            descriptor_len: parts.dependency_descriptor.len() as u8,
            capture_len: parts.capture_time.len() as u8,
        });
        Ok(())
    }

    pub(crate) fn heads(&self) -> &[Head] {
        &self.heads
    }

    /// The packets in the order they were put in.
    pub(crate) fn packets(&self) -> impl Iterator<Item = (TrackId, u64, Facts, Parts<'_>)> {
        let mut rest = &self.bytes[..];
        self.entries.iter().map(move |entry| {
            let (dependency_descriptor, after) = rest.split_at(usize::from(entry.descriptor_len));
            let (capture_time, after) = after.split_at(usize::from(entry.capture_len));
            let (payload, after) = after.split_at(usize::from(entry.payload_len));
            rest = after;
            let parts = Parts { dependency_descriptor, capture_time, payload };
            (entry.track, entry.position, entry.facts, parts)
        })
    }
}

impl Default for Parcel {
    fn default() -> Self {
        Self::new()
    }
}

/// Tracks that a room usually has at most.
const TRACKS: usize = 4;
