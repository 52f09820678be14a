//! One camera of a fleet: a client that publishes, its frames, and when they are due.
//!
//! ```text
//!   Schedule: frame k is due at zero + phase + k x frame time ─▶ Frames: stamp, envelope, seal, split ─▶ Peer ─▶ socket
//! ```
//! Times are absolute, so that a late frame makes no other late. Only `mid` goes along as a header extension, so the packets
//! are those that a foreign server gets as well.

mod frames;
mod outlet;
pub(crate) mod running;
mod schedule;

use latchkey_e2ee::seal::FrameSealer;

use crate::fleet::CameraId;
use crate::fleet::content::{Content, Shape};
use crate::fleet::peer::Peer;

/// Whether frames are sealed end to end.
pub enum Sealing {
    /// As a household's camera does, with the keys of its MLS group.
    Sealed(Box<FrameSealer>),
    /// Not at all: for foreign servers, which refuse or spoil what is no codec's frame.
    Plain,
}

impl From<FrameSealer> for Sealing {
    fn from(sealer: FrameSealer) -> Self {
        Self::Sealed(Box::new(sealer))
    }
}

/// A camera to be added.
pub struct NewCamera {
    /// A client that publishes the content's codec, whose answer was accepted.
    pub peer: Peer,
    /// Whether frames are sealed.
    pub sealing: Sealing,
    /// Its frames.
    pub content: Content,
    /// How they are sent; frame rate, bitrate and key frames of a clip are its own, whatever stands here.
    pub shape: Shape,
}

/// How a camera is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CameraState {
    /// Which camera.
    pub id: CameraId,
    /// Whether ICE and DTLS are done, the server is still heard of, and it lives.
    pub connected: bool,
    /// SRTP suite that it and the server agreed on; none before it is connected.
    pub srtp: Option<&'static str>,
    /// Frames that it has sent: the next one has this number.
    pub frames: u64,
    /// Epoch whose keys seal its frames; none where they are not sealed.
    pub epoch: Option<u64>,
    /// Why it sends no more.
    pub ended: Option<String>,
}

impl std::fmt::Debug for NewCamera {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewCamera")
            .field("peer", &self.peer)
            .field("shape", &self.shape)
            .finish_non_exhaustive()
    }
}
