//! Camera, viewer, and the latchkey command.
//!
#![doc = include_str!("../README.md")]

pub mod alarm;
mod backoff;
mod bitstream;
pub mod camera;
pub mod cli;
pub mod devices;
mod door;
pub mod event;
mod follower;
pub mod frame;
pub mod handover;
pub mod home;
pub mod household;
pub mod jitter;
mod key_packages;
pub mod notice;
pub mod observer;
pub mod packetizer;
pub mod qr;
mod reach;
pub mod recovery;
pub mod signaling;
pub mod sink;
pub mod source;
pub mod stats;
pub mod story;
pub mod transport;
pub mod trust;
pub mod vault;
pub mod verify;
pub mod viewer;
mod watchers;

pub use camera::{Camera, CameraConfig, CameraHandle};
pub use viewer::{Viewer, ViewerConfig, ViewerHandle};
