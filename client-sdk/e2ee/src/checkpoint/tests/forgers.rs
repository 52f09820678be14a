//! What a member who has the keys can try: the viewer says "forged", at the latest a few blocks later.

use super::*;

const LATE: Duration = Duration::from_millis(200);

/// A viewer that has watched for 40 s, and the camera.
fn watched() -> (Camera, CheckpointVerifier, Sent) {
    let mut camera = Camera::new();
    let mut verifier = camera.verifier();
    let frames = camera.run(40);
    assert_eq!(watch(&mut verifier, &frames, LATE).forged, 0);
    (camera, verifier, frames.last().unwrap().clone())
}

fn video(ctr: u64, like: &Sent) -> Sent {
    forged(like, Kid::new(SenderSession(1), VIDEO, 0, 3), ctr)
}

#[test]
fn a_frame_in_the_place_of_a_real_one_is_forged() {
    let (mut camera, mut verifier, _) = watched();
    let mut frames = camera.run(10);
    let at =
        frames.iter().position(|frame| frame.block.is_none() && frame.sealed.kid.track() == VIDEO).unwrap();
    frames[at].sframe = b"another".to_vec();
    let verdicts = watch(&mut verifier, &frames, LATE);
    let Sealed { kid, ctr } = frames[at].sealed;
    assert_eq!((verdicts.forged, verdicts.unverified), (1, 0));
    assert_eq!(verdicts.first_forged, Some(Forgery::Contradicted { kid, ctr }));
}

#[test]
fn a_frame_in_the_place_of_a_real_one_is_forged_from_the_first_moment() {
    let mut camera = Camera::new();
    let mut verifier = camera.verifier();
    let mut frames = camera.run(6);
    frames[5].sframe = b"another".to_vec();
    assert_eq!(watch(&mut verifier, &frames, LATE).forged, 1);
}

#[test]
fn frames_that_the_camera_never_sealed_are_forged_whenever_they_claim_to_be_from() {
    type Claim = (&'static str, fn(&Sent) -> Sent);
    let claims: [Claim; 6] = [
        ("far ahead", |like| video(1_000_000, like)),
        ("a key id that no block names", |like| forged(like, Kid::new(SenderSession(9), VIDEO, 0, 3), 0)),
        ("another epoch", |like| forged(like, Kid::new(SenderSession(1), VIDEO, 0, 2), 5)),
        ("long ago", |like| Sent { captured_ms: 5, ..video(2_000_000, like) }),
        ("a key id of long ago", |like| Sent {
            captured_ms: 5,
            ..forged(like, Kid::new(SenderSession(8), AUDIO, 0, 3), 1)
        }),
        ("the future", |like| Sent { captured_ms: u64::MAX >> 16, ..video(3_000_000, like) }),
    ];
    for (claim, forge) in claims {
        let (mut camera, mut verifier, last) = watched();
        let mut frames = vec![forge(&last)];
        frames.extend(camera.run(20));
        let verdicts = watch(&mut verifier, &frames, LATE);
        assert_eq!((verdicts.forged, verdicts.unverified), (1, 0), "{claim}");
        assert!(matches!(verdicts.first_forged, Some(Forgery::Unlisted { .. })), "{claim}");
    }
}

#[test]
fn frames_after_the_last_of_an_epoch_are_forged() {
    let (mut camera, mut verifier, last) = watched();
    camera.rekey(4);
    let mut frames = camera.run(1);
    frames.push(video(last.sealed.ctr + 500, frames.last().unwrap()));
    frames.extend(camera.run(9));
    let verdicts = watch(&mut verifier, &frames, LATE);
    assert_eq!((verdicts.forged, verdicts.unverified), (1, 0));
}

#[test]
fn only_the_camera_makes_blocks() {
    let (mut camera, mut verifier, _) = watched();
    let mut member = Camera::of(DeviceIdentity::generate().unwrap(), 1);
    let theirs = member.run(10).into_iter().find_map(|frame| frame.block).unwrap();
    let now = Duration::from_secs(41);
    assert_eq!(verifier.block(&theirs, now), Err(BlockError::BadSignature));
    let mine = camera.run(10).into_iter().find_map(|frame| frame.block).unwrap();
    for at in [0, 1, 20, 30, 60, mine.len() / 2, mine.len() - 1] {
        let mut bent = mine.clone();
        bent[at] ^= 1;
        assert!(verifier.block(&bent, now).is_err(), "byte {at}");
    }
    // The same block of the same camera in another group.
    let mut other = CheckpointVerifier::new(GroupId([9; 20]), &camera.key()).unwrap();
    assert_eq!(other.block(&mine, now), Err(BlockError::BadSignature));
    assert!(verifier.block(&mine, now).is_ok());
}

#[test]
fn two_histories_with_the_cameras_signature_are_seen() {
    let mut camera = Camera::new();
    let mut copy = Camera::new();
    let chain: ChainId = [4; 16];
    camera.builder.set_chain(chain);
    copy.builder.set_chain(chain);
    copy.seal(AUDIO, false);
    let blocks = |camera: &mut Camera| -> Vec<Vec<u8>> {
        let mut blocks: Vec<_> = camera.run(8).into_iter().filter_map(|frame| frame.block).collect();
        blocks.dedup();
        blocks
    };
    let (mine, theirs) = (blocks(&mut camera), blocks(&mut copy));
    let mut verifier = camera.verifier();
    verifier.block(&mine[0], Duration::ZERO).unwrap();
    verifier.block(&mine[1], Duration::ZERO).unwrap();
    assert_eq!(verifier.block(&theirs[1], Duration::ZERO), Err(BlockError::TwoHistories));
    assert_eq!(verifier.block(&theirs[2], Duration::ZERO), Err(BlockError::TwoHistories));
    verifier.block(&mine[2], Duration::ZERO).unwrap();
    assert_eq!(verifier.block(&mine[1], Duration::ZERO), Ok(Verdicts::default()), "a repetition");
}

#[test]
fn an_old_block_in_a_forged_frame_signs_nothing() {
    let (mut camera, mut verifier, last) = watched();
    let old = Camera::new().run(4).into_iter().find_map(|frame| frame.block).unwrap();
    let mut frames = vec![Sent { block: Some(old), ..video(1_000_000, &last) }];
    frames.extend(camera.run(20));
    let mut verdicts = watch(&mut verifier, &frames, LATE);
    verdicts += finish(&mut verifier);
    assert!(verdicts.unverified + verdicts.forged > 0, "the forged one is not signed: {verdicts:?}");
    assert!(verdicts.signed > 1200, "the camera's own chain goes on: {verdicts:?}");
}
