//! Camera, viewer, and the latchkey command.
//!
#![doc = include_str!("../README.md")]

mod bitstream;
pub mod camera;
pub mod cli;
mod door;
pub mod frame;
pub mod handover;
pub mod home;
pub mod household;
pub mod jitter;
pub mod packetizer;
pub mod qr;
pub mod recovery;
pub mod sink;
pub mod source;
pub mod transport;
pub mod trust;
pub mod vault;
pub mod viewer;

pub use camera::{Camera, CameraConfig, CameraHandle};
pub use latchkey_household::{alarm, devices, event, notice, observer, signaling, stats, story, verify};
pub use viewer::{Viewer, ViewerConfig, ViewerHandle};
