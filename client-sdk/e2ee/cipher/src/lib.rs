//! AES-GCM of frames (NIST SP 800-38D), its key schedule made once per key: all that touches every byte of a frame.
//!
//! The cipher is one of two files with the same face: `native` on aws-lc-rs, `portable` on RustCrypto for wasm32.
//! Tests run both.
//!
//! It is a crate of its own for the page's sake. RustCrypto's AES is generic, so it is compiled where it is used, and
//! what a page loads is compiled to be small. Here it is compiled to be fast (`profile.wasm` in the workspace's
//! Cargo.toml).

#[cfg(not(target_arch = "wasm32"))]
pub mod native;
#[cfg(any(test, target_arch = "wasm32"))]
pub mod portable;

#[cfg(not(target_arch = "wasm32"))]
pub use native::PreparedKey;
#[cfg(target_arch = "wasm32")]
pub use portable::PreparedKey;

/// Bytes of a nonce, AEAD.Nn of the SFrame suites 4 and 5 (RFC 9605 section 4.5).
pub const NONCE_LEN: usize = 12;
/// Bytes of a tag, AEAD.Nt of suites 4 and 5.
pub const TAG_LEN: usize = 16;

/// The cipher refused: wrong tag, no room for one, or a key of a length that it does not take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CipherFailure;

#[cfg(test)]
mod tests;
