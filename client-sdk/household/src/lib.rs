//! A device's household: founding and joining one, its lists, its groups, watching a camera and being one.
//!
#![doc = include_str!("../README.md")]

pub mod address;
pub mod alarm;
pub mod backoff;
pub mod camera;
pub mod clock;
pub mod devices;
pub mod enrol;
pub mod event;
pub mod follower;
pub mod handover;
pub mod home;
mod key_packages;
pub mod names;
pub mod notice;
pub mod observer;
pub mod reach;
pub mod recovery;
pub mod signaling;
pub mod stats;
pub mod story;
pub mod task;
#[cfg(not(target_arch = "wasm32"))]
pub mod trust;
pub mod vault;
pub mod verify;
pub mod viewer;
mod watchers;
