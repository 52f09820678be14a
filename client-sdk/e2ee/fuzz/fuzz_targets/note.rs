//! The readers of notes and epoch records take any bytes, and what they take has exactly one spelling.
#![no_main]

use latchkey_e2ee::note::Note;
use latchkey_e2ee::record::{EpochRecord, RecordChain};
use libfuzzer_sys::fuzz_target;

/// A point whose secret nobody here has: no record may be signed by it.
const CAMERA: [u8; 32] = {
    let mut point = [0x66; 32];
    point[0] = 0x58;
    point
};

fuzz_target!(|bytes: &[u8]| {
    match Note::from_bytes(bytes) {
        Ok(Note::Unknown(_)) | Err(_) => {}
        Ok(note) => assert_eq!(note.to_bytes().as_deref(), Ok(bytes)),
    }
    if let Ok(record) = EpochRecord::from_bytes(bytes) {
        assert_eq!(record.as_bytes(), bytes);
        assert!(record.verify(&CAMERA).is_err());
    }
    if let Some(chain) = RecordChain::from_bytes(bytes) {
        assert!(RecordChain::from_bytes(&chain.to_bytes()).is_some());
    }
});
