//! Identity, device-list policy, MLS group, SFrame seal and open: everything that stops a hostile server.
//!
//! The crate does no input or output: messages, lists, frames and the time come as arguments, and what has
//! to be sent or stored comes back as bytes.
//!
//! - [`identity`]: a device's keys, the household root and its twelve words.
//! - [`label`]: device names, sealed for members.
//! - [`group`]: one MLS group per camera (RFC 9420), whose members the signed device list decides.
//! - [`note`], [`record`], [`freshness`]: what members tell each other inside the group, and what it proves.
//! - [`key_schedule`]: the frame keys of an epoch (RFC 9605 section 5.2).
//! - [`seal`] and [`open`]: frames as SFrame (RFC 9605), with [`kid`] and [`inner`] header.

mod cbor;
mod cipher;
pub mod freshness;
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
pub mod seal;
