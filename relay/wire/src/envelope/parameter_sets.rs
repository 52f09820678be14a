//! H.264 parameter sets (7.3.2.1, 7.3.2.2): what the envelope keeps of a real SPS, and the sets it shows instead.
//!
//! libwebrtc rewrites on reception every SPS whose VUI does not rule out reordering, one without VUI too. Rewritten
//! bytes would fail authentication. So the made-up SPS has POC type 2 and a VUI that holds a bitstream restriction
//! and nothing else: no reordering, and a decoded picture buffer of exactly max_num_ref_frames.

use super::BuildError;
use super::emulation::{self, ZeroRun};
use crate::bits::{BitReader, BitWriter, Exhausted};

/// NAL unit header of an SPS.
pub(crate) const SPS_HEADER: u8 = 0x67;
/// NAL unit header of a PPS.
pub(crate) const PPS_HEADER: u8 = 0x68;

/// What a made-up SPS repeats of the real one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SpsParameters {
    profile_idc: u8,
    constraint_flags: u8,
    level_idc: u8,
    pub(crate) sps_id: u8,
    chroma: Option<Chroma>,
    max_num_ref_frames: u32,
    width_in_mbs_minus1: u32,
    height_in_map_units_minus1: u32,
    frame_mbs_only: bool,
    /// Left, right, top, bottom.
    cropping: Option<[u32; 4]>,
}

/// The part that only high profiles have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Chroma {
    format_idc: u32,
    separate_planes: bool,
    bit_depth_luma_minus8: u32,
    bit_depth_chroma_minus8: u32,
}

impl SpsParameters {
    /// Reads any SPS NAL unit up to its VUI, header byte and escapes included. Allocates nothing.
    pub(crate) fn read(nal: &[u8]) -> Result<Self, BuildError> {
        let mut rbsp = [0; MAX_SPS_LEN];
        let rbsp = emulation::unescape_front(ZeroRun::default(), nal.get(1..).unwrap_or(&[]), &mut rbsp);
        Self::read_rbsp(rbsp).ok().filter(Self::is_possible).ok_or(BuildError::UnreadableSps)
    }

    fn read_rbsp(rbsp: &[u8]) -> Result<Self, Exhausted> {
        let mut bits = BitReader::new(rbsp);
        let profile_idc = bits.bits(8)? as u8;
        let constraint_flags = bits.bits(8)? as u8;
        let level_idc = bits.bits(8)? as u8;
        let sps_id = u8::try_from(bits.unsigned_exp_golomb()?).map_err(|_| Exhausted)?;
        let chroma = if has_chroma(profile_idc) { Some(Chroma::read(&mut bits)?) } else { None };
        let _log2_max_frame_num_minus4 = bits.unsigned_exp_golomb()?;
        skip_picture_order_count(&mut bits)?;
        let max_num_ref_frames = bits.unsigned_exp_golomb()?;
        let _gaps_in_frame_num_allowed = bits.flag()?;
        let width_in_mbs_minus1 = bits.unsigned_exp_golomb()?;
        let height_in_map_units_minus1 = bits.unsigned_exp_golomb()?;
        let frame_mbs_only = bits.flag()?;
        if !frame_mbs_only {
            let _mb_adaptive_frame_field = bits.flag()?;
        }
        let _direct_8x8_inference = bits.flag()?;
        let mut cropping = None;
        if bits.flag()? {
            let mut offsets = [0; 4];
            for offset in &mut offsets {
                *offset = bits.unsigned_exp_golomb()?;
            }
            cropping = Some(offsets);
        }
        Ok(Self {
            profile_idc,
            constraint_flags,
            level_idc,
            sps_id,
            chroma,
            max_num_ref_frames,
            width_in_mbs_minus1,
            height_in_map_units_minus1,
            frame_mbs_only,
            cropping,
        })
    }

    /// Bounds of the standard, so that the made-up SPS has at most [`MAX_MADE_UP_LEN`] bytes.
    fn is_possible(&self) -> bool {
        let crops = self.cropping.unwrap_or_default();
        self.sps_id < 32
            && self.max_num_ref_frames <= 16
            && self.width_in_mbs_minus1 < MAX_MBS
            && self.height_in_map_units_minus1 < MAX_MBS
            && crops.iter().all(|&crop| crop < 16 * MAX_MBS)
            && self.chroma.is_none_or(|chroma| chroma.is_possible())
    }

    /// Writes the made-up SPS as a NAL unit, escapes included, and returns it.
    pub(crate) fn write<'a>(&self, out: &'a mut MadeUp) -> &'a [u8] {
        let mut bits = BitWriter::<MAX_MADE_UP_LEN>::new();
        for byte in [self.profile_idc, self.constraint_flags, self.level_idc] {
            bits.bits(8, u32::from(byte));
        }
        bits.unsigned_exp_golomb(u32::from(self.sps_id));
        if let Some(chroma) = self.chroma {
            chroma.write(&mut bits);
        }
        bits.unsigned_exp_golomb(0);
        bits.unsigned_exp_golomb(POC_TYPE_2);
        bits.unsigned_exp_golomb(self.max_num_ref_frames);
        bits.flag(false);
        bits.unsigned_exp_golomb(self.width_in_mbs_minus1);
        bits.unsigned_exp_golomb(self.height_in_map_units_minus1);
        bits.flag(self.frame_mbs_only);
        if !self.frame_mbs_only {
            bits.flag(false);
        }
        bits.flag(true);
        bits.flag(self.cropping.is_some());
        for offset in self.cropping.into_iter().flatten() {
            bits.unsigned_exp_golomb(offset);
        }
        self.write_vui(&mut bits);
        bits.flag(true);
        debug_assert!(!bits.overflowed(), "is_possible() bounds every number");
        out.set(SPS_HEADER, bits.as_bytes())
    }

    /// A VUI (E.1.1) of a bitstream restriction alone.
    fn write_vui(&self, bits: &mut BitWriter<MAX_MADE_UP_LEN>) {
        bits.flag(true);
        bits.bits(VUI_FLAGS_BEFORE_RESTRICTION, 0);
        bits.flag(true);
        // motion_vectors_over_pic_boundaries_flag, then what the standard infers when nothing is said.
        bits.flag(true);
        bits.unsigned_exp_golomb(2);
        bits.unsigned_exp_golomb(1);
        bits.unsigned_exp_golomb(16);
        bits.unsigned_exp_golomb(16);
        bits.unsigned_exp_golomb(0);
        bits.unsigned_exp_golomb(self.max_num_ref_frames);
    }
}

impl Chroma {
    fn read(bits: &mut BitReader<'_>) -> Result<Self, Exhausted> {
        let format_idc = bits.unsigned_exp_golomb()?;
        let separate_planes = format_idc == CHROMA_444 && bits.flag()?;
        let bit_depth_luma_minus8 = bits.unsigned_exp_golomb()?;
        let bit_depth_chroma_minus8 = bits.unsigned_exp_golomb()?;
        let _transform_bypass = bits.flag()?;
        if bits.flag()? {
            let lists = if format_idc == CHROMA_444 { 12 } else { 8 };
            for list in 0..lists {
                if bits.flag()? {
                    skip_scaling_list(bits, if list < 6 { 16 } else { 64 })?;
                }
            }
        }
        Ok(Self { format_idc, separate_planes, bit_depth_luma_minus8, bit_depth_chroma_minus8 })
    }

    fn is_possible(&self) -> bool {
        self.format_idc <= CHROMA_444 && self.bit_depth_luma_minus8 <= 6 && self.bit_depth_chroma_minus8 <= 6
    }

    fn write(&self, bits: &mut BitWriter<MAX_MADE_UP_LEN>) {
        bits.unsigned_exp_golomb(self.format_idc);
        if self.format_idc == CHROMA_444 {
            bits.flag(self.separate_planes);
        }
        bits.unsigned_exp_golomb(self.bit_depth_luma_minus8);
        bits.unsigned_exp_golomb(self.bit_depth_chroma_minus8);
        // No transform bypass, no scaling lists.
        bits.bits(2, 0);
    }
}

/// Returns pps id and sps id that any PPS NAL unit begins with; `None` when it is cut off.
pub(crate) fn read_pps_ids(nal: &[u8]) -> Option<(u8, u8)> {
    let mut rbsp = [0; 8];
    let rbsp = emulation::unescape_front(ZeroRun::default(), nal.get(1..)?, &mut rbsp);
    let mut bits = BitReader::new(rbsp);
    let pps_id = bits.unsigned_exp_golomb().ok()?;
    let sps_id = bits.unsigned_exp_golomb().ok()?;
    (sps_id < 32).then_some((u8::try_from(pps_id).ok()?, sps_id as u8))
}

/// Writes the made-up PPS: CAVLC, one slice group, no tools, QP 26.
pub(crate) fn write_pps(pps_id: u8, sps_id: u8, out: &mut MadeUp) -> &[u8] {
    let mut bits = BitWriter::<MAX_MADE_UP_LEN>::new();
    bits.unsigned_exp_golomb(u32::from(pps_id));
    bits.unsigned_exp_golomb(u32::from(sps_id));
    // entropy_coding_mode_flag, bottom_field_pic_order_in_frame_present_flag.
    bits.bits(2, 0);
    // num_slice_groups_minus1, num_ref_idx_l0_default_active_minus1, and l1.
    (0..3).for_each(|_| bits.unsigned_exp_golomb(0));
    // weighted_pred_flag, weighted_bipred_idc.
    bits.bits(3, 0);
    // pic_init_qp_minus26, pic_init_qs_minus26, chroma_qp_index_offset, all se(v) of 0.
    (0..3).for_each(|_| bits.unsigned_exp_golomb(0));
    // deblocking_filter_control_present_flag, constrained_intra_pred_flag, redundant_pic_cnt_present_flag.
    bits.bits(3, 0);
    bits.flag(true);
    out.set(PPS_HEADER, bits.as_bytes())
}

/// Returns whether a NAL unit is an SPS exactly as [`SpsParameters::write`] makes it. Allocates nothing.
pub(crate) fn is_made_up_sps(nal: &[u8]) -> bool {
    SpsParameters::read(nal).is_ok_and(|parameters| parameters.write(&mut MadeUp::new()) == nal)
}

/// Returns the pps id of a NAL unit that is a PPS exactly as [`write_pps`] makes it. Allocates nothing.
pub(crate) fn made_up_pps_id(nal: &[u8]) -> Option<u8> {
    let (pps_id, sps_id) = read_pps_ids(nal)?;
    (write_pps(pps_id, sps_id, &mut MadeUp::new()) == nal).then_some(pps_id)
}

/// Room for one made-up parameter set, on the stack.
#[derive(Debug)]
pub(crate) struct MadeUp {
    bytes: [u8; 1 + MAX_MADE_UP_LEN * 3 / 2],
}

impl MadeUp {
    pub(crate) fn new() -> Self {
        Self { bytes: [0; 1 + MAX_MADE_UP_LEN * 3 / 2] }
    }

    fn set(&mut self, header: u8, rbsp: &[u8]) -> &[u8] {
        self.bytes[0] = header;
        let len = 1 + emulation::escape_into(rbsp, &mut self.bytes[1..]);
        &self.bytes[..len]
    }
}

/// 7.4.2.1.1: profiles whose SPS says how chroma is coded.
fn has_chroma(profile_idc: u8) -> bool {
    matches!(profile_idc, 100 | 110 | 122 | 244 | 44 | 83 | 86 | 118 | 128 | 138 | 139 | 134 | 135)
}

fn skip_picture_order_count(bits: &mut BitReader<'_>) -> Result<(), Exhausted> {
    match bits.unsigned_exp_golomb()? {
        0 => {
            bits.unsigned_exp_golomb()?;
        }
        1 => {
            bits.flag()?;
            // Two signed numbers, a count, and that many signed numbers; their lengths are those of unsigned ones.
            bits.unsigned_exp_golomb()?;
            bits.unsigned_exp_golomb()?;
            for _ in 0..bits.unsigned_exp_golomb()? {
                bits.unsigned_exp_golomb()?;
            }
        }
        _ => {}
    }
    Ok(())
}

/// 7.3.2.1.1.1: deltas are only present until one makes the next scale zero.
fn skip_scaling_list(bits: &mut BitReader<'_>, size: u32) -> Result<(), Exhausted> {
    let mut last = 8i64;
    for _ in 0..size {
        let code = i64::from(bits.unsigned_exp_golomb()?);
        let delta = if code % 2 == 0 { -(code / 2) } else { code / 2 + 1 };
        last = (last + delta).rem_euclid(256);
        if last == 0 {
            break;
        }
    }
    Ok(())
}

/// A real SPS with every scaling list spelled out stays below this.
const MAX_SPS_LEN: usize = 1024;
/// 35 bytes hold the longest numbers that `is_possible` allows.
const MAX_MADE_UP_LEN: usize = 64;
/// 16384 pixels, twice what the highest level allows.
const MAX_MBS: u32 = 1024;
const POC_TYPE_2: u32 = 2;
const CHROMA_444: u32 = 3;
/// Aspect ratio, overscan, video signal, chroma location, timing, two HRDs, picture structure.
const VUI_FLAGS_BEFORE_RESTRICTION: u32 = 8;
