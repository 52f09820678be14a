#![no_main]

libfuzzer_sys::fuzz_target!(|compound: &[u8]| {
    let _ = latchkey_wire::rtcp::parse(compound, &mut Vec::new());
});
