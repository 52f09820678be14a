//! A camera whose frames have the shape of sealed ones: envelope, SFrame header, then bytes that look like ciphertext.

use latchkey_relay_core::TrackParams;
use latchkey_wire::codec::{Codec, MediaKind};
use latchkey_wire::dependency_descriptor;
use latchkey_wire::envelope::{self, EnvelopeBuilder};
use latchkey_wire::extension::{self, AbsCaptureTime, ExtensionKind};
use latchkey_wire::payload::{self, Payloads};
use latchkey_wire::rtp::RtpHeader;
use latchkey_wire::sframe_header::{self, SframeHeader};

/// Sends one track.
pub struct Camera {
    pub codec: Codec,
    pub ssrc: u32,
    pub sequence: u16,
    pub timestamp: u32,
    pub frame_number: u16,
    pub kid: u64,
    pub counter: u64,
    /// Sends the dependency descriptor.
    pub descriptor: bool,
    pub max_payload: usize,
    /// Its name when it is a simulcast layer.
    pub rid: Option<&'static str>,
    /// Temporal layer of the next frame, in a stream that has two.
    pub temporal: Option<u8>,
    envelope: EnvelopeBuilder,
    rtx_sequence: u16,
    noise: u64,
}

/// One frame as it was sent.
#[derive(Clone)]
pub struct Frame {
    pub key: bool,
    /// Envelope and SFrame bytes: what a viewer puts together again.
    pub wire: Vec<u8>,
    pub packets: Vec<Vec<u8>>,
}

impl Camera {
    /// Starts somewhere that depends on `seed`.
    pub fn new(codec: Codec, seed: u64) -> Self {
        let noise = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let track = u64::from(codec.kind() == MediaKind::Audio);
        let session = noise >> 33 | 1 << 31;
        Self {
            codec,
            ssrc: noise as u32,
            sequence: (noise >> 16) as u16,
            timestamp: (noise >> 24) as u32,
            frame_number: (noise >> 40) as u16,
            kid: session << 24 | track << 16,
            counter: 0,
            descriptor: codec.kind() == MediaKind::Video,
            max_payload: 200,
            rid: None,
            temporal: None,
            envelope: EnvelopeBuilder::new(codec),
            rtx_sequence: (noise >> 8) as u16,
            noise,
        }
    }

    pub fn params(&self) -> TrackParams {
        TrackParams {
            codec: self.codec,
            payload_type: MEDIA_PT,
            rtx_payload_type: Some(RTX_PT),
            ssrc: None,
            rtx_ssrc: None,
            extensions: super::extensions(&[
                (ExtensionKind::Mid, MID_ID),
                (ExtensionKind::AbsCaptureTime, CAPTURE_ID),
                (ExtensionKind::DependencyDescriptor, DESCRIPTOR_ID),
                (ExtensionKind::Rid, RID_ID),
                (ExtensionKind::RepairedRid, REPAIRED_RID_ID),
            ]),
            nack: true,
            first: None,
            rid: self.rid.and_then(latchkey_relay_core::Rid::new),
            pause: false,
        }
    }

    /// Makes the next frame, with about `len` bytes of ciphertext, and its packets.
    pub fn frame(&mut self, key: bool, len: usize) -> Frame {
        let wire = self.wire_frame(key, len);
        let packets = self.packetise(&wire, key);
        self.frame_number = self.frame_number.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(self.codec.clock_rate() / 30);
        Frame { key, wire, packets }
    }

    /// Packets of a frame's bytes, whatever they are, at the present timestamp.
    pub fn packetise(&mut self, wire: &[u8], key: bool) -> Vec<Vec<u8>> {
        let mut payloads = Payloads::new();
        payload::split(self.codec, wire, key, self.max_payload, &mut payloads).unwrap();
        let count = payloads.len();
        payloads
            .iter()
            .enumerate()
            .map(|(index, payload)| self.packet(payload, key, (index, count)))
            .collect()
    }

    /// A packet with padding and nothing else, as bandwidth probes have it.
    pub fn padding(&mut self) -> Vec<u8> {
        let mut packet = self.header(MEDIA_PT, false, &[]);
        packet[0] |= 0x20;
        packet.extend([0, 0, 3]);
        packet
    }

    /// The same packet again, by RTX.
    pub fn repair(&mut self, packet: &[u8]) -> Vec<u8> {
        let view = latchkey_wire::rtp::RtpView::parse(packet).unwrap();
        let mut repair = match self.rid {
            None => packet[..view.header_len()].to_vec(),
            Some(rid) => {
                let mut header = vec![0; 128];
                let rest = view.header().write(true, &mut header).unwrap();
                let len = 12 + extension::write_block(&[(REPAIRED_RID_ID, rid.as_bytes())], 0, rest).unwrap();
                header.truncate(len);
                header
            }
        };
        repair[1] = repair[1] & 0x80 | RTX_PT;
        repair[2..4].copy_from_slice(&self.rtx_sequence.to_be_bytes());
        repair[8..12].copy_from_slice(&(self.ssrc ^ 0xFFFF).to_be_bytes());
        repair.extend(view.sequence_number().to_be_bytes());
        repair.extend(view.payload());
        self.rtx_sequence = self.rtx_sequence.wrapping_add(1);
        repair
    }

    fn wire_frame(&mut self, key: bool, len: usize) -> Vec<u8> {
        let mut clear = Vec::new();
        self.envelope.build(key, &codec_frame(self.codec, key), &mut clear).unwrap();
        let mut header = [0; sframe_header::MAX_LEN];
        let header_len = SframeHeader::write(self.kid, self.counter, &mut header);
        self.counter += 1;
        let mut sframe = header[..header_len].to_vec();
        sframe.extend((0..len.max(32)).map(|_| self.noise()));
        let mut wire = Vec::new();
        envelope::join(self.codec, &clear, &sframe, &mut wire);
        wire
    }

    fn packet(&mut self, payload: &[u8], key: bool, (index, count): (usize, usize)) -> Vec<u8> {
        let ends = (index == 0, index + 1 == count);
        let resolution = (key && index == 0).then_some((640, 480));
        let single = dependency_descriptor::write_single_layer(key, ends, self.frame_number, resolution);
        let temporal = self.temporal.map(|layer| two_temporal_layers(key, ends, self.frame_number, layer));
        let descriptor = temporal.as_deref().unwrap_or(single.as_bytes());
        let time = AbsCaptureTime::from_ntp(u64::from(self.timestamp) << 32).to_bytes();
        let mut elements: Vec<(u8, &[u8])> = vec![(MID_ID, b"cam")];
        if index == 0 {
            elements.push((CAPTURE_ID, &time));
        }
        if self.descriptor {
            elements.push((DESCRIPTOR_ID, descriptor));
        }
        if let Some(rid) = self.rid {
            elements.push((RID_ID, rid.as_bytes()));
        }
        let marker = ends.1 && self.codec.kind() == MediaKind::Video;
        let mut packet = self.header(MEDIA_PT, marker, &elements);
        packet.extend(payload);
        packet
    }

    fn header(&mut self, payload_type: u8, marker: bool, elements: &[(u8, &[u8])]) -> Vec<u8> {
        let header = RtpHeader {
            marker,
            payload_type,
            sequence_number: self.sequence,
            timestamp: self.timestamp,
            ssrc: self.ssrc,
        };
        self.sequence = self.sequence.wrapping_add(1);
        let mut packet = vec![0; 128];
        let rest = header.write(true, &mut packet).unwrap();
        let len = 12 + extension::write_block(elements, 0, rest).unwrap();
        packet.truncate(len);
        packet
    }

    fn noise(&mut self) -> u8 {
        self.noise ^= self.noise << 13;
        self.noise ^= self.noise >> 7;
        self.noise ^= self.noise << 17;
        self.noise as u8
    }
}

/// The beginning of a codec frame, as much as an envelope is made from.
pub fn codec_frame(codec: Codec, key: bool) -> Vec<u8> {
    let start = [0, 0, 0, 1];
    match (codec, key) {
        (Codec::H264, true) => [&start[..], SPS, &start, PPS, &start, &[0x65, 0x88, 0x84, 0x00]].concat(),
        (Codec::H264, false) => [&start[..], &[0x41, 0x9A, 0x21, 0x6C]].concat(),
        (Codec::Vp8, true) => vec![0x10, 0x02, 0x00, 0x9D, 0x01, 0x2A, 0x80, 0x02, 0xE0, 0x01, 0x00],
        (Codec::Vp8, false) => vec![0x11, 0x02, 0x00, 0x55],
        (Codec::Av1, true) => {
            vec![0x0A, 0x0B, 0, 0, 0, 0x24, 0xC4, 0xFF, 0xDF, 0, 0x68, 2, 0, 0x32, 0x01, 0x10]
        }
        (Codec::Av1, false) => vec![0x32, 0x01, 0x30],
        (Codec::Vp9 | Codec::Opus, _) => vec![0x7C; 40],
    }
}

/// Of a 640x480 constrained baseline stream that x264 made.
const SPS: &[u8] = &[
    0x67, 0x42, 0xC0, 0x1E, 0xDA, 0x02, 0x80, 0xBF, 0xE5, 0xC0, 0x44, 0x00, 0x00, 0x03, 0x00, 0x04, 0x00,
    0x00, 0x03, 0x00, 0xC8, 0x3C, 0x58, 0xBA, 0x80,
];
const PPS: &[u8] = &[0x68, 0xCE, 0x06, 0xCB, 0x20];

pub const MEDIA_PT: u8 = 102;
pub const RTX_PT: u8 = 103;
const MID_ID: u8 = 1;
const CAPTURE_ID: u8 = 2;
const DESCRIPTOR_ID: u8 = 3;
const RID_ID: u8 = 4;
const REPAIRED_RID_ID: u8 = 5;

/// L1T2: every second frame is needed by viewers of the upper layer only.
fn two_temporal_layers(key: bool, (starts, ends): (bool, bool), frame_number: u16, temporal: u8) -> Vec<u8> {
    let template = match (key, temporal) {
        (true, _) => 0,
        (false, 0) => 1,
        (false, _) => 2,
    };
    let mut bits =
        vec![(u32::from(starts), 1), (u32::from(ends), 1), (template, 6), (frame_number.into(), 16)];
    if key && starts {
        // A structure, no offset, two decode targets; three templates of layers 0, 0, 1; their indications; frames needed
        // are none, the last but one, the last; no chains, no resolution.
        bits.extend([(0b10000, 5), (0, 6), (1, 5), (0b00_01_11, 6), (0b1010_1010_0001, 12)]);
        bits.extend([(0, 1), (0b10_0010, 6), (0b10_0000, 6), (0, 1), (0, 1)]);
    }
    let mut bytes = vec![];
    let mut count = 0;
    for (value, width) in bits {
        for shift in (0..width).rev() {
            if count % 8 == 0 {
                bytes.push(0);
            }
            *bytes.last_mut().unwrap() |= ((value >> shift & 1) as u8) << (7 - count % 8);
            count += 1;
        }
    }
    bytes
}
