//! Frames made up: VP8 by their header, of the size that a shape asks for, the same bytes inside.

use latchkey_wire::codec::Codec;

use crate::fleet::content::cut::{self, Cut};
use crate::fleet::content::shape::{RTP_HEADER_BYTES, Shape};
use crate::fleet::content::stamp::Stamp;

/// How a VP8 key frame of 1280 x 720 begins (RFC 6386 section 9.1).
const KEY_FRAME: [u8; 10] = [0x10, 0x02, 0x00, 0x9D, 0x01, 0x2A, 0x00, 0x05, 0xD0, 0x02];
/// How any other frame begins.
const OTHER_FRAME: [u8; 3] = [0x11, 0x02, 0x00];
const INSIDE: u8 = 0x5A;
/// The payload descriptor of each VP8 payload.
const DESCRIPTOR_BYTES: usize = 1;
/// Header and stamp.
const LEAST_BYTES: usize = KEY_FRAME.len() + Stamp::LEN;

/// A stream of frames.
#[derive(Clone, Debug)]
pub(crate) struct Synthetic {
    shape: Shape,
    since_key: u32,
    begun: bool,
    /// RTP bytes that frames so far were shorter than they should have been, because a byte cannot be cut.
    owed: f64,
}

impl Synthetic {
    pub(crate) fn new(shape: Shape) -> Self {
        Self { shape, since_key: 0, begun: false, owed: 0.0 }
    }

    /// Replaces the contents of `out` by the next frame, whose last bytes are for the stamp; returns whether it is a key frame.
    pub(crate) fn next(&mut self, key_wanted: bool, sealed: bool, out: &mut Vec<u8>) -> bool {
        let due = self.shape.gop > 0 && self.since_key + 1 >= self.shape.gop;
        let key = key_wanted || due || !self.begun;
        self.begun = true;
        self.since_key = if key { 0 } else { self.since_key + 1 };
        let length = self.length(key, sealed);
        out.clear();
        out.extend_from_slice(if key { &KEY_FRAME } else { &OTHER_FRAME });
        out.resize(length, INSIDE);
        key
    }

    /// Bytes of a frame whose packets together have the bytes that the shape asks for.
    fn length(&mut self, key: bool, sealed: bool) -> usize {
        let wanted = self.shape.frame_bytes(key) + self.owed;
        let packets = (wanted / f64::from(self.shape.packet_bytes)).ceil().max(1.0);
        let heads = (RTP_HEADER_BYTES + DESCRIPTOR_BYTES) as f64 * packets;
        let around = cut::overhead(Codec::Vp8, key, sealed);
        let length = (wanted - heads).floor().max(0.0) as usize;
        let length = length.saturating_sub(around).max(LEAST_BYTES);
        let real = Cut { key, sealed, max_payload: self.shape.max_payload() }.packets(Codec::Vp8, length);
        self.owed = wanted - (length + around + real * (RTP_HEADER_BYTES + DESCRIPTOR_BYTES)) as f64;
        length
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RTP bytes of so many frames, and how many of these are key frames.
    fn sent(shape: Shape, sealed: bool, frames: u32) -> (f64, u32) {
        let mut frames_of = Synthetic::new(shape);
        let (mut out, mut bytes, mut keys) = (Vec::new(), 0, 0);
        for _ in 0..frames {
            let key = frames_of.next(false, sealed, &mut out);
            let packets =
                Cut { key, sealed, max_payload: shape.max_payload() }.packets(Codec::Vp8, out.len());
            bytes += out.len() + cut::overhead(Codec::Vp8, key, sealed) + packets * (RTP_HEADER_BYTES + 1);
            keys += u32::from(key);
        }
        (bytes as f64, keys)
    }

    #[test]
    fn the_mean_bitrate_is_kept_whatever_the_shape() {
        for bitrate_bps in [100_000, 777_777, 2_640_000, 12_345_678] {
            for (key_frame_factor, gop, fps) in [(1.0, 60, 30.0), (8.0, 50, 25.0), (20.0, 300, 29.97)] {
                for sealed in [false, true] {
                    let shape = Shape { fps, bitrate_bps, gop, key_frame_factor, ..Shape::default() };
                    if shape.check().is_err() {
                        continue;
                    }
                    let frames = gop * 4;
                    let (bytes, keys) = sent(shape, sealed, frames);
                    let wanted = bitrate_bps as f64 / 8.0 / fps * f64::from(frames);
                    assert_eq!(keys, 4);
                    assert!((bytes / wanted - 1.0).abs() < 0.01, "{shape:?}: {bytes} of {wanted}");
                }
            }
        }
    }

    #[test]
    fn a_key_frame_comes_first_at_its_turn_and_when_wanted() {
        let mut frames = Synthetic::new(Shape { gop: 4, ..Shape::default() });
        let mut out = Vec::new();
        let wanted = [false, false, false, false, false, false, true, false];
        let keys: Vec<bool> = wanted.map(|wanted| frames.next(wanted, true, &mut out)).into();
        assert_eq!(keys, [true, false, false, false, true, false, true, false]);
        let mut only = Synthetic::new(Shape { gop: 0, ..Shape::default() });
        let keys = (0..1000).filter(|_| only.next(false, true, &mut out)).count();
        assert_eq!(keys, 1);
    }
}
