//! The kernel floor: the least that a fan-out can cost on a machine, with no crate of ours in it.
//!
//! ```text
//!   door ─▶ receive ─▶ for each viewer: copy, rewrite the SSRC, AES-128-GCM under its key ─▶ one train (or packet by packet)
//! ```
//! One thread, one socket; no ICE, no DTLS, no RTCP, no history, no repair. What a relay does beyond it is what the relay
//! costs. Whoever measures brings a publisher of plain packets and viewers that count; [`viewer`] opens the latter's sockets
//! and reads them, [`cores`] keeps the measured processors apart from the others and tells what was used.

pub mod cores;
mod forward;
mod kernel;
pub mod viewer;

pub use forward::{Floor, Leaving, Spent, TAG};
pub use kernel::MAX_PACKET;
