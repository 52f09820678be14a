//! The clients of a run: cameras that seal and send, viewers that receive and open, intruders that must not get in.

pub mod content;
