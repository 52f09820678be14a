#![no_main]

use latchkey_wire::dependency_descriptor::Reader;

libfuzzer_sys::fuzz_target!(|packets: Vec<&[u8]>| {
    let mut reader = Reader::new();
    for packet in packets {
        let _ = reader.read(packet);
    }
});
