//! The fleet: cameras and viewers as real clients (ICE, DTLS, SRTP, SFrame), light enough that one processor drives hundreds.
//!
//! ```text
//!                 ┌────────── server under load ──────────┐
//!   cameras ─▶ Peer (publish)                         Peer (view) ─▶ network ─▶ ledger, frames ─▶ Window
//!   1-2 threads: seal, pace, send                     N threads: epoll, timers      viewers
//! ```

pub mod camera;
pub mod cameras;
pub mod content;
pub mod intruder;
pub mod network;
pub mod peer;
pub mod viewer;
pub mod viewers;

/// Number of a camera in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CameraId(pub u32);

/// Number of a viewer in a run; one that comes back has a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ViewerId(pub u32);
