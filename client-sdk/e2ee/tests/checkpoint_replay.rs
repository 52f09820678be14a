//! A member that forges the camera's frames cannot hide behind a block that the camera really signed in an earlier run.

#![allow(clippy::unwrap_used)]

mod household;

use std::time::Duration;

use household::Scene;
use latchkey_api::device_list::Role;
use latchkey_e2ee::checkpoint::{Carrier, CheckpointBuilder, CheckpointSigner, CheckpointVerifier, Verdicts};
use latchkey_e2ee::inner::InnerHeader;
use latchkey_e2ee::kid::{SenderSession, VIDEO};
use latchkey_e2ee::open::FrameOpener;
use latchkey_e2ee::seal::FrameSealer;
use latchkey_wire::codec::Codec;

/// A picture, with room for a block.
fn carrier(key_frame: bool) -> Carrier {
    Carrier { track: VIDEO, key_frame, room: 16 * 1024 }
}

fn header(captured_ms: u64) -> InnerHeader {
    InnerHeader { captured_ms, key_frame: false, codec: Codec::H264 }
}

/// What a viewer finds in a minute of 30 frames per second, of which `forged` are a member's; every third of those carries
/// a block of the camera's run before, where `replayed`.
fn minute(replayed: bool) -> (u64, Verdicts) {
    let scene = Scene::with(&[Role::Viewer]);
    let (group, keys) = (scene.group.group_id(), scene.group.frame_keys().unwrap());
    let signer = CheckpointSigner::new(&scene.camera).unwrap();
    let mut opener = FrameOpener::new();
    opener.add_epoch(scene.members[0].frame_keys().unwrap(), Duration::ZERO);
    let mut verifier = CheckpointVerifier::new(group, &scene.camera.public().mls_public).unwrap();
    let (mut sframe, mut out, mut verdicts, mut forged) = (Vec::new(), Vec::new(), Verdicts::default(), 0);

    let mut before = CheckpointBuilder::new(&signer, group).unwrap();
    let sealed =
        FrameSealer::new(&keys, SenderSession(1)).seal(VIDEO, header(1), b"", b"", &mut sframe).unwrap();
    before.note(sealed, 1, &sframe).unwrap();
    let old_block = before.due(Duration::ZERO, carrier(true)).unwrap().to_vec();

    let mut builder = CheckpointBuilder::new(&signer, group).unwrap();
    let mut camera = FrameSealer::new(&keys, SenderSession(2));
    // Every member can derive every key of leaf 0.
    let mut forger = FrameSealer::new(&keys, SenderSession(3));
    for frame in 0..30 * 60 {
        let now = Duration::from_millis(frame * 33);
        let captured = 100_000 + frame * 33;
        let block = builder.due(now, carrier(frame % 60 == 0)).map(<[u8]>::to_vec);
        let sealed = camera
            .seal_with(VIDEO, header(captured), block.as_deref(), b"", b"picture", &mut sframe)
            .unwrap();
        builder.note(sealed, captured, &sframe).unwrap();
        let mut take = |sframe: &[u8]| {
            let opened = opener.open(sframe, b"", &mut out).unwrap();
            verdicts += verifier.frame(&opened, sframe, now);
            if let Some(block) = opener.block() {
                verdicts += verifier.block(block, now).unwrap();
            }
        };
        take(&sframe);
        if frame % 10 == 3 {
            let carried = (replayed && frame % 30 == 3).then_some(old_block.as_slice());
            forger.seal_with(VIDEO, header(captured), carried, b"", b"forged", &mut sframe).unwrap();
            take(&sframe);
            forged += 1;
        }
    }
    (forged, verdicts)
}

#[test]
fn an_old_block_does_not_hide_forged_frames() {
    for replayed in [false, true] {
        let (forged, verdicts) = minute(replayed);
        // Those of the last seconds still wait for their verdict.
        assert!(verdicts.forged > forged / 2, "{verdicts:?} of {forged} with replayed={replayed}");
        assert!(verdicts.signed > 1600, "{verdicts:?}");
    }
}
