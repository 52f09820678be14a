//! A member and the relay make the camera's own frames too old: its signature puts that right, and nothing opens twice.

use std::collections::HashSet;

use latchkey_cipher::TAG_LEN;
use sframe::crypto::EncryptionBufferView;

use super::*;
use crate::open::{FrameOpener, OpenError};

/// Opener and verifier, together as in a viewer.
struct Viewer {
    opener: FrameOpener,
    verifier: CheckpointVerifier,
    opened: HashSet<Vec<u8>>,
    forged: u64,
}

impl Viewer {
    fn new(camera: &Camera) -> Self {
        let mut opener = FrameOpener::new();
        opener.add_epoch(keys_for_test(3, 1), Duration::ZERO);
        Self { opener, verifier: camera.verifier(), opened: HashSet::new(), forged: 0 }
    }

    fn take(&mut self, frame: &Sent) -> Result<(), OpenError> {
        let at = frame.at + Duration::from_millis(100);
        let opened = self.opener.open(&frame.sframe, b"", &mut Vec::new());
        let mut verdicts = self.verifier.expire(at);
        if let Ok(opened) = &opened {
            assert!(self.opened.insert(frame.sframe.clone()), "{:?} opened twice", frame.sealed);
            verdicts += self.verifier.frame(opened, &frame.sframe, at);
        }
        if let Some(block) = self.opener.block() {
            verdicts += self.verifier.block(block, at).unwrap();
        }
        self.forged += verdicts.forged;
        for (kid, end) in self.verifier.signed() {
            self.opener.camera_signed(kid);
            if verdicts.forged > 0 {
                self.opener.forget_forged(kid, end);
            }
        }
        opened.map(|_| ())
    }

    /// Takes what the camera sends; returns how many frames did not open.
    fn watch(&mut self, frames: &[Sent]) -> usize {
        frames.iter().filter(|frame| self.take(frame).is_err()).count()
    }
}

/// A frame that opens, sealed by a member under the camera's key id.
fn forged(like: &Sent, ctr: u64, captured_ms: u64) -> Sent {
    let kid = Kid::new(SenderSession(1), VIDEO, 0, 3);
    let header = Vec::from(&sframe::header::SframeHeader::new(kid.value(), ctr));
    let inner = InnerHeader { captured_ms, key_frame: false, codec: Codec::H264 };
    let mut data = [inner.to_bytes().as_slice(), b"forged"].concat();
    let (mut aad, mut tag) = (header.clone(), [0; TAG_LEN]);
    let buffer = EncryptionBufferView { aad: &mut aad, data: &mut data, tag: &mut tag };
    keys_for_test(3, 1).sealing_key(kid).unwrap().encrypt(buffer, ctr).unwrap();
    let sframe = [header, data, tag.to_vec()].concat();
    Sent { sealed: Sealed { kid, ctr }, captured_ms, sframe, block: None, ..like.clone() }
}

#[test]
fn counters_that_were_used_up_come_back_with_the_cameras_signature() {
    let claims: [(u64, u64); 3] = [(0, 5), (40_000, 20), (u64::from(u32::MAX), 20)];
    for (ahead_ms, seconds) in claims {
        let mut camera = Camera::new();
        let mut viewer = Viewer::new(&camera);
        let before = camera.run(40);
        assert_eq!(viewer.watch(&before), 0);
        let last = before.last().unwrap();
        for ctr in [2_000, 3_000, 4_000, 1 << 40, u64::MAX - 1] {
            viewer.take(&forged(last, ctr, last.captured_ms + ahead_ms)).unwrap();
        }
        let denied = viewer.watch(&camera.run(1));
        assert_eq!(denied, 25, "the pictures are too old, the sound is not");
        viewer.watch(&camera.run(seconds));
        assert_eq!(viewer.watch(&camera.run(30)), 0, "{ahead_ms} ms ahead: nothing is denied for long");
        assert_eq!(viewer.forged, 5);
        for frame in &before {
            assert_eq!(viewer.take(frame), Err(OpenError::Replayed));
        }
    }
}

/// The relay alone sends frames late, again and in any order: nothing is put back for it.
#[test]
fn a_relay_alone_opens_no_window_again() {
    let mut camera = Camera::new();
    let mut viewer = Viewer::new(&camera);
    let frames = camera.run(200);
    let (blocks, plain): (Vec<&Sent>, Vec<&Sent>) = frames.iter().partition(|frame| frame.block.is_some());
    viewer.watch(&frames[..3000]);
    for frame in plain.iter().filter(|frame| frame.at > Duration::from_secs(60)) {
        let _ = viewer.take(&Sent { at: Duration::from_secs(200), ..(*frame).clone() });
    }
    for frame in blocks.iter().chain(&plain) {
        let _ = viewer.take(&Sent { at: Duration::from_secs(201), ..(*frame).clone() });
    }
    assert_eq!(viewer.forged, 0);
}
