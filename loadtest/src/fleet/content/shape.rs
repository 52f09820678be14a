//! The shape of a camera's load: how many frames, how large, and how their packets lie in time.

use std::time::Duration;

/// RTP header as the fleet's cameras send it: 12 bytes, and `mid` until the server reported on the stream (8 more).
pub const RTP_HEADER_BYTES: usize = 20;

/// How the packets of a frame lie in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Pace {
    /// Back to back at the frame's start, as an encoder hands them out.
    #[default]
    Burst,
    /// Evenly over the frame time, as a paced sender hands them out.
    Spread,
}

impl Pace {
    /// Returns the word for it: `burst` or `spread`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Pace::Burst => "burst",
            Pace::Spread => "spread",
        }
    }
}

/// What one camera sends. Of a [clip](crate::fleet::content::Content::clip) only `pace` and `packet_bytes` count: the rest is
/// the clip's own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shape {
    /// Frames a second.
    pub fps: f64,
    /// RTP packets, header and all, without SRTP's tag and what lies below: bits a second.
    pub bitrate_bps: u64,
    /// Frames from one key frame to the next; 0: only the first, and where the server asks. One that is asked for begins the
    /// count anew and comes on top of the bitrate where key frames are larger.
    pub gop: u32,
    /// How the packets of a frame lie in time.
    pub pace: Pace,
    /// RTP packet of full size, header and all, without SRTP's tag (16 bytes): bytes.
    pub packet_bytes: u16,
    /// How many times as large as another frame a key frame is; the bitrate stays what it is.
    pub key_frame_factor: f64,
}

/// 30 frames a second of 10 packets of 1100 bytes: 2.64 Mbit/s, a key frame every two seconds.
impl Default for Shape {
    fn default() -> Self {
        Self {
            fps: 30.0,
            bitrate_bps: 2_640_000,
            gop: 60,
            pace: Pace::Burst,
            packet_bytes: 1100,
            key_frame_factor: 1.0,
        }
    }
}

/// A shape that no camera can have. The fault is in the scenario.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ShapeError {
    /// Frames a second outside what cameras do.
    #[error("a camera sends 1 to 240 frames a second, not {0}")]
    Fps(f64),
    /// Packets that no path carries, or that hold nothing.
    #[error("a packet has 200 to 1400 bytes, not {0}")]
    PacketBytes(u16),
    /// A factor that makes no sense.
    #[error("a key frame is 1 to 100 times as large as another frame, not {0}")]
    KeyFrameFactor(f64),
    /// Frames too small to hold what a frame must hold.
    #[error("{bitrate_bps} bit/s leave {bytes:.0} bytes for the smallest frame; {SMALLEST_FRAME} are needed")]
    TooLittle {
        /// The bitrate.
        bitrate_bps: u64,
        /// What it leaves.
        bytes: f64,
    },
    /// Frames that need more packets than a stamp can count.
    #[error("{bitrate_bps} bit/s make frames of {bytes:.0} bytes; at most {LARGEST_FRAME} can be sent")]
    TooMuch {
        /// The bitrate.
        bitrate_bps: u64,
        /// What the largest frame would have.
        bytes: f64,
    },
}

impl Shape {
    /// Checks that a camera can have this shape.
    ///
    /// # Errors
    /// [`ShapeError`], the first that holds.
    pub fn check(&self) -> Result<(), ShapeError> {
        if !(1.0..=240.0).contains(&self.fps) {
            return Err(ShapeError::Fps(self.fps));
        }
        if !(200..=1400).contains(&self.packet_bytes) {
            return Err(ShapeError::PacketBytes(self.packet_bytes));
        }
        if !(1.0..=100.0).contains(&self.key_frame_factor) {
            return Err(ShapeError::KeyFrameFactor(self.key_frame_factor));
        }
        let (least, most) = (self.frame_bytes(false), self.frame_bytes(true));
        if least < f64::from(SMALLEST_FRAME) {
            return Err(ShapeError::TooLittle { bitrate_bps: self.bitrate_bps, bytes: least });
        }
        if most > f64::from(LARGEST_FRAME) {
            return Err(ShapeError::TooMuch { bitrate_bps: self.bitrate_bps, bytes: most });
        }
        Ok(())
    }

    /// Returns the time from one frame to the next.
    #[must_use]
    pub fn frame_time(&self) -> Duration {
        Duration::from_secs_f64(1.0 / self.fps)
    }

    /// Returns the mean number of packets of a frame, as far as the bitrate tells.
    #[must_use]
    pub fn packets_per_frame(&self) -> f64 {
        let packets = |key| (self.frame_bytes(key) / f64::from(self.packet_bytes)).ceil();
        let gop = f64::from(self.gop);
        if self.gop == 0 { packets(false) } else { (packets(true) + (gop - 1.0) * packets(false)) / gop }
    }

    /// Returns the bytes of all RTP packets of a key frame, or of another frame.
    #[must_use]
    pub fn frame_bytes(&self, key: bool) -> f64 {
        let mean = self.bitrate_bps as f64 / 8.0 / self.fps;
        let gop = f64::from(self.gop);
        let other = if self.gop == 0 { mean } else { mean * gop / (self.key_frame_factor + gop - 1.0) };
        if key { other * self.key_frame_factor } else { other }
    }

    /// Returns the bytes that a payload may have.
    #[must_use]
    pub fn max_payload(&self) -> usize {
        usize::from(self.packet_bytes) - RTP_HEADER_BYTES
    }
}

/// RTP bytes: header, envelope, SFrame, picture header and stamp have room.
const SMALLEST_FRAME: u16 = 180;
/// RTP bytes: 1000 packets, which is what relays keep for repairs.
const LARGEST_FRAME: u32 = 1_000_000;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_usual_shape_is_ten_full_packets() {
        let shape = Shape::default();
        shape.check().unwrap();
        assert_eq!((shape.frame_bytes(true), shape.frame_bytes(false)), (11_000.0, 11_000.0));
        assert_eq!(shape.packets_per_frame(), 10.0);
    }

    #[test]
    fn large_key_frames_leave_less_for_the_others() {
        let shape = Shape { key_frame_factor: 8.0, gop: 50, fps: 25.0, ..Shape::default() };
        let whole = shape.frame_bytes(true) + 49.0 * shape.frame_bytes(false);
        assert!((whole - 2.0 * 2_640_000.0 / 8.0).abs() < 1.0, "{whole}");
        assert!((shape.frame_bytes(true) / shape.frame_bytes(false) - 8.0).abs() < 1e-9);
    }

    #[test]
    fn impossible_shapes_are_refused_by_name() {
        let of = |change: fn(&mut Shape)| {
            let mut shape = Shape::default();
            change(&mut shape);
            shape.check().unwrap_err()
        };
        assert_eq!(of(|shape| shape.fps = 0.0), ShapeError::Fps(0.0));
        assert!(matches!(of(|shape| shape.fps = f64::NAN), ShapeError::Fps(_)));
        assert_eq!(of(|shape| shape.packet_bytes = 10), ShapeError::PacketBytes(10));
        assert_eq!(of(|shape| shape.key_frame_factor = 0.5), ShapeError::KeyFrameFactor(0.5));
        assert!(matches!(of(|shape| shape.bitrate_bps = 10_000), ShapeError::TooLittle { .. }));
        assert!(matches!(of(|shape| shape.bitrate_bps = 1_000_000_000), ShapeError::TooMuch { .. }));
    }
}
