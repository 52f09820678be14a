//! The parser of device lists takes any bytes, and what it takes has exactly one spelling.
#![no_main]

use latchkey_api::device_list::{ListChain, SignedList};
use libfuzzer_sys::fuzz_target;

/// A root key whose secret nobody here has: nothing may be accepted under it.
const ROOT: [u8; 32] = {
    let mut point = [0x66; 32];
    point[0] = 0x58;
    point
};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(list) = SignedList::parse(bytes) {
        assert_eq!(list.as_bytes(), bytes);
        let signature: [u8; 64] = bytes[bytes.len() - 64..].try_into().expect("a signature ends a list");
        assert_eq!(SignedList::assemble(list.list().clone(), signature).as_bytes(), bytes);
    }
    let mut chain = ListChain::new(&ROOT).expect("a point of large order");
    assert!(chain.accept(bytes, None).is_err());
});
