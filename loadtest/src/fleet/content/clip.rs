//! Frames of a real clip, read whole into memory and sent again and again.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use latchkey::frame::TrackKind;
use latchkey::source::error::SourceError;
use latchkey::source::spec::{SourceOptions, SourceSpec};
use latchkey_wire::codec::Codec;

use crate::fleet::content::nal;
use crate::fleet::content::stamp::Stamp;

/// A clip cannot be a camera's content. The fault is in the file, or in its name.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ClipError {
    /// It cannot be read or sent.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// It has no picture.
    #[error("{} has no video: name a clip with H.264 (MP4) or VP8 (IVF)", .0.display())]
    NoVideo(PathBuf),
    /// Its codec is none that the fleet speaks.
    #[error("{} is {codec}: the fleet sends H.264 and VP8", .path.display())]
    Codec {
        /// The file.
        path: PathBuf,
        /// Its codec.
        codec: Codec,
    },
}

#[derive(Debug)]
struct Picture {
    key: bool,
    data: Bytes,
    /// Where the stamp of an H.264 frame goes: in front of the first slice.
    stamp_at: usize,
}

/// A clip and how far a camera is in it. Clones share the frames.
#[derive(Clone, Debug)]
pub(crate) struct Clip {
    codec: Codec,
    pictures: Arc<[Picture]>,
    period: Duration,
    next: usize,
}

impl Clip {
    pub(crate) async fn read(path: &Path) -> Result<Self, ClipError> {
        let options = SourceOptions { looped: false, paced: false, ..SourceOptions::default() };
        let mut source = latchkey::source::open(&SourceSpec::file(path), &options).await?;
        let video = source.info().video.ok_or_else(|| ClipError::NoVideo(path.into()))?;
        if !matches!(video.codec, Codec::H264 | Codec::Vp8) {
            return Err(ClipError::Codec { path: path.into(), codec: video.codec });
        }
        let (mut pictures, mut end) = (Vec::new(), Duration::ZERO);
        loop {
            match source.next().await {
                Ok(frame) if frame.track == TrackKind::Video => {
                    end = end.max(frame.pts + frame.duration);
                    let stamp_at = if video.codec == Codec::H264 { nal::first_slice(&frame.data) } else { 0 };
                    pictures.push(Picture { key: frame.key, data: frame.data, stamp_at });
                }
                Ok(_) => {}
                Err(SourceError::Ended) => break,
                Err(error) => return Err(error.into()),
            }
        }
        let period = video.fps.map_or(end, |fps| Duration::from_secs_f64(pictures.len() as f64 / fps));
        Ok(Self { codec: video.codec, pictures: pictures.into(), period, next: 0 })
    }

    pub(crate) fn codec(&self) -> Codec {
        self.codec
    }

    pub(crate) fn fps(&self) -> f64 {
        self.pictures.len() as f64 / self.period.as_secs_f64()
    }

    pub(crate) fn frames(&self) -> usize {
        self.pictures.len()
    }

    /// Mean bytes of a frame.
    pub(crate) fn mean_bytes(&self) -> f64 {
        let bytes: usize = self.pictures.iter().map(|picture| picture.data.len()).sum();
        bytes as f64 / self.pictures.len() as f64
    }

    pub(crate) fn key_frames(&self) -> usize {
        self.pictures.iter().filter(|picture| picture.key).count()
    }

    /// Goes on to the next frame; where a key frame is wanted, to the next key frame. Returns whether it is one.
    pub(crate) fn advance(&mut self, key_wanted: bool) -> bool {
        let count = self.pictures.len();
        if key_wanted {
            let ahead = (0..count).map(|step| (self.next + step) % count);
            self.next = ahead.into_iter().find(|at| self.pictures[*at].key).unwrap_or(0);
        }
        self.pictures[self.next].key
    }

    /// Bytes of the present frame with its stamp, as far as that is known: an SEI has up to a few bytes more.
    pub(crate) fn stamped_bytes(&self) -> usize {
        let around = if self.codec == Codec::H264 { nal::SEI_AROUND } else { 0 };
        self.pictures[self.next].data.len() + around + Stamp::LEN
    }

    /// Replaces the contents of `out` by the present frame with this stamp in it.
    pub(crate) fn write(&self, stamp: &Stamp, out: &mut Vec<u8>) {
        let picture = &self.pictures[self.next];
        out.clear();
        if self.codec == Codec::H264 {
            out.extend_from_slice(&picture.data[..picture.stamp_at]);
            stamp.write_sei(out);
            out.extend_from_slice(&picture.data[picture.stamp_at..]);
        } else {
            out.extend_from_slice(&picture.data);
            out.resize(picture.data.len() + Stamp::LEN, 0);
            stamp.write_into(out);
        }
    }

    /// The present frame was sent.
    pub(crate) fn step(&mut self) {
        self.next = (self.next + 1) % self.pictures.len();
    }
}
