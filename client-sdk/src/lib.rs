//! Camera, viewer, and the latchkey command.

pub mod frame;
pub mod sink;
pub mod source;
