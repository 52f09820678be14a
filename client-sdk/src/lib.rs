//! Camera, viewer, and the latchkey command.

mod bitstream;
pub mod frame;
pub mod household;
pub mod observer;
mod reach;
pub mod sink;
pub mod source;
pub mod story;
pub mod transport;
pub mod vault;
