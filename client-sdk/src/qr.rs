//! QR codes: drawn in a terminal or as a picture, and read from a picture.

mod draw;
mod read;

pub use draw::{DrawError, Ink, png, terminal};
pub use read::{ReadError, read};
