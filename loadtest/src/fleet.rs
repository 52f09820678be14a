//! The fleet: cameras and viewers as real clients (ICE, DTLS, SRTP, SFrame), light enough that one processor drives hundreds.
//!
//! ```text
//!                 ┌────────── server under load ──────────┐
//!   cameras ─▶ Peer (publish)                         Peer (view) ─▶ network ─▶ ledger, frames ─▶ Window
//!   1-2 threads: seal, pace, send                     N threads: epoll, timers      viewers
//! ```

pub mod content;
pub mod peer;
