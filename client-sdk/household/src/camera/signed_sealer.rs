//! Seals each frame once with the keys of the moment, counts it for the keeper, and has the camera sign it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use latchkey_api::id::GroupId;
use latchkey_e2ee::checkpoint::{CheckpointBuilder, CheckpointError, CheckpointSigner};
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
            usize::MAX
        } else if self.video_sealed.is_none_or(|sealed| now - sealed > NO_PICTURE) {
            AUDIO_ROOM.saturating_sub(envelope.len() + frame.data.len())
        } else {
            0
        };
        let checkpoints = self.checkpoints.as_mut();
        let since = now - self.began;
        let block = checkpoints.and_then(|checkpoints| checkpoints.due(since, frame.key && is_video, room));
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
mod tests {
    #![allow(clippy::unwrap_used)]
    use latchkey_api::device_list::{DeviceList, ListChain, Reason, Role, Signer};
    use latchkey_e2ee::checkpoint::{CheckpointVerifier, Verdicts};
    use latchkey_e2ee::group::CameraGroup;
    use latchkey_e2ee::identity::{DeviceIdentity, HouseholdRoot};
    use latchkey_e2ee::kid::{AUDIO, Kid, SenderSession, VIDEO};
    use latchkey_e2ee::open::FrameOpener;

    use super::*;
    use crate::clock::{self, unix_seconds};

    /// A camera's group, and the list that it rests on.
    struct Scene {
        camera: DeviceIdentity,
        lists: ListChain,
        group: CameraGroup,
        session: SenderSession,
    }

    impl Scene {
        fn new() -> Self {
            let now = clock::now();
            let (root, _) = HouseholdRoot::generate().unwrap();
            let (admin, camera) = (DeviceIdentity::generate().unwrap(), DeviceIdentity::generate().unwrap());
            let entry = admin.public().entry(Role::Admin, unix_seconds(), Vec::new());
            let first = DeviceList::founding(root.household(), entry, unix_seconds()).unwrap();
            let mut lists = ListChain::new(&root.public()).unwrap();
            lists.accept(root.sign_list(first).as_bytes(), Some(now)).unwrap();
            let entry = camera.public().entry(Role::Camera, unix_seconds(), Vec::new());
            let signer = Signer::Device(admin.device());
            let next = DeviceList::after(lists.head().unwrap(), signer, unix_seconds(), Reason::Added);
            lists.accept(admin.sign_list(next.with(entry).unwrap()).as_bytes(), Some(now)).unwrap();
            let mut group = CameraGroup::found(&camera, &lists, now).unwrap();
            let session = group.next_session().unwrap();
            Self { camera, lists, group, session }
        }

        fn keys(&self) -> SenderKeys {
            SenderKeys { keys: self.group.frame_keys().unwrap(), session: self.session }
        }

        fn next_epoch(&mut self) -> SenderKeys {
            self.group.renew(&self.lists, clock::now()).unwrap();
            self.group.confirm().unwrap();
            self.keys()
        }
    }

    fn frame(codec: Codec, key: bool) -> Plain<'static> {
        Plain { codec, key, data: b"not a real picture" }
    }

    #[test]
    fn the_very_next_frame_is_sealed_in_the_new_epoch_and_the_end_of_the_old_one_is_told() {
        let mut scene = Scene::new();
        let counters = Arc::new(SharedCounters::default());
        let (ended_tx, mut ended) = mpsc::unbounded_channel();
        let signer = CheckpointSigner::new(&scene.camera).unwrap();
        let mut sealer = SignedSealer::new(signer, Arc::clone(&counters), ended_tx);
        let mut out = Vec::new();
        let mut seal = |sealer: &mut SignedSealer, codec, key| {
            sealer.seal(frame(codec, key), clock::now(), b"envelope", &mut out).unwrap()
        };
        assert!(seal(&mut sealer, Codec::H264, true).is_none(), "nothing is sealed without keys");

        sealer.take(&scene.keys()).unwrap();
        let kid = |track, epoch| Kid::new(scene.session, track, 0, epoch);
        for ctr in 0..5 {
            let sealed = seal(&mut sealer, Codec::H264, ctr == 0).unwrap();
            assert_eq!(sealed, Sealed { kid: kid(VIDEO, 0), ctr });
        }
        assert_eq!(seal(&mut sealer, Codec::Opus, true).unwrap().kid, kid(AUDIO, 0));
        assert_eq!(counters.now(), [(kid(VIDEO, 0), 5), (kid(AUDIO, 0), 1)]);

        for _ in 0..3 {
            sealer.take(&scene.keys()).unwrap();
        }
        assert!(ended.try_recv().is_err(), "the same keys again end nothing");
        let (old_video, old_audio, session) = (kid(VIDEO, 0), kid(AUDIO, 0), scene.session);
        sealer.take(&scene.next_epoch()).unwrap();
        let last = vec![(old_video, 4), (old_audio, 0)];
        assert_eq!(ended.try_recv().unwrap(), EpochEnded { epoch: 0, last });
        assert_eq!((counters.epoch(), counters.now()), (Some(1), vec![]));
        let sealed = seal(&mut sealer, Codec::H264, false).unwrap();
        assert_eq!(sealed, Sealed { kid: Kid::new(session, VIDEO, 0, 1), ctr: 0 }, "no key frame");
        assert_eq!((sealer.place(), sealer.aead_calls()), ((1, session.0), 7));
    }

    #[test]
    fn each_layer_counts_by_itself_under_a_key_of_its_own() {
        let mut scene = Scene::new();
        let counters = Arc::new(SharedCounters::default());
        let (ended_tx, _ended) = mpsc::unbounded_channel();
        let signer = CheckpointSigner::new(&scene.camera).unwrap();
        let mut sealer = SignedSealer::new(signer, Arc::clone(&counters), ended_tx);
        let keys = scene.next_epoch();
        sealer.take(&keys).unwrap();
        let mut opener = FrameOpener::new();
        opener.add_epoch(keys.keys, Duration::ZERO);
        let (mut out, mut plain) = (Vec::new(), Vec::new());
        let layers = [(Codec::Vp8, 0, 0), (Codec::Vp8, 1, 3), (Codec::Vp8, 2, 4), (Codec::Opus, 0, 1)];
        for ctr in 0..3 {
            for (codec, layer, track) in layers {
                let number = layer_number(codec.kind(), layer).unwrap();
                let frame = frame(codec, ctr == 0);
                let sealed = sealer.seal_in(number, frame, clock::now(), b"envelope", &mut out).unwrap();
                assert_eq!(sealed.unwrap(), Sealed { kid: Kid::new(scene.session, track, 0, 1), ctr });
                let opened = opener.open(&out, b"envelope", &mut plain).unwrap();
                assert_eq!((opened.track, opened.ctr), (track, ctr));
                assert_eq!(plain, frame.data);
            }
        }
        assert_eq!(counters.now().len(), layers.len());
        assert_eq!(layer_number(MediaKind::Video, 3), None, "relays take three");
        assert_eq!(layer_number(MediaKind::Audio, 1), None);
    }

    #[test]
    fn a_viewer_finds_every_frame_signed_by_the_camera_over_a_change_of_keys() {
        let mut scene = Scene::new();
        let (ended_tx, _ended) = mpsc::unbounded_channel();
        let signer = CheckpointSigner::new(&scene.camera).unwrap();
        let mut sealer = SignedSealer::new(signer, Arc::default(), ended_tx);
        let keys = scene.keys();
        let key = scene.camera.public().mls_public;
        let mut verifier = CheckpointVerifier::new(keys.keys.group(), &key).unwrap();
        let mut opener = FrameOpener::new();
        let (mut sframe, mut plain, mut verdicts) = (Vec::new(), Vec::new(), Verdicts::default());
        for number in 0..30 {
            if number % 10 == 0 {
                let keys = if number == 0 { scene.keys() } else { scene.next_epoch() };
                sealer.take(&keys).unwrap();
                opener.add_epoch(keys.keys, Duration::ZERO);
            }
            // Each key frame after half a second may carry a block.
            sealer.began -= Duration::from_secs(1);
            let frame = frame(if number % 2 == 0 { Codec::Vp8 } else { Codec::Opus }, true);
            sealer.seal(frame, clock::now(), b"envelope", &mut sframe).unwrap().unwrap();
            let opened = opener.open(&sframe, b"envelope", &mut plain).unwrap();
            assert_eq!(plain, frame.data);
            verdicts += verifier.frame(&opened, &sframe, Duration::ZERO);
            if let Some(block) = opener.block() {
                assert_eq!(opened.header.codec, Codec::Vp8, "sound carries none where there is a picture");
                verdicts += verifier.block(block, Duration::ZERO).unwrap();
            }
        }
        assert_eq!((verdicts.unverified, verdicts.forged), (0, 0));
        assert!(verdicts.signed > 20, "{verdicts:?}");
    }
}
