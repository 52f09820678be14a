//! Where a camera's frames come from: files that start over, and RTSP cameras. Nothing is decoded.

pub mod error;
pub mod spec;

use async_trait::async_trait;

use crate::frame::{Codec, MediaFrame};
use crate::source::error::SourceError;
use crate::source::spec::{SourceOptions, SourceSpec};

/// Frames of at most one video and one audio track, in the order they are due.
#[async_trait]
pub trait Source: Send {
    /// What the source gives and what it leaves out.
    fn info(&self) -> &SourceInfo;

    /// Waits until the next frame is due and returns it. May be dropped while it waits: no frame is lost.
    async fn next(&mut self) -> Result<MediaFrame, SourceError>;
}

/// What a source gives, known once it is open.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SourceInfo {
    /// The video track.
    pub video: Option<VideoInfo>,
    /// The audio track's codec.
    pub audio: Option<Codec>,
    /// One sentence for each thing that is left out or cannot be done.
    pub notes: Vec<String>,
}

/// A source's video track as it was when opened. Geometry may change later: see each frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VideoInfo {
    /// How it is encoded.
    pub codec: Codec,
    /// Width in pixels.
    pub width: u16,
    /// Height in pixels.
    pub height: u16,
    /// Mean frames per second; absent where the stream does not say.
    pub fps: Option<f64>,
}

/// Opens all inputs of `spec` and checks that they can be sent.
///
/// A file is read through once, so B-frames, wrong codecs and damage show here. A camera is connected to, and its first
/// key frame awaited. Every variant of [`SourceError`] but `Ended` may come back.
pub async fn open(spec: &SourceSpec, options: &SourceOptions) -> Result<Box<dyn Source>, SourceError> {
    let _ = (spec, options);
    Err(SourceError::NoneNamed)
}
