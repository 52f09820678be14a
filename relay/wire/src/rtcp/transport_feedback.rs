//! Transport-wide feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01 section 3.1), read where it lies and written.
//!
//! ```text
//!  SSRC of sender | SSRC of media | base number | count | reference time:24 | feedback number:8
//!  chunks: what came of `count` packets, 2 bytes each     0 S S run:13   or   1 0 14 x 1 bit   or   1 1 7 x 2 bits
//!  deltas: when each packet that came did, 1 or 2 bytes each, in 250 us after the one before
//! ```

use super::RtcpError;

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

/// Feedback to write.
#[derive(Debug, Clone, Copy)]
pub struct TransportFeedbackReport<'a> {
    /// Who reports.
    pub sender_ssrc: u32,
    /// One of the streams it is about.
    pub media_ssrc: u32,
    /// Number of the first packet.
    pub base: u16,
    /// In 64 ms, modulo 2^24.
    pub reference: u32,
    /// Counts the feedback packets.
    pub number: u8,
    /// For each packet its time after the one that came before it (the first: after the reference), in [`TICK_MICROS`];
    /// `None` for one that did not come.
    pub deltas: &'a [Option<i16>],
}

/// Microseconds of a tick of arrival times.
pub const TICK_MICROS: i64 = 250;
/// Ticks in one step of the reference time.
pub const TICKS_PER_REFERENCE: i64 = 256;

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

/// Packet status symbols (section 3.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Symbol {
    Lost,
    Small,
    Large,
    Reserved,
}

impl Symbol {
    fn of_bits(bits: u16) -> Self {
        match bits & 3 {
            0 => Self::Lost,
            1 => Self::Small,
            2 => Self::Large,
            _ => Self::Reserved,
        }
    }

    fn of_delta(delta: Option<i16>) -> Self {
        match delta {
            None => Self::Lost,
            Some(0..=255) => Self::Small,
            Some(_) => Self::Large,
        }
    }

    /// Bytes of its delta; `None` for the reserved one.
    fn delta_len(self) -> Option<usize> {
        match self {
            Self::Lost => Some(0),
            Self::Small => Some(1),
            Self::Large => Some(2),
            Self::Reserved => None,
        }
    }
}

/// Packet status chunks (sections 3.1.3 and 3.1.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chunk {
    Run(Symbol, u16),
    OneBit(u16),
    TwoBit(u16),
}

impl Chunk {
    fn read(bytes: [u8; 2]) -> Self {
        let word = u16::from_be_bytes(bytes);
        match word >> 14 {
            0 | 1 => Self::Run(Symbol::of_bits(word >> 13), word & 0x1FFF),
            2 => Self::OneBit(word & 0x3FFF),
            _ => Self::TwoBit(word & 0x3FFF),
        }
    }

    fn len(self) -> usize {
        match self {
            Self::Run(_, len) => usize::from(len),
            Self::OneBit(_) => 14,
            Self::TwoBit(_) => 7,
        }
    }

    fn symbol(self, place: usize) -> Symbol {
        match self {
            Self::Run(symbol, _) => symbol,
            Self::OneBit(bits) => Symbol::of_bits(bits >> (13 - place) & 1),
            Self::TwoBit(bits) => Symbol::of_bits(bits >> (12 - 2 * place)),
        }
    }

    /// Bytes of the deltas of its first `count` packets.
    fn delta_len(self, count: usize) -> Option<usize> {
        match self {
            Self::Run(symbol, _) => Some(symbol.delta_len()? * count),
            _ => (0..count).map(|place| self.symbol(place).delta_len()).sum(),
        }
    }
}

/// Appends transport-wide feedback; nothing for none. At most [`MOST_REPORTED`] packets are written, what is beyond is left out.
pub fn write_transport_feedback(report: &TransportFeedbackReport<'_>, out: &mut Vec<u8>) {
    let deltas = &report.deltas[..report.deltas.len().min(MOST_REPORTED)];
    if deltas.is_empty() {
        return;
    }
    let at = out.len();
    out.extend([VERSION_2 | FORMAT, TRANSPORT_FEEDBACK, 0, 0]);
    out.extend(report.sender_ssrc.to_be_bytes());
    out.extend(report.media_ssrc.to_be_bytes());
    out.extend(report.base.to_be_bytes());
    out.extend((deltas.len() as u16).to_be_bytes());
    out.extend_from_slice(&(report.reference << 8 | u32::from(report.number)).to_be_bytes());
    let mut rest = deltas;
    while let Some((first, _)) = rest.split_first() {
        let symbol = Symbol::of_delta(*first);
        let run = rest.iter().take_while(|delta| Symbol::of_delta(**delta) == symbol).count();
        let (chunk, told) = if run >= TWO_BIT_SYMBOLS || run == rest.len() {
            ((symbol as u16) << 13 | run as u16, run)
        } else {
            let told = rest.len().min(TWO_BIT_SYMBOLS);
            let bits = rest[..told]
                .iter()
                .enumerate()
                .fold(0, |bits, (place, delta)| bits | (Symbol::of_delta(*delta) as u16) << (12 - 2 * place));
            (0xC000 | bits, told)
        };
        out.extend(chunk.to_be_bytes());
        rest = &rest[told..];
    }
    for delta in deltas.iter().flatten() {
        match u8::try_from(*delta) {
            Ok(small) => out.push(small),
            Err(_) => out.extend(delta.to_be_bytes()),
        }
    }
    let padding = (out.len() - at).next_multiple_of(4) - (out.len() - at);
    if padding > 0 {
        // Marked as padding, the last byte tells how much: a reader must not take it for more deltas.
        out[at] |= 0x20;
        out.extend([0, 0, 0, padding as u8].into_iter().skip(4 - padding));
    }
    let words = (out.len() - at) / 4 - 1;
    out[at + 2..at + 4].copy_from_slice(&(words as u16).to_be_bytes());
}

/// Most packets of one feedback packet: with a large delta each it is still one datagram.
pub const MOST_REPORTED: usize = 400;
const TWO_BIT_SYMBOLS: usize = 7;
const VERSION_2: u8 = 0x80;
const TRANSPORT_FEEDBACK: u8 = 205;
const FORMAT: u8 = 15;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rtc_rtcp::transport_feedbacks::transport_layer_cc::{PacketStatusChunk, TransportLayerCc};
    use rtc_shared::marshal::{Marshal, Unmarshal};

    use super::*;
    use crate::rtcp::{Request, requests};

    fn written(base: u16, deltas: &[Option<i16>]) -> Vec<u8> {
        let mut out = Vec::new();
        let report = TransportFeedbackReport {
            sender_ssrc: 1,
            media_ssrc: 2,
            base,
            reference: 0x00FE_DCBA,
            number: 7,
            deltas,
        };
        write_transport_feedback(&report, &mut out);
        out
    }

    /// Every status of every feedback packet of a compound.
    fn read(compound: &[u8]) -> Result<Vec<PacketStatus>, RtcpError> {
        let mut all = Vec::new();
        requests(compound, |request| {
            if let Request::Arrivals(feedback) = request {
                assert_eq!(feedback.packets().count(), usize::from(feedback.packet_status_count()));
                all.extend(feedback.packets());
            }
        })?;
        Ok(all)
    }

    fn expected(base: u16, deltas: &[Option<i16>]) -> Vec<PacketStatus> {
        let mut time = 0;
        let statuses = deltas.iter().enumerate().map(|(place, delta)| {
            time += i32::from(delta.unwrap_or(0));
            PacketStatus { sequence: base.wrapping_add(place as u16), arrival: delta.map(|_| time) }
        });
        statuses.collect()
    }

    /// What libwebrtc sends: run of two, vector of two-bit symbols, deltas, two bytes of padding with the bit set.
    #[test]
    fn feedback_padded_as_libwebrtc_does_is_read() {
        let packet = [
            0xAF, 205, 0, 6, 0, 0, 0, 1, 0, 0, 0, 2, 0xFF, 0xFF, 0, 3, 0, 0, 5, 9, 0x20, 0x02, 0xE0, 0x00, 4,
            8, 0xFF, 0xFE,
        ];
        let statuses = read(&packet).unwrap();
        let of = |sequence, arrival| PacketStatus { sequence, arrival: Some(arrival) };
        assert_eq!(statuses, [of(65_535, 4), of(0, 12), of(1, 10)]);
    }

    #[test]
    fn too_few_chunks_or_deltas_are_malformed() {
        let whole = written(1, &[Some(1), None, Some(300)]);
        for cut in 0..whole.len() / 4 {
            let mut short = whole[..4 * cut].to_vec();
            if cut > 0 {
                short[0] &= !0x20;
                short[3] = cut as u8 - 1;
            }
            assert!(read(&short).is_err(), "{cut} words");
        }
        let reserved = [0x8F, 205, 0, 5, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 5, 9, 0x60, 1, 0, 0];
        assert_eq!(read(&reserved), Err(RtcpError::Malformed));
    }

    fn deltas() -> impl Strategy<Value = Vec<Option<i16>>> {
        let delta = prop_oneof![
            8 => (0i16..256).prop_map(Some),
            2 => any::<i16>().prop_map(Some),
            3 => Just(None),
        ];
        let run = (delta, 1usize..40, any::<bool>());
        let runs = prop::collection::vec(run, 1..12);
        runs.prop_map(|runs| {
            let runs = runs.into_iter().map(|(delta, len, alone)| vec![delta; if alone { 1 } else { len }]);
            let mut all: Vec<_> = runs.flatten().collect();
            all.truncate(MOST_REPORTED);
            all
        })
    }

    proptest! {
        /// What is written is read back, by us and by the library.
        #[test]
        fn feedback_comes_back(base: u16, deltas in deltas()) {
            let packet = written(base, &deltas);
            prop_assert_eq!(read(&packet).unwrap(), expected(base, &deltas));
            let library = TransportLayerCc::unmarshal(&mut &packet[..]).unwrap();
            prop_assert_eq!((library.base_sequence_number, library.fb_pkt_count), (base, 7));
            prop_assert_eq!(usize::from(library.packet_status_count), deltas.len());
            prop_assert_eq!(library.reference_time, 0x00FE_DCBA);
            let theirs: Vec<_> = library.recv_deltas.iter().map(|delta| delta.delta / TICK_MICROS).collect();
            let ours: Vec<_> = deltas.iter().flatten().map(|delta| i64::from(*delta)).collect();
            prop_assert_eq!(theirs, ours);
        }

        /// What the library writes, one-bit vectors among it, is read as it reads it.
        #[test]
        fn the_library_is_understood(base: u16, deltas in deltas()) {
            let mut library = TransportLayerCc::unmarshal(&mut &written(base, &deltas)[..]).unwrap();
            let small = |delta: &Option<i16>| delta.is_none_or(|delta| (0..256).contains(&delta));
            if deltas.iter().all(small) {
                library.packet_chunks = one_bit(&deltas);
            }
            let bytes = library.marshal().unwrap();
            prop_assert_eq!(read(&bytes).unwrap(), expected(base, &deltas));
        }

        #[test]
        fn any_body_is_read_without_panic(
            body in prop::collection::vec(any::<u8>(), 0..60),
            count in 0u16..200,
        ) {
            let mut packet = vec![0x8F, 205, 0, (body.len() / 4) as u8];
            packet.extend(&body[..body.len() / 4 * 4]);
            if packet.len() >= 16 {
                packet[14..16].copy_from_slice(&count.to_be_bytes());
            }
            let _ = read(&packet);
        }
    }

    fn one_bit(deltas: &[Option<i16>]) -> Vec<PacketStatusChunk> {
        use rtc_rtcp::transport_feedbacks::transport_layer_cc::{
            StatusChunkTypeTcc, StatusVectorChunk, SymbolSizeTypeTcc, SymbolTypeTcc,
        };
        let symbol = |delta: &Option<i16>| match delta {
            None => SymbolTypeTcc::PacketNotReceived,
            Some(_) => SymbolTypeTcc::PacketReceivedSmallDelta,
        };
        let chunks = deltas.chunks(14).map(|part| {
            let mut symbol_list: Vec<_> = part.iter().map(symbol).collect();
            symbol_list.resize(14, SymbolTypeTcc::PacketNotReceived);
            PacketStatusChunk::StatusVectorChunk(StatusVectorChunk {
                type_tcc: StatusChunkTypeTcc::StatusVectorChunk,
                symbol_size: SymbolSizeTypeTcc::OneBit,
                symbol_list,
            })
        });
        chunks.collect()
    }
}
