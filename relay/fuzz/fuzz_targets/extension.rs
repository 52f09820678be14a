#![no_main]

use latchkey_wire::extension::{ExtensionBlock, write_block};

libfuzzer_sys::fuzz_target!(|input: (u16, &[u8])| {
    let elements: Vec<_> = ExtensionBlock::new(input.0, input.1).iter().collect();
    let mut block = [0; 70_000];
    let len = write_block(&elements, 0, &mut block).expect("what was read can be written");
    let profile = u16::from_be_bytes([block[0], block[1]]);
    assert!(ExtensionBlock::new(profile, &block[4..len]).iter().eq(elements));
});
