//! Sealed labels: any bytes are no label of ours, and any name that fits comes back.
#![no_main]

use latchkey_api::id::{DeviceId, HouseholdId};
use latchkey_e2ee::label::{LabelKey, MAX_NAME_BYTES, open_label, seal_label};
use libfuzzer_sys::fuzz_target;

const HOUSEHOLD: HouseholdId = HouseholdId([1; 16]);
const DEVICE: DeviceId = DeviceId([2; 16]);

fuzz_target!(|bytes: &[u8]| {
    let key = LabelKey::generate().expect("random bytes");
    assert!(open_label(&key, HOUSEHOLD, DEVICE, bytes).is_err());
    if let Ok(name) = std::str::from_utf8(bytes) {
        let sealed = seal_label(&key, HOUSEHOLD, DEVICE, name);
        assert_eq!(sealed.is_ok(), name.len() <= MAX_NAME_BYTES);
        if let Ok(sealed) = sealed {
            assert_eq!(open_label(&key, HOUSEHOLD, DEVICE, &sealed).as_deref(), Ok(name));
        }
    }
});
