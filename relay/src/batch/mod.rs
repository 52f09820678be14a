//! UDP in batches: recvmmsg with GRO in, sendmmsg with GSO trains out, and an eventfd to wake the thread that waits.
//!
//! The only module with `unsafe`: everything public here is safe to call. Linux only. Addresses are canonical
//! everywhere: an IPv4 peer of a dual-stack socket is an IPv4 address.

#![allow(unsafe_code)]

mod address;
mod receive;
mod send;
mod socket;
mod wake;

pub use receive::{Datagram, Receiver};
pub use send::{Flushed, SendArena};
pub use socket::{Ready, Route, Socket, SocketOptions};
pub use wake::Waker;

#[cfg(test)]
mod tests;
