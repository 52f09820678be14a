//! The H.264 envelope: made-up parameter sets and a slice NAL unit that holds the sealed frame.
//!
//! ```text
//! 00 00 00 01  67 ..   SPS  \
//! 00 00 00 01  68 ..   PPS   > key frames
//! 00 00 00 01  65      slice header: first_mb_in_slice 0, slice_type 7, pps id, zero bits to the byte
//!              escaped (SFrame bytes, 80)
//!
//! 00 00 00 01  41      other frames: the same with slice_type 0, and one byte 80 more
//!              escaped (SFrame bytes, 80)
//! ```
//! The 80 stands where a NAL unit has its stop bit; without it an SFrame tag that ends in zeros would lose them.

use super::emulation::{self, ZeroRun};
use super::parameter_sets::{self, MadeUp, SpsParameters};
use super::{BuildError, Parts, SplitError};
use crate::bits::{BitReader, BitWriter};

/// NAL unit header of the slice of a key frame (IDR).
pub(crate) const KEY_SLICE: u8 = 0x65;
/// NAL unit header of the slice of any other frame.
pub(crate) const DELTA_SLICE: u8 = 0x41;
/// What an Annex B NAL unit begins with in a canonical envelope.
pub(crate) const START_CODE: [u8; 4] = [0, 0, 0, 1];
/// Byte that ends the slice.
pub(crate) const SLICE_END: u8 = 0x80;

/// nal_unit_type (table 7-1) of a slice, an IDR slice, an SPS and a PPS.
pub(crate) mod nal_type {
    pub(crate) const SLICE: u8 = 1;
    pub(crate) const IDR: u8 = 5;
    pub(crate) const SPS: u8 = 7;
    pub(crate) const PPS: u8 = 8;
}

/// Returns nal_unit_type of a NAL unit's header byte.
pub(crate) const fn nal_type_of(header: u8) -> u8 {
    header & 0x1F
}

/// Builds the envelope of an Annex B key frame; returns the pps id of its first slice.
pub(super) fn build_key(frame: &[u8], out: &mut Vec<u8>) -> Result<u8, BuildError> {
    let find = |wanted: u8| {
        nal_units(frame).filter(move |nal| nal.first().is_some_and(|&header| nal_type_of(header) == wanted))
    };
    let slice = find(nal_type::IDR).next().ok_or(BuildError::MissingParameters)?;
    let pps_id = slice_pps_id(slice).ok_or(BuildError::MissingParameters)?;
    let sps_id = find(nal_type::PPS)
        .filter_map(parameter_sets::read_pps_ids)
        .find_map(|(pps, sps)| (pps == pps_id).then_some(sps))
        .ok_or(BuildError::MissingParameters)?;
    let mut unreadable = false;
    let parameters = find(nal_type::SPS)
        .filter_map(|nal| SpsParameters::read(nal).inspect_err(|_| unreadable = true).ok())
        .find(|parameters| parameters.sps_id == sps_id);
    let parameters = match parameters {
        Some(parameters) => parameters,
        None if unreadable => return Err(BuildError::UnreadableSps),
        None => return Err(BuildError::MissingParameters),
    };
    out.extend_from_slice(&START_CODE);
    out.extend_from_slice(parameters.write(&mut MadeUp::new()));
    out.extend_from_slice(&START_CODE);
    out.extend_from_slice(parameter_sets::write_pps(pps_id, sps_id, &mut MadeUp::new()));
    push_slice(true, pps_id, out);
    Ok(pps_id)
}

/// Appends start code, NAL unit header and slice header of the slice that holds the sealed frame.
pub(super) fn push_slice(key: bool, pps_id: u8, out: &mut Vec<u8>) {
    out.extend_from_slice(&START_CODE);
    out.push(if key { KEY_SLICE } else { DELTA_SLICE });
    out.extend_from_slice(slice_header(key, pps_id).as_bytes());
}

/// Appends the sealed frame to an envelope.
pub(super) fn push_sealed(sframe: &[u8], wire: &mut Vec<u8>) {
    let run = ZeroRun::after(wire);
    emulation::escape(run, sframe, wire);
    // The closing byte is above 3, so it needs no escape whatever precedes it.
    wire.push(SLICE_END);
}

pub(super) fn split<'a>(wire: &[u8], scratch: &'a mut Vec<u8>) -> Result<Parts<'a>, SplitError> {
    scratch.clear();
    let mut rest = wire;
    let slice = loop {
        rest = strip_start_code(rest).ok_or(SplitError::Envelope)?;
        let &header = rest.first().ok_or(SplitError::Truncated)?;
        match nal_type_of(header) {
            // The slice runs to the end of the frame; it is not searched for start codes.
            nal_type::SLICE | nal_type::IDR => break rest,
            nal_type::SPS | nal_type::PPS => {
                let end = next_start_code(rest).ok_or(SplitError::Truncated)?;
                scratch.extend_from_slice(&START_CODE);
                scratch.extend_from_slice(&rest[..end]);
                rest = &rest[end..];
            }
            _ => return Err(SplitError::Envelope),
        }
    };
    let key = slice[0] == KEY_SLICE;
    if key == scratch.is_empty() || !key && slice[0] != DELTA_SLICE {
        return Err(SplitError::Envelope);
    }
    let header_len = slice_header_len(key, &slice[1..]).ok_or(SplitError::Envelope)?;
    let (clear, sealed) = slice.split_at(1 + header_len);
    let sealed = sealed.strip_suffix(&[SLICE_END]).ok_or(SplitError::Truncated)?;
    scratch.extend_from_slice(&START_CODE);
    scratch.extend_from_slice(clear);
    let envelope_len = scratch.len();
    emulation::unescape(ZeroRun::after(clear), sealed, scratch);
    let (envelope, sframe) = scratch.split_at(envelope_len);
    Ok(Parts { envelope, sframe, key })
}

/// Returns the slice header's bytes: `88 80` and `E0 80` for pps 0, as tried with browsers; at most five.
pub(crate) fn slice_header(key: bool, pps_id: u8) -> SliceHeader {
    let mut bits = BitWriter::new();
    bits.unsigned_exp_golomb(0);
    bits.unsigned_exp_golomb(if key { SLICE_TYPE_I } else { SLICE_TYPE_P });
    bits.unsigned_exp_golomb(u32::from(pps_id));
    bits.align();
    if !key {
        bits.bits(8, 0x80);
    }
    SliceHeader(bits)
}

/// Bytes of a made-up slice header, without the NAL unit header.
#[derive(Debug)]
pub(crate) struct SliceHeader(BitWriter<5>);

impl SliceHeader {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// Returns the length of the made-up slice header at the front of `slice` (NAL unit header taken off), whatever pps it
/// names; `None` when it is not exactly one.
pub(crate) fn slice_header_len(key: bool, slice: &[u8]) -> Option<usize> {
    let pps_id = read_slice_pps_id(slice)?;
    let expected = slice_header(key, pps_id);
    slice.starts_with(expected.as_bytes()).then_some(expected.as_bytes().len())
}

/// Returns the pps id that a real slice NAL unit names.
fn slice_pps_id(nal: &[u8]) -> Option<u8> {
    let mut head = [0; 16];
    read_slice_pps_id(emulation::unescape_front(ZeroRun::default(), nal.get(1..)?, &mut head))
}

/// 7.3.3: first_mb_in_slice, slice_type, pic_parameter_set_id.
pub(crate) fn read_slice_pps_id(slice: &[u8]) -> Option<u8> {
    let mut bits = BitReader::new(&slice[..slice.len().min(16)]);
    bits.unsigned_exp_golomb().ok()?;
    bits.unsigned_exp_golomb().ok()?;
    u8::try_from(bits.unsigned_exp_golomb().ok()?).ok()
}

/// Returns the NAL units of an Annex B byte stream in order, header byte first, without the zero bytes that may follow
/// one (B.1). Bytes before the first start code are left out.
pub(crate) fn nal_units(bytes: &[u8]) -> impl Iterator<Item = &[u8]> + Clone {
    let mut rest = next_start_code(bytes).map_or(&[][..], |at| &bytes[at..]);
    std::iter::from_fn(move || {
        let body = strip_start_code(rest)?;
        let end = next_start_code(body).unwrap_or(body.len());
        rest = &body[end..];
        let trailing = body[..end].iter().rev().take_while(|&&byte| byte == 0).count();
        Some(&body[..end - trailing])
    })
}

fn strip_start_code(bytes: &[u8]) -> Option<&[u8]> {
    bytes.strip_prefix(&START_CODE).or_else(|| bytes.strip_prefix(&START_CODE[1..]))
}

/// Returns where the next start code begins, with its leading zero byte when it has one.
fn next_start_code(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    // A start code ends in 1 after two zeros; a byte above 1 rules out the two places before it.
    while let Some(&third) = bytes.get(at + 2) {
        match third {
            0 => at += 1,
            1 if bytes[at] == 0 && bytes[at + 1] == 0 => {
                return Some(if at > 0 && bytes[at - 1] == 0 { at - 1 } else { at });
            }
            _ => at += 3,
        }
    }
    None
}

const SLICE_TYPE_P: u32 = 0;
const SLICE_TYPE_I: u32 = 7;
