//! The envelope (ENV): clear bytes, made up, that let an unmodified browser carry a sealed frame.
//!
//! A frame on the wire is `ENV || SFrame(header, ciphertext, tag)`; ENV is authenticated beside the SFrame header.
//! Nothing in it is taken from the picture but its size, the H.264 profile, and whether this is a key frame.
//!
//! | codec | key frame | other frames | after it |
//! |---|---|---|---|
//! | VP8 | `10 00 00 9D 01 2A`, width and height (LE16) | `11` | SFrame |
//! | AV1 | `0A 00 30` | `30` | SFrame |
//! | H.264 | start code + SPS, start code + PPS, start code + `65` + slice header | start code + `41` + slice header | SFrame and `80`, escaped |
//! | VP9, Opus | nothing | nothing | SFrame |
//!
//! `relay/docs/wire.md` says what each byte is.

mod av1;
pub(crate) mod emulation;
pub(crate) mod h264;
pub(crate) mod parameter_sets;
#[cfg(test)]
mod tests;
pub(crate) mod vp8;

pub(crate) use av1::{DELTA as AV1_DELTA, KEY as AV1_KEY, read_leb128};

use crate::codec::Codec;

/// Why no envelope was built for a frame. The fault is the frame's source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A key frame lacks what its envelope repeats: the size (VP8), SPS, PPS or IDR slice (H.264).
    #[error("key frame without parameter sets or picture size")]
    MissingParameters,
    /// The SPS ends too early or holds a number that no level allows.
    #[error("H.264 SPS cannot be read")]
    UnreadableSps,
    /// An H.264 track that has not had a key frame yet.
    #[error("first frame of a track is not a key frame")]
    NoKeyFrameYet,
}

/// Builds the envelopes of one track. Keeps the pps id of the last H.264 key frame.
#[derive(Debug, Clone)]
pub struct EnvelopeBuilder {
    codec: Codec,
    pps_id: Option<u8>,
}

impl EnvelopeBuilder {
    /// Returns a builder for a track that begins.
    #[must_use]
    pub const fn new(codec: Codec) -> Self {
        Self { codec, pps_id: None }
    }

    /// Replaces the contents of `out` by the canonical envelope of `frame`, which is also the AAD beside the SFrame
    /// header. Empty for VP9 and Opus.
    ///
    /// An H.264 frame is Annex B and `key` means IDR, with the SPS and PPS it uses in front.
    ///
    /// # Errors
    /// [`BuildError`]; `out` is then empty.
    pub fn build(&mut self, key: bool, frame: &[u8], out: &mut Vec<u8>) -> Result<(), BuildError> {
        out.clear();
        match self.codec {
            Codec::H264 if key => {
                // A key frame that cannot be used must not leave the pps id of an older one in force.
                self.pps_id = None;
                self.pps_id = Some(h264::build_key(frame, out)?);
            }
            Codec::H264 => h264::push_slice(false, self.pps_id.ok_or(BuildError::NoKeyFrameYet)?, out),
            Codec::Vp8 if key => out.extend(vp8::key_envelope(frame).ok_or(BuildError::MissingParameters)?),
            Codec::Vp8 => out.push(vp8::DELTA),
            Codec::Av1 => out.extend_from_slice(if key { &av1::KEY } else { &av1::DELTA }),
            Codec::Vp9 | Codec::Opus => {}
        }
        Ok(())
    }
}

/// Replaces the contents of `wire` by the wire frame: envelope, then the SFrame bytes (for H.264 escaped, and
/// closed by one byte 0x80).
pub fn join(codec: Codec, envelope: &[u8], sframe: &[u8], wire: &mut Vec<u8>) {
    wire.clear();
    wire.reserve(envelope.len() + sframe.len() + sframe.len() / 64 + 1);
    wire.extend_from_slice(envelope);
    match codec {
        Codec::H264 => h264::push_sealed(sframe, wire),
        _ => wire.extend_from_slice(sframe),
    }
}

/// A wire frame taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parts<'a> {
    /// The envelope in canonical form, as the sender authenticated it.
    pub envelope: &'a [u8],
    /// SFrame header, ciphertext and tag.
    pub sframe: &'a [u8],
    /// The envelope is a key frame's. Always false for VP9 and Opus, which have none.
    pub key: bool,
}

/// Why a wire frame could not be taken apart. The fault is the sender's, or packets were lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SplitError {
    /// Nothing there: browsers hand empty frames for padding. Drop it without alarm.
    #[error("empty frame")]
    Empty,
    /// The frame does not begin with an envelope of its codec.
    #[error("frame has no envelope")]
    Envelope,
    /// The frame ends before its envelope does, or without the byte or length that ends it.
    #[error("frame is cut off")]
    Truncated,
}

/// Takes a wire frame apart. Undoes what senders and receivers do to it on the way (H.264 escapes and start codes,
/// AV1 size fields); `scratch` holds what had to be changed for that and may be reused from frame to frame.
///
/// # Errors
/// [`SplitError`].
pub fn split<'a>(codec: Codec, wire: &'a [u8], scratch: &'a mut Vec<u8>) -> Result<Parts<'a>, SplitError> {
    if wire.is_empty() {
        return Err(SplitError::Empty);
    }
    match codec {
        Codec::H264 => h264::split(wire, scratch),
        Codec::Vp8 => vp8::split(wire),
        Codec::Av1 => av1::split(wire),
        Codec::Vp9 | Codec::Opus => Ok(Parts { envelope: &[], sframe: wire, key: false }),
    }
}
