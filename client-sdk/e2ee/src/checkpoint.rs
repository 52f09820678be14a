//! Checkpoints: the camera's signature over the frames it sealed, so that no member can forge the camera.
//!
//! Whoever is in the group can derive the camera's frame keys (RFC 9605 section 5.2), so that a frame opens
//! says only that some member sealed it. Every two seconds, and at a key frame, the camera therefore signs what it
//! sealed since the last time, of all tracks. The block travels inside sealed frames, between inner header and codec
//! frame: twice in each track of video that has frames, because a viewer gets one layer of a picture, and the newest one
//! in each key frame. Frames that a relay may leave out carry none. Integers are big-endian:
//!
//! ```text
//! block     = body || Ed25519 signature(64)
//! signature over "latchkey checkpoint v1" || group id(20) || body
//! body      = version(1) = 1 || chain(16) || seq(8) || covers ms(8) || previous(32) || ranges(1) || range*
//! range     = key id(8) || first counter(8) || count(2) || count times SHA-256(SFrame bytes)[..16]
//! ```
//!
//! `chain` is drawn anew at each start of the camera, `seq` counts its blocks from 0, `previous` is the
//! SHA-256 of the block before (zeros at `seq` 0). `covers` is the capture time of the last frame that is
//! listed: whatever the camera sealed up to there is listed in this block or in an earlier one of the chain.
//! A chain goes on over epochs, whose key ids are listed as they come.
//!
//! - [`CheckpointBuilder`] makes blocks in the camera.
//! - [`CheckpointVerifier`] compares them with the frames that a viewer opened.

mod block;
mod builder;
mod copies;
mod verifier;

pub use block::{BlockError, MAX_BLOCK_BYTES};
pub use builder::{Carrier, CheckpointBuilder, CheckpointError, CheckpointSigner};
pub use verifier::{CheckpointVerifier, Forgery, Verdicts};

#[cfg(test)]
mod tests;
