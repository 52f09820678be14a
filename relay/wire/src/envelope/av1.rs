//! The AV1 envelope: OBU headers (AV1 specification 5.3), made up.
//!
//! ```text
//! key frame    0A 00   sequence header OBU, has_size, empty
//!              30      frame OBU without size: the SFrame bytes to the end
//! other        30
//! ```
//! Over RTP the size field of the first goes away; a browser's receiver puts sizes on both:
//! `0A 00 32 <leb128 length>`. That is undone here.

use super::{Parts, SplitError};

/// Envelope of a key frame.
pub(crate) const KEY: [u8; 3] = [0x0A, 0x00, 0x30];
/// Envelope of any other frame: the frame OBU's header.
pub(crate) const DELTA: [u8; 1] = [0x30];

pub(super) fn split(wire: &[u8]) -> Result<Parts<'_>, SplitError> {
    let wire = wire.strip_prefix(&TEMPORAL_DELIMITER).unwrap_or(wire);
    let (key, frame) = match wire.strip_prefix(&KEY[..2]) {
        Some(frame) => (true, frame),
        None => (false, wire),
    };
    let sframe = match frame.split_first() {
        Some((&FRAME_OBU, sframe)) => sframe,
        Some((&FRAME_OBU_SIZED, rest)) => {
            let (size, sframe) = read_leb128(rest).ok_or(SplitError::Truncated)?;
            if size != sframe.len() as u64 {
                return Err(SplitError::Truncated);
            }
            sframe
        }
        Some(_) => return Err(SplitError::Envelope),
        None => return Err(SplitError::Truncated),
    };
    Ok(Parts { envelope: if key { &KEY } else { &DELTA }, sframe, key })
}

/// Reads leb128 (AV1 specification 4.10.5): seven bits a byte, low ones first, at most eight bytes.
pub(crate) fn read_leb128(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for (index, byte) in bytes.iter().enumerate().take(8) {
        value |= u64::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[index + 1..]));
        }
    }
    None
}

const FRAME_OBU: u8 = DELTA[0];
const FRAME_OBU_SIZED: u8 = 0x32;
const TEMPORAL_DELIMITER: [u8; 2] = [0x12, 0x00];
