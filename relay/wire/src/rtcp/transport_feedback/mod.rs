//! Transport-wide feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01 section 3.1), read where it lies and written.
//!
//! ```text
//!  SSRC of sender | SSRC of media | base number | count | reference time:24 | feedback number:8
//!  chunks: what came of `count` packets, 2 bytes each     0 S S run:13   or   1 0 14 x 1 bit   or   1 1 7 x 2 bits
//!  deltas: when each packet that came did, 1 or 2 bytes each, in 250 us after the one before
//! ```

mod chunk;
#[cfg(test)]
mod tests;
mod write;

pub use write::{MOST_REPORTED, TransportFeedbackReport, write_transport_feedback};

use super::RtcpError;
use chunk::{Chunk, Symbol};

/// Feedback of a receiver about packets of all its streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransportFeedback<'a> {
    base: u16,
    count: u16,
    reference: u32,
    number: u8,
    chunks: &'a [[u8; 2]],
    deltas: &'a [u8],
}

/// What came of one packet, in the order of transport-wide sequence numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PacketStatus {
    /// Transport-wide sequence number.
    pub sequence: u16,
    /// When it came, in [`TICK_MICROS`] after the reference time; `None` when it had not by then.
    pub arrival: Option<i32>,
}

impl<'a> TransportFeedback<'a> {
    /// Reads what follows the RTCP header.
    pub(super) fn read(body: &'a [u8]) -> Result<Self, RtcpError> {
        let (head, rest) = body.split_first_chunk::<16>().ok_or(RtcpError::Malformed)?;
        let count = u16::from_be_bytes([head[10], head[11]]);
        let (chunks, tail) = rest.as_chunks::<2>();
        let (mut told, mut used, mut delta_len) = (0, 0, 0);
        while told < usize::from(count) {
            let chunk = Chunk::read(*chunks.get(used).ok_or(RtcpError::Malformed)?);
            let left = chunk.len().min(usize::from(count) - told);
            delta_len += chunk.delta_len(left).ok_or(RtcpError::Malformed)?;
            told += left;
            used += 1;
        }
        debug_assert!(tail.len() < 2);
        let deltas = rest[2 * used..].get(..delta_len).ok_or(RtcpError::Malformed)?;
        Ok(Self {
            base: u16::from_be_bytes([head[8], head[9]]),
            count,
            reference: u32::from_be_bytes([0, head[12], head[13], head[14]]),
            number: head[15],
            chunks: &chunks[..used],
            deltas,
        })
    }

    /// Time that arrivals count from, in 64 ms of the receiver's clock modulo 2^24.
    #[must_use]
    pub fn reference_time(&self) -> u32 {
        self.reference
    }

    /// Number of this feedback packet, modulo 256.
    #[must_use]
    pub fn number(&self) -> u8 {
        self.number
    }

    /// First transport-wide sequence number it speaks of.
    #[must_use]
    pub fn base_sequence_number(&self) -> u16 {
        self.base
    }

    /// Of how many packets it speaks.
    #[must_use]
    pub fn packet_status_count(&self) -> u16 {
        self.count
    }

    /// What came of each packet. A few bytes may speak of 65535 lost ones, so whoever keeps fewer looks at fewer.
    #[must_use]
    pub fn packets(&self) -> PacketStatuses<'a> {
        let chunk = Chunk::Run(Symbol::Lost, 0);
        Self::statuses(*self, chunk)
    }

    fn statuses(self, chunk: Chunk) -> PacketStatuses<'a> {
        PacketStatuses {
            sequence: self.base,
            left: self.count,
            chunk,
            place: 0,
            chunks: self.chunks,
            deltas: self.deltas,
            time: 0,
        }
    }
}

/// Walks the packets of a [`TransportFeedback`].
#[derive(Debug, Clone)]
pub struct PacketStatuses<'a> {
    sequence: u16,
    left: u16,
    chunk: Chunk,
    place: usize,
    chunks: &'a [[u8; 2]],
    deltas: &'a [u8],
    time: i32,
}

impl Iterator for PacketStatuses<'_> {
    type Item = PacketStatus;

    fn next(&mut self) -> Option<PacketStatus> {
        self.left = self.left.checked_sub(1)?;
        if self.place == self.chunk.len() {
            let (chunk, rest) = self.chunks.split_first()?;
            (self.chunk, self.place, self.chunks) = (Chunk::read(*chunk), 0, rest);
            // An empty run says nothing; reading took care that enough follows.
            while self.chunk.len() == 0 {
                let (chunk, rest) = self.chunks.split_first()?;
                (self.chunk, self.chunks) = (Chunk::read(*chunk), rest);
            }
        }
        let symbol = self.chunk.symbol(self.place);
        self.place += 1;
        let delta = match symbol {
            Symbol::Lost | Symbol::Reserved => None,
            Symbol::Small => {
                let ([delta], rest) = self.deltas.split_first_chunk()?;
                self.deltas = rest;
                Some(i32::from(*delta))
            }
            Symbol::Large => {
                let (delta, rest) = self.deltas.split_first_chunk()?;
                self.deltas = rest;
                Some(i32::from(i16::from_be_bytes(*delta)))
            }
        };
        // 65535 deltas of 2^15 stay below 2^31.
        self.time += delta.unwrap_or(0);
        let status = PacketStatus { sequence: self.sequence, arrival: delta.map(|_| self.time) };
        self.sequence = self.sequence.wrapping_add(1);
        Some(status)
    }
}

/// Microseconds of a tick of arrival times.
pub const TICK_MICROS: i64 = 250;
/// Ticks in one step of the reference time.
pub const TICKS_PER_REFERENCE: i64 = 256;
