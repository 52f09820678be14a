//! The envelope (ENV): clear bytes, made up, that let an unmodified browser carry a sealed frame.

use crate::codec::Codec;

/// Why no envelope was built for a frame. The fault is the frame's source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A key frame lacks what its envelope repeats: the size (VP8), SPS or PPS or IDR slice (H.264).
    #[error("key frame without parameter sets or picture size")]
    MissingParameters,
    /// The SPS cannot be read, or has a feature a camera does not send (interlaced coding).
    #[error("H.264 SPS cannot be used")]
    UnusableSps,
    /// The track has not had a key frame yet.
    #[error("first frame of a track is not a key frame")]
    NoKeyFrameYet,
}

/// Builds the envelopes of one track. Keeps the pps id of the last H.264 key frame.
#[derive(Debug, Clone)]
pub struct EnvelopeBuilder {
    codec: Codec,
}

impl EnvelopeBuilder {
    /// Returns a builder for a track that begins.
    #[must_use]
    pub const fn new(codec: Codec) -> Self {
        Self { codec }
    }

    /// Replaces the contents of `out` by the canonical envelope of `frame`: the AAD beside the SFrame header.
    /// Empty for VP9 and Opus.
    ///
    /// # Errors
    /// [`BuildError`]; `out` is then empty.
    pub fn build(&mut self, key: bool, frame: &[u8], out: &mut Vec<u8>) -> Result<(), BuildError> {
        let _ = (key, frame, self.codec);
        out.clear();
        Err(BuildError::MissingParameters)
    }
}

/// Replaces the contents of `wire` by the wire frame: envelope, then the SFrame bytes (for H.264 escaped, and
/// closed by one byte 0x80).
pub fn join(codec: Codec, envelope: &[u8], sframe: &[u8], wire: &mut Vec<u8>) {
    let _ = codec;
    wire.clear();
    wire.extend_from_slice(envelope);
    wire.extend_from_slice(sframe);
}

/// A wire frame taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parts<'a> {
    /// The envelope in canonical form, as the sender authenticated it.
    pub envelope: &'a [u8],
    /// SFrame header, ciphertext and tag.
    pub sframe: &'a [u8],
    /// The envelope is a key frame's; false for VP9 and Opus, which have none.
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
    /// The frame ends before its envelope or its SFrame header does.
    #[error("frame is cut off")]
    Truncated,
}

/// Takes a wire frame apart. Undoes what receivers do to it (start codes, H.264 escapes, AV1 size fields);
/// `scratch` holds what had to be changed for that and may be reused from frame to frame.
///
/// # Errors
/// [`SplitError`].
pub fn split<'a>(codec: Codec, wire: &'a [u8], scratch: &'a mut Vec<u8>) -> Result<Parts<'a>, SplitError> {
    let _ = (codec, scratch);
    if wire.is_empty() { Err(SplitError::Empty) } else { Err(SplitError::Envelope) }
}
