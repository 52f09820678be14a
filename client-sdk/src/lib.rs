//! Camera, viewer, and the latchkey command.
//!
#![doc = include_str!("../README.md")]

pub mod alarm;
mod backoff;
mod bitstream;
pub mod camera;
pub mod cli;
mod door;
pub mod event;
pub mod frame;
pub mod home;
pub mod household;
pub mod jitter;
mod key_packages;
pub mod observer;
pub mod packetizer;
mod reach;
pub mod signaling;
pub mod sink;
pub mod source;
pub mod stats;
pub mod story;
pub mod transport;
pub mod vault;
pub mod viewer;

pub use camera::{Camera, CameraConfig, CameraHandle};
pub use viewer::{Viewer, ViewerConfig, ViewerHandle};
