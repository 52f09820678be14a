//! RTP payload formats: a wire frame cut into equal payloads, and put together again byte for byte.
//!
//! `rtc-rtp` has payloaders too; they are the witnesses in the tests and not used here, because they (a) allocate per
//! packet, (b) put a random picture id into VP9 and never say key frame there, (c) leave out H.264 parameter sets that
//! do not fit instead of failing, and (d) do not build for wasm, where a page will assemble frames that came over QUIC.

mod av1;
mod h264;
#[cfg(test)]
mod tests;
mod vp8;
mod vp9;

pub(crate) use av1::{FRAME_OBU, Packet as Av1Packet, SEQUENCE_HEADER_ELEMENT};
pub(crate) use h264::{Packet as H264Packet, aggregated};
pub(crate) use vp8::Descriptor as Vp8Descriptor;
pub(crate) use vp9::Descriptor as Vp9Descriptor;

use crate::codec::Codec;
use crate::envelope::h264::{nal_type, nal_type_of};

/// Payload bytes that leave the whole datagram at or below 1100 bytes: 12 bytes of header, up to 28 of
/// extensions, 16 of tag, and room to spare.
pub const DEFAULT_MAX_PAYLOAD: usize = 1040;

/// Smallest budget that [`split`] takes.
pub const MIN_MAX_PAYLOAD: usize = 64;

/// The payloads of one frame in order, in one buffer that is reused from frame to frame.
#[derive(Debug, Clone, Default)]
pub struct Payloads {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Payloads {
    /// Returns an empty list.
    #[must_use]
    pub const fn new() -> Self {
        Self { bytes: Vec::new(), ends: Vec::new() }
    }

    /// Returns how many payloads there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Returns whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Returns the payloads in sending order. The marker bit goes on the last one.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> + Clone {
        (0..self.len()).map(|index| {
            let start = if index == 0 { 0 } else { self.ends[index - 1] };
            &self.bytes[start..self.ends[index]]
        })
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    fn push(&mut self, head: &[u8], body: &[u8]) {
        self.begin(head);
        self.extend(body);
        self.end();
    }

    fn begin(&mut self, head: &[u8]) {
        self.bytes.extend_from_slice(head);
    }

    fn extend(&mut self, body: &[u8]) {
        self.bytes.extend_from_slice(body);
    }

    /// Ends the payload begun and returns its length.
    fn end(&mut self) -> usize {
        let start = self.ends.last().copied().unwrap_or(0);
        self.ends.push(self.bytes.len());
        self.bytes.len() - start
    }
}

/// Why a frame was not cut. The fault is the caller's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SplitError {
    /// The frame is empty or is no wire frame of its codec.
    #[error("not a wire frame of this codec")]
    NotAWireFrame,
    /// The budget is below [`MIN_MAX_PAYLOAD`], or what must not be cut (an Opus packet, H.264 parameter sets) is above it.
    #[error("frame does not fit the payload budget")]
    DoesNotFit,
}

/// Cuts a wire frame into as few payloads of at most `max_payload` bytes as hold it. All have one size but the last,
/// which is shorter by fewer bytes than there are payloads, and the parameter sets of an H.264 key frame, which have a
/// payload of their own in front. (Filling all but the last would need no more division, but some receivers drop a
/// payload of two or three bytes.)
///
/// `key` matters to VP9 only, whose frames do not show it. Replaces the contents of `out`.
///
/// # Errors
/// [`SplitError`]; `out` is then empty.
pub fn split(
    codec: Codec,
    frame: &[u8],
    key: bool,
    max_payload: usize,
    out: &mut Payloads,
) -> Result<(), SplitError> {
    out.clear();
    if max_payload < MIN_MAX_PAYLOAD {
        return Err(SplitError::DoesNotFit);
    }
    if frame.is_empty() {
        return Err(SplitError::NotAWireFrame);
    }
    let result = match codec {
        Codec::H264 => h264::split(frame, max_payload, out),
        Codec::Av1 => av1::split(frame, max_payload, out),
        Codec::Vp8 => {
            vp8::split(frame, max_payload, out);
            Ok(())
        }
        Codec::Vp9 => {
            vp9::split(frame, key, max_payload, out);
            Ok(())
        }
        // RFC 7587 section 4.2: one packet, one payload.
        Codec::Opus if frame.len() > max_payload => Err(SplitError::DoesNotFit),
        Codec::Opus => {
            out.push(&[], frame);
            Ok(())
        }
    };
    if result.is_err() {
        out.clear();
    }
    result
}

/// Why payloads are no whole frame. The fault is the sender's, or a packet is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AssembleError {
    /// No payload, or only empty ones.
    #[error("no payload")]
    Empty,
    /// A payload descriptor is cut off or uses what the format forbids.
    #[error("payload descriptor is malformed")]
    Malformed,
    /// The first payload does not start the frame, or one inside is missing or out of order, as far as that shows.
    #[error("payloads of the frame are missing or out of order")]
    Incomplete,
}

/// Puts the payloads of one frame, all of them in order, together to the wire frame. Empty payloads are left out.
/// Replaces the contents of `out`.
///
/// That none is missing in the middle shows in the sequence numbers, which are the caller's to watch.
///
/// # Errors
/// [`AssembleError`]; `out` is then of no use.
pub fn assemble<'a>(
    codec: Codec,
    payloads: impl IntoIterator<Item = &'a [u8]>,
    out: &mut Vec<u8>,
) -> Result<(), AssembleError> {
    out.clear();
    let mut first = true;
    let mut in_fragment = false;
    for payload in payloads.into_iter().filter(|payload| !payload.is_empty()) {
        match codec {
            Codec::H264 => h264::append(payload, &mut in_fragment, out)?,
            Codec::Vp8 => vp8::append(payload, first, out)?,
            Codec::Vp9 => vp9::append(payload, first, out)?,
            Codec::Av1 => av1::append(payload, first, out)?,
            Codec::Opus if first => out.extend_from_slice(payload),
            Codec::Opus => return Err(AssembleError::Malformed),
        }
        first = false;
    }
    if first {
        Err(AssembleError::Empty)
    } else if in_fragment {
        Err(AssembleError::Incomplete)
    } else {
        Ok(())
    }
}

/// Returns whether this payload is the first of its frame. Reads the payload descriptor and, for H.264, a NAL unit
/// header: an IDR slice alone does not start a frame, its parameter sets do.
#[must_use]
pub fn starts_frame(codec: Codec, payload: &[u8]) -> bool {
    match codec {
        Codec::H264 => matches!(first_nal_type(payload), Some(nal_type::SLICE | nal_type::SPS)),
        Codec::Vp8 => Vp8Descriptor::read(payload).is_some_and(|descriptor| descriptor.starts_frame),
        Codec::Vp9 => Vp9Descriptor::read(payload)
            .is_some_and(|descriptor| descriptor.begins && descriptor.spatial_id == 0),
        Codec::Av1 => Av1Packet::read(payload).is_some_and(|packet| !packet.continues),
        Codec::Opus => !payload.is_empty(),
    }
}

/// Returns whether this payload begins a key frame. Reads only the descriptor or the first byte of the envelope.
/// Always true for Opus that is not empty; for H.264 true also where the IDR slice begins after its parameter sets.
#[must_use]
pub fn is_key_frame(codec: Codec, payload: &[u8]) -> bool {
    match codec {
        Codec::H264 => matches!(first_nal_type(payload), Some(nal_type::IDR | nal_type::SPS)),
        Codec::Vp8 => Vp8Descriptor::read(payload).is_some_and(|descriptor| {
            descriptor.starts_frame && descriptor.body.first().is_some_and(|tag| tag & 1 == 0)
        }),
        Codec::Vp9 => Vp9Descriptor::read(payload)
            .is_some_and(|descriptor| descriptor.begins && descriptor.key && descriptor.spatial_id == 0),
        Codec::Av1 => Av1Packet::read(payload).is_some_and(|packet| packet.new_sequence),
        Codec::Opus => !payload.is_empty(),
    }
}

/// Returns into what length to cut `total` bytes so that parts of at most `room` are few and alike.
fn part_len(total: usize, room: usize) -> usize {
    total.div_ceil(total.div_ceil(room))
}

fn first_nal_type(payload: &[u8]) -> Option<u8> {
    H264Packet::read(payload)?.first_header().map(nal_type_of)
}
