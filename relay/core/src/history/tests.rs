//! What is kept comes back as it was, and what is overwritten is gone.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn payload(payload: &[u8]) -> Parts<'_> {
    Parts { payload, ..Parts::default() }
}

fn bytes_of(history: &History, position: u64) -> Option<Vec<u8>> {
    match history.find(position) {
        Found::Packet(_, parts) => Some(parts.payload.to_vec()),
        _ => None,
    }
}

#[test]
fn a_packet_comes_back_as_it_was() {
    let mut history = History::new(8, 4096);
    let facts = Facts { timestamp: 9, marker: true, starts_key_frame: true, ..Facts::default() };
    let parts = Parts { dependency_descriptor: &[1, 2, 3], capture_time: &[4; 8], payload: b"sealed" };
    history.store(5, facts, parts).unwrap();
    assert_eq!(history.find(5), Found::Packet(facts, parts));
    assert_eq!(history.find(6), Found::Missing);
}

#[test]
fn duplicates_and_stale_packets_are_refused() {
    let mut history = History::new(8, 4096);
    history.store(9, Facts::default(), payload(b"a")).unwrap();
    assert_eq!(history.store(9, Facts::default(), payload(b"b")), Err(StoreError::Duplicate));
    assert_eq!(history.store(1, Facts::default(), payload(b"c")), Err(StoreError::Stale));
    assert_eq!(history.find(1), Found::Gone);
    assert_eq!(history.store(2, Facts::default(), payload(&[0; 2049])), Err(StoreError::TooLarge));
    assert_eq!(bytes_of(&history, 9), Some(b"a".to_vec()));
}

#[test]
fn the_byte_bound_makes_old_packets_go() {
    let mut history = History::new(64, 2048);
    for position in 0..5 {
        history.store(position, Facts::default(), payload(&[position as u8; 500])).unwrap();
    }
    assert_eq!(history.find(0), Found::Gone);
    assert_eq!(bytes_of(&history, 4), Some(vec![4; 500]));
    assert_eq!(bytes_of(&history, 1), Some(vec![1; 500]));
}

proptest! {
    /// Found bytes are always the bytes stored under that position, whatever was overwritten in between.
    #[test]
    fn never_returns_other_bytes(stores in prop::collection::vec((0u64..200, 0usize..700), 1..300)) {
        let mut history = History::new(32, 4096);
        let mut stored = BTreeMap::new();
        for (round, (position, len)) in stores.into_iter().enumerate() {
            let bytes = vec![round as u8; len];
            if history.store(position, Facts::default(), payload(&bytes)).is_ok() {
                prop_assert_eq!(bytes_of(&history, position), Some(bytes.clone()));
                stored.insert(position, bytes);
            }
            for position in 0..200 {
                if let Some(found) = bytes_of(&history, position) {
                    prop_assert_eq!(Some(&found), stored.get(&position));
                }
            }
        }
    }
}
