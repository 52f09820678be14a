//! A file read into memory: all its frames in order, and how long it plays before it starts over.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::frame::MediaFrame;
use crate::source::SourceInfo;
use crate::source::error::SourceError;

/// The frames of one file.
#[derive(Clone, Debug)]
pub(crate) struct Reel {
    /// Ordered by time; not empty; the first video frame is a key frame.
    pub(crate) frames: Vec<MediaFrame>,
    /// Time after which the first frame follows again; later than the time of any frame.
    pub(crate) period: Duration,
    pub(crate) info: SourceInfo,
}

/// The file that errors speak of.
#[derive(Clone, Debug)]
pub(crate) struct Subject(PathBuf);

impl Subject {
    pub(crate) fn new(path: &Path) -> Self {
        Self(path.into())
    }

    pub(crate) fn name(&self) -> String {
        self.0.display().to_string()
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.0.clone()
    }

    pub(crate) fn damaged(&self, what: &str) -> SourceError {
        SourceError::Damaged { path: self.path(), what: what.into() }
    }

    pub(crate) fn no_key_frame(&self) -> SourceError {
        SourceError::NoKeyFrame { name: self.name() }
    }

    pub(crate) fn wrong_codec(&self, codec: impl Into<String>, advice: &'static str) -> SourceError {
        SourceError::WrongCodec { name: self.name(), codec: codec.into(), advice }
    }
}

/// Time of `ticks` of which `per_second` make a second.
pub(crate) fn ticks(ticks: u64, per_second: u64) -> Duration {
    let nanoseconds = u128::from(ticks) * 1_000_000_000 / u128::from(per_second.max(1));
    Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
}

/// Advice about video in another codec.
pub(crate) const MAKE_H264: &str = "make it H.264, for example with `ffmpeg -i <file> -c:v libx264 -bf 0 -g 50 new.mp4`, or put VP8, VP9 or AV1 into an IVF file";
