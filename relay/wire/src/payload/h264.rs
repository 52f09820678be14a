//! H.264 payload format (RFC 6184), packetization mode 1: single NAL units, STAP-A and FU-A.
//!
//! ```text
//! STAP-A  78 | length (2) NAL unit | length (2) NAL unit ...     a key frame's SPS and PPS
//! FU-A    F NRI 28 | S E 0 type | part of a NAL unit             a slice, its header byte moved into the first two
//! ```

use super::{AssembleError, Payloads, SplitError, part_len};
use crate::envelope::h264::{START_CODE, nal_type, nal_type_of, nal_units};

pub(super) fn split(frame: &[u8], max_payload: usize, out: &mut Payloads) -> Result<(), SplitError> {
    let mut sets = nal_units(frame).take_while(|nal| is_parameter_set(nal)).peekable();
    if sets.peek().is_some() {
        out.begin(&[STAP_A | HIGHEST_NRI]);
        for nal in sets {
            let len = u16::try_from(nal.len()).map_err(|_| SplitError::DoesNotFit)?;
            out.extend(&len.to_be_bytes());
            out.extend(nal);
        }
        if out.end() > max_payload {
            return Err(SplitError::DoesNotFit);
        }
    }
    let mut slices = nal_units(frame).skip_while(|nal| is_parameter_set(nal)).peekable();
    slices.peek().ok_or(SplitError::NotAWireFrame)?;
    for nal in slices {
        let (&header, body) = nal.split_first().ok_or(SplitError::NotAWireFrame)?;
        if nal.len() <= max_payload {
            out.push(&[header], body);
            continue;
        }
        let parts = body.chunks(part_len(body.len(), max_payload - 2));
        let last = parts.len() - 1;
        for (index, part) in parts.enumerate() {
            let start = if index == 0 { START_BIT } else { 0 };
            let end = if index == last { END_BIT } else { 0 };
            out.push(&[header & !TYPE_MASK | FU_A, start | end | nal_type_of(header)], part);
        }
    }
    Ok(())
}

/// Appends one payload; `in_fragment` is whether a fragmented NAL unit is open, before and after.
pub(super) fn append(payload: &[u8], in_fragment: &mut bool, out: &mut Vec<u8>) -> Result<(), AssembleError> {
    let packet = Packet::read(payload).ok_or(AssembleError::Malformed)?;
    let continues = matches!(packet, Packet::Fragment { start: false, .. });
    if continues != *in_fragment {
        return Err(AssembleError::Incomplete);
    }
    match packet {
        Packet::Single(nal) => {
            out.extend_from_slice(&START_CODE);
            out.extend_from_slice(nal);
        }
        Packet::Aggregate(units) => {
            for nal in aggregated(units) {
                out.extend_from_slice(&START_CODE);
                out.extend_from_slice(nal.ok_or(AssembleError::Malformed)?);
            }
        }
        Packet::Fragment { start, end, header, part } => {
            if start {
                out.extend_from_slice(&START_CODE);
                out.push(header);
            }
            out.extend_from_slice(part);
            *in_fragment = !end;
        }
    }
    Ok(())
}

/// One payload by its structure (section 5.2).
#[derive(Debug, Clone, Copy)]
pub(crate) enum Packet<'a> {
    /// A whole NAL unit.
    Single(&'a [u8]),
    /// What follows the STAP-A header: see [`aggregated`].
    Aggregate(&'a [u8]),
    /// FU-A: part of a NAL unit, whose header byte is put together again.
    Fragment { start: bool, end: bool, header: u8, part: &'a [u8] },
}

impl<'a> Packet<'a> {
    pub(crate) fn read(payload: &'a [u8]) -> Option<Self> {
        let (&indicator, body) = payload.split_first()?;
        match nal_type_of(indicator) {
            1..=23 => Some(Self::Single(payload)),
            STAP_A if !body.is_empty() => Some(Self::Aggregate(body)),
            FU_A => {
                let (&flags, part) = body.split_first()?;
                let (start, end) = (flags & START_BIT != 0, flags & END_BIT != 0);
                // Section 5.8: one fragment must not be both first and last.
                let header = indicator & !TYPE_MASK | nal_type_of(flags);
                (!(start && end)).then_some(Self::Fragment { start, end, header, part })
            }
            _ => None,
        }
    }

    /// Returns the header byte of the NAL unit that begins here; `None` inside a fragmented one.
    pub(crate) fn first_header(&self) -> Option<u8> {
        match self {
            Self::Single(nal) => nal.first().copied(),
            Self::Aggregate(units) => aggregated(units).next()??.first().copied(),
            Self::Fragment { start, header, .. } => start.then_some(*header),
        }
    }
}

/// Returns the NAL units of a STAP-A; `None` for one that is empty or cut off, after which there are no more.
pub(crate) fn aggregated(units: &[u8]) -> impl Iterator<Item = Option<&[u8]>> {
    let mut rest = units;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let unit = rest.split_first_chunk().and_then(|(len, after)| {
            let len = usize::from(u16::from_be_bytes(*len));
            after.split_at_checked(len).filter(|_| len > 0)
        });
        rest = unit.map_or(&[], |(_, after)| after);
        Some(unit.map(|(nal, _)| nal))
    })
}

fn is_parameter_set(nal: &[u8]) -> bool {
    nal.first().is_some_and(|&header| matches!(nal_type_of(header), nal_type::SPS | nal_type::PPS))
}

const STAP_A: u8 = 24;
const FU_A: u8 = 28;
const HIGHEST_NRI: u8 = 0x60;
const TYPE_MASK: u8 = 0x1F;
const START_BIT: u8 = 0x80;
const END_BIT: u8 = 0x40;
