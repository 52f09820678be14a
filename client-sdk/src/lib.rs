//! Camera, viewer, and the latchkey command.

mod bitstream;
pub mod frame;
pub mod household;
pub mod jitter;
pub mod observer;
pub mod packetizer;
mod reach;
pub mod sink;
pub mod source;
pub mod story;
pub mod transport;
pub mod vault;
