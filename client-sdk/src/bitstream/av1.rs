//! Key flag and picture size of AV1 temporal units in the low-overhead format (AV1 specification sections 5.3 to 5.9).

use h264_reader::rbsp::{BitRead, BitReader, BitReaderError};

const SEQUENCE_HEADER: u8 = 1;
const TEMPORAL_DELIMITER: u8 = 2;
const FRAME_HEADER: u8 = 3;
const FRAME: u8 = 6;

/// A temporal unit as its bytes without a size are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TemporalUnit {
    /// The first frame is a key frame and its sequence header is there.
    pub(crate) key: bool,
    /// Largest width and height of the sequence in pixels, where a sequence header is there.
    pub(crate) geometry: Option<(u16, u16)>,
}

/// Reads a temporal unit; `None` when its OBUs contradict themselves.
pub(crate) fn describe(unit: &[u8]) -> Option<TemporalUnit> {
    let mut geometry = None;
    let mut first_frame_is_key = None;
    for obu in Obus(unit) {
        let obu = obu?;
        match obu.kind {
            SEQUENCE_HEADER => geometry = Some(sequence_geometry(obu.payload).ok()??),
            FRAME | FRAME_HEADER if first_frame_is_key.is_none() => {
                // show_existing_frame (1 bit), frame_type (2 bits, 0 is KEY_FRAME).
                first_frame_is_key = Some(obu.payload.first()? & 0xe0 == 0);
            }
            _ => {}
        }
    }
    Some(TemporalUnit { key: first_frame_is_key == Some(true) && geometry.is_some(), geometry })
}

/// The unit without temporal delimiters, as it is sent; `None` when its OBUs contradict themselves.
pub(crate) fn without_delimiters(unit: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(unit.len());
    for obu in Obus(unit) {
        let obu = obu?;
        if obu.kind != TEMPORAL_DELIMITER {
            out.extend_from_slice(obu.whole);
        }
    }
    Some(out)
}

/// The temporal delimiter that stands in front of every unit in a file.
pub(crate) const DELIMITER: [u8; 2] = [TEMPORAL_DELIMITER << 3 | 2, 0];

struct Obu<'a> {
    kind: u8,
    whole: &'a [u8],
    payload: &'a [u8],
}

/// The OBUs of a unit, each `None` where the bytes end too early (and then the last).
struct Obus<'a>(&'a [u8]);

impl<'a> Iterator for Obus<'a> {
    type Item = Option<Obu<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let obu = split_obu(self.0);
        self.0 = obu.as_ref().map_or(&[], |obu| &self.0[obu.whole.len()..]);
        Some(obu)
    }
}

fn split_obu(bytes: &[u8]) -> Option<Obu<'_>> {
    let header = bytes[0];
    if header & 0x80 != 0 {
        return None;
    }
    let mut at = if header & 0x04 != 0 { 2 } else { 1 };
    let size = if header & 0x02 != 0 {
        let (size, length) = leb128(bytes.get(at..)?)?;
        at += length;
        size
    } else {
        bytes.len().checked_sub(at)?
    };
    let end = at.checked_add(size)?;
    Some(Obu { kind: header >> 3 & 0x0f, whole: bytes.get(..end)?, payload: &bytes[at..end] })
}

fn leb128(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0_u64;
    for (index, byte) in bytes.iter().take(8).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((usize::try_from(value).ok()?, index + 1));
        }
    }
    None
}

/// Width and height of a sequence header OBU (section 5.5).
fn sequence_geometry(payload: &[u8]) -> Result<Option<(u16, u16)>, BitReaderError> {
    let mut bits = BitReader::new(payload);
    bits.skip(4, "seq_profile, still_picture")?;
    if bits.read_bit("reduced_still_picture_header")? {
        bits.skip(5, "seq_level_idx")?;
    } else {
        skip_operating_points(&mut bits)?;
    }
    let width_bits = bits.read::<4, u32>("frame_width_bits_minus_1")? + 1;
    let height_bits = bits.read::<4, u32>("frame_height_bits_minus_1")? + 1;
    let width: u32 = bits.read_var(width_bits, "max_frame_width_minus_1")?;
    let height: u32 = bits.read_var(height_bits, "max_frame_height_minus_1")?;
    Ok(u16::try_from(width + 1).ok().zip(u16::try_from(height + 1).ok()))
}

fn skip_operating_points(bits: &mut impl BitRead) -> Result<(), BitReaderError> {
    let mut delay_bits = None;
    if bits.read_bit("timing_info_present_flag")? {
        bits.skip(64, "num_units_in_display_tick, time_scale")?;
        if bits.read_bit("equal_picture_interval")? {
            bits.read_ue("num_ticks_per_picture_minus_1")?; // uvlc() is coded as ue(v) is
        }
        if bits.read_bit("decoder_model_info_present_flag")? {
            delay_bits = Some(bits.read::<5, u32>("buffer_delay_length_minus_1")? + 1);
            bits.skip(32 + 5 + 5, "num_units_in_decoding_tick and two lengths")?;
        }
    }
    let display_delays = bits.read_bit("initial_display_delay_present_flag")?;
    for _ in 0..=bits.read::<5, u8>("operating_points_cnt_minus_1")? {
        bits.skip(12, "operating_point_idc")?;
        if bits.read::<5, u8>("seq_level_idx")? > 7 {
            bits.skip(1, "seq_tier")?;
        }
        if let Some(length) = delay_bits
            && bits.read_bit("decoder_model_present_for_this_op")?
        {
            bits.skip(2 * length + 1, "operating_parameters_info")?;
        }
        if display_delays && bits.read_bit("initial_display_delay_present_for_this_op")? {
            bits.skip(4, "initial_display_delay_minus_1")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    // First temporal unit of `ffmpeg -f lavfi -i testsrc2=s=320x180 -c:v libaom-av1`, cut after the frame's first bytes.
    const KEY: &[u8] = &[
        0x12, 0x00, 0x0a, 0x0b, 0x00, 0x00, 0x00, 0x04, 0x3c, 0xfe, 0xcd, 0x9a, 0xf9, 0xe6, 0x40, 0x32, 0x02,
        0x10, 0x00,
    ];

    #[test]
    fn a_key_unit_is_known_by_its_sequence_header_and_frame_type() {
        let unit = describe(KEY).unwrap();
        assert!(unit.key);
        assert!(unit.geometry.is_some());
        let sent = without_delimiters(KEY).unwrap();
        assert_eq!(sent, KEY[2..]);
        let delta = [0x32, 0x02, 0x30, 0x00];
        assert!(!describe(&delta).unwrap().key);
    }

    #[test]
    fn broken_units_are_refused() {
        assert_eq!(describe(&[0x32, 0x05, 0x10]), None);
        assert_eq!(describe(&[0x80, 0x00]), None);
        assert_eq!(describe(&[0x32, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), None);
        assert_eq!(without_delimiters(&[0x12]), None);
    }
}
