//! H.264 access units: finding them in a byte stream and giving them the shape in which they are sent
//! (ITU-T H.264 sections 7.3, 7.4.1.2 and annex B).
//!
//! Sent are Annex B units with 4-byte start codes, without access unit delimiter and filler, and with every key frame
//! preceded by the parameter sets it needs.

use std::collections::BTreeMap;

use bytes::Bytes;
use h264_reader::nal::sps::{FrameMbsFlags, PicOrderCntType, SeqParameterSet};
use h264_reader::rbsp::{BitRead, BitReader, BitReaderError, ByteReader};

pub(crate) const SLICE: u8 = 1;
pub(crate) const IDR: u8 = 5;
pub(crate) const SPS: u8 = 7;
pub(crate) const PPS: u8 = 8;
pub(crate) const AUD: u8 = 9;
const END_OF_SEQUENCE: u8 = 10;
const END_OF_STREAM: u8 = 11;
const FILLER: u8 = 12;

pub(crate) const START_CODE: [u8; 4] = [0, 0, 0, 1];

/// One access unit, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AccessUnit {
    pub(crate) data: Bytes,
    pub(crate) key: bool,
    pub(crate) geometry: (u16, u16),
}

/// Why NAL units make no access unit that can be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unsendable {
    /// A slice is predicted from two sides.
    BFrame,
    /// A slice codes one field.
    Interlaced,
    /// A slice names parameter sets that have not been seen.
    NoParameterSets,
    /// No slice at all.
    NoPicture,
    /// The bits contradict themselves.
    Damaged,
}

/// The type of a NAL unit; 0 (unspecified) for an empty one.
pub(crate) fn nal_type(nal: &[u8]) -> u8 {
    nal.first().map_or(0, |header| header & 0x1f)
}

/// The NAL units of an Annex B byte stream, without start codes and trailing zeros.
pub(crate) fn nal_units(stream: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = after_start_code(stream).map(|at| &stream[at..]);
    std::iter::from_fn(move || {
        let current = rest?;
        let next = after_start_code(current);
        rest = next.map(|at| &current[at..]);
        let nal = next.map_or(current, |at| &current[..at - 3]);
        Some(without_trailing_zeros(nal))
    })
    .filter(|nal| !nal.is_empty())
}

/// Remembers a stream's parameter sets and turns NAL units into access units.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stream {
    sps: BTreeMap<u32, (Bytes, Sps)>,
    pps: BTreeMap<u32, (Bytes, Pps)>,
}

/// What slices need of a sequence parameter set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sps {
    pub(crate) geometry: (u16, u16),
    pub(crate) fps: Option<f64>,
    frame_num_bits: u32,
    /// Bits of pic_order_cnt_lsb, for type 0.
    poc_lsb_bits: Option<u32>,
    frames_only: bool,
    separate_planes: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pps {
    sps: u32,
}

/// The beginning of a slice header (section 7.3.3), as far as it tells pictures apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SliceHead {
    reference: bool,
    idr: bool,
    first_macroblock: u32,
    pub(crate) bidirectional: bool,
    pub(crate) field: bool,
    bottom: bool,
    pps: u32,
    frame_num: u32,
    idr_pic_id: u32,
    poc_lsb: u32,
}

impl SliceHead {
    /// Whether this slice begins another picture than `previous` belongs to (section 7.4.1.2.4).
    ///
    /// A first macroblock of 0 also begins a picture: arbitrary slice order is not used by live encoders, and
    /// pictures that differ in nothing else are.
    pub(crate) fn begins_picture(&self, previous: &Self) -> bool {
        let same_picture = Self {
            first_macroblock: previous.first_macroblock,
            bidirectional: previous.bidirectional,
            ..*self
        };
        self.first_macroblock == 0 || same_picture != *previous
    }
}

impl Stream {
    /// Takes note of a parameter set; other NAL units are ignored, and so are parameter sets that cannot be read.
    pub(crate) fn learn(&mut self, nal: &[u8]) {
        match nal_type(nal) {
            SPS => {
                if let Some((id, sps)) = read_sps(nal) {
                    self.sps.insert(id, (Bytes::copy_from_slice(nal), sps));
                }
            }
            PPS => {
                if let Ok((id, pps)) = read_pps(nal) {
                    self.pps.insert(id, (Bytes::copy_from_slice(nal), pps));
                }
            }
            _ => {}
        }
    }

    /// Any sequence parameter set, for what the stream says about itself.
    pub(crate) fn first_sps(&self) -> Option<&Sps> {
        self.sps.values().next().map(|(_, sps)| sps)
    }

    /// Reads the beginning of a slice.
    pub(crate) fn slice_head(&self, nal: &[u8]) -> Result<SliceHead, Unsendable> {
        let mut bits = rbsp(nal);
        let damaged = |_: BitReaderError| Unsendable::Damaged;
        let first_macroblock = bits.read_ue("first_mb_in_slice").map_err(damaged)?;
        let slice_type = bits.read_ue("slice_type").map_err(damaged)?;
        let pps = bits.read_ue("pic_parameter_set_id").map_err(damaged)?;
        let sps = self.sps_of(pps)?;
        let mut head = SliceHead {
            reference: nal[0] & 0x60 != 0,
            idr: nal_type(nal) == IDR,
            first_macroblock,
            bidirectional: slice_type % 5 == 1,
            field: false,
            bottom: false,
            pps,
            frame_num: 0,
            idr_pic_id: 0,
            poc_lsb: 0,
        };
        head.read_rest(&mut bits, sps).map_err(damaged)?;
        Ok(head)
    }

    /// Makes an access unit of its NAL units, learning the parameter sets among them.
    pub(crate) fn access_unit(&mut self, nals: &[&[u8]]) -> Result<AccessUnit, Unsendable> {
        let mut key = false;
        let mut first_pps = None;
        let mut all_sets_inside = true;
        let (mut sps_inside, mut pps_inside) = (Vec::new(), Vec::new());
        for &nal in nals {
            match nal_type(nal) {
                SPS => {
                    self.learn(nal);
                    sps_inside.extend(read_sps(nal).map(|(id, _)| id));
                }
                PPS => {
                    self.learn(nal);
                    pps_inside.extend(read_pps(nal).map(|(id, _)| id));
                }
                SLICE..=IDR => {
                    key |= nal_type(nal) == IDR;
                    if (SLICE + 2..IDR).contains(&nal_type(nal)) {
                        continue; // data partitions B and C have no slice header
                    }
                    let head = self.slice_head(nal)?;
                    if head.bidirectional {
                        return Err(Unsendable::BFrame);
                    }
                    if head.field {
                        return Err(Unsendable::Interlaced);
                    }
                    first_pps.get_or_insert(head.pps);
                    all_sets_inside &= pps_inside.contains(&head.pps)
                        && self.pps.get(&head.pps).is_some_and(|(_, pps)| sps_inside.contains(&pps.sps));
                }
                _ => {}
            }
        }
        let first_pps = first_pps.ok_or(Unsendable::NoPicture)?;
        let geometry = self.sps_of(first_pps)?.geometry;
        let in_front = key && !all_sets_inside;
        Ok(AccessUnit { data: self.assemble(nals, in_front), key, geometry })
    }

    fn assemble(&self, nals: &[&[u8]], sets_in_front: bool) -> Bytes {
        let kept = nals.iter().copied().filter(|nal| match nal_type(nal) {
            AUD | FILLER | END_OF_SEQUENCE | END_OF_STREAM => false,
            SPS | PPS => !sets_in_front,
            _ => true,
        });
        let sets =
            self.sps.values().map(|(nal, _)| &nal[..]).chain(self.pps.values().map(|(nal, _)| &nal[..]));
        let all = sets.filter(|_| sets_in_front).chain(kept);
        let length = all.clone().map(|nal| nal.len() + START_CODE.len()).sum();
        let mut data = Vec::with_capacity(length);
        for nal in all {
            data.extend_from_slice(&START_CODE);
            data.extend_from_slice(nal);
        }
        data.into()
    }

    fn sps_of(&self, pps: u32) -> Result<&Sps, Unsendable> {
        let pps = self.pps.get(&pps);
        let sps = pps.and_then(|(_, pps)| self.sps.get(&pps.sps));
        sps.map(|(_, sps)| sps).ok_or(Unsendable::NoParameterSets)
    }
}

impl SliceHead {
    fn read_rest(&mut self, bits: &mut impl BitRead, sps: &Sps) -> Result<(), BitReaderError> {
        if sps.separate_planes {
            bits.skip(2, "colour_plane_id")?;
        }
        self.frame_num = bits.read_var(sps.frame_num_bits, "frame_num")?;
        if !sps.frames_only {
            self.field = bits.read_bit("field_pic_flag")?;
            if self.field {
                self.bottom = bits.read_bit("bottom_field_flag")?;
            }
        }
        if self.idr {
            self.idr_pic_id = bits.read_ue("idr_pic_id")?;
        }
        if let Some(length) = sps.poc_lsb_bits {
            self.poc_lsb = bits.read_var(length, "pic_order_cnt_lsb")?;
        }
        Ok(())
    }
}

/// Width and height in pixels that a sequence parameter set names.
pub(crate) fn geometry(sps: &[u8]) -> Option<(u16, u16)> {
    read_sps(sps).map(|(_, sps)| sps.geometry)
}

fn read_sps(nal: &[u8]) -> Option<(u32, Sps)> {
    let sps = SeqParameterSet::from_bits(rbsp(nal)).ok()?;
    let (width, height) = sps.pixel_dimensions().ok()?;
    let poc_lsb_bits = match sps.pic_order_cnt {
        PicOrderCntType::TypeZero { log2_max_pic_order_cnt_lsb_minus4 } => {
            Some(u32::from(log2_max_pic_order_cnt_lsb_minus4) + 4)
        }
        _ => None,
    };
    let facts = Sps {
        geometry: (u16::try_from(width).ok()?, u16::try_from(height).ok()?),
        fps: sps.fps().filter(|fps| (1.0..=240.0).contains(fps)),
        frame_num_bits: u32::from(sps.log2_max_frame_num()),
        poc_lsb_bits,
        frames_only: matches!(sps.frame_mbs_flags, FrameMbsFlags::Frames),
        separate_planes: sps.chroma_info.separate_colour_plane_flag,
    };
    Some((u32::from(sps.id().id()), facts))
}

fn read_pps(nal: &[u8]) -> Result<(u32, Pps), BitReaderError> {
    let mut bits = rbsp(nal);
    let id = bits.read_ue("pic_parameter_set_id")?;
    let sps = bits.read_ue("seq_parameter_set_id")?;
    Ok((id, Pps { sps }))
}

fn rbsp(nal: &[u8]) -> BitReader<ByteReader<&[u8]>> {
    BitReader::new(ByteReader::skipping_h264_header(nal))
}

/// Index behind the next `00 00 01`.
fn after_start_code(bytes: &[u8]) -> Option<usize> {
    let mut at = 2;
    while at < bytes.len() {
        match bytes[at] {
            1 if bytes[at - 1] == 0 && bytes[at - 2] == 0 => return Some(at + 1),
            0 => at += 1,
            _ => at += 3,
        }
    }
    None
}

fn without_trailing_zeros(nal: &[u8]) -> &[u8] {
    let end = nal.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
    &nal[..end]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn start_codes_of_both_lengths_separate_nal_units() {
        let stream = [0, 0, 0, 1, 9, 0x10, 0, 0, 1, 0x65, 1, 0, 0, 3, 0, 0, 0, 0, 1, 0x41, 7, 0, 0];
        let nals: Vec<_> = nal_units(&stream).collect();
        assert_eq!(nals, [&[9, 0x10][..], &[0x65, 1, 0, 0, 3], &[0x41, 7]]);
        assert_eq!(nal_units(&[1, 2, 3]).count(), 0);
        assert_eq!(nal_units(&[0, 0, 1]).count(), 0);
        assert_eq!(nal_units(&[0, 0, 1, 0, 0, 1, 5]).count(), 1);
    }

    #[test]
    fn every_start_code_position_is_found() {
        for prefix in 0..9 {
            let mut bytes = vec![7; prefix];
            bytes.extend_from_slice(&[0, 0, 1, 0x41]);
            assert_eq!(after_start_code(&bytes), Some(prefix + 3), "prefix {prefix}");
            let mut zeros = vec![0; prefix];
            zeros.extend_from_slice(&[0, 0, 1]);
            assert_eq!(after_start_code(&zeros), Some(prefix + 3), "zeros {prefix}");
        }
    }
}
