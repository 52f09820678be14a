//! Identity, device-list policy, MLS group, SFrame seal and open: everything that stops a hostile server.
//!
//! The crate does no input or output: messages, lists, frames and the time come as arguments, and what has
//! to be sent or stored comes back as bytes.
//!
//! - [`identity`]: a device's keys, the household root and its twelve words.
//! - [`label`]: device names, sealed for members.
//! - [`enrol`]: how a new device and a household meet, by code or by six digits.
//! - [`safety_number`]: sixty digits that all devices of a household share.
//! - [`group`]: one MLS group per camera (RFC 9420), whose members the signed device list decides.
//! - [`note`], [`record`], [`freshness`], [`gossip`]: what members tell each other inside the group, and what it proves.
//! - [`key_schedule`]: the frame keys of an epoch (RFC 9605 section 5.2).
//! - [`seal`] and [`open`]: frames as SFrame (RFC 9605), with [`kid`] and [`inner`] header.
//! - [`checkpoint`]: the camera's signature over its frames.
//! - [`trial`]: tries bytes that a server holds as the key of an epoch, for tests.

mod cbor;
pub mod checkpoint;
mod cipher;
pub mod enrol;
pub mod freshness;
pub mod gossip;
pub mod group;
pub mod identity;
pub mod inner;
pub mod key_schedule;
pub mod kid;
pub mod label;
pub mod note;
pub mod open;
pub mod record;
mod replay;
pub mod safety_number;
pub mod seal;
pub mod trial;
pub mod vector;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
