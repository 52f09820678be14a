//! Shards: threads that own sockets, rooms and peers, and share nothing on the packet path.

pub mod command;
pub mod counters;
mod start;

pub use start::{Limits, ShardsConfig, Shards, StartError, Tap};
