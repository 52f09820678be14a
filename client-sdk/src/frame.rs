//! One encoded picture or one packet of sound, as sources give it and sinks take it.

use std::time::Duration;

use bytes::Bytes;

use crate::bitstream::{av1, h264, vpx};

pub use latchkey_wire::codec::{Codec, MediaKind as TrackKind};

/// One access unit of video or one packet of audio.
///
/// `data` is shaped as the sealed plaintext wants it: H.264 as Annex B with 4-byte start codes, no access unit
/// delimiter, SPS and PPS in front of every key frame; AV1 without temporal delimiters; VP8, VP9 and Opus as
/// they are.
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
    /// How long this frame is shown or heard; zero where only the next frame will tell.
    pub duration: Duration,
    /// Width and height in pixels. From a source: on every frame of video. After opening: on key frames.
    pub geometry: Option<(u16, u16)>,
    /// The encoded bytes.
    pub data: Bytes,
}

impl MediaFrame {
    /// Returns a frame as a viewer has it after opening: `data` with what its sealed header said.
    ///
    /// The picture's size is read from key frames; a key frame whose size cannot be read has none.
    #[must_use]
    pub fn opened(codec: Codec, key: bool, pts: Duration, data: Bytes) -> Self {
        let geometry = if key { geometry(codec, &data) } else { None };
        Self { track: codec.kind(), codec, key, pts, duration: Duration::ZERO, geometry, data }
    }
}

/// Returns width and height in pixels of a key frame.
fn geometry(codec: Codec, key_frame: &[u8]) -> Option<(u16, u16)> {
    match codec {
        Codec::H264 => {
            let sps = h264::nal_units(key_frame).find(|nal| h264::nal_type(nal) == h264::SPS)?;
            h264::geometry(sps)
        }
        Codec::Vp8 => vpx::vp8(key_frame)?.geometry,
        Codec::Vp9 => vpx::vp9(key_frame)?.geometry,
        Codec::Av1 => av1::describe(key_frame)?.geometry,
        Codec::Opus => None,
    }
}
