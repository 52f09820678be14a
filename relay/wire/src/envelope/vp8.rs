//! The VP8 envelope: a frame tag whose first partition is empty (RFC 6386 section 9.1), with the real size.

use super::{Parts, SplitError};

/// Frame tag of a key frame (version 0, shown, first partition of 0 bytes) and start code.
pub(crate) const KEY: [u8; 6] = [0x10, 0x00, 0x00, 0x9D, 0x01, 0x2A];
/// Bytes of a key frame's envelope.
pub(crate) const KEY_LEN: usize = 10;
/// First byte of the frame tag of any other frame.
pub(crate) const DELTA: u8 = 0x11;

/// Returns the envelope for a real VP8 key frame; `None` when it is none.
pub(super) fn key_envelope(frame: &[u8]) -> Option<[u8; KEY_LEN]> {
    let head = frame.first_chunk::<KEY_LEN>()?;
    if head[0] & INTER_FRAME_BIT != 0 || head[3..6] != KEY[3..] {
        return None;
    }
    let mut envelope = *head;
    envelope[..6].copy_from_slice(&KEY);
    // The upper two bits of each number ask the player to scale; that is the picture's own affair.
    envelope[7] &= SIZE_HIGH_MASK;
    envelope[9] &= SIZE_HIGH_MASK;
    has_size(&envelope).then_some(envelope)
}

/// Returns the length of the envelope at the front of `bytes`, 1 or 10; `None` when there is none.
pub(crate) fn envelope_len(bytes: &[u8]) -> Option<usize> {
    if *bytes.first()? == DELTA {
        return Some(1);
    }
    let head = bytes.first_chunk::<KEY_LEN>()?;
    let scaled = (head[7] | head[9]) & !SIZE_HIGH_MASK != 0;
    (head[..6] == KEY && !scaled && has_size(head)).then_some(KEY_LEN)
}

pub(super) fn split(wire: &[u8]) -> Result<Parts<'_>, SplitError> {
    let len = envelope_len(wire).ok_or(SplitError::Envelope)?;
    let (envelope, sframe) = wire.split_at(len);
    Ok(Parts { envelope, sframe, key: len == KEY_LEN })
}

fn has_size(head: &[u8; KEY_LEN]) -> bool {
    let [.., width_low, width_high, height_low, height_high] = *head;
    width_low | width_high != 0 && height_low | height_high != 0
}

const INTER_FRAME_BIT: u8 = 0x01;
const SIZE_HIGH_MASK: u8 = 0x3F;
