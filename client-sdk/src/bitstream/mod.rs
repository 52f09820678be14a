//! What must be read of each codec's bytes to send them: key frame or not, size of the picture, length of the sound.

pub(crate) mod av1;
pub(crate) mod h264;
pub(crate) mod opus;
pub(crate) mod vpx;
