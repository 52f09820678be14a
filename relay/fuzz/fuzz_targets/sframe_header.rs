#![no_main]

use latchkey_wire::sframe_header::{MAX_LEN, SframeHeader};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(header) = SframeHeader::read(bytes) else { return };
    let mut out = [0; MAX_LEN];
    let len = SframeHeader::write(header.kid, header.ctr, &mut out);
    assert_eq!(out[..len], bytes[..header.len]);
});
