//! Ogg Opus (RFC 7845) with granule positions of its own: one page per packet, so that nothing waits.

use std::time::Duration;

use bytes::Bytes;
use ogg::{PacketWriteEndInfo, PacketWriter};

use crate::bitstream::opus;
use crate::frame::MediaFrame;
use crate::sink::output::Output;
use crate::sink::{Sink, SinkError};

/// Writes `*.ogg`. Each packet is written when the next one comes, so that the last can carry the end mark.
pub(crate) struct OggOpus {
    writer: PacketWriter<'static, Output>,
    /// Samples at 48 kHz written so far, the held packet included.
    granule: u64,
    held: Option<Bytes>,
    /// Time of the first packet minus what was written before it: where the sound written begins.
    origin: Option<Duration>,
}

impl OggOpus {
    pub(crate) fn new(output: Output) -> Self {
        Self { writer: PacketWriter::new(output), granule: 0, held: None, origin: None }
    }

    fn write_headers(&mut self, first_packet: &[u8]) -> Result<(), SinkError> {
        let mut head = Vec::from(*b"OpusHead\x01");
        head.push(if opus::is_stereo(first_packet) { 2 } else { 1 });
        head.extend_from_slice(&PRE_SKIP.to_le_bytes());
        head.extend_from_slice(&48_000_u32.to_le_bytes());
        head.extend_from_slice(&[0, 0, 0]); // gain, mapping family
        let mut tags = Vec::from(*b"OpusTags");
        tags.extend_from_slice(&8_u32.to_le_bytes());
        tags.extend_from_slice(b"latchkey");
        tags.extend_from_slice(&0_u32.to_le_bytes());
        self.packet(head.into(), PacketWriteEndInfo::EndPage, 0)?;
        self.packet(tags.into(), PacketWriteEndInfo::EndPage, 0)
    }

    fn packet(&mut self, data: Bytes, end: PacketWriteEndInfo, granule: u64) -> Result<(), SinkError> {
        let written = self.writer.write_packet(Vec::from(data), SERIAL, end, granule);
        written.map_err(|error| self.writer.inner().error(&error))?;
        self.writer.inner_mut().send(&[])
    }

    /// Puts a packet behind the held one, which is written now.
    fn push(&mut self, data: Bytes) -> Result<(), SinkError> {
        if let Some(held) = self.held.take() {
            self.packet(held, PacketWriteEndInfo::EndPage, self.granule)?;
        }
        self.granule += samples(&data);
        self.held = Some(data);
        Ok(())
    }

    /// Stands in for lost packets, so that sound and picture stay together (RFC 7845 section 4.1): empty frames
    /// of the same kind, which a decoder conceals.
    fn fill_gap(&mut self, frame: &MediaFrame) -> Result<(), SinkError> {
        let written = Duration::from_nanos(self.granule * 1_000_000 / 48);
        let due = self.origin.map_or(Duration::ZERO, |origin| frame.pts.saturating_sub(origin));
        let gap = due.saturating_sub(written);
        if self.origin.is_none() || gap > LONGEST_GAP || due + LONGEST_GAP < written {
            self.origin = Some(frame.pts.saturating_sub(written));
            return Ok(());
        }
        let substitute = Bytes::from(vec![frame.data[0] & !3]);
        let length = opus::duration(&substitute).unwrap_or(LONGEST_GAP);
        if gap < TOLERATED_GAP {
            return Ok(());
        }
        for _ in 0..gap.as_nanos() / length.as_nanos() {
            self.push(substitute.clone())?;
        }
        Ok(())
    }
}

impl Sink for OggOpus {
    fn write(&mut self, frame: &MediaFrame) -> Result<bool, SinkError> {
        if opus::duration(&frame.data).is_none() {
            return Ok(false);
        }
        if self.origin.is_none() {
            self.write_headers(&frame.data)?;
        }
        self.fill_gap(frame)?;
        self.push(frame.data.clone())?;
        Ok(true)
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        match self.held.take() {
            Some(held) => self.packet(held, PacketWriteEndInfo::EndStream, self.granule),
            None => Ok(()),
        }
    }
}

fn samples(packet: &[u8]) -> u64 {
    let length = opus::duration(packet).unwrap_or_default();
    u64::try_from(length.as_micros()).unwrap_or_default() * 48 / 1_000
}

/// What libopus encoders look ahead by; the camera's own value does not travel.
const PRE_SKIP: u16 = 312;
const SERIAL: u32 = 1;
/// Capture times are not exact; what is missing below this stays missing until it adds up.
const TOLERATED_GAP: Duration = Duration::from_millis(80);
/// A longer silence is a new beginning, not a loss.
const LONGEST_GAP: Duration = Duration::from_secs(5);
