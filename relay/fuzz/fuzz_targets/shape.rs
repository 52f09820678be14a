#![no_main]

use latchkey_wire::{codec::Codec, shape::ShapeCheck};

libfuzzer_sys::fuzz_target!(|input: (u8, Vec<&[u8]>)| {
    let mut check = ShapeCheck::new(Codec::ALL[usize::from(input.0 % 5)]);
    for payload in input.1 {
        check.inspect(payload);
    }
});
