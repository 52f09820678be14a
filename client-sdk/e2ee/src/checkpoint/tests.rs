//! Builder against verifier: with loss, disorder, restarts and forgers; and arbitrary bytes as blocks.

#![allow(clippy::unwrap_used)]

mod bytes;
mod forgers;
mod healing;
mod layers;
mod network;

use std::time::Duration;

use latchkey_api::id::GroupId;
use latchkey_wire::codec::Codec;

use super::block::ChainId;
use super::*;
use crate::identity::DeviceIdentity;
use crate::inner::InnerHeader;
use crate::key_schedule::{EpochKeys, keys_for_test};
use crate::kid::{AUDIO, Kid, SECOND_LAYER, SenderSession, THIRD_LAYER, VIDEO};
use crate::open::Opened;
use crate::seal::{FrameSealer, Sealed};

/// When these cameras begin, in milliseconds since the Unix epoch.
const BEGAN_MS: u64 = 1_800_000_000_000;

/// A frame on its way, with the time since the start at which it was sealed.
#[derive(Clone)]
struct Sent {
    at: Duration,
    sealed: Sealed,
    captured_ms: u64,
    key_frame: bool,
    temporal: u8,
    sframe: Vec<u8>,
    block: Option<Vec<u8>>,
}

impl Sent {
    fn opened(&self) -> Opened {
        let header = InnerHeader { captured_ms: self.captured_ms, key_frame: false, codec: Codec::H264 };
        let kid = self.sealed.kid;
        Opened {
            header,
            kid,
            sender_leaf: kid.leaf(),
            session: kid.session(),
            track: kid.track(),
            ctr: self.sealed.ctr,
            epoch: u64::from(kid.epoch_bits()),
        }
    }
}

/// A camera with 25 pictures and 50 packets of sound a second, and a key frame every two seconds.
struct Camera {
    identity: DeviceIdentity,
    sealer: FrameSealer,
    builder: CheckpointBuilder,
    /// Time since the start; steps of 20 ms.
    now: Duration,
    clock_ms: u64,
    steps: u64,
    /// The tracks of its picture.
    layers: &'static [u8],
    /// Each layer has three temporal layers, and key frames of its own.
    browser: bool,
}

impl Camera {
    fn new() -> Self {
        Self::of(DeviceIdentity::from_bytes(&[&[1; 49][..], &[7; 32]].concat()).unwrap(), 1)
    }

    fn of(identity: DeviceIdentity, session: u32) -> Self {
        let keys = keys(3);
        let builder = CheckpointBuilder::new(&CheckpointSigner::new(&identity).unwrap(), keys.group).unwrap();
        let sealer = FrameSealer::new(&keys, SenderSession(session));
        Self {
            identity,
            sealer,
            builder,
            now: Duration::ZERO,
            clock_ms: BEGAN_MS,
            steps: 0,
            layers: &[VIDEO],
            browser: false,
        }
    }

    fn key(&self) -> [u8; 32] {
        self.identity.public().mls_public
    }

    fn verifier(&self) -> CheckpointVerifier {
        CheckpointVerifier::new(keys(3).group, &self.key()).unwrap()
    }

    /// Starts anew, as after a power cut.
    fn restarted(self, session: u32) -> Self {
        let after = Self::of(self.identity, session);
        let Self { now, clock_ms, layers, browser, .. } = self;
        Self { now, clock_ms, layers, browser, ..after }
    }

    fn rekey(&mut self, epoch: u64) {
        self.sealer.rekey(&keys(epoch)).unwrap();
    }

    /// Seals for a while.
    fn run(&mut self, seconds: u64) -> Vec<Sent> {
        let end = self.now + Duration::from_secs(seconds);
        let mut sent = Vec::new();
        while self.now < end {
            sent.push(self.seal(AUDIO, false));
            if self.steps.is_multiple_of(2) {
                for (number, track) in (0..).zip(self.layers) {
                    let stagger = if self.browser { STAGGER * number } else { 0 };
                    let since_key = (self.steps / 2 + stagger) % 50;
                    let temporal = if self.browser { TEMPORAL[since_key as usize % 4] } else { 0 };
                    sent.push(self.seal_in(*track, since_key == 0, temporal));
                }
            }
            self.steps += 1;
            self.now += Duration::from_millis(20);
            self.clock_ms += 20;
        }
        sent
    }

    fn seal(&mut self, track: u8, key_frame: bool) -> Sent {
        self.seal_in(track, key_frame, 0)
    }

    fn seal_in(&mut self, track: u8, key_frame: bool, temporal: u8) -> Sent {
        let room = if track == AUDIO || temporal > 0 { 0 } else { usize::MAX };
        let block = self.builder.due(self.now, carrier(track, key_frame, room)).map(<[u8]>::to_vec);
        let header = InnerHeader { captured_ms: self.clock_ms, key_frame, codec: Codec::H264 };
        let mut sframe = Vec::new();
        let frame = self.steps.to_be_bytes();
        let sealed =
            self.sealer.seal_with(track, header, block.as_deref(), b"", &frame, &mut sframe).unwrap();
        self.builder.note(sealed, self.clock_ms, &sframe).unwrap();
        Sent { at: self.now, sealed, captured_ms: self.clock_ms, key_frame, temporal, sframe, block }
    }
}

/// Temporal layers of pictures one after the other, as browsers make them.
const TEMPORAL: [u8; 4] = [0, 2, 1, 2];
/// Pictures between the key frames of two layers.
const STAGGER: u64 = 17;

fn carrier(track: u8, key_frame: bool, room: usize) -> Carrier {
    Carrier { track, key_frame, room }
}

fn keys(epoch: u64) -> EpochKeys {
    keys_for_test(epoch, 0)
}

/// What a viewer says of these frames, which come in this order, each `late` after it was sealed.
fn watch(verifier: &mut CheckpointVerifier, frames: &[Sent], late: Duration) -> Verdicts {
    watch_at(verifier, frames.iter().map(|frame| (frame.at + late, frame)))
}

/// What a viewer says of frames that come at these times.
fn watch_at<'a>(
    verifier: &mut CheckpointVerifier,
    frames: impl Iterator<Item = (Duration, &'a Sent)>,
) -> Verdicts {
    let mut all = Verdicts::default();
    for (at, frame) in frames {
        all += verifier.frame(&frame.opened(), &frame.sframe, at);
        if let Some(block) = &frame.block {
            all += verifier.block(block, at).unwrap();
        }
    }
    all
}

/// What comes of these frames, in its order, when those whose number in `lost` is below `percent` do not, and each other is
/// under way for its milliseconds.
fn bad_network(frames: Vec<Sent>, (lost, percent): (&[u8], u8), delays: &[u64]) -> Vec<(Duration, Sent)> {
    let mut came: Vec<(Duration, Sent)> = frames
        .into_iter()
        .zip(lost.iter().zip(delays))
        .filter(|(_, (lost, _))| **lost >= percent)
        .map(|(frame, (_, delay))| (frame.at + Duration::from_millis(*delay), frame))
        .collect();
    came.sort_by_key(|(at, _)| *at);
    came
}

/// The rest of the verdicts, when nothing comes any more.
fn finish(verifier: &mut CheckpointVerifier) -> Verdicts {
    verifier.expire(Duration::from_secs(1_000_000))
}

/// Frames of another member who has the group's keys: sealed under the camera's key id.
fn forged(like: &Sent, kid: Kid, ctr: u64) -> Sent {
    let sframe = [b"forged".as_slice(), &ctr.to_be_bytes()].concat();
    Sent { sealed: Sealed { kid, ctr }, sframe, block: None, ..like.clone() }
}
