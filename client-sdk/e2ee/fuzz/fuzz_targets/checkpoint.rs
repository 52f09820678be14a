//! What a member puts where the camera's signed block belongs: it comes out as it went in, and signs nothing.
#![no_main]

#[path = "../../tests/household/mod.rs"]
mod household;

use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use household::Scene;
use latchkey_api::device_list::Role;
use latchkey_e2ee::checkpoint::{CheckpointVerifier, MAX_BLOCK_BYTES};
use latchkey_e2ee::inner::InnerHeader;
use latchkey_e2ee::kid::VIDEO;
use latchkey_e2ee::open::FrameOpener;
use latchkey_e2ee::seal::FrameSealer;
use latchkey_wire::codec::Codec;
use libfuzzer_sys::fuzz_target;

struct Ends {
    scene: Scene,
    opener: FrameOpener,
    sealer: FrameSealer,
}

fn ends() -> &'static Mutex<Ends> {
    static ENDS: OnceLock<Mutex<Ends>> = OnceLock::new();
    ENDS.get_or_init(|| {
        let mut scene = Scene::with(&[Role::Viewer]);
        let session = scene.group.next_session().expect("the first session");
        let sealer = FrameSealer::new(&scene.group.frame_keys().expect("the camera has keys"), session);
        let mut opener = FrameOpener::new();
        opener.add_epoch(scene.members[0].frame_keys().expect("a member has keys"), Duration::ZERO);
        Mutex::new(Ends { scene, opener, sealer })
    })
}

fuzz_target!(|bytes: &[u8]| {
    let mut ends = ends().lock().expect("no run panics in between");
    let Ends { scene, opener, sealer } = &mut *ends;
    let camera = scene.camera.public().mls_public;
    let mut verifier = CheckpointVerifier::new(scene.group.group_id(), &camera).expect("a camera's key");
    assert!(verifier.block(bytes, Duration::ZERO).is_err());

    let header = InnerHeader { captured_ms: 1, key_frame: false, codec: Codec::H264 };
    let (mut sframe, mut out) = (Vec::new(), Vec::new());
    let sealed = sealer.seal_with(VIDEO, header, Some(bytes), b"", b"picture", &mut sframe);
    assert_eq!(sealed.is_ok(), bytes.len() <= MAX_BLOCK_BYTES);
    if sealed.is_ok() && opener.open(&sframe, b"", &mut out).is_ok() {
        assert_eq!((out.as_slice(), opener.block()), (b"picture".as_slice(), Some(bytes)));
    }
});
