//! IVF: VP8, VP9 and AV1 behind a header of 32 bytes, each frame behind one of 12.

use std::time::Duration;

use crate::bitstream::av1;
use crate::frame::{Codec, MediaFrame};
use crate::sink::output::Output;
use crate::sink::{Sink, SinkError};

/// Writes `*.ivf`. The header is written with the first key frame, which names the size.
pub(crate) struct Ivf {
    output: Output,
    first: Option<Duration>,
    frames: u32,
}

impl Ivf {
    pub(crate) fn new(output: Output) -> Self {
        Self { output, first: None, frames: 0 }
    }
}

impl Sink for Ivf {
    fn write(&mut self, frame: &MediaFrame) -> Result<bool, SinkError> {
        let first = match self.first {
            Some(first) => first,
            None if frame.key => {
                self.output.send(&[&file_header(frame)])?;
                *self.first.insert(frame.pts)
            }
            None => return Ok(false),
        };
        // In files every AV1 unit begins with its delimiter, which is not sent.
        let delimiter: &[u8] = if frame.codec == Codec::Av1 { &av1::DELIMITER } else { &[] };
        let size = u32::try_from(delimiter.len() + frame.data.len()).unwrap_or(u32::MAX);
        let time = frame.pts.saturating_sub(first).as_nanos() * u128::from(TICKS_PER_SECOND) / 1_000_000_000;
        let mut header = [0; 12];
        header[..4].copy_from_slice(&size.to_le_bytes());
        header[4..].copy_from_slice(&u64::try_from(time).unwrap_or(u64::MAX).to_le_bytes());
        self.output.send(&[&header, delimiter, &frame.data])?;
        self.frames = self.frames.saturating_add(1);
        Ok(true)
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        self.output.patch(FRAME_COUNT_AT, &self.frames.to_le_bytes())
    }
}

fn file_header(frame: &MediaFrame) -> [u8; 32] {
    let fourcc = match frame.codec {
        Codec::Vp9 => b"VP90",
        Codec::Av1 => b"AV01",
        _ => b"VP80",
    };
    let (width, height) = frame.geometry.unwrap_or_default();
    let mut header = [0; 32];
    header[..4].copy_from_slice(b"DKIF");
    header[6..8].copy_from_slice(&32_u16.to_le_bytes());
    header[8..12].copy_from_slice(fourcc);
    header[12..14].copy_from_slice(&width.to_le_bytes());
    header[14..16].copy_from_slice(&height.to_le_bytes());
    header[16..20].copy_from_slice(&TICKS_PER_SECOND.to_le_bytes());
    header[20..24].copy_from_slice(&1_u32.to_le_bytes());
    header
}

const TICKS_PER_SECOND: u32 = 90_000;
const FRAME_COUNT_AT: u64 = 24;
