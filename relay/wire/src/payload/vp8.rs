//! VP8 payload format (RFC 7741).
//!
//! ```text
//!  0 1 2 3 4 5 6 7
//! +-+-+-+-+-+-+-+-+
//! |X|R|N|S|R| PID |  what we write: 10 on the first payload of a frame, 00 on the others
//! |I|L|T|K|  RSV  |  if X; then M|PictureID (1 or 2 bytes), TL0PICIDX, TID|Y|KEYIDX as I, L, T or K say
//! ```

use super::{AssembleError, Payloads, part_len};

pub(super) fn split(frame: &[u8], max_payload: usize, out: &mut Payloads) {
    for (index, part) in frame.chunks(part_len(frame.len(), max_payload - 1)).enumerate() {
        out.push(&[if index == 0 { START_BIT } else { 0 }], part);
    }
}

pub(super) fn append(payload: &[u8], first: bool, out: &mut Vec<u8>) -> Result<(), AssembleError> {
    let descriptor = Descriptor::read(payload).ok_or(AssembleError::Malformed)?;
    if descriptor.starts_frame != first {
        return Err(AssembleError::Incomplete);
    }
    out.extend_from_slice(descriptor.body);
    Ok(())
}

/// A payload descriptor and what follows it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Descriptor<'a> {
    /// S bit set and partition 0.
    pub(crate) starts_frame: bool,
    pub(crate) body: &'a [u8],
}

impl<'a> Descriptor<'a> {
    pub(crate) fn read(payload: &'a [u8]) -> Option<Self> {
        let (&flags, mut body) = payload.split_first()?;
        if flags & EXTENDED_BIT != 0 {
            let (&extended, rest) = body.split_first()?;
            body = rest;
            if extended & PICTURE_ID_BIT != 0 {
                body = body.get(if body.first()? & LONG_PICTURE_ID_BIT == 0 { 1 } else { 2 }..)?;
            }
            if extended & TL0PICIDX_BIT != 0 {
                body = body.get(1..)?;
            }
            if extended & TID_OR_KEYIDX_BITS != 0 {
                body = body.get(1..)?;
            }
        }
        Some(Self { starts_frame: flags & (START_BIT | PARTITION_MASK) == START_BIT, body })
    }
}

const EXTENDED_BIT: u8 = 0x80;
const START_BIT: u8 = 0x10;
const PARTITION_MASK: u8 = 0x07;
const PICTURE_ID_BIT: u8 = 0x80;
const LONG_PICTURE_ID_BIT: u8 = 0x80;
const TL0PICIDX_BIT: u8 = 0x40;
const TID_OR_KEYIDX_BITS: u8 = 0x30;
