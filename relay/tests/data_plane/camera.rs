//! Frames in the shape of sealed ones: envelope, SFrame header, then bytes that look like ciphertext.

use latchkey_wire::codec::{Codec, MediaKind};
use latchkey_wire::envelope::{self, EnvelopeBuilder};
use latchkey_wire::payload::{self, Payloads};
use latchkey_wire::sframe_header::{self, SframeHeader};

use crate::client::{Packet, payload_type};

/// Makes the frames of one VP8 or Opus track.
pub(crate) struct Camera {
    codec: Codec,
    envelope: EnvelopeBuilder,
    kid: u64,
    counter: u64,
    sequence: u64,
    timestamp: u32,
    noise: u64,
    /// Frames in the clear, as a publisher without encryption sends them.
    pub(crate) plain: bool,
}

impl Camera {
    pub(crate) fn new(codec: Codec, seed: u64) -> Self {
        Self::of_track(codec, seed, u8::from(codec.kind() == MediaKind::Audio))
    }

    /// With this track in its key id: of a simulcast layer.
    pub(crate) fn of_track(codec: Codec, seed: u64, track: u8) -> Self {
        let noise = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        Self {
            codec,
            envelope: EnvelopeBuilder::new(codec),
            kid: (noise >> 33 | 1 << 31) << 24 | u64::from(track) << 16,
            counter: 0,
            sequence: 100 + noise % 1000,
            timestamp: noise as u32,
            noise,
            plain: false,
        }
    }

    /// A frame's time passes without one.
    pub(crate) fn skip(&mut self) {
        self.timestamp = self.timestamp.wrapping_add(3000);
    }

    /// The packets of the next frame, which has about `len` bytes.
    pub(crate) fn frame(&mut self, key: bool, len: usize) -> Vec<Packet> {
        let clear: &[u8] = match (self.codec, key) {
            (Codec::Vp8, true) => &[0x10, 0x02, 0x00, 0x9D, 0x01, 0x2A, 0x80, 0x02, 0xE0, 0x01, 0x00],
            (Codec::Vp8, false) => &[0x11, 0x02, 0x00, 0x55],
            _ => &[0x7C; 40],
        };
        let body: Vec<u8> = (0..len.max(32)).map(|_| self.noise()).collect();
        let mut wire = Vec::new();
        if self.plain {
            wire = [clear, &body].concat();
        } else {
            let mut envelope = Vec::new();
            self.envelope.build(key, clear, &mut envelope).unwrap();
            let mut sframe = [0; sframe_header::MAX_LEN];
            let header = SframeHeader::write(self.kid, self.counter, &mut sframe);
            envelope::join(self.codec, &envelope, &[&sframe[..header], &body].concat(), &mut wire);
        }
        self.counter += 1;
        let mut payloads = Payloads::new();
        payload::split(self.codec, &wire, key, 1000, &mut payloads).unwrap();
        self.timestamp = self.timestamp.wrapping_add(3000);
        let count = payloads.len();
        let packets = payloads.iter().enumerate().map(|(i, payload)| Packet {
            payload_type: payload_type(self.codec),
            sequence: self.sequence + i as u64,
            timestamp: self.timestamp,
            marker: i + 1 == count && self.codec.kind() == MediaKind::Video,
            payload: payload.to_vec(),
        });
        let packets: Vec<_> = packets.collect();
        self.sequence += count as u64;
        packets
    }

    fn noise(&mut self) -> u8 {
        self.noise ^= self.noise << 13;
        self.noise ^= self.noise >> 7;
        self.noise ^= self.noise << 17;
        self.noise as u8
    }
}
