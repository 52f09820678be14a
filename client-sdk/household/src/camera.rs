//! Being a camera: keeping its group equal to the list, and sealing and signing its frames.
//!
//! The *keeper* holds the group and gives out the keys of the epoch in force; the sealer takes them and tells the keeper where
//! an epoch ended, which goes into the epoch's signed record. Frames that come while [`hold::Hold`] says so wait or are
//! dropped: there is no way for one to leave in clear, or under keys that a removed device has.

mod access_log;
mod chronicle;
mod counters;
mod group_clock;
pub mod hold;
mod keeper;
pub mod publish;
mod rejoins;
pub mod sealing;
pub mod signed_sealer;

pub use keeper::SenderKeys;
