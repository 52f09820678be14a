//! What cameras of a fleet send: frames made up or read from a clip, each with a stamp inside.
//!
//! ```text
//!   next frame ─▶ how many packets ─▶ stamp inside ─▶ envelope, seal, split (fleet::camera)
//! ```

mod clip;
pub(crate) mod cut;
mod nal;
mod shape;
mod stamp;
mod synthetic;

use std::path::Path;

use latchkey_wire::codec::Codec;
use latchkey_wire::payload::{self, Payloads};

use crate::fleet::content::clip::Clip;
use crate::fleet::content::cut::Cut;
use crate::fleet::content::synthetic::Synthetic;

pub use crate::fleet::content::clip::ClipError;
pub use crate::fleet::content::shape::{Pace, RTP_HEADER_BYTES, Shape, ShapeError};
pub use crate::fleet::content::stamp::Stamp;

/// Frames of one camera, without end. Clones are cameras of their own that share what is in memory.
#[derive(Clone, Debug)]
pub struct Content(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Synthetic(Synthetic),
    Clip(Clip),
}

impl Content {
    /// Returns made-up VP8 frames of this shape, which must hold [`Shape::check`].
    #[must_use]
    pub fn synthetic(shape: Shape) -> Self {
        Self(Kind::Synthetic(Synthetic::new(shape)))
    }

    /// Reads a clip whole into memory: H.264 (MP4, raw) or VP8 (IVF). Its sound is left out. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`ClipError`].
    pub async fn clip(path: &Path) -> Result<Self, ClipError> {
        Ok(Self(Kind::Clip(Clip::read(path).await?)))
    }

    /// Returns how its frames are encoded.
    #[must_use]
    pub fn codec(&self) -> Codec {
        match &self.0 {
            Kind::Synthetic(_) => Codec::Vp8,
            Kind::Clip(clip) => clip.codec(),
        }
    }

    /// Returns the shape that cameras with this content and `wanted` have: frame rate, bitrate and key frames of a clip
    /// are its own.
    #[must_use]
    pub fn shape(&self, wanted: Shape) -> Shape {
        let Kind::Clip(clip) = &self.0 else { return wanted };
        let room = wanted.max_payload() as f64;
        let bytes = clip.mean_bytes() + cut::overhead(clip.codec(), false, true) as f64 + Stamp::LEN as f64;
        let packets = (bytes / room).ceil();
        let rtp_bytes = bytes + packets * RTP_HEADER_BYTES as f64;
        Shape {
            fps: clip.fps(),
            bitrate_bps: (rtp_bytes * 8.0 * clip.fps()) as u64,
            gop: (clip.frames() / clip.key_frames().max(1)) as u32,
            key_frame_factor: 1.0,
            ..wanted
        }
    }

    /// Replaces the contents of `out` by the next frame with its stamp, of which `stamp` tells number, birth and pace
    /// (given the number of packets); returns whether it is a key frame, and the number of its packets.
    pub(crate) fn next(
        &mut self,
        wants: Wants,
        stamp: impl Fn(u16) -> Stamp,
        scratch: &mut Payloads,
        out: &mut Vec<u8>,
    ) -> (bool, usize) {
        let Wants { key, sealed, max_payload } = wants;
        match &mut self.0 {
            Kind::Synthetic(frames) => {
                let key = frames.next(key, sealed, out);
                let packets = Cut { key, sealed, max_payload }.packets(Codec::Vp8, out.len());
                stamp(packets as u16).write_into(out);
                (key, packets)
            }
            Kind::Clip(clip) => {
                let key = clip.advance(key);
                let cut = Cut { key, sealed, max_payload };
                let mut packets = cut.packets(clip.codec(), clip.stamped_bytes());
                if clip.codec() == Codec::H264 && !sealed {
                    // A frame that cannot be cut is refused when it is to be sent.
                    clip.write(&stamp(0), out);
                    let split = payload::split(Codec::H264, out, key, max_payload, scratch);
                    packets = split.map_or(0, |()| scratch.len());
                }
                clip.write(&stamp(packets as u16), out);
                clip.step();
                (key, packets)
            }
        }
    }
}

/// How a camera wants its next frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wants {
    /// It must be a key frame.
    pub(crate) key: bool,
    /// It is going to be sealed.
    pub(crate) sealed: bool,
    /// Bytes that a payload may have.
    pub(crate) max_payload: usize,
}

#[cfg(test)]
mod tests;
