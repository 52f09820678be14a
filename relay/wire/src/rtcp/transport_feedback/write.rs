//! Writing transport-wide feedback: runs where they are longer than a vector, vectors of two bits elsewhere.

use super::chunk::Symbol;

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
    /// For each packet its time after the one that came before it (the first: after the reference), in [`TICK_MICROS`](super::TICK_MICROS);
    /// `None` for one that did not come.
    pub deltas: &'a [Option<i16>],
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
