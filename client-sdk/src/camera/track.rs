//! One track of a camera: its envelopes, its packets, and whether it waits for a key frame.

use latchkey_wire::codec::Codec;
use latchkey_wire::envelope::EnvelopeBuilder;

use crate::packetizer::{Leg, Packetizer, Start};
use crate::transport::webrtc::Publisher;

/// What of a codec goes from frame to frame.
pub(super) struct Track {
    pub(super) codec: Codec,
    pub(super) envelopes: EnvelopeBuilder,
    pub(super) packetizer: Packetizer,
    /// A new connection begins with a key frame.
    pub(super) wants_key: bool,
}

impl Track {
    /// Nothing when the system gives no random numbers to begin with.
    pub(super) fn new(codec: Codec) -> Option<Self> {
        let mut random = [0; 6];
        getrandom::fill(&mut random).ok()?;
        let [a, b, c, d, e, f] = random;
        let start = Start {
            sequence_number: u16::from_be_bytes([a, b]),
            timestamp: u32::from_be_bytes([c, d, e, f]),
        };
        Some(Self {
            codec,
            envelopes: EnvelopeBuilder::new(codec),
            packetizer: Packetizer::new(codec, start),
            wants_key: true,
        })
    }

    /// Goes over to a new connection, where it begins with a key frame.
    pub(super) fn move_to(&mut self, publisher: &Publisher) {
        self.wants_key = true;
        if let Some(extensions) = publisher.extensions(self.codec.kind()) {
            let leg = Leg { extensions: extensions.ids, mid: extensions.mid.clone() };
            self.packetizer.set_leg(leg);
        }
    }
}
