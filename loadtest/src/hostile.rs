//! A server that cheats: a man in the middle before the real one, and what the operator of a relay can do to packets.
//!
//! The real server and the real relay do the work, so that a lie is a lie in an otherwise working service. The
//! operator needs no more than that: it sees every request and every answer, and every packet without the hop's
//! encryption.

pub mod ear;
pub mod exchange;
pub mod middle;
pub mod reel;
pub mod retake;
mod sockets;
