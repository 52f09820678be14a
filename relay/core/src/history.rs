//! The one ring of a track: its opened packets, for repair, for joining viewers, and as the place that forwarding reads from.
//!
//! Slots are found by position, bytes lie in a preallocated arena in order of arrival:
//!
//! ```text
//! slots   [position & mask] -> position, facts, where          arena  | dependency descriptor | capture time | payload |
//! ```
//!
//! Nothing is ever freed: newer packets overwrite older ones, and a slot knows whether its bytes are still there.

use latchkey_wire::dependency_descriptor::LayerSet;

/// Packets of one track by position, bounded in packets and bytes.
#[derive(Debug)]
pub(crate) struct History {
    slots: Box<[Slot]>,
    arena: Box<[u8]>,
    /// Bytes ever written, gaps at the arena's end included; modulo the arena's length it is the place to write next.
    written: u64,
}

/// What is known about a packet without looking at its bytes; learnt once, read by every leg.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    /// On the track's time line.
    pub(crate) timestamp: u32,
    /// Last packet of its frame.
    pub(crate) marker: bool,
    /// First packet of a key frame.
    pub(crate) starts_key_frame: bool,
    /// What its dependency descriptor says of layers; for a packet without one that it belongs to all of them.
    pub(crate) layers: LayerFacts,
}

impl Facts {
    const NONE: Self =
        Self { timestamp: 0, marker: false, starts_key_frame: false, layers: LayerFacts::WITHOUT_LAYERS };
}

/// What a packet is to the layers of its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LayerFacts {
    /// Viewers of these layers need it.
    pub(crate) needed_by: LayerSet,
    /// With its frame a viewer may go on to these.
    pub(crate) switches_to: LayerSet,
    /// Spatial layer of its frame.
    pub(crate) spatial: u8,
    /// Last packet of a frame, though perhaps not of the picture.
    pub(crate) ends_frame: bool,
    /// First packet of a frame.
    pub(crate) starts_frame: bool,
}

impl LayerFacts {
    /// Of a packet that says nothing of layers.
    pub(crate) const WITHOUT_LAYERS: Self = Self {
        needed_by: LayerSet::ALL,
        switches_to: LayerSet::NONE,
        spatial: 0,
        ends_frame: false,
        starts_frame: false,
    };
}

impl Default for LayerFacts {
    fn default() -> Self {
        Self::WITHOUT_LAYERS
    }
}

/// The bytes of a packet that legs may send.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Parts<'a> {
    /// Dependency descriptor, frame number already on the track's line; empty when the packet has none.
    pub(crate) dependency_descriptor: &'a [u8],
    /// abs-capture-time; empty when the packet has none.
    pub(crate) capture_time: &'a [u8],
    /// Empty for a padding-only packet.
    pub(crate) payload: &'a [u8],
}

/// What [`History::find`] finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found<'a> {
    /// The packet.
    Packet(Facts, Parts<'a>),
    /// It has not come (yet).
    Missing,
    /// Newer packets took its place, or its bytes'.
    Gone,
}

/// Why a packet cannot be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StoreError {
    /// The position is taken.
    Duplicate,
    /// The position's slot already belongs to a newer packet.
    Stale,
    /// More bytes than one packet may have.
    TooLarge,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    position: u64,
    at: u64,
    facts: Facts,
    payload_len: u16,
    descriptor_len: u8,
    capture_len: u8,
}

impl History {
    /// Allocates room for `packets` (rounded up to a power of two) and `bytes` (at least one largest packet).
    pub(crate) fn new(packets: usize, bytes: usize) -> Self {
        let slots = vec![Slot::EMPTY; packets.max(2).next_power_of_two()].into_boxed_slice();
        let arena = vec![0; bytes.max(LARGEST_PACKET)].into_boxed_slice();
        Self { slots, arena, written: 0 }
    }

    /// Packets there is room for.
    pub(crate) fn capacity(&self) -> u64 {
        self.slots.len() as u64
    }

    /// Says whether a packet of `len` bytes may take its place.
    ///
    /// # Errors
    /// [`StoreError`]
    pub(crate) fn admits(&self, position: u64, len: usize) -> Result<(), StoreError> {
        if len > LARGEST_PACKET {
            return Err(StoreError::TooLarge);
        }
        match self.slots[self.index(position)].position {
            Slot::NONE => Ok(()),
            taken if taken == position => Err(StoreError::Duplicate),
            taken if taken > position => Err(StoreError::Stale),
            _ => Ok(()),
        }
    }

    /// Copies a packet in.
    ///
    /// # Errors
    /// [`StoreError`]; nothing has changed then.
    pub(crate) fn store(&mut self, position: u64, facts: Facts, parts: Parts<'_>) -> Result<(), StoreError> {
        let (descriptor, capture) = (parts.dependency_descriptor, parts.capture_time);
        let len = descriptor.len() + capture.len() + parts.payload.len();
        self.admits(position, len)?;
        let (Ok(descriptor_len), Ok(capture_len)) =
            (u8::try_from(descriptor.len()), u8::try_from(capture.len()))
        else {
            return Err(StoreError::TooLarge);
        };
        let at = self.reserve(len);
        let mut place = (at % self.arena.len() as u64) as usize;
        for part in [descriptor, capture, parts.payload] {
            self.arena[place..place + part.len()].copy_from_slice(part);
            place += part.len();
        }
        self.slots[self.index(position)] = Slot {
            position,
            at,
            facts,
            payload_len: parts.payload.len() as u16,
            descriptor_len,
            capture_len,
        };
        Ok(())
    }

    /// Looks a packet up.
    #[inline]
    pub(crate) fn find(&self, position: u64) -> Found<'_> {
        let slot = &self.slots[self.index(position)];
        if slot.position != position {
            return if slot.position != Slot::NONE && slot.position > position {
                Found::Gone
            } else {
                Found::Missing
            };
        }
        if self.written > slot.at + self.arena.len() as u64 {
            return Found::Gone;
        }
        let start = (slot.at % self.arena.len() as u64) as usize;
        let bytes = &self.arena[start..start + slot.len()];
        let (dependency_descriptor, rest) = bytes.split_at(usize::from(slot.descriptor_len));
        let (capture_time, payload) = rest.split_at(usize::from(slot.capture_len));
        Found::Packet(slot.facts, Parts { dependency_descriptor, capture_time, payload })
    }

    /// Says whether a packet is there with its bytes.
    pub(crate) fn holds(&self, position: u64) -> bool {
        matches!(self.find(position), Found::Packet(..))
    }

    fn index(&self, position: u64) -> usize {
        (position & (self.slots.len() as u64 - 1)) as usize
    }

    /// Returns where `len` contiguous bytes go, as a count of bytes ever written.
    fn reserve(&mut self, len: usize) -> u64 {
        let size = self.arena.len() as u64;
        let place = self.written % size;
        if place + len as u64 > size {
            self.written += size - place;
        }
        let at = self.written;
        self.written += len as u64;
        at
    }
}

impl Slot {
    const NONE: u64 = u64::MAX;
    const EMPTY: Slot = Slot {
        position: Slot::NONE,
        at: 0,
        facts: Facts::NONE,
        payload_len: 0,
        descriptor_len: 0,
        capture_len: 0,
    };

    fn len(&self) -> usize {
        usize::from(self.descriptor_len) + usize::from(self.capture_len) + usize::from(self.payload_len)
    }
}

/// Most bytes of one packet without its RTP header; a UDP datagram over Ethernet is smaller.
const LARGEST_PACKET: usize = 2048;

#[cfg(test)]
mod tests;
