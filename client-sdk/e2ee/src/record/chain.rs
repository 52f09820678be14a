//! The records of one group that a device has seen: each follows the one before, and none is replaced.

use ciborium::Value;

use crate::cbor::{array, bytes, read, write};
use crate::record::{EpochRecord, RecordError};

/// The newest records of one group, each following the one before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordChain(Vec<EpochRecord>);

/// What became of a record that a [`RecordChain`] was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Taken {
    /// It follows the record before, or is the first that this device sees.
    New,
    /// It follows a record that this device never got; from here on the chain is whole again.
    AfterGap,
    /// It was there before.
    Known,
}

impl RecordChain {
    /// Records that are kept.
    pub const KEPT: usize = 64;

    /// Takes a record whose signature was verified.
    ///
    /// # Errors
    /// [`RecordError::OtherGroup`]; [`RecordError::OtherPast`] when it contradicts the records that are
    /// here. The chain is unchanged then.
    pub fn take(&mut self, record: EpochRecord) -> Result<Taken, RecordError> {
        let epoch = record.epoch();
        let Some(head) = self.0.last() else {
            self.0.push(record);
            return Ok(Taken::New);
        };
        if head.group() != record.group() {
            return Err(RecordError::OtherGroup);
        }
        if self.0.contains(&record) {
            return Ok(Taken::Known);
        }
        if epoch <= head.epoch() {
            // Every record that this device has seen and still keeps is here, so this one is another.
            return Err(RecordError::OtherPast { epoch });
        }
        let follows = record.previous() == head.hash();
        if !follows && epoch == head.epoch() + 1 {
            return Err(RecordError::OtherPast { epoch });
        }
        self.0.push(record);
        if self.0.len() > Self::KEPT {
            self.0.remove(0);
        }
        Ok(if follows { Taken::New } else { Taken::AfterGap })
    }

    /// The newest record.
    #[must_use]
    pub fn head(&self) -> Option<&EpochRecord> {
        self.0.last()
    }

    /// Hash of the newest record; zeros when there is none.
    #[must_use]
    pub fn head_hash(&self) -> [u8; 32] {
        self.head().map_or([0; 32], EpochRecord::hash)
    }

    /// The record of an epoch.
    #[must_use]
    pub fn of_epoch(&self, epoch: u64) -> Option<&EpochRecord> {
        self.0.iter().find(|record| record.epoch() == epoch)
    }

    /// All records, oldest first.
    pub fn records(&self) -> impl DoubleEndedIterator<Item = &EpochRecord> {
        self.0.iter()
    }

    /// The records as bytes, for a vault.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        write(&Value::Array(self.0.iter().map(|record| bytes(record.as_bytes())).collect()))
    }

    /// Reads what [`Self::to_bytes`] wrote; `None` when the bytes are something else.
    #[must_use]
    pub fn from_bytes(stored: &[u8]) -> Option<Self> {
        let records = array(read(stored)?, Self::KEPT, |record| {
            EpochRecord::from_bytes(&record.into_bytes().ok()?).ok()
        })?;
        let one_group = records
            .windows(2)
            .all(|pair| pair[0].group() == pair[1].group() && pair[0].epoch() < pair[1].epoch());
        one_group.then_some(Self(records))
    }
}
