//! Finds the start of a sealed frame in one packet and checks what stands before its ciphertext.

use super::Refusal;
use crate::codec::{Codec, MediaKind};
use crate::envelope::emulation::{self, ZeroRun};
use crate::envelope::h264::{self, nal_type, nal_type_of};
use crate::envelope::{parameter_sets, vp8};
use crate::payload::{
    self, Av1Packet, FRAME_OBU, H264Packet, SEQUENCE_HEADER_ELEMENT, Vp8Descriptor, Vp9Descriptor,
};
use crate::sframe_header::{self, SframeHeader};

/// What a packet showed of a frame's start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FrameStart {
    /// The packet lies inside a frame, or holds only parameter sets.
    Nothing,
    /// A frame starts here, with this header.
    Sealed(SframeHeader),
}

/// Looks for frame starts of one track.
#[derive(Debug, Clone)]
pub(super) struct FrameStarts {
    codec: Codec,
    /// The pps id of the last made-up PPS, which slices must name.
    pps_id: Option<u8>,
}

impl FrameStarts {
    pub(super) const fn new(codec: Codec) -> Self {
        Self { codec, pps_id: None }
    }

    pub(super) fn inspect(&mut self, payload: &[u8]) -> Result<FrameStart, Refusal> {
        match self.codec {
            Codec::H264 => self.inspect_h264(payload),
            Codec::Vp8 => self.inspect_vp8(payload),
            Codec::Vp9 => self.inspect_vp9(payload),
            Codec::Av1 => self.inspect_av1(payload),
            Codec::Opus => self.sealed(payload),
        }
    }

    fn inspect_vp8(&self, payload: &[u8]) -> Result<FrameStart, Refusal> {
        let descriptor = Vp8Descriptor::read(payload).ok_or(Refusal::NoEnvelope)?;
        if !descriptor.starts_frame {
            return Ok(FrameStart::Nothing);
        }
        let len = vp8::envelope_len(descriptor.body).ok_or(Refusal::NoEnvelope)?;
        self.sealed(&descriptor.body[len..])
    }

    fn inspect_vp9(&self, payload: &[u8]) -> Result<FrameStart, Refusal> {
        let descriptor = Vp9Descriptor::read(payload).ok_or(Refusal::NoSframeHeader)?;
        if descriptor.begins { self.sealed(descriptor.body) } else { Ok(FrameStart::Nothing) }
    }

    fn inspect_av1(&self, payload: &[u8]) -> Result<FrameStart, Refusal> {
        let packet = Av1Packet::read(payload).ok_or(Refusal::NoEnvelope)?;
        let mut elements = packet.elements();
        let mut element = elements.next().flatten().ok_or(Refusal::NoEnvelope)?;
        if packet.continues {
            // Our frames are one OBU, so nothing can follow the part of one.
            return if elements.next().is_some() {
                Err(Refusal::NoEnvelope)
            } else {
                Ok(FrameStart::Nothing)
            };
        }
        if packet.new_sequence {
            if element != [SEQUENCE_HEADER_ELEMENT] {
                return Err(Refusal::NoEnvelope);
            }
            element = elements.next().flatten().ok_or(Refusal::NoEnvelope)?;
        }
        match element.split_first() {
            Some((&FRAME_OBU, sealed)) if elements.next().is_none() => self.sealed(sealed),
            _ => Err(Refusal::NoEnvelope),
        }
    }

    fn inspect_h264(&mut self, payload: &[u8]) -> Result<FrameStart, Refusal> {
        match H264Packet::read(payload).ok_or(Refusal::NoEnvelope)? {
            H264Packet::Single(nal) => self.inspect_nal(nal),
            H264Packet::Aggregate(units) => {
                let mut found = FrameStart::Nothing;
                for nal in payload::aggregated(units) {
                    // One frame has one slice, and it comes last.
                    if found != FrameStart::Nothing {
                        return Err(Refusal::NoEnvelope);
                    }
                    found = self.inspect_nal(nal.ok_or(Refusal::NoEnvelope)?)?;
                }
                Ok(found)
            }
            H264Packet::Fragment { start: true, header, part, .. } => self.inspect_slice(header, part),
            H264Packet::Fragment { end, header, part, .. } => {
                let slice = matches!(header, h264::KEY_SLICE | h264::DELTA_SLICE);
                let ended = !end || part.last() == Some(&h264::SLICE_END);
                if slice && ended { Ok(FrameStart::Nothing) } else { Err(Refusal::NoEnvelope) }
            }
        }
    }

    fn inspect_nal(&mut self, nal: &[u8]) -> Result<FrameStart, Refusal> {
        let (&header, body) = nal.split_first().ok_or(Refusal::NoEnvelope)?;
        match nal_type_of(header) {
            nal_type::SPS if parameter_sets::is_made_up_sps(nal) => Ok(FrameStart::Nothing),
            nal_type::PPS => {
                self.pps_id = Some(parameter_sets::made_up_pps_id(nal).ok_or(Refusal::NoEnvelope)?);
                Ok(FrameStart::Nothing)
            }
            nal_type::SLICE | nal_type::IDR => {
                let sealed = body.strip_suffix(&[h264::SLICE_END]).ok_or(Refusal::NoEnvelope)?;
                self.inspect_slice(header, sealed)
            }
            _ => Err(Refusal::NoEnvelope),
        }
    }

    /// `body` follows the NAL unit header and may be cut anywhere behind the SFrame header.
    fn inspect_slice(&self, header: u8, body: &[u8]) -> Result<FrameStart, Refusal> {
        let key = match header {
            h264::KEY_SLICE => true,
            h264::DELTA_SLICE => false,
            _ => return Err(Refusal::NoEnvelope),
        };
        let len = h264::slice_header_len(key, body).ok_or(Refusal::NoEnvelope)?;
        if self.pps_id.is_some() && self.pps_id != h264::read_slice_pps_id(body) {
            return Err(Refusal::NoEnvelope);
        }
        let (clear, escaped) = body.split_at(len);
        // The SFrame header may hold zeros that are escaped; the bytes behind it are only counted.
        let mut front = [0; MIN_SEALED_LEN + sframe_header::MAX_LEN];
        let front = emulation::unescape_front(ZeroRun::after(clear), escaped, &mut front);
        self.sealed(front)
    }

    /// `sealed` begins with the SFrame header and holds at least the first packet's part of the frame, or so much of it
    /// that the shortest frame would end within.
    fn sealed(&self, sealed: &[u8]) -> Result<FrameStart, Refusal> {
        let header = SframeHeader::read(sealed).map_err(|_| Refusal::NoSframeHeader)?;
        if !self.is_key_id(header.kid) {
            return Err(Refusal::KeyId);
        }
        if sealed.len() < header.len + MIN_SEALED_LEN {
            return Err(Refusal::TooShort);
        }
        Ok(FrameStart::Sealed(header))
    }

    /// Key ids are session (32 bits, never 0), track (8), leaf (8), epoch (8); audio is track 1, video 0 or 3 and above.
    fn is_key_id(&self, kid: u64) -> bool {
        let session = kid >> 24;
        let track = (kid >> 16) as u8;
        let track_fits = match self.codec.kind() {
            MediaKind::Audio => track == 1,
            MediaKind::Video => track == 0 || track >= 3,
        };
        (1..=u64::from(u32::MAX)).contains(&session) && track_fits
    }
}

/// Inner header and tag: what a frame has behind its SFrame header even when the codec's frame is empty.
const MIN_SEALED_LEN: usize = 8 + 16;
