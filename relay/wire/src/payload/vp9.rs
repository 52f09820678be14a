//! VP9 payload format (RFC 9628), non-flexible mode, no picture id: the Dependency Descriptor numbers the frames.
//!
//! ```text
//!  0 1 2 3 4 5 6 7
//! +-+-+-+-+-+-+-+-+
//! |I|P|L|F|B|E|V|Z|  what we write: B on the first payload, E on the last, P on all of a frame that is no key frame
//! ```
//! Then, as I, L, F with P, and V say: picture id (1 or 2 bytes), layer indices (and TL0PICIDX unless F), up to three
//! reference differences, scalability structure.

use super::{AssembleError, Payloads, part_len};

pub(super) fn split(frame: &[u8], key: bool, max_payload: usize, out: &mut Payloads) {
    let predicted = if key { 0 } else { PREDICTED_BIT };
    let parts = frame.chunks(part_len(frame.len(), max_payload - 1));
    let last = parts.len() - 1;
    for (index, part) in parts.enumerate() {
        let begin = if index == 0 { BEGIN_BIT } else { 0 };
        let end = if index == last { END_BIT } else { 0 };
        out.push(&[predicted | begin | end], part);
    }
}

pub(super) fn append(payload: &[u8], first: bool, out: &mut Vec<u8>) -> Result<(), AssembleError> {
    let descriptor = Descriptor::read(payload).ok_or(AssembleError::Malformed)?;
    if descriptor.begins != first {
        return Err(AssembleError::Incomplete);
    }
    out.extend_from_slice(descriptor.body);
    Ok(())
}

/// A payload descriptor and what follows it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Descriptor<'a> {
    /// First payload of the frame of one spatial layer.
    pub(crate) begins: bool,
    /// No other picture is needed.
    pub(crate) key: bool,
    /// Spatial layer, 0 when there are none.
    pub(crate) spatial_id: u8,
    pub(crate) body: &'a [u8],
}

impl<'a> Descriptor<'a> {
    pub(crate) fn read(payload: &'a [u8]) -> Option<Self> {
        let (&flags, mut body) = payload.split_first()?;
        let flexible = flags & FLEXIBLE_BIT != 0;
        let mut spatial_id = 0;
        if flags & PICTURE_ID_BIT != 0 {
            body = body.get(if body.first()? & LONG_PICTURE_ID_BIT == 0 { 1 } else { 2 }..)?;
        }
        if flags & LAYERS_BIT != 0 {
            spatial_id = body.first()? >> 1 & 0x07;
            body = body.get(if flexible { 1 } else { 2 }..)?;
        }
        if flexible && flags & PREDICTED_BIT != 0 {
            body = skip_references(body)?;
        }
        if flags & STRUCTURE_BIT != 0 {
            body = skip_structure(body)?;
        }
        Some(Self { begins: flags & BEGIN_BIT != 0, key: flags & PREDICTED_BIT == 0, spatial_id, body })
    }
}

/// Up to three P_DIFF, each saying whether another follows.
fn skip_references(mut body: &[u8]) -> Option<&[u8]> {
    for _ in 0..3 {
        let (&reference, rest) = body.split_first()?;
        body = rest;
        if reference & 1 == 0 {
            break;
        }
    }
    Some(body)
}

/// RFC 9628 section 4.2.1: sizes of each spatial layer, then the picture group.
fn skip_structure(body: &[u8]) -> Option<&[u8]> {
    let (&head, mut body) = body.split_first()?;
    if head & 0x10 != 0 {
        body = body.get(4 * (usize::from(head >> 5) + 1)..)?;
    }
    if head & 0x08 != 0 {
        let (&pictures, mut rest) = body.split_first()?;
        for _ in 0..pictures {
            let references = usize::from(rest.first()? >> 2 & 0x03);
            rest = rest.get(1 + references..)?;
        }
        body = rest;
    }
    Some(body)
}

const PICTURE_ID_BIT: u8 = 0x80;
const PREDICTED_BIT: u8 = 0x40;
const LAYERS_BIT: u8 = 0x20;
const FLEXIBLE_BIT: u8 = 0x10;
const BEGIN_BIT: u8 = 0x08;
const END_BIT: u8 = 0x04;
const STRUCTURE_BIT: u8 = 0x02;
const LONG_PICTURE_ID_BIT: u8 = 0x80;
