//! Why a source cannot be opened or read on: whose fault it is and what to do, one sentence each.

use std::path::PathBuf;

/// A source that cannot be used. The text is meant for the person who started the camera.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// No source was named.
    #[error("no source was named: give --source with a file or an rtsp:// address")]
    NoneNamed,
    /// The file cannot be opened or read.
    #[error("cannot read {}: {reason}; check the path given to --source", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        reason: String,
    },
    /// The file is larger than what is held in memory.
    #[error("{} is larger than 1 GiB: send a part of it, for example made with `ffmpeg -i <file> -t 600 -c copy part.mp4`", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// There is nothing in the file.
    #[error("{} is empty: check the path given to --source, or make the file anew", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// A disk, a terminal, a webcam: something that is read without end, or not at all.
    #[error("{} is {what}, not a file: give a file, or the rtsp:// address of a camera", path.display())]
    NotAFile {
        /// What was named.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// A container that is not read here, though what is in it may be sent.
    #[error("{} is {container}, which is not read: {advice}", path.display())]
    OtherContainer {
        /// The file.
        path: PathBuf,
        /// The container found.
        container: &'static str,
        /// What to do.
        advice: &'static str,
    },
    /// The bytes are no container that is read here.
    #[error(
        "{} is not a file that can be sent: give an MP4 or raw H.264 file, an IVF file (VP8, VP9, AV1) or an Ogg Opus file",
        path.display()
    )]
    UnknownContainer {
        /// The file.
        path: PathBuf,
    },
    /// The container is known, but its bytes contradict themselves.
    #[error("{} is damaged ({what}): make the file anew, for example with `ffmpeg -i <file> -c copy new.mp4`", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The codec cannot be sent.
    #[error("{name} holds {codec}, which cannot be sent: {advice}")]
    WrongCodec {
        /// The file or address.
        name: String,
        /// The codec found.
        codec: String,
        /// What to do.
        advice: &'static str,
    },
    /// The H.264 stream shows pictures in another order than it sends them.
    #[error(
        "{name} uses B-frames, which delay live video: encode it with `-bf 0` (ffmpeg), or in the camera's settings set the H.264 profile to Baseline or turn B-frames off"
    )]
    BFrames {
        /// The file or address.
        name: String,
    },
    /// The H.264 stream sends half pictures.
    #[error("{name} is interlaced: set the camera or encoder to progressive pictures")]
    Interlaced {
        /// The file or address.
        name: String,
    },
    /// Nothing to start decoding from.
    #[error(
        "{name} has no key frame with its parameter sets: encode it anew, for example with `ffmpeg -i <file> -c:v libx264 -bf 0 -g 50 new.mp4`"
    )]
    NoKeyFrame {
        /// The file or address.
        name: String,
    },
    /// A container without a track that can be sent.
    #[error("{name} has no track that can be sent: {notes}")]
    NothingToSend {
        /// The file or address.
        name: String,
        /// What it holds, and what to do.
        notes: String,
    },
    /// Two sources give the same kind of track.
    #[error("two sources give {kind}: name one for the picture and at most one for the sound")]
    TwoOfAKind {
        /// "video" or "audio".
        kind: &'static str,
    },
    /// The address is not one this can connect to.
    #[error("cannot use the address {address}: {advice}")]
    BadAddress {
        /// The address without its password.
        address: String,
        /// What to do.
        advice: &'static str,
    },
    /// A password was given where others on the machine can read it.
    #[error(
        "the address of {host} contains a password, which every user of this machine could read: leave it out of the address and put it into a file (--source-password-file) or into the environment variable LATCHKEY_SOURCE_PASSWORD"
    )]
    PasswordInAddress {
        /// The camera's host.
        host: String,
    },
    /// The file with the camera's password cannot be used.
    #[error("cannot take the camera's password from {}: {reason}", path.display())]
    PasswordFile {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// Nobody answers at the address.
    #[error("nothing answers at {address} ({reason}): check that the camera is on, and its address and port")]
    Unreachable {
        /// The address without its password.
        address: String,
        /// What the connection attempt said.
        reason: String,
    },
    /// The camera wants a user and password, or others.
    #[error(
        "the camera at {address} refuses the user or password: put the user into the address (rtsp://user@host/) and the password into --source-password-file or LATCHKEY_SOURCE_PASSWORD"
    )]
    Unauthorised {
        /// The address without its password.
        address: String,
    },
    /// The camera answers, but not with a stream.
    #[error("the camera at {address} answers with RTSP status {status}: check the path in the address")]
    Refused {
        /// The address without its password.
        address: String,
        /// The RTSP status code (RFC 7826 section 17).
        status: u16,
    },
    /// The camera answers with something that is not understood.
    #[error(
        "the camera at {address} breaks the protocol ({reason}): try --source-transport udp or another stream of it"
    )]
    Protocol {
        /// The address without its password.
        address: String,
        /// What was wrong, in one line.
        reason: String,
    },
    /// The camera promises a stream and sends no picture.
    #[error(
        "the camera at {address} sends no key frame within {seconds} s: shorten its key frame (I-frame) interval, or try --source-transport udp"
    )]
    Silent {
        /// The address without its password.
        address: String,
        /// How long it was waited for.
        seconds: u64,
    },
    /// A source that does not start over has given its last frame.
    #[error("the source has ended")]
    Ended,
}
