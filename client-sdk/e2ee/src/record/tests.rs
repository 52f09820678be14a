//! Records are read as they were signed, and a chain takes only what follows.

#![allow(clippy::unwrap_used)]
use super::*;
use proptest::prelude::*;

fn view(epoch: u64) -> EpochView {
    let camera = DeviceId([1; 16]);
    EpochView {
        group: GroupId::new(camera, 0),
        epoch,
        list: ListVersion { version: 3, hash: ListHash([4; 32]) },
        tree_hash: [5; 32],
        members: vec![camera, DeviceId([2; 16])],
        authenticator: [6; 32],
    }
}

fn record(camera: &DeviceIdentity, epoch: u64, previous: [u8; 32]) -> EpochRecord {
    let last = vec![(Kid::from_value(0x01_0000_0000).unwrap(), 77)];
    EpochRecord::sign(camera, view(epoch), 1_700_000_000, last, previous).unwrap()
}

#[test]
fn what_the_camera_signs_is_read_and_verified() {
    let camera = DeviceIdentity::generate().unwrap();
    let signed = record(&camera, 7, [9; 32]);
    let read = EpochRecord::from_bytes(signed.as_bytes()).unwrap();
    assert_eq!(read, signed);
    read.verify(&camera.public().mls_public).unwrap();
    read.check(&view(7)).unwrap();
    assert_eq!(
        (read.epoch(), read.time(), read.last()[0].1, read.previous()),
        (7, 1_700_000_000, 77, [9; 32])
    );
    let other = DeviceIdentity::generate().unwrap();
    assert_eq!(read.verify(&other.public().mls_public), Err(RecordError::BadSignature));
}

#[test]
fn every_field_of_the_own_view_is_compared() {
    let camera = DeviceIdentity::generate().unwrap();
    let signed = record(&camera, 7, [0; 32]);
    let forked = Err(RecordError::Forked { epoch: 7 });
    let changed = |change: fn(&mut EpochView)| {
        let mut view = view(7);
        change(&mut view);
        signed.check(&view)
    };
    assert_eq!(changed(|view| view.epoch = 8), forked);
    assert_eq!(changed(|view| view.list.version = 4), forked);
    assert_eq!(changed(|view| view.list.hash.0[0] ^= 1), forked);
    assert_eq!(changed(|view| view.tree_hash[31] ^= 1), forked);
    assert_eq!(changed(|view| view.members.reverse()), forked);
    assert_eq!(changed(|view| view.authenticator[0] ^= 1), forked);
    assert_eq!(changed(|view| view.group = GroupId::new(DeviceId([1; 16]), 1)), Err(RecordError::OtherGroup));
}

#[test]
fn a_chain_follows_and_refuses_another_past() {
    let camera = DeviceIdentity::generate().unwrap();
    let mut chain = RecordChain::default();
    let one = record(&camera, 1, [0; 32]);
    let two = record(&camera, 2, one.hash());
    assert_eq!(chain.take(one.clone()), Ok(Taken::New));
    assert_eq!(chain.take(two), Ok(Taken::New));
    assert_eq!(chain.take(one), Ok(Taken::Known));
    // Another record of epoch 2, and one of epoch 3 that follows it.
    let rival = record(&camera, 2, [1; 32]);
    assert_eq!(chain.take(rival.clone()), Err(RecordError::OtherPast { epoch: 2 }));
    assert_eq!(chain.take(record(&camera, 3, rival.hash())), Err(RecordError::OtherPast { epoch: 3 }));
    // Records in between were missed.
    let five = record(&camera, 5, [8; 32]);
    assert_eq!(chain.take(five.clone()), Ok(Taken::AfterGap));
    assert_eq!(chain.head_hash(), five.hash());
    assert_eq!(RecordChain::from_bytes(&chain.to_bytes()), Some(chain));
}

#[test]
fn a_chain_keeps_the_newest() {
    let camera = DeviceIdentity::generate().unwrap();
    let mut chain = RecordChain::default();
    for epoch in 1..=70 {
        let next = record(&camera, epoch, chain.head_hash());
        assert_eq!(chain.take(next), Ok(Taken::New));
    }
    assert_eq!(chain.records().count(), RecordChain::KEPT);
    assert_eq!((chain.head().unwrap().epoch(), chain.of_epoch(6)), (70, None));
    assert!(chain.of_epoch(7).is_some());
}

#[test]
fn the_access_log_depends_on_all_of_an_entry() {
    let head = next_access_head(&[0; 32], DeviceId([1; 16]), true, 5);
    assert_ne!(head, next_access_head(&[0; 32], DeviceId([2; 16]), true, 5));
    assert_ne!(head, next_access_head(&[0; 32], DeviceId([1; 16]), false, 5));
    assert_ne!(head, next_access_head(&[0; 32], DeviceId([1; 16]), true, 6));
    assert_ne!(head, next_access_head(&[1; 32], DeviceId([1; 16]), true, 5));
}

proptest! {
    #[test]
    fn arbitrary_bytes_do_no_harm(encoded in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = EpochRecord::from_bytes(&encoded);
        let _ = RecordChain::from_bytes(&encoded);
    }

    #[test]
    fn no_changed_bit_is_overlooked(at: prop::sample::Index, bit in 0_u8..8) {
        let camera = DeviceIdentity::from_bytes(&[[1; 1].as_slice(), &[1; 16], &[2; 32], &[3; 32]].concat()).unwrap();
        let signed = record(&camera, 7, [9; 32]);
        let mut encoded = signed.as_bytes().to_vec();
        let at = at.index(encoded.len());
        encoded[at] ^= 1 << bit;
        let verified = EpochRecord::from_bytes(&encoded).and_then(|read| read.verify(&camera.public().mls_public));
        prop_assert!(verified.is_err());
    }
}
