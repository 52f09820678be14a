//! The audit chain of a household: rows that are only ever added, each carrying the hash of the one before.

use latchkey_api::id::{DeviceId, HouseholdId};
use sha2::{Digest as _, Sha256};

/// What happened; the names are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AuditKind {
    /// The household was registered.
    HouseholdFounded,
    /// A device list was accepted; `detail` is its version.
    ListAccepted,
    /// A device signed in.
    SignedIn,
    /// A grant to publish was cut.
    PublishGranted,
    /// A grant to view was cut.
    ViewGranted,
    /// A commit was accepted; `subject` is the camera, `detail` the epoch it ended.
    CommitAccepted,
    /// A key package of `subject` was handed to `actor`.
    KeyPackageClaimed,
}

impl AuditKind {
    const ALL: [Self; 7] = [
        Self::HouseholdFounded,
        Self::ListAccepted,
        Self::SignedIn,
        Self::PublishGranted,
        Self::ViewGranted,
        Self::CommitAccepted,
        Self::KeyPackageClaimed,
    ];

    /// The stable name, as stored and hashed.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::HouseholdFounded => "household-founded",
            Self::ListAccepted => "list-accepted",
            Self::SignedIn => "signed-in",
            Self::PublishGranted => "publish-granted",
            Self::ViewGranted => "view-granted",
            Self::CommitAccepted => "commit-accepted",
            Self::KeyPackageClaimed => "key-package-claimed",
        }
    }

    /// The kind of this name, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// What is to be written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// What happened.
    pub kind: AuditKind,
    /// The device that did it; none where nobody was signed in.
    pub actor: Option<DeviceId>,
    /// The device or camera it was done to.
    pub subject: Option<DeviceId>,
    /// A number that belongs to the kind, else 0.
    pub detail: u64,
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: u64,
}

/// One row of the chain.
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
        Self { seq, entry, previous, hash: hash_of(household, seq, &entry, &previous) }
    }
}

/// Checks that `rows` is an unbroken piece of the household's chain; from its start when the first `seq` is 1.
///
/// # Errors
/// [`ChainBroken`] naming the first row that does not fit.
pub fn verify(household: &HouseholdId, rows: &[AuditRow]) -> Result<(), ChainBroken> {
    let mut last = None;
    for row in rows {
        let fits = match last {
            None => row.seq != 1 || row.previous == [0; 32],
            Some((seq, hash)) => row.seq == seq + 1 && row.previous == hash,
        };
        if !fits || row.hash != hash_of(household, row.seq, &row.entry, &row.previous) {
            return Err(ChainBroken { seq: row.seq });
        }
        last = Some((row.seq, row.hash));
    }
    Ok(())
}

/// The chain was cut, reordered or altered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the audit chain is broken at row {seq}")]
pub struct ChainBroken {
    /// The first row that does not fit.
    pub seq: u64,
}

/// SHA-256 over every field, each of fixed length but the kind, which is preceded by its length.
fn hash_of(household: &HouseholdId, seq: u64, entry: &AuditEntry, previous: &[u8; 32]) -> [u8; 32] {
    let kind = entry.kind.as_str();
    let mut hasher = Sha256::new();
    hasher.update(b"latchkey audit v1");
    hasher.update(household);
    hasher.update(seq.to_be_bytes());
    hasher.update(entry.at_ms.to_be_bytes());
    hasher.update((kind.len() as u64).to_be_bytes());
    hasher.update(kind);
    for device in [entry.actor, entry.subject] {
        hasher.update([u8::from(device.is_some())]);
        hasher.update(device.unwrap_or(DeviceId([0; 16])));
    }
    hasher.update(entry.detail.to_be_bytes());
    hasher.update(previous);
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: HouseholdId = HouseholdId([1; 16]);

    fn chain(len: u64) -> Vec<AuditRow> {
        let mut rows: Vec<AuditRow> = Vec::new();
        for detail in 0..len {
            let entry = AuditEntry {
                kind: AuditKind::ListAccepted,
                actor: Some(DeviceId([2; 16])),
                subject: None,
                detail,
                at_ms: 5,
            };
            rows.push(AuditRow::following(&HOME, rows.last().map(|row| (row.seq, row.hash)), entry));
        }
        rows
    }

    #[test]
    fn a_whole_chain_and_any_piece_of_it_verify() {
        let rows = chain(5);
        assert_eq!(verify(&HOME, &rows), Ok(()));
        assert_eq!(verify(&HOME, &rows[2..4]), Ok(()));
    }

    #[test]
    fn dropped_altered_reordered_and_foreign_rows_show() {
        let rows = chain(5);
        let mut dropped = rows.clone();
        dropped.remove(2);
        assert_eq!(verify(&HOME, &dropped), Err(ChainBroken { seq: 4 }));
        let mut altered = rows.clone();
        altered[1].entry.actor = None;
        assert_eq!(verify(&HOME, &altered), Err(ChainBroken { seq: 2 }));
        let mut reordered = rows.clone();
        reordered.swap(0, 1);
        assert!(verify(&HOME, &reordered).is_err());
        assert_eq!(verify(&HouseholdId([9; 16]), &rows), Err(ChainBroken { seq: 1 }));
    }

    #[test]
    fn kinds_have_distinct_names() {
        for kind in AuditKind::ALL {
            assert_eq!(AuditKind::from_name(kind.as_str()), Some(kind));
        }
        assert_eq!(AuditKind::from_name("else"), None);
    }
}
