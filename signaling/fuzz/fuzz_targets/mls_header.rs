//! The reader of MLS headers takes any bytes, and says the same of a message whatever follows its header.
#![no_main]

use latchkey_signaling_core::framing::{check_key_package, check_welcome, read_header};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let header = read_header(bytes);
    if header.is_ok() {
        assert_eq!(read_header(&[bytes, b"more"].concat()), header);
        assert!(check_welcome(bytes).is_err() && check_key_package(bytes).is_err());
    }
    let _ = (check_welcome(bytes), check_key_package(bytes));
});
