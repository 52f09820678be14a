//! Sealed wire frames become RTP packets: payloads of one size, times, numbers and the header extensions of one leg.
//!
//! The first packet of a frame says what the whole frame is: with a key frame the Dependency Descriptor's structure
//! and the picture's size, and there and about once a second the capture time.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use latchkey_wire::codec::{Codec, MediaKind};
use latchkey_wire::dependency_descriptor::write_single_layer;
use latchkey_wire::extension::{AbsCaptureTime, ExtensionKind, ExtensionMap};
use latchkey_wire::payload::{self, DEFAULT_MAX_PAYLOAD, Payloads, SplitError};

use crate::transport::{ExtensionBytes, OutgoingPacket};

/// Makes the packets of one track. Goes on counting when the track moves to another leg.
#[derive(Debug)]
pub struct Packetizer {
    codec: Codec,
    leg: Leg,
    max_payload: usize,
    first_timestamp: u32,
    /// All packets ever made, added to the first number: 16 bits of it go out.
    next_sequence: u64,
    frame_number: u16,
    last_capture_time: Option<Duration>,
    started: bool,
    payloads: Payloads,
}

/// Where a stream's numbers begin. Draw both at random (RFC 3550 section 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// Sequence number of the first packet.
    pub sequence_number: u16,
    /// Timestamp of a frame at time zero.
    pub timestamp: u32,
}

/// What one leg negotiated for the track.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leg {
    /// Ids of the extensions that may be sent; others are left out.
    pub extensions: ExtensionMap,
    /// The m-line's identification.
    pub mid: String,
}

/// A frame to be sent.
#[derive(Clone, Copy, Debug)]
pub struct WireFrame<'a> {
    /// Envelope and SFrame bytes, as `latchkey_wire::envelope::join` makes them.
    pub wire: &'a [u8],
    /// Whether it is a key frame.
    pub key: bool,
    /// Time since the source started: becomes the timestamp.
    pub pts: Duration,
    /// Capture time since the Unix epoch.
    pub captured: Duration,
    /// Width and height in pixels, needed with video key frames.
    pub geometry: Option<(u16, u16)>,
}

impl Packetizer {
    /// Returns a packetizer for a track that begins, with the payload size that our datagrams allow.
    #[must_use]
    pub fn new(codec: Codec, start: Start) -> Self {
        Self {
            codec,
            leg: Leg::default(),
            max_payload: DEFAULT_MAX_PAYLOAD,
            first_timestamp: start.timestamp,
            next_sequence: start.sequence_number.into(),
            frame_number: 0,
            last_capture_time: None,
            started: false,
            payloads: Payloads::new(),
        }
    }

    /// Uses another payload size: bytes, at least 64.
    #[must_use]
    pub fn with_max_payload(mut self, bytes: usize) -> Self {
        self.max_payload = bytes;
        self
    }

    /// Moves the track to another leg. Its first frame carries the capture time.
    pub fn set_leg(&mut self, leg: Leg) {
        self.leg = leg;
        self.last_capture_time = None;
    }

    /// Appends the packets of a frame to `out`.
    ///
    /// # Errors
    /// [`SplitError`]; nothing is then appended and no number used.
    pub fn packetize(
        &mut self,
        frame: WireFrame<'_>,
        out: &mut Vec<OutgoingPacket>,
    ) -> Result<(), SplitError> {
        payload::split(self.codec, frame.wire, frame.key, self.max_payload, &mut self.payloads)?;
        let capture_time = self.due_capture_time(&frame);
        let count = self.payloads.len();
        let timestamp = self.timestamp(frame.pts);
        for (index, payload) in frame_payloads(&self.payloads).enumerate() {
            let position = Position { first: index == 0, last: index + 1 == count };
            out.push(OutgoingPacket {
                sequence_number: self.next_sequence as u16,
                timestamp,
                marker: self.marker(position),
                extensions: self.extensions(&frame, position, capture_time),
                payload,
            });
            self.next_sequence += 1;
        }
        self.frame_number = self.frame_number.wrapping_add(1);
        self.started = true;
        Ok(())
    }

    /// Video: the end of the frame. Audio: the start of a talkspurt (RFC 7587 section 4.1), and ours never pauses.
    fn marker(&self, position: Position) -> bool {
        match self.codec.kind() {
            MediaKind::Video => position.last,
            MediaKind::Audio => !self.started,
        }
    }

    fn due_capture_time(&mut self, frame: &WireFrame<'_>) -> Option<AbsCaptureTime> {
        let key = frame.key && self.codec.kind() == MediaKind::Video;
        let fresh = |last: Duration| frame.captured.abs_diff(last) < CAPTURE_TIME_EVERY;
        if !key && self.last_capture_time.is_some_and(fresh) {
            return None;
        }
        self.last_capture_time = Some(frame.captured);
        Some(AbsCaptureTime::from_unix(frame.captured))
    }

    fn extensions(
        &self,
        frame: &WireFrame<'_>,
        position: Position,
        capture_time: Option<AbsCaptureTime>,
    ) -> Vec<ExtensionBytes> {
        let mut extensions = Vec::with_capacity(3);
        let mut add = |kind, bytes: &[u8]| {
            if let Some(id) = self.leg.extensions.id(kind) {
                extensions.push(ExtensionBytes { id, bytes: Bytes::copy_from_slice(bytes) });
            }
        };
        add(ExtensionKind::Mid, self.leg.mid.as_bytes());
        if self.codec.kind() == MediaKind::Video {
            let ends = (position.first, position.last);
            let size = frame.geometry.filter(|_| frame.key && position.first);
            let descriptor = write_single_layer(frame.key, ends, self.frame_number, size);
            add(ExtensionKind::DependencyDescriptor, descriptor.as_bytes());
        }
        if let Some(time) = capture_time.filter(|_| position.first) {
            add(ExtensionKind::AbsCaptureTime, &time.to_bytes());
        }
        extensions
    }

    fn timestamp(&self, pts: Duration) -> u32 {
        let nanoseconds = pts.as_nanos() * u128::from(self.codec.clock_rate());
        let ticks = (nanoseconds + NANOS_PER_SECOND / 2) / NANOS_PER_SECOND;
        self.first_timestamp.wrapping_add(ticks as u32)
    }
}

#[derive(Clone, Copy)]
struct Position {
    first: bool,
    last: bool,
}

/// The payloads as slices of one allocation.
fn frame_payloads(payloads: &Payloads) -> impl Iterator<Item = Bytes> {
    let mut all = BytesMut::with_capacity(payloads.iter().map(<[u8]>::len).sum());
    let lengths: Vec<_> = payloads.iter().map(<[u8]>::len).collect();
    payloads.iter().for_each(|payload| all.extend_from_slice(payload));
    let mut all = all.freeze();
    lengths.into_iter().map(move |length| all.split_to(length))
}

const CAPTURE_TIME_EVERY: Duration = Duration::from_secs(1);
const NANOS_PER_SECOND: u128 = 1_000_000_000;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use latchkey_wire::dependency_descriptor::{Mandatory, has_structure};

    fn packetizer(codec: Codec) -> Packetizer {
        let mut extensions = ExtensionMap::new();
        extensions.insert(ExtensionKind::Mid, 1).unwrap();
        extensions.insert(ExtensionKind::AbsCaptureTime, 2).unwrap();
        extensions.insert(ExtensionKind::DependencyDescriptor, 3).unwrap();
        let mut packetizer =
            Packetizer::new(codec, Start { sequence_number: 65_534, timestamp: u32::MAX - 10 });
        packetizer.set_leg(Leg { extensions, mid: "v".into() });
        packetizer
    }

    fn frame(wire: &[u8], key: bool, at: u64) -> WireFrame<'_> {
        WireFrame {
            wire,
            key,
            pts: Duration::from_millis(at),
            captured: Duration::from_millis(1_700_000_000_000 + at),
            geometry: Some((640, 360)),
        }
    }

    fn value(packet: &OutgoingPacket, id: u8) -> Option<&[u8]> {
        packet.extensions.iter().find(|extension| extension.id == id).map(|extension| &extension.bytes[..])
    }

    fn vp8(key: bool, length: usize) -> Vec<u8> {
        let mut wire = match key {
            true => vec![0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0x68, 0x01],
            false => vec![0x11],
        };
        wire.resize(length, 0x5a);
        wire
    }

    #[test]
    fn a_frame_becomes_packets_of_one_size_whose_numbers_wrap() {
        let mut packets = Vec::new();
        packetizer(Codec::Vp8).packetize(frame(&vp8(true, 4_000), true, 40), &mut packets).unwrap();
        let numbers: Vec<_> = packets.iter().map(|packet| packet.sequence_number).collect();
        assert_eq!(numbers, [65_534, 65_535, 0, 1]);
        let (last, full) = packets.split_last().unwrap();
        assert!(full.iter().all(|packet| packet.payload.len() == full[0].payload.len() && !packet.marker));
        assert!(last.marker && last.payload.len() <= full[0].payload.len());
        assert!(packets.iter().all(|packet| packet.timestamp == 3_600 - 11));
    }

    #[test]
    fn the_first_packet_of_a_key_frame_says_what_the_frame_is() {
        let mut packetizer = packetizer(Codec::Vp8);
        let mut packets = Vec::new();
        packetizer.packetize(frame(&vp8(true, 2_500), true, 0), &mut packets).unwrap();
        let key = packets.len();
        packetizer.packetize(frame(&vp8(false, 2_500), false, 40), &mut packets).unwrap();
        packetizer.packetize(frame(&vp8(false, 100), false, 1_040), &mut packets).unwrap();

        assert!(packets.iter().all(|packet| value(packet, 1) == Some(b"v")));
        assert!(has_structure(value(&packets[0], 3).unwrap()));
        assert!(packets[1..].iter().all(|packet| !has_structure(value(packet, 3).unwrap())));
        let ends: Vec<_> = packets
            .iter()
            .map(|packet| Mandatory::read(value(packet, 3).unwrap()).unwrap())
            .map(|descriptor| (descriptor.start_of_frame, descriptor.end_of_frame, descriptor.frame_number))
            .collect();
        assert_eq!(ends[0], (true, false, 0));
        assert_eq!(ends[key - 1], (false, true, 0));
        assert_eq!(ends[key], (true, false, 1));
        assert_eq!(*ends.last().unwrap(), (true, true, 2));
        let with_time: Vec<_> =
            (0..packets.len()).filter(|index| value(&packets[*index], 2).is_some()).collect();
        assert_eq!(with_time, [0, packets.len() - 1], "key frame, and once a second");
    }

    #[test]
    fn sound_has_no_descriptor_and_one_marker() {
        let mut packetizer = packetizer(Codec::Opus);
        let mut packets = Vec::new();
        for at in 0..60 {
            packetizer.packetize(frame(&[0x78; 60], true, at * 20), &mut packets).unwrap();
        }
        assert_eq!(packets.len(), 60);
        assert_eq!(packets.iter().filter(|packet| packet.marker).count(), 1);
        assert!(packets.iter().all(|packet| value(packet, 3).is_none()));
        assert_eq!(packets.iter().filter(|packet| value(packet, 2).is_some()).count(), 2);
        assert_eq!(packets[1].timestamp.wrapping_sub(packets[0].timestamp), 960);
    }

    #[test]
    fn what_was_not_negotiated_is_left_out() {
        let mut packetizer = packetizer(Codec::Vp8);
        packetizer.set_leg(Leg::default());
        let mut packets = Vec::new();
        packetizer.packetize(frame(&vp8(true, 100), true, 0), &mut packets).unwrap();
        assert!(packets[0].extensions.is_empty());
    }

    #[test]
    fn timestamps_do_not_drift_in_a_year() {
        let packetizer = packetizer(Codec::H264);
        let year = Duration::from_secs(365 * 24 * 3600);
        let expected = (u128::from(year.as_secs()) * 90_000) as u32;
        assert_eq!(packetizer.timestamp(year).wrapping_sub(packetizer.first_timestamp), expected);
    }
}
