//! Seals each frame once with the keys of the moment, counts it for the keeper, and has the camera sign it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use latchkey_api::id::GroupId;
use latchkey_e2ee::checkpoint::{Carrier, CheckpointBuilder, CheckpointError, CheckpointSigner};
use latchkey_e2ee::inner::InnerHeader;
use latchkey_e2ee::kid;
use latchkey_e2ee::seal::{FrameSealer, SealError, Sealed};
use latchkey_wire::codec::{Codec, MediaKind};
use latchkey_wire::payload::DEFAULT_MAX_PAYLOAD;
use tokio::sync::mpsc;
use web_time::Instant;

use crate::camera::counters::{EpochEnded, SharedCounters};
use crate::camera::keeper::SenderKeys;

/// A frame to be sealed: one access unit of video, or one packet of sound.
#[derive(Clone, Copy, Debug)]
pub struct Plain<'a> {
    /// How it is encoded.
    pub codec: Codec,
    /// Whether decoding can start here.
    pub key: bool,
    /// Its temporal layer: a relay may leave out those above 0 for a viewer.
    pub temporal: u8,
    /// The encoded bytes.
    pub data: &'a [u8],
}

/// The sealer of a running camera.
pub struct SignedSealer {
    /// Nothing before the first keys.
    sealer: Option<FrameSealer>,
    /// Calls of ciphers that were replaced since.
    calls_before: u64,
    signer: CheckpointSigner,
    checkpoints: Option<CheckpointBuilder>,
    began: Instant,
    /// When the last frame of video was sealed.
    video_sealed: Option<Instant>,
    counters: Arc<SharedCounters>,
    ended: mpsc::UnboundedSender<EpochEnded>,
}

impl SignedSealer {
    pub(super) fn new(
        signer: CheckpointSigner,
        counters: Arc<SharedCounters>,
        ended: mpsc::UnboundedSender<EpochEnded>,
    ) -> Self {
        Self {
            sealer: None,
            calls_before: 0,
            signer,
            checkpoints: None,
            began: Instant::now(),
            video_sealed: None,
            counters,
            ended,
        }
    }

    /// Takes up new keys: the very next frame is sealed with them. Tells the keeper where the epoch before ended.
    pub fn take(&mut self, keys: &SenderKeys) -> Result<(), TakeError> {
        let same_session = self.sealer.as_ref().is_some_and(|sealer| sealer.session() == keys.session);
        let sealer = match &mut self.sealer {
            Some(sealer) if same_session => {
                sealer.rekey(&keys.keys)?;
                sealer
            }
            other => {
                self.calls_before += other.as_ref().map_or(0, FrameSealer::aead_calls);
                other.insert(FrameSealer::new(&keys.keys, keys.session))
            }
        };
        if let Some(ended) = self.counters.begin(keys.keys.group(), sealer.epoch()) {
            // Nobody listening means that everything is ending.
            let _ = self.ended.send(ended);
        }
        self.sign_for(keys.keys.group())?;
        Ok(())
    }

    /// Begins a chain of checkpoints where frames of another group are sealed from now on.
    fn sign_for(&mut self, group: GroupId) -> Result<(), CheckpointError> {
        if self.checkpoints.as_ref().is_none_or(|checkpoints| checkpoints.group() != group) {
            self.checkpoints = None;
            self.checkpoints = Some(CheckpointBuilder::new(&self.signer, group)?);
        }
        Ok(())
    }

    /// Whether there are keys to seal with.
    pub fn is_ready(&self) -> bool {
        self.sealer.is_some()
    }

    /// Seals a frame of a camera without layers; `out` becomes its SFrame bytes. Nothing comes of it while there are no keys.
    pub fn seal(
        &mut self,
        frame: Plain<'_>,
        captured: SystemTime,
        envelope: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Option<Sealed>, SealError> {
        self.seal_in(track_number(frame.codec.kind()), frame, captured, envelope, out)
    }

    /// Seals a frame in the track of this number in key identifiers, each of which has its own key and counter.
    pub fn seal_in(
        &mut self,
        number: u8,
        frame: Plain<'_>,
        captured: SystemTime,
        envelope: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Option<Sealed>, SealError> {
        let Some(sealer) = &mut self.sealer else { return Ok(None) };
        let header = InnerHeader::new(captured, frame.key, frame.codec);
        let now = Instant::now();
        let is_video = frame.codec.kind() == MediaKind::Video;
        // Packets of sound cannot be split: they carry small blocks, and only where there is no picture.
        let room = if is_video {
            if frame.temporal == 0 { usize::MAX } else { 0 }
        } else if self.video_sealed.is_none_or(|sealed| now - sealed > NO_PICTURE) {
            AUDIO_ROOM.saturating_sub(envelope.len() + frame.data.len())
        } else {
            0
        };
        let carrier = Carrier { track: number, key_frame: frame.key && is_video, room };
        let since = now - self.began;
        let block = self.checkpoints.as_mut().and_then(|checkpoints| checkpoints.due(since, carrier));
        let sealed = sealer.seal_with(number, header, block, envelope, frame.data, out)?;
        self.counters.sealed(sealed.kid, sealed.ctr);
        if is_video {
            self.video_sealed = Some(now);
        }
        if let Some(checkpoints) = &mut self.checkpoints
            && checkpoints.note(sealed, header.captured_ms, out).is_err()
        {
            // It begins anew with the next keys; until then viewers say "not verified".
            self.checkpoints = None;
        }
        Ok(Some(sealed))
    }

    /// How often the cipher was called since the start.
    pub fn aead_calls(&self) -> u64 {
        self.calls_before + self.sealer.as_ref().map_or(0, FrameSealer::aead_calls)
    }

    /// Epoch and session that frames are sealed in; zeros before the first keys.
    pub fn place(&self) -> (u64, u32) {
        self.sealer.as_ref().map_or((0, 0), |sealer| (sealer.epoch(), sealer.session().0))
    }
}

/// New keys were not taken as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TakeError {
    /// The sealer refuses them.
    #[error("the new keys were not taken: {0}")]
    Keys(#[from] SealError),
    /// The signer does.
    #[error("frames are sent without the camera's signature: {0}")]
    Signature(#[from] CheckpointError),
}

/// Returns the number of a kind's track in key identifiers.
pub fn track_number(kind: MediaKind) -> u8 {
    match kind {
        MediaKind::Video => kid::VIDEO,
        MediaKind::Audio => kid::AUDIO,
    }
}

/// Returns the number of a layer's track in key identifiers (`relay/docs/wire.md`, Layers); sound has one layer.
/// Nothing for more layers than a relay takes.
pub fn layer_number(kind: MediaKind, layer: u32) -> Option<u8> {
    match (kind, layer) {
        (_, 0) => Some(track_number(kind)),
        (MediaKind::Video, 1) => Some(kid::SECOND_LAYER),
        (MediaKind::Video, 2) => Some(kid::THIRD_LAYER),
        _ => None,
    }
}

/// How long no picture came when sound carries checkpoints.
const NO_PICTURE: Duration = Duration::from_secs(4);
/// What a packet of sound holds besides SFrame header, inner header, length of the block, and tag.
const AUDIO_ROOM: usize = DEFAULT_MAX_PAYLOAD - 64;

#[cfg(test)]
mod tests;
