//! Key flag and picture size of VP8 (RFC 6386 section 9.1) and VP9 (bitstream specification section 6.2) frames.

use h264_reader::rbsp::{BitRead, BitReader, BitReaderError};

/// What a frame's header tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Picture {
    pub(crate) key: bool,
    /// Width and height in pixels, on key frames.
    pub(crate) geometry: Option<(u16, u16)>,
}

/// Reads a VP8 frame tag; `None` when the bytes are no VP8 frame.
pub(crate) fn vp8(frame: &[u8]) -> Option<Picture> {
    if frame.len() < 3 {
        return None;
    }
    if frame[0] & 1 != 0 {
        return Some(Picture { key: false, geometry: None });
    }
    if frame.len() < 10 || frame[3..6] != [0x9d, 0x01, 0x2a] {
        return None;
    }
    let side = |at: usize| u16::from_le_bytes([frame[at], frame[at + 1]]) & 0x3fff;
    Some(Picture { key: true, geometry: Some((side(6), side(8))) })
}

/// Reads a VP9 frame's uncompressed header; `None` when the bytes are no VP9 frame.
pub(crate) fn vp9(frame: &[u8]) -> Option<Picture> {
    read_vp9(frame).ok().flatten()
}

fn read_vp9(frame: &[u8]) -> Result<Option<Picture>, BitReaderError> {
    let mut bits = BitReader::new(frame);
    if bits.read::<2, u8>("frame_marker")? != 2 {
        return Ok(None);
    }
    let low = bits.read_bit("profile_low_bit")?;
    let high = bits.read_bit("profile_high_bit")?;
    let profile = u8::from(high) * 2 + u8::from(low);
    if profile == 3 {
        bits.skip(1, "reserved_zero")?;
    }
    let delta = Picture { key: false, geometry: None };
    if bits.read_bit("show_existing_frame")? || bits.read_bit("frame_type")? {
        return Ok(Some(delta));
    }
    bits.skip(2, "show_frame, error_resilient_mode")?;
    if bits.read::<24, u32>("frame_sync_code")? != 0x49_83_42 {
        return Ok(None);
    }
    if profile >= 2 {
        bits.skip(1, "ten_or_twelve_bit")?;
    }
    const SRGB: u8 = 7;
    if bits.read::<3, u8>("color_space")? == SRGB {
        bits.skip(if profile & 1 == 1 { 1 } else { 0 }, "reserved_zero")?;
    } else {
        bits.skip(1, "color_range")?;
        if profile & 1 == 1 {
            bits.skip(3, "subsampling_x, subsampling_y, reserved_zero")?;
        }
    }
    let width = bits.read::<16, u16>("frame_width_minus_1")?;
    let height = bits.read::<16, u16>("frame_height_minus_1")?;
    Ok(Some(Picture { key: true, geometry: Some((width.saturating_add(1), height.saturating_add(1))) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vp8_key_frames_carry_their_size() {
        let key = [0x10, 2, 0, 0x9d, 0x01, 0x2a, 0x80, 0x42, 0x68, 0x01, 9];
        assert_eq!(vp8(&key).and_then(|p| p.geometry), Some((640, 360)));
        assert_eq!(vp8(&[0x11, 0, 0]).map(|p| p.key), Some(false));
        assert_eq!(vp8(&[0x10, 2, 0, 0, 0, 0, 0, 0, 0, 0]), None);
        assert_eq!(vp8(&[]), None);
    }

    #[test]
    fn garbage_is_no_vp9_frame() {
        assert_eq!(vp9(&[0x00; 12]), None);
        assert_eq!(vp9(&[0x82]), None);
    }
}
