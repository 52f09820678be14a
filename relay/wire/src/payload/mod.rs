//! RTP payload formats: a wire frame cut into equal payloads, and put together again byte for byte.

use crate::codec::Codec;

/// Payload bytes that leave the whole datagram at or below 1100 bytes: 12 bytes of header, up to 28 of
/// extensions, 16 of tag, and room to spare.
pub const DEFAULT_MAX_PAYLOAD: usize = 1040;

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
}

/// Why a frame was not cut. The fault is the caller's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SplitError {
    /// The frame is empty or is no wire frame of its codec.
    #[error("not a wire frame of this codec")]
    NotAWireFrame,
    /// An Opus packet or H.264 parameter set is larger than a payload may be, or the budget is below 64 bytes.
    #[error("frame does not fit the payload budget")]
    DoesNotFit,
}

/// Cuts a wire frame into payloads of at most `max_payload` bytes, all of one size but the last, which may be
/// shorter (H.264 key frames have their parameter sets in one payload before that). Replaces the contents of `out`.
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
    let _ = (codec, frame, key, max_payload);
    out.clear();
    Err(SplitError::NotAWireFrame)
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
    /// The first payload does not start the frame, or one inside is missing or out of order.
    #[error("payloads of the frame are missing or out of order")]
    Incomplete,
}

/// Puts the payloads of one frame, all of them in order, together to the wire frame. Replaces the contents of `out`.
///
/// # Errors
/// [`AssembleError`]; what `out` then holds is of no use.
pub fn assemble<'a>(
    codec: Codec,
    payloads: impl IntoIterator<Item = &'a [u8]>,
    out: &mut Vec<u8>,
) -> Result<(), AssembleError> {
    let _ = (codec, payloads.into_iter().count());
    out.clear();
    Err(AssembleError::Empty)
}

/// Returns whether this payload is the first of its frame. Reads the payload descriptor and, for H.264, the NAL
/// unit type.
#[must_use]
pub fn starts_frame(codec: Codec, payload: &[u8]) -> bool {
    let _ = (codec, payload);
    false
}

/// Returns whether this payload, the first of its frame, begins a key frame. Reads only the descriptor or the first
/// byte of the envelope. Always true for Opus.
#[must_use]
pub fn is_key_frame(codec: Codec, payload: &[u8]) -> bool {
    let _ = (codec, payload);
    false
}
