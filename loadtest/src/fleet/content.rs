//! What cameras of a fleet send: frames made up or read from a clip, each with a stamp inside.

mod stamp;

pub use stamp::Stamp;
