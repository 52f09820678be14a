//! IVF files: VP8, VP9 and AV1 with a 32-byte file header and 12 bytes in front of each frame.

use std::time::Duration;

use bytes::Bytes;

use crate::bitstream::{av1, vpx};
use crate::frame::{Codec, MediaFrame, TrackKind};
use crate::source::error::SourceError;
use crate::source::reel::{Reel, Subject, ticks};
use crate::source::{SourceInfo, VideoInfo};

/// Whether the bytes begin like an IVF file.
pub(crate) fn recognises(bytes: &[u8]) -> bool {
    bytes.starts_with(b"DKIF")
}

/// Reads all frames of an IVF file.
pub(crate) fn read(subject: &Subject, bytes: &Bytes) -> Result<Reel, SourceError> {
    let header = Header::read(subject, bytes)?;
    let mut rest = bytes.slice(header.length..);
    let mut frames: Vec<MediaFrame> = Vec::new();
    let mut first_time = 0;
    let mut geometry = header.geometry;
    while rest.len() >= FRAME_HEADER {
        let size = le32(&rest, 0) as usize;
        let time = u64::from_le_bytes(rest[4..12].try_into().expect("8 bytes were sliced"));
        if rest.len() - FRAME_HEADER < size {
            break; // cut off in the last frame, as a file is whose writer was killed
        }
        let data = rest.slice(FRAME_HEADER..FRAME_HEADER + size);
        rest = rest.slice(FRAME_HEADER + size..);
        if data.is_empty() {
            continue; // a frame that the encoder dropped
        }
        let shown =
            describe(header.codec, data).ok_or_else(|| subject.damaged("a frame that cannot be read"))?;
        if frames.is_empty() {
            if !shown.key {
                continue;
            }
            first_time = time;
        }
        geometry = shown.geometry.unwrap_or(geometry);
        let pts = header.time(time.saturating_sub(first_time));
        frames.push(MediaFrame {
            track: TrackKind::Video,
            codec: header.codec,
            key: shown.key,
            pts: frames.last().map_or(pts, |last| pts.max(last.pts)),
            duration: Duration::ZERO,
            geometry: Some(geometry),
            data: shown.data,
        });
    }
    let period = set_durations(&mut frames).ok_or_else(|| subject.no_key_frame())?;
    let (width, height) = frames[0].geometry.unwrap_or(header.geometry);
    let info = SourceInfo {
        video: Some(VideoInfo {
            codec: header.codec,
            width,
            height,
            fps: Some(frames.len() as f64 / period.as_secs_f64()),
        }),
        ..SourceInfo::default()
    };
    Ok(Reel { frames, period, info })
}

/// Each frame lasts until the next, the last as long as the mean of the others (40 ms when it is alone).
fn set_durations(frames: &mut [MediaFrame]) -> Option<Duration> {
    for index in 1..frames.len() {
        frames[index - 1].duration = frames[index].pts - frames[index - 1].pts;
    }
    let others = u32::try_from(frames.len()).ok()?.checked_sub(1)?;
    let last = frames.last_mut()?;
    last.duration = match others {
        0 => Duration::from_millis(40),
        _ => (last.pts / others).max(Duration::from_millis(1)),
    };
    Some(last.pts + last.duration)
}

struct Shown {
    key: bool,
    geometry: Option<(u16, u16)>,
    data: Bytes,
}

fn describe(codec: Codec, data: Bytes) -> Option<Shown> {
    let (key, geometry, data) = match codec {
        Codec::Vp8 => vpx::vp8(&data).map(|p| (p.key, p.geometry, data))?,
        Codec::Vp9 => vpx::vp9(&data).map(|p| (p.key, p.geometry, data))?,
        Codec::Av1 => {
            let unit = av1::describe(&data)?;
            (unit.key, unit.geometry, av1::without_delimiters(&data)?.into())
        }
        Codec::H264 | Codec::Opus => return None,
    };
    Some(Shown { key, geometry, data })
}

/// The file header, all numbers little-endian: `DKIF`, version, header length, fourcc, width, height, rate, scale, frames.
struct Header {
    length: usize,
    codec: Codec,
    geometry: (u16, u16),
    rate: u32,
    scale: u32,
}

const FILE_HEADER: usize = 32;
const FRAME_HEADER: usize = 12;

impl Header {
    fn read(subject: &Subject, bytes: &[u8]) -> Result<Self, SourceError> {
        if bytes.len() < FILE_HEADER {
            return Err(subject.damaged("its header is cut off"));
        }
        let length = usize::from(le16(bytes, 6));
        let codec = match &bytes[8..12] {
            b"VP80" => Codec::Vp8,
            b"VP90" => Codec::Vp9,
            b"AV01" => Codec::Av1,
            other => {
                return Err(subject.wrong_codec(
                    format!("\"{}\" video", other.escape_ascii()),
                    "give an IVF file with VP8, VP9 or AV1",
                ));
            }
        };
        let header = Self {
            length,
            codec,
            geometry: (le16(bytes, 12), le16(bytes, 14)),
            rate: le32(bytes, 16),
            scale: le32(bytes, 20),
        };
        if length < FILE_HEADER || length > bytes.len() || header.rate == 0 || header.scale == 0 {
            return Err(subject.damaged("its header contradicts itself"));
        }
        Ok(header)
    }

    fn time(&self, units: u64) -> Duration {
        ticks(units.saturating_mul(u64::from(self.scale)), u64::from(self.rate))
    }
}

fn le16(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn le32(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
