//! Any answer about the audit chain is judged without a panic, and one that verifies does not once a row is altered.
#![no_main]

use latchkey_api::audit::{AuditHead, AuditRows};
use latchkey_api::id::HouseholdId;
use libfuzzer_sys::fuzz_target;

const HOME: HouseholdId = HouseholdId([1; 16]);

fuzz_target!(|bytes: &[u8]| {
    let Ok(mut page) = serde_json::from_slice::<AuditRows>(bytes) else { return };
    let mut head = AuditHead::default();
    let _ = head.follow(&HOME, &page.rows);
    // Made to fit, it verifies; and then every row counts.
    for row in &mut page.rows {
        row.seq = head.seq + 1;
        row.previous = head.hash.to_vec().into();
        let hash = row.computed_hash(&HOME);
        row.hash = hash.to_vec().into();
        head = AuditHead { seq: row.seq, hash };
    }
    assert_eq!(AuditHead::default().follow(&HOME, &page.rows), Ok(head));
    if let Some(first) = page.rows.first_mut() {
        first.at_ms ^= 1;
        assert!(AuditHead::default().follow(&HOME, &page.rows).is_err());
    }
});
