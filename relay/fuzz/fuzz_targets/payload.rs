#![no_main]

use latchkey_wire::{codec::Codec, payload};

libfuzzer_sys::fuzz_target!(|input: (u8, Vec<&[u8]>)| {
    let codec = Codec::ALL[usize::from(input.0 % 5)];
    let _ = payload::assemble(codec, input.1.iter().copied(), &mut Vec::new());
    for payload in input.1 {
        let _ = (payload::starts_frame(codec, payload), payload::is_key_frame(codec, payload));
    }
});
