//! Any text is judged as an invite code, and what is one has one spelling but for the white space around it.
#![no_main]

use latchkey_signaling_core::invites::InviteCode;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Some(code) = InviteCode::read(text) {
        assert_eq!(code.text().as_str(), text.trim());
    }
});
