//! Where opened frames go: raw H.264, IVF and Ogg Opus, as files or on standard output.

mod annexb;
mod ivf;
mod ogg;
mod output;

use std::path::{Path, PathBuf};

use crate::frame::{Codec, MediaFrame};
use crate::sink::annexb::AnnexB;
use crate::sink::ivf::Ivf;
use crate::sink::ogg::OggOpus;
use crate::sink::output::Output;

/// Takes the frames of one track. Writing may block: give it a thread of its own where that matters.
pub trait Sink: Send {
    /// Writes one frame and flushes it, so that a player at the other end of a pipe shows it at once.
    ///
    /// Video before the first key frame is left out. Returns whether the frame was written.
    ///
    /// # Errors
    /// [`SinkError::ReaderGone`] or [`SinkError::Unwritable`].
    fn write(&mut self, frame: &MediaFrame) -> Result<bool, SinkError>;

    /// Writes what the format wants at its end.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    fn finish(&mut self) -> Result<(), SinkError>;
}

/// Where to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A file, replaced when it is there.
    File(PathBuf),
    /// Standard output, for a player behind a pipe.
    Stdout,
}

/// Why frames cannot be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SinkError {
    /// The other end of the pipe has gone: an ordinary end when a player is closed.
    #[error("the reader of the output has gone")]
    ReaderGone,
    /// The file cannot be made or written.
    #[error("cannot write {name}: {reason}")]
    Unwritable {
        /// The file, or "standard output".
        name: String,
        /// What the operating system says.
        reason: String,
    },
    /// The file's extension names another format than the frames have.
    #[error("{name} cannot hold {codec}: name the file *.{extension}")]
    WrongFormat {
        /// The file.
        name: String,
        /// What arrives.
        codec: Codec,
        /// The extension that fits.
        extension: &'static str,
    },
}

impl Target {
    /// Reads a value of `--out`: `-` is standard output, anything else a file.
    #[must_use]
    pub fn parse(value: &str) -> Self {
        match value {
            "-" => Self::Stdout,
            path => Self::File(path.into()),
        }
    }

    /// Returns whether a track of this codec can be written here: by the file's extension where it is a known
    /// one (`h264`, `264`, `ivf`, `ogg`, `opus`), else always.
    #[must_use]
    pub fn takes(&self, codec: Codec) -> bool {
        match self {
            Self::Stdout => true,
            Self::File(path) => format_of(path).is_none_or(|format| format == Format::of(codec)),
        }
    }
}

/// Opens a sink for one track of this codec.
///
/// # Errors
/// [`SinkError::WrongFormat`] when [`Target::takes`] says no, [`SinkError::Unwritable`] when the file cannot be made.
pub fn open(target: &Target, codec: Codec) -> Result<Box<dyn Sink>, SinkError> {
    let format = Format::of(codec);
    if let Target::File(path) = target
        && !target.takes(codec)
    {
        return Err(SinkError::WrongFormat {
            name: path.display().to_string(),
            codec,
            extension: format.extension(),
        });
    }
    let output = Output::open(target)?;
    Ok(match format {
        Format::AnnexB => Box::new(AnnexB::new(output)),
        Format::Ivf => Box::new(Ivf::new(output)),
        Format::Ogg => Box::new(OggOpus::new(output)),
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    AnnexB,
    Ivf,
    Ogg,
}

impl Format {
    fn of(codec: Codec) -> Self {
        match codec {
            Codec::H264 => Self::AnnexB,
            Codec::Vp8 | Codec::Vp9 | Codec::Av1 => Self::Ivf,
            Codec::Opus => Self::Ogg,
        }
    }

    fn extension(self) -> &'static str {
        match self {
            Self::AnnexB => "h264",
            Self::Ivf => "ivf",
            Self::Ogg => "ogg",
        }
    }
}

fn format_of(path: &Path) -> Option<Format> {
    let extension = path.extension()?.to_str()?.to_ascii_lowercase();
    match extension.as_str() {
        "h264" | "264" | "avc" => Some(Format::AnnexB),
        "ivf" => Some(Format::Ivf),
        "ogg" | "opus" => Some(Format::Ogg),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_extension_takes_its_codecs_only() {
        assert!(Target::parse("a.h264").takes(Codec::H264));
        assert!(!Target::parse("a.IVF").takes(Codec::H264));
        assert!(Target::parse("a.ivf").takes(Codec::Av1));
        assert!(Target::parse("a.opus").takes(Codec::Opus));
        assert!(Target::parse("a.bin").takes(Codec::Vp9));
        assert!(Target::parse("-").takes(Codec::H264));
    }

    #[test]
    fn a_wrong_extension_and_a_missing_folder_say_what_to_do() {
        let error = open(&Target::parse("/tmp/a.ivf"), Codec::H264).err().unwrap();
        assert_eq!(error.to_string(), "/tmp/a.ivf cannot hold H264: name the file *.h264");
        let error = open(&Target::parse("/nowhere/a.h264"), Codec::H264).err().unwrap();
        assert!(error.to_string().starts_with("cannot write /nowhere/a.h264: "), "{error}");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_full_disk_is_said() {
        let frame = MediaFrame::opened(Codec::H264, true, Default::default(), vec![0, 0, 0, 1, 0x65].into());
        let mut sink = open(&Target::parse("/dev/full"), Codec::H264).unwrap();
        let error = sink.write(&frame).unwrap_err();
        assert!(error.to_string().starts_with("cannot write /dev/full: No space left"), "{error}");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_reader_that_has_gone_is_an_end_of_its_own() {
        let (reader, writer) = std::io::pipe().unwrap();
        let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&writer));
        let mut sink = open(&Target::parse(&path), Codec::H264).unwrap();
        let frame =
            |key| MediaFrame::opened(Codec::H264, key, Default::default(), vec![0, 0, 0, 1, 0x65].into());
        assert_eq!(sink.write(&frame(false)), Ok(false), "nothing before the first key frame");
        assert_eq!(sink.write(&frame(true)), Ok(true));
        drop(reader);
        assert_eq!(sink.write(&frame(false)), Err(SinkError::ReaderGone));
    }
}
