//! Keys, counters and signatures of what a camera seals, in one layer and in three.

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
    Plain { codec, key, temporal: 0, data: b"not a real picture" }
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

/// What a viewer of one layer says of frames sealed 40 ms apart, in three layers with key frames of their own.
struct Watcher {
    layer: u8,
    opener: FrameOpener,
    verifier: CheckpointVerifier,
    verdicts: Verdicts,
}

impl Watcher {
    fn take(&mut self, track: u8, temporal: u8, sframe: &[u8]) {
        // What a relay leaves out for a viewer whose network is narrow.
        if track != AUDIO && (track != self.layer || temporal > 0) {
            return;
        }
        let opened = self.opener.open(sframe, b"envelope", &mut Vec::new()).unwrap();
        self.verdicts += self.verifier.frame(&opened, sframe, Duration::ZERO);
        if let Some(block) = self.opener.block() {
            self.verdicts += self.verifier.block(block, Duration::ZERO).unwrap();
        }
    }
}

#[test]
fn a_viewer_of_each_layer_and_one_who_changes_find_every_frame_signed() {
    let mut scene = Scene::new();
    let (ended_tx, _ended) = mpsc::unbounded_channel();
    let signer = CheckpointSigner::new(&scene.camera).unwrap();
    let mut sealer = SignedSealer::new(signer, Arc::default(), ended_tx);
    let key = scene.camera.public().mls_public;
    let first = scene.keys();
    let group = first.keys.group();
    let watcher = |layer| Watcher {
        layer: layer_number(MediaKind::Video, layer).unwrap(),
        opener: FrameOpener::new(),
        verifier: CheckpointVerifier::new(group, &key).unwrap(),
        verdicts: Verdicts::default(),
    };
    let mut watchers = [watcher(0), watcher(1), watcher(2), watcher(0)];
    let mut sframe = Vec::new();
    for picture in 0..500_u32 {
        if picture % 200 == 0 {
            let keys = if picture == 0 { scene.keys() } else { scene.next_epoch() };
            sealer.take(&keys).unwrap();
            for watcher in &mut watchers {
                let keys = scene.group.frame_keys().unwrap();
                watcher.opener.add_epoch(keys, Duration::ZERO);
            }
        }
        sealer.began -= Duration::from_millis(40);
        let mut send = |frame: Plain<'_>, number: u8, watchers: &mut [Watcher]| {
            sealer.seal_in(number, frame, clock::now(), b"envelope", &mut sframe).unwrap().unwrap();
            watchers.iter_mut().for_each(|watcher| watcher.take(number, frame.temporal, &sframe));
        };
        send(frame(Codec::Opus, true), AUDIO, &mut watchers);
        for layer in 0..3 {
            let number = layer_number(MediaKind::Video, layer).unwrap();
            let since_key = (picture + 9 * layer) % 60;
            let temporal = [0, 2, 1, 2][since_key as usize % 4];
            if since_key == 0 {
                watchers[3].layer = number;
            }
            let plain = Plain { temporal, ..frame(Codec::Vp8, since_key == 0) };
            send(plain, number, &mut watchers);
        }
    }
    for Watcher { layer, verdicts, .. } in &watchers {
        assert_eq!((verdicts.unverified, verdicts.forged), (0, 0), "track {layer}: {verdicts:?}");
        assert!(verdicts.signed > 450, "track {layer}: {verdicts:?}");
    }
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
