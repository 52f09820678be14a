#![no_main]

use latchkey_wire::{grant::*, id::RoomId};

libfuzzer_sys::fuzz_target!(|token: &str| {
    let mut verifier = GrantVerifier::new("relay");
    verifier.add_key("k", &[0x58; 32]);
    let (room, now) = (RoomId::new([0; 16]), std::time::UNIX_EPOCH);
    assert!(verifier.verify(token, &room, Scope::View, now).is_err());
});
