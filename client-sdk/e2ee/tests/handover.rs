//! A camera given away: it begins anew with other keys, and neither owner opens what is the other's.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests print what they counted")]

mod household;

use std::time::Duration;

use household::Scene;
use latchkey_api::device_list::Role;
use latchkey_e2ee::inner::InnerHeader;
use latchkey_e2ee::kid::VIDEO;
use latchkey_e2ee::open::FrameOpener;
use latchkey_e2ee::seal::FrameSealer;
use latchkey_wire::codec::Codec;

const FRAMES: usize = 200;

/// What the scene's camera seals.
fn sealed(scene: &mut Scene) -> Vec<Vec<u8>> {
    let session = scene.group.next_session().unwrap();
    let mut sealer = FrameSealer::new(&scene.group.frame_keys().unwrap(), session);
    let header = InnerHeader { captured_ms: 1, key_frame: true, codec: Codec::H264 };
    let seal = |number: usize| {
        let mut out = Vec::new();
        sealer.seal(VIDEO, header, b"", &number.to_be_bytes(), &mut out).unwrap();
        out
    };
    (0..FRAMES).map(seal).collect()
}

/// How many of these frames the owner of the scene opens with all that its device has.
fn opened(scene: &Scene, frames: &[Vec<u8>]) -> usize {
    let mut opener = FrameOpener::new();
    opener.add_epoch(scene.members[0].frame_keys().unwrap(), Duration::ZERO);
    let mut out = Vec::new();
    frames
        .iter()
        .filter(|frame| {
            out.clear();
            opener.open(frame, b"", &mut out).is_ok()
        })
        .count()
}

#[test]
fn the_old_owner_opens_nothing_after_and_the_new_owner_nothing_from_before() {
    let mut old = Scene::with(&[Role::Viewer]);
    let before = sealed(&mut old);
    // Off the old list; reset, the camera has drawn new keys and is enrolled elsewhere.
    old.home.remove(old.camera.device());
    assert!(old.members[0].is_closed(&old.home.chain), "the list closes the group on the old owner's device");
    let mut new = Scene::with(&[Role::Viewer]);
    assert_ne!(new.camera.device(), old.camera.device());
    let after = sealed(&mut new);

    let (old_before, old_after) = (opened(&old, &before), opened(&old, &after));
    let (new_before, new_after) = (opened(&new, &before), opened(&new, &after));
    println!(
        "handover: frames={FRAMES} old_owner_before={old_before} old_owner_after={old_after} new_owner_before={new_before} new_owner_after={new_after}"
    );
    assert_eq!((old_before, new_after), (FRAMES, FRAMES), "each owner opens its own time");
    assert_eq!((old_after, new_before), (0, 0));
}
