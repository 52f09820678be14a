//! The opener takes any bytes as a frame and opens none of them; inner headers have one spelling.
#![no_main]

#[path = "../../tests/household/mod.rs"]
mod household;

use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use household::Scene;
use latchkey_api::device_list::Role;
use latchkey_e2ee::inner::InnerHeader;
use latchkey_e2ee::open::FrameOpener;
use libfuzzer_sys::fuzz_target;

fn opener() -> &'static Mutex<FrameOpener> {
    static OPENER: OnceLock<Mutex<FrameOpener>> = OnceLock::new();
    OPENER.get_or_init(|| {
        let scene = Scene::with(&[Role::Viewer]);
        let mut opener = FrameOpener::new();
        opener.add_epoch(scene.members[0].frame_keys().expect("a member has keys"), Duration::ZERO);
        Mutex::new(opener)
    })
}

fuzz_target!(|bytes: &[u8]| {
    let mut opener = opener().lock().expect("no run panics in between");
    let mut out = Vec::new();
    let (envelope, sframe) = bytes.split_at(bytes.len().min(4));
    assert!(opener.open(bytes, b"", &mut out).is_err() && out.is_empty());
    assert!(opener.open(sframe, envelope, &mut out).is_err() && out.is_empty());
    if let Some(first) = bytes.first_chunk()
        && let Some(header) = InnerHeader::from_bytes(*first)
        && !InnerHeader::announces_block(*first)
    {
        assert_eq!(header.to_bytes(), *first);
    }
});
