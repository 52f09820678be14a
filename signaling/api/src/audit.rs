//! The audit chain of a household as it is read: rows that are only ever added, each with the hash of the one before.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;

use crate::encoding::ByteString;
use crate::id::{DeviceId, HouseholdId};

/// What happened; the names are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AuditKind {
    /// The household was registered.
    HouseholdFounded,
    /// A device list was accepted; `detail` is its version.
    ListAccepted,
    /// A device signed in; without an actor it was the household root.
    SignedIn,
    /// A grant to publish was cut.
    PublishGranted,
    /// A grant to view was cut.
    ViewGranted,
    /// A commit was accepted; `subject` is the camera, `detail` the epoch it ended.
    CommitAccepted,
    /// A key package of `subject` was handed to `actor`.
    KeyPackageClaimed,
    /// Everything the server has about the household was read by `actor`.
    Exported,
}

impl AuditKind {
    /// Every kind of this version.
    pub const ALL: [Self; 8] = [
        Self::HouseholdFounded,
        Self::ListAccepted,
        Self::SignedIn,
        Self::PublishGranted,
        Self::ViewGranted,
        Self::CommitAccepted,
        Self::KeyPackageClaimed,
        Self::Exported,
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
            Self::Exported => "exported",
        }
    }

    /// The kind of this name, if this version has it.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// Reply to `GET /v1/audit?after=seq`: rows of the household's chain after `seq`, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditRows {
    /// The rows, without a gap.
    pub rows: Vec<AuditRow>,
    /// True when there are more: ask again with the last `seq`.
    #[serde(default)]
    pub more: bool,
}

/// One row of the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditRow {
    /// Its place, from 1 without a gap.
    pub seq: u64,
    /// When, in milliseconds since the Unix epoch, by the server's clock.
    pub at_ms: u64,
    /// What happened: the name of an [`AuditKind`], or one of a later version.
    pub kind: String,
    /// The device that did it; none where nobody of the list did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<DeviceId>,
    /// The device or camera it was done to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<DeviceId>,
    /// A number that belongs to the kind, else 0.
    pub detail: u64,
    /// Hash of the row before, 32 bytes; zeros in the first.
    pub previous: ByteString,
    /// Hash of this row, 32 bytes ([`AuditRow::computed_hash`]).
    pub hash: ByteString,
}

impl AuditRow {
    /// The hash that this row must have in this household's chain: SHA-256 of
    ///
    /// ```text
    /// "latchkey audit v1" || household(16) || seq(8) || at_ms(8) || length of kind(8) || kind
    ///   || actor? (1: 0 or 1) || actor(16, zeros when none) || subject? (1) || subject(16) || detail(8) || previous
    /// ```
    /// with numbers in big endian.
    #[must_use]
    pub fn computed_hash(&self, household: &HouseholdId) -> [u8; 32] {
        let mut hasher = Sha256::new();
        hasher.update(b"latchkey audit v1");
        hasher.update(household);
        hasher.update(self.seq.to_be_bytes());
        hasher.update(self.at_ms.to_be_bytes());
        hasher.update((self.kind.len() as u64).to_be_bytes());
        hasher.update(&self.kind);
        for device in [self.actor, self.subject] {
            hasher.update([u8::from(device.is_some())]);
            hasher.update(device.unwrap_or(DeviceId([0; 16])));
        }
        hasher.update(self.detail.to_be_bytes());
        hasher.update(&self.previous);
        hasher.finalize().into()
    }

    /// Its kind, if this version knows it.
    #[must_use]
    pub fn known_kind(&self) -> Option<AuditKind> {
        AuditKind::from_name(&self.kind)
    }
}

/// The last row that a device verified: where it goes on. Keep it, so that a chain that was cut or written anew shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AuditHead {
    /// Its place; 0 before the first row.
    pub seq: u64,
    /// Its hash; zeros before the first row.
    pub hash: [u8; 32],
}

impl AuditHead {
    /// Checks that `rows` follow this row in the household's chain, and returns the last of them.
    ///
    /// # Errors
    /// [`AuditChainBroken`] naming the first row that does not fit; whose fault it is cannot be told from the rows:
    /// the server keeps them.
    pub fn follow(self, household: &HouseholdId, rows: &[AuditRow]) -> Result<Self, AuditChainBroken> {
        let mut head = self;
        for row in rows {
            let hash = row.computed_hash(household);
            let in_place = row.seq == head.seq.saturating_add(1) && row.previous.as_slice() == head.hash;
            if !in_place || row.hash.as_slice() != hash {
                return Err(AuditChainBroken { seq: row.seq });
            }
            head = Self { seq: row.seq, hash };
        }
        Ok(head)
    }
}

/// The chain was cut, reordered or altered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the audit chain is broken at row {seq}")]
pub struct AuditChainBroken {
    /// The first row that does not fit.
    pub seq: u64,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    const HOME: HouseholdId = HouseholdId([1; 16]);

    fn chain(len: u64) -> Vec<AuditRow> {
        let mut head = AuditHead::default();
        (1..=len)
            .map(|seq| {
                let mut row = AuditRow {
                    seq,
                    at_ms: 5,
                    kind: "list-accepted".into(),
                    actor: Some(DeviceId([2; 16])),
                    subject: None,
                    detail: seq,
                    previous: head.hash.to_vec().into(),
                    hash: ByteString::default(),
                };
                let hash = row.computed_hash(&HOME);
                row.hash = hash.to_vec().into();
                head = AuditHead { seq, hash };
                row
            })
            .collect()
    }

    #[test]
    fn the_hash_is_over_the_documented_bytes() {
        let row = AuditRow { subject: Some(DeviceId([3; 16])), ..chain(1).remove(0) };
        let bytes = [
            b"latchkey audit v1".as_slice(),
            &[1; 16],
            &1u64.to_be_bytes(),
            &5u64.to_be_bytes(),
            &13u64.to_be_bytes(),
            b"list-accepted",
            &[1],
            &[2; 16],
            &[1],
            &[3; 16],
            &1u64.to_be_bytes(),
            &[0; 32],
        ]
        .concat();
        assert_eq!(row.computed_hash(&HOME), <[u8; 32]>::from(Sha256::digest(bytes)));
    }

    #[test]
    fn a_chain_is_followed_page_by_page() {
        let rows = chain(5);
        let middle = AuditHead::default().follow(&HOME, &rows[..2]).unwrap();
        let end = middle.follow(&HOME, &rows[2..]).unwrap();
        assert_eq!(end.seq, 5);
        assert_eq!(end, AuditHead::default().follow(&HOME, &rows).unwrap());
    }

    #[test]
    fn dropped_reordered_foreign_and_rewritten_rows_show() {
        let rows = chain(5);
        let broken = |rows: &[AuditRow]| AuditHead::default().follow(&HOME, rows).unwrap_err().seq;
        let mut dropped = rows.clone();
        dropped.remove(2);
        assert_eq!(broken(&dropped), 4);
        assert_eq!(broken(&rows[1..]), 2, "the first one is missing");
        let mut reordered = rows.clone();
        reordered.swap(0, 1);
        assert_eq!(broken(&reordered), 2);
        let elsewhere = AuditHead::default().follow(&HouseholdId([9; 16]), &rows);
        assert_eq!(elsewhere, Err(AuditChainBroken { seq: 1 }));
        // A server that writes its chain anew is caught by who kept the head of the old one.
        let kept = AuditHead::default().follow(&HOME, &rows[..3]).unwrap();
        let mut anew = rows[..3].to_vec();
        anew[2].at_ms += 1;
        anew[2].hash = anew[2].computed_hash(&HOME).to_vec().into();
        let head = AuditHead::default().follow(&HOME, &anew).unwrap();
        let mut next = rows[3].clone();
        next.previous = head.hash.to_vec().into();
        next.hash = next.computed_hash(&HOME).to_vec().into();
        assert_eq!(kept.follow(&HOME, &[next]), Err(AuditChainBroken { seq: 4 }));
    }

    #[test]
    fn kinds_have_distinct_names_and_a_later_one_still_verifies() {
        for kind in AuditKind::ALL {
            assert_eq!(AuditKind::from_name(kind.as_str()), Some(kind));
        }
        let mut row = AuditRow { kind: "rang".into(), ..chain(1).remove(0) };
        row.hash = row.computed_hash(&HOME).to_vec().into();
        assert_eq!(row.known_kind(), None);
        assert!(AuditHead::default().follow(&HOME, &[row]).is_ok());
    }

    proptest! {
        #[test]
        fn any_rows_are_judged_and_every_change_shows(
            seq: u64, at_ms: u64, kind: String, actor: Option<[u8; 16]>, detail: u64, field in 0..6usize,
            previous in proptest::collection::vec(any::<u8>(), 0..40),
        ) {
            let mut row = AuditRow {
                seq, at_ms, kind, detail,
                actor: actor.map(DeviceId),
                subject: None,
                previous: previous.into(),
                hash: ByteString::default(),
            };
            let before = row.computed_hash(&HOME);
            row.hash = before.to_vec().into();
            let _ = AuditHead { seq: seq.wrapping_sub(1), hash: [0; 32] }.follow(&HOME, std::slice::from_ref(&row));
            match field {
                0 => row.seq ^= 1,
                1 => row.at_ms ^= 1,
                2 => row.kind.push('x'),
                3 => row.actor = if row.actor.is_some() { None } else { Some(DeviceId([0; 16])) },
                4 => row.subject = Some(DeviceId([0; 16])),
                _ => row.detail ^= 1,
            }
            prop_assert_ne!(row.computed_hash(&HOME), before);
        }
    }
}
