//! The audit chain of a household: what a row says, and which row follows which.

use latchkey_api::audit::{self, AuditKind};
use latchkey_api::id::{DeviceId, HouseholdId};

/// What is to be written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// What happened.
    pub kind: AuditKind,
    /// The device that did it; none where nobody of the list did.
    pub actor: Option<DeviceId>,
    /// The device or camera it was done to.
    pub subject: Option<DeviceId>,
    /// A number that belongs to the kind, else 0.
    pub detail: u64,
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: u64,
}

/// One row of the chain, as a store keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditRow {
    /// Its place, from 1 without a gap.
    pub seq: u64,
    /// What it says.
    pub entry: AuditEntry,
    /// Hash of the row before; zeros in the first.
    pub previous: [u8; 32],
    /// Hash of this row, `previous` included.
    pub hash: [u8; 32],
}

impl AuditRow {
    /// The row that follows `last` (none: the chain's first) in this household's chain.
    #[must_use]
    pub fn following(household: &HouseholdId, last: Option<(u64, [u8; 32])>, entry: AuditEntry) -> Self {
        let (seq, previous) = last.map_or((1, [0; 32]), |(seq, hash)| (seq + 1, hash));
        let unhashed = Self { seq, entry, previous, hash: [0; 32] };
        Self { hash: unhashed.shown().computed_hash(household), ..unhashed }
    }

    /// The row as clients see it, who compute its hash anew.
    #[must_use]
    pub fn shown(&self) -> audit::AuditRow {
        let AuditEntry { kind, actor, subject, detail, at_ms } = self.entry;
        audit::AuditRow {
            seq: self.seq,
            at_ms,
            kind: kind.as_str().to_owned(),
            actor,
            subject,
            detail,
            previous: self.previous.to_vec().into(),
            hash: self.hash.to_vec().into(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use latchkey_api::audit::AuditHead;

    #[test]
    fn rows_that_follow_each_other_verify_as_clients_see_them() {
        let household = HouseholdId([1; 16]);
        let mut rows: Vec<AuditRow> = Vec::new();
        for detail in 0..5 {
            let entry = AuditEntry {
                kind: AuditKind::ListAccepted,
                actor: Some(DeviceId([2; 16])),
                subject: None,
                detail,
                at_ms: 5,
            };
            rows.push(AuditRow::following(&household, rows.last().map(|row| (row.seq, row.hash)), entry));
        }
        let shown: Vec<_> = rows.iter().map(AuditRow::shown).collect();
        let head = AuditHead::default().follow(&household, &shown).unwrap();
        assert_eq!((head.seq, head.hash), (5, rows[4].hash));
    }
}
