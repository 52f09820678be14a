//! One encoded picture or one packet of sound, as sources give it and sinks take it.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

/// Which of a camera's two tracks a frame belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TrackKind {
    /// The picture.
    Video,
    /// The sound.
    Audio,
}

/// The codecs that Latchkey carries. None of them is ever decoded here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// H.264, as Annex B byte stream.
    H264,
    /// VP8.
    Vp8,
    /// VP9.
    Vp9,
    /// AV1, low-overhead bitstream format without temporal delimiters.
    Av1,
    /// Opus.
    Opus,
}

impl Codec {
    /// The track this codec belongs to.
    #[must_use]
    pub fn kind(self) -> TrackKind {
        match self {
            Self::Opus => TrackKind::Audio,
            Self::H264 | Self::Vp8 | Self::Vp9 | Self::Av1 => TrackKind::Video,
        }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::H264 => "H.264",
            Self::Vp8 => "VP8",
            Self::Vp9 => "VP9",
            Self::Av1 => "AV1",
            Self::Opus => "Opus",
        })
    }
}

/// One access unit of video or one packet of audio.
///
/// `data` is shaped as the sealed plaintext wants it: H.264 as Annex B with 4-byte start codes, no access unit
/// delimiter, SPS and PPS in front of every key frame; AV1 without temporal delimiters; VP8, VP9 and Opus as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaFrame {
    /// Picture or sound.
    pub track: TrackKind,
    /// How `data` is encoded.
    pub codec: Codec,
    /// Whether decoding can start here. Every audio packet is a key frame.
    pub key: bool,
    /// Time since the source started. Never goes back within a track, also where a file starts over.
    pub pts: Duration,
    /// How long this frame is shown or heard.
    pub duration: Duration,
    /// Width and height in pixels; known on every frame of video from the first key frame on.
    pub geometry: Option<(u16, u16)>,
    /// The parameter sets that an H.264 frame is decoded with; on every H.264 frame, absent with other codecs.
    pub parameters: Option<ParameterSets>,
    /// The encoded bytes.
    pub data: Bytes,
}

/// The H.264 parameter sets in force, as NAL units without start code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParameterSets {
    /// Sequence parameter set (NAL type 7).
    pub sps: Bytes,
    /// Picture parameter set (NAL type 8) that the first slice of the frame names.
    pub pps: Bytes,
}
