//! Where opened frames go: raw H.264, IVF and Ogg Opus, as files or on standard output.

use crate::frame::MediaFrame;

/// Takes the frames of one track. Writing may block: give it a thread of its own where that matters.
pub trait Sink: Send {
    /// Writes one frame and flushes it, so that a player at the other end of a pipe shows it at once.
    fn write(&mut self, frame: &MediaFrame) -> Result<(), SinkError>;

    /// Writes what the format wants at its end.
    fn finish(&mut self) -> Result<(), SinkError>;
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
    #[error("{name} cannot hold {codec}: {advice}")]
    WrongFormat {
        /// The file.
        name: String,
        /// What arrives.
        codec: crate::frame::Codec,
        /// What to do.
        advice: &'static str,
    },
}
