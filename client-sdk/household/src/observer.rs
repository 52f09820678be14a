//! A window for tests and demonstrations onto the ciphertext: never onto frames or keys.

use sha2::{Digest, Sha256};

/// One sealed frame as it is on the wire: `ENV || SFrame`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WireFrame {
    /// Track number of the key identifier: 0 video, 1 audio.
    pub track: u8,
    /// SFrame key identifier (RFC 9605 section 4.3).
    pub kid: u64,
    /// SFrame counter.
    pub ctr: u64,
    /// SHA-256 of the wire frame.
    pub sha256: [u8; 32],
    /// Length of the wire frame in bytes.
    pub len: usize,
}

impl WireFrame {
    /// Describes `bytes`, which were sealed under `kid` as number `ctr`.
    pub fn new(track: u8, kid: u64, ctr: u64, bytes: &[u8]) -> Self {
        Self { track, kid, ctr, sha256: Sha256::digest(bytes).into(), len: bytes.len() }
    }
}

/// Called for every wire frame. Calls come from the media path: return quickly.
pub trait FrameObserver: Send + Sync + 'static {
    /// The camera has sealed a frame.
    fn sealed(&self, frame: &WireFrame) {
        let _ = frame;
    }

    /// A viewer has received a frame, whether or not it can open it.
    fn received(&self, frame: &WireFrame) {
        let _ = frame;
    }
}
