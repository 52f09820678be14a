//! What an operator hears at its own relay: packets without the hop's encryption, put together to sealed frames.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use latchkey::jitter::{Jitter, Limits};
use latchkey::transport::IncomingPacket;
use latchkey_e2ee::key_schedule::EpochKeys;
use latchkey_e2ee::open::FrameOpener;
use latchkey_wire::codec::Codec;
use latchkey_wire::envelope;
use latchkey_wire::rtp::RtpView;

/// Puts the packets of one publisher together.
#[derive(Default)]
pub struct Ear {
    tracks: BTreeMap<u8, (Codec, Jitter)>,
}

/// A frame as it is on the wire, sealed.
#[derive(Clone, Debug)]
pub struct Heard {
    /// Its codec.
    pub codec: Codec,
    /// Envelope and SFrame.
    pub wire: Bytes,
}

impl Ear {
    /// Takes one RTP packet and returns the frames that it completes.
    pub fn hear(&mut self, packet: &[u8]) -> Vec<Heard> {
        let Ok(view) = RtpView::parse(packet) else { return Vec::new() };
        let Some(codec) = codec_of(view.payload_type()) else { return Vec::new() };
        let new = || (codec, Jitter::new(codec, Limits { wait: Duration::ZERO, ..Limits::default() }));
        let (_, jitter) = self.tracks.entry(view.payload_type()).or_insert_with(new);
        let now = Instant::now();
        jitter.push(IncomingPacket {
            kind: codec.kind(),
            codec,
            sequence_number: view.sequence_number(),
            timestamp: view.timestamp(),
            marker: view.marker(),
            extensions: Vec::new(),
            payload: Bytes::copy_from_slice(view.payload()),
            arrived: now,
        });
        std::iter::from_fn(|| jitter.pop(now)).map(|frame| Heard { codec, wire: frame.wire }).collect()
    }
}

/// Opens as many of `frames` as these keys open, and returns how many.
#[must_use]
pub fn opened_with(keys: EpochKeys, frames: &[Heard]) -> usize {
    let mut opener = FrameOpener::new();
    opener.add_epoch(keys, Duration::ZERO);
    let (mut scratch, mut plain) = (Vec::new(), Vec::new());
    let opens = |frame: &&Heard| {
        let Ok(parts) = envelope::split(frame.codec, &frame.wire, &mut scratch) else { return false };
        opener.open(parts.sframe, parts.envelope, &mut plain).is_ok()
    };
    frames.iter().filter(opens).count()
}

/// The codec behind a payload type of our cameras' offers.
#[must_use]
pub fn codec_of(payload_type: u8) -> Option<Codec> {
    match payload_type {
        102 => Some(Codec::H264),
        96 => Some(Codec::Vp8),
        98 => Some(Codec::Vp9),
        45 => Some(Codec::Av1),
        111 => Some(Codec::Opus),
        _ => None,
    }
}
