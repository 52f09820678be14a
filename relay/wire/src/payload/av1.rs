//! AV1 payload format (RTP Payload Format For AV1, AOMedia, section 4).
//!
//! ```text
//!  0 1 2 3 4 5 6 7
//! +-+-+-+-+-+-+-+-+
//! |Z|Y| W |N|-|-|-|  Z: continues an OBU, Y: its last OBU goes on, W: how many OBU elements (0: each has a length),
//! +-+-+-+-+-+-+-+-+  N: first packet of a coded video sequence = key frame
//! ```
//! Our wire frames hold one or two OBUs: on key frames an empty sequence header, one element `08` before the frame OBU;
//! size fields go away on the way out and come back in canonical form.

use super::{AssembleError, Payloads, SplitError, part_len};
use crate::envelope::{self, AV1_DELTA, AV1_KEY};

/// The sequence header of a key frame as an OBU element: has_size taken off, no content.
pub(crate) const SEQUENCE_HEADER_ELEMENT: u8 = 0x08;
/// Header of the frame OBU that holds the SFrame bytes.
pub(crate) const FRAME_OBU: u8 = AV1_DELTA[0];

pub(super) fn split(frame: &[u8], max_payload: usize, out: &mut Payloads) -> Result<(), SplitError> {
    let key = frame.starts_with(&AV1_KEY);
    // `0A 00` goes as the element `08` with a length; the frame OBU, the last element, needs none.
    let (elements, obu) =
        if key { (&[1, SEQUENCE_HEADER_ELEMENT][..], &frame[2..]) } else { (&[][..], frame) };
    if obu.first() != Some(&FRAME_OBU) {
        return Err(SplitError::NotAWireFrame);
    }
    let part_len = part_len(elements.len() + obu.len(), max_payload - 1);
    let (first, rest) = obu.split_at(part_len - elements.len());
    let goes_on = |last: bool| if last { 0 } else { GOES_ON_BIT };
    let flags = if key { (2 * ONE_ELEMENT) | NEW_SEQUENCE_BIT } else { ONE_ELEMENT };
    out.begin(&[flags | goes_on(rest.is_empty())]);
    out.extend(elements);
    out.extend(first);
    out.end();
    let parts = rest.chunks(part_len);
    let count = parts.len();
    for (index, part) in parts.enumerate() {
        out.push(&[CONTINUES_BIT | ONE_ELEMENT | goes_on(index + 1 == count)], part);
    }
    Ok(())
}

pub(super) fn append(payload: &[u8], first: bool, out: &mut Vec<u8>) -> Result<(), AssembleError> {
    let packet = Packet::read(payload).ok_or(AssembleError::Malformed)?;
    if packet.continues == first {
        return Err(AssembleError::Incomplete);
    }
    for (index, element) in packet.elements().enumerate() {
        let element = element.ok_or(AssembleError::Malformed)?;
        // An element that is not ours keeps its bytes; the frame fails when it is taken apart.
        match element {
            [SEQUENCE_HEADER_ELEMENT] if first && index == 0 => out.extend_from_slice(&AV1_KEY[..2]),
            _ => out.extend_from_slice(element),
        }
    }
    Ok(())
}

/// The aggregation header and what follows it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Packet<'a> {
    /// Z: the first element continues an OBU of the packet before.
    pub(crate) continues: bool,
    /// N: a coded video sequence starts.
    pub(crate) new_sequence: bool,
    element_count: u8,
    body: &'a [u8],
}

impl<'a> Packet<'a> {
    pub(crate) fn read(payload: &'a [u8]) -> Option<Self> {
        let (&header, body) = payload.split_first()?;
        let continues = header & CONTINUES_BIT != 0;
        let new_sequence = header & NEW_SEQUENCE_BIT != 0;
        // Both cannot be (section 4.4).
        if body.is_empty() || continues && new_sequence {
            return None;
        }
        Some(Self { continues, new_sequence, element_count: header >> 4 & 0x03, body })
    }

    /// Returns the OBU elements in order; `None` for one that is cut off, after which there are no more.
    pub(crate) fn elements(&self) -> impl Iterator<Item = Option<&'a [u8]>> {
        let counted = self.element_count != 0;
        let mut left = self.element_count;
        let mut rest = self.body;
        std::iter::from_fn(move || {
            if if counted { left == 0 } else { rest.is_empty() } {
                return None;
            }
            left = left.wrapping_sub(1);
            let element = if counted && left == 0 { Some((rest, &[][..])) } else { split_element(rest) };
            if element.is_none() {
                (left, rest) = (0, &[]);
            }
            Some(element.map(|(element, after)| {
                rest = after;
                element
            }))
        })
    }
}

fn split_element(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = envelope::read_leb128(bytes)?;
    rest.split_at_checked(usize::try_from(len).ok()?)
}

const CONTINUES_BIT: u8 = 0x80;
const GOES_ON_BIT: u8 = 0x40;
const ONE_ELEMENT: u8 = 0x10;
const NEW_SEQUENCE_BIT: u8 = 0x08;
