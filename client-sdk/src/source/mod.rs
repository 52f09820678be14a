//! Where a camera's frames come from: files that start over, and RTSP cameras. Nothing is decoded.

mod annexb;
pub mod error;
mod foreign;
mod ivf;
mod mp4;
mod ogg;
mod paced;
mod reel;
mod rtsp;
pub mod spec;

use std::fs::{File, FileType};
use std::io::Read;
use std::path::Path;

use async_trait::async_trait;
use bytes::Bytes;

use crate::bitstream::h264::Unsendable;
use crate::frame::{Codec, MediaFrame};
use crate::source::error::SourceError;
use crate::source::paced::Paced;
use crate::source::reel::{Reel, Subject};
use crate::source::rtsp::RtspCamera;
use crate::source::spec::{Input, SourceOptions, SourceSpec};

/// Frames of at most one video and one audio track, in the order they are due.
#[async_trait]
pub trait Source: Send {
    /// Returns what the source gives and what it leaves out.
    fn info(&self) -> &SourceInfo;

    /// Waits until the next frame is due and returns it. May be dropped while it waits: no frame is lost.
    ///
    /// The moment of return is the frame's capture time; `pts` follows the source's own clock.
    ///
    /// # Errors
    /// [`SourceError::Ended`] at the end of files that do not start over; with cameras, whatever ends the
    /// stream for good (B-frames, a password that no longer holds). A camera that goes away is waited for.
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

/// A source's video track as it was when opened. The size may change later: see each frame.
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

/// Opens all inputs of `spec` and checks that they can be sent. Needs a tokio runtime.
///
/// A file is read through once, so B-frames, wrong codecs and damage show here. A camera is connected to, and
/// its first key frame awaited.
///
/// # Errors
/// Every variant of [`SourceError`] but `Ended`.
pub async fn open(spec: &SourceSpec, options: &SourceOptions) -> Result<Box<dyn Source>, SourceError> {
    match spec.inputs.as_slice() {
        [] => Err(SourceError::NoneNamed),
        [Input::Rtsp(url)] => Ok(Box::new(RtspCamera::open(url, options).await?)),
        inputs => {
            let mut reels = Vec::new();
            for input in inputs {
                reels.push(open_reel(input, options).await?);
            }
            Ok(Box::new(Paced::new(reels, options)?))
        }
    }
}

async fn open_reel(input: &Input, options: &SourceOptions) -> Result<Reel, SourceError> {
    let path = match input {
        Input::File(path) => path.clone(),
        Input::Rtsp(url) => {
            return Err(SourceError::BadAddress {
                address: spec::without_password(url.as_str()),
                advice: "an RTSP camera cannot be combined with another source, name it alone",
            });
        }
    };
    let fps = options.fps;
    tokio::task::spawn_blocking(move || read_file(&path, fps))
        .await
        .expect("reading a file does not panic and is not aborted")
}

fn read_file(path: &Path, fps: Option<f64>) -> Result<Reel, SourceError> {
    let unreadable =
        |error: std::io::Error| SourceError::Unreadable { path: path.into(), reason: error.to_string() };
    let about = std::fs::metadata(path).map_err(unreadable)?;
    if let Some(what) = not_a_file(&about.file_type()) {
        return Err(SourceError::NotAFile { path: path.into(), what });
    }
    if about.len() > MOST_BYTES {
        return Err(SourceError::TooLarge { path: path.into() });
    }
    // A pipe does not say its length beforehand.
    let mut bytes = Vec::with_capacity(usize::try_from(about.len()).unwrap_or(0) + 1);
    let file = File::open(path).map_err(unreadable)?;
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(SourceError::TooLarge { path: path.into() });
    }
    let bytes = Bytes::from(bytes);
    let subject = Subject::new(path);
    if bytes.is_empty() {
        return Err(SourceError::Empty { path: path.into() });
    }
    if ivf::recognises(&bytes) {
        ivf::read(&subject, &bytes)
    } else if ogg::recognises(&bytes) {
        ogg::read(&subject, &bytes)
    } else if mp4::recognises(&bytes) {
        mp4::read(&subject, &bytes)
    } else if annexb::recognises_h265(&bytes) {
        Err(subject.wrong_codec("H.265", reel::MAKE_H264))
    } else if annexb::recognises(&bytes) {
        annexb::read(&subject, &bytes, fps)
    } else if let Some((container, advice)) = foreign::container(&bytes) {
        Err(SourceError::OtherContainer { path: path.into(), container, advice })
    } else {
        Err(SourceError::UnknownContainer { path: path.into() })
    }
}

/// Returns what a path is that cannot be read like a file; pipes can.
fn not_a_file(kind: &FileType) -> Option<&'static str> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        if kind.is_char_device() || kind.is_block_device() {
            return Some("a device");
        }
    }
    kind.is_dir().then_some("a folder")
}

/// What to say about an H.264 stream that cannot be sent.
fn h264_error(name: String, problem: Unsendable) -> SourceError {
    match problem {
        Unsendable::BFrame => SourceError::BFrames { name },
        Unsendable::Interlaced => SourceError::Interlaced { name },
        Unsendable::NoParameterSets | Unsendable::NoPicture => SourceError::NoKeyFrame { name },
        Unsendable::Damaged => {
            SourceError::Damaged { path: name.into(), what: "a slice that cannot be read".into() }
        }
    }
}

/// Clips are held in memory.
const MOST_BYTES: u64 = 1 << 30;
