#![no_main]

use latchkey_wire::{codec::Codec, envelope};

libfuzzer_sys::fuzz_target!(|input: (u8, &[u8])| {
    let codec = Codec::ALL[usize::from(input.0 % 5)];
    let _ = envelope::split(codec, input.1, &mut Vec::new());
    let _ = envelope::EnvelopeBuilder::new(codec).build(true, input.1, &mut Vec::new());
});
