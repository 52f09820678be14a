#![no_main]

use latchkey_wire::rtp::RtpView;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(view) = RtpView::parse(bytes) else { return };
    assert!(view.header_len() + view.payload().len() <= bytes.len());
    let _ = view.extension().map(|block| block.iter().count());
});
