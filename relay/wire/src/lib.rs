//! Formats both ends speak: RTP, header extensions, RTCP, payload formats, envelope, grant.
//!
//! Everything here is bytes in, bytes out: no socket, no clock, no randomness. What is on the wire is
//! described with byte pictures and test vectors in `relay/docs/wire.md`; the types here are its readers
//! and writers.
//!
//! A frame travels like this, and each step is one module:
//!
//! | step | sender | receiver |
//! |---|---|---|
//! | clear bytes a browser's packetiser needs | [`envelope::EnvelopeBuilder`] | [`envelope::split`] |
//! | envelope and SFrame become one wire frame | [`envelope::join`] | |
//! | wire frame and RTP payloads | [`payload::split`] | [`payload::assemble`] |
//! | RTP header and header extensions | [`rtp`], [`extension`], [`dependency_descriptor`] | the same |
//!
//! The relay reads [`rtp`], [`dependency_descriptor`], [`payload::starts_frame`] and [`shape`], never more.

mod bits;
pub mod codec;
pub mod dependency_descriptor;
pub mod envelope;
pub mod extension;
#[cfg(feature = "grant")]
pub mod grant;
pub mod id;
pub mod payload;
#[cfg(not(target_arch = "wasm32"))]
pub mod rtcp;
pub mod rtp;
pub mod sframe_header;
pub mod shape;
