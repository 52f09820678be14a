//! Raw H.264 files: the byte stream of annex B, cut into access units.

use std::time::Duration;

use bytes::Bytes;

use crate::bitstream::h264::{self, SliceHead, Stream};
use crate::frame::{Codec, MediaFrame, TrackKind};
use crate::source::error::SourceError;
use crate::source::h264_error;
use crate::source::reel::{Reel, Subject};
use crate::source::{SourceInfo, VideoInfo};

/// Frames per second of a stream that does not say.
const DEFAULT_FPS: f64 = 25.0;

/// Whether the bytes begin like a raw H.264 stream.
pub(crate) fn recognises(bytes: &[u8]) -> bool {
    let starts = bytes.starts_with(&[0, 0, 1]) || bytes.starts_with(&[0, 0, 0, 1]);
    starts
        && h264::nal_units(&bytes[..bytes.len().min(4096)])
            .next()
            .is_some_and(|nal| nal[0] & 0x80 == 0 && matches!(h264::nal_type(nal), 1 | 5..=9))
}

/// Whether the bytes begin like a raw H.265 stream: parameter set or delimiter of layer 0, temporal layer 0.
pub(crate) fn recognises_h265(bytes: &[u8]) -> bool {
    let first = h264::nal_units(&bytes[..bytes.len().min(64)]).next();
    bytes.starts_with(&[0, 0]) && matches!(first, Some([0x40 | 0x42 | 0x44 | 0x46, 0x01, ..]))
}

/// Cuts a raw stream into frames, all of the same duration: `fps`, else what the stream says, else 25 a second.
pub(crate) fn read(subject: &Subject, bytes: &Bytes, fps: Option<f64>) -> Result<Reel, SourceError> {
    let mut stream = Stream::default();
    let mut units = Vec::new();
    for nals in split(bytes) {
        match stream.access_unit(&nals) {
            Ok(unit) if units.is_empty() && !unit.key => {}
            Ok(unit) => units.push(unit),
            Err(h264::Unsendable::NoParameterSets | h264::Unsendable::NoPicture) if units.is_empty() => {}
            Err(problem) => return Err(h264_error(subject.name(), problem)),
        }
    }
    let Some(first) = units.first() else {
        return Err(subject.no_key_frame());
    };
    let (width, height) = first.geometry;
    let fps = fps.or(stream.first_sps().and_then(|sps| sps.fps)).unwrap_or(DEFAULT_FPS);
    let at = |index: usize| Duration::from_secs_f64(index as f64 / fps);
    let period = at(units.len());
    let frames = units.into_iter().enumerate().map(|(index, unit)| MediaFrame {
        track: TrackKind::Video,
        codec: Codec::H264,
        key: unit.key,
        pts: at(index),
        duration: at(index + 1) - at(index),
        geometry: Some(unit.geometry),
        data: unit.data,
    });
    Ok(Reel {
        frames: frames.collect(),
        period,
        info: SourceInfo {
            video: Some(VideoInfo { codec: Codec::H264, width, height, fps: Some(fps) }),
            ..SourceInfo::default()
        },
    })
}

/// Groups NAL units into access units (section 7.4.1.2.3): a new one begins with a delimiter, parameter set or SEI
/// after a slice, or with a slice of another picture.
fn split(bytes: &[u8]) -> Vec<Vec<&[u8]>> {
    let mut units: Vec<Vec<&[u8]>> = Vec::new();
    let mut stream = Stream::default();
    let mut last_slice: Option<SliceHead> = None;
    for nal in h264::nal_units(bytes) {
        stream.learn(nal);
        let kind = h264::nal_type(nal);
        let begins = match kind {
            h264::SLICE | 2 | h264::IDR => {
                let head = stream.slice_head(nal).ok();
                let begins = match (&head, &last_slice) {
                    (Some(head), Some(last)) => head.begins_picture(last),
                    (None, Some(_)) => true,
                    (_, None) => false,
                };
                last_slice = head.or(last_slice);
                begins
            }
            6..=9 | 14..=18 => last_slice.take().is_some(),
            _ => false,
        };
        match units.last_mut() {
            Some(unit) if !begins => unit.push(nal),
            _ => units.push(vec![nal]),
        }
    }
    units
}
