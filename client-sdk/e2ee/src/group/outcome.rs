//! What comes out of a group: commits to send, and what messages did.

use latchkey_api::encoding::ByteString;
use latchkey_api::group::{self, PostCommit};
use latchkey_api::id::DeviceId;

use super::blob::{BlobReader, BlobWriter};
use super::error::GroupError;
use super::list_ref::ListRef;
use crate::note::Note;

/// A commit that was made but not yet accepted by the server. The group goes on in its present epoch
/// until it is confirmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingCommit {
    /// The epoch that the commit ends.
    pub epoch: u64,
    /// The commit, an MLSMessage with a PublicMessage.
    pub commit: Vec<u8>,
    /// One Welcome for each device that it adds.
    pub welcomes: Vec<WelcomeFor>,
}

/// A Welcome and the device it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WelcomeFor {
    /// The added device.
    pub device: DeviceId,
    /// The Welcome, an MLSMessage.
    pub welcome: Vec<u8>,
}

/// What a message did to the group.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Processed {
    /// A commit began a new epoch: take the new frame keys.
    Epoch(EpochChange),
    /// A commit removed this device.
    Removed,
    /// A proposal waits for the camera's next commit.
    Proposal,
    /// A member tells the others something.
    Note {
        /// The member: the device at the authenticated leaf.
        from: DeviceId,
        /// What it tells.
        note: Note,
    },
    /// The message is of an epoch that is over, was taken before, or is this device's own; nothing happened.
    Stale,
}

/// How the group changed with an epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EpochChange {
    /// The epoch that began.
    pub epoch: u64,
    /// The list it rests on.
    pub list: ListRef,
    /// Devices that came, in ascending order of their leaves.
    pub added: Vec<DeviceId>,
    /// Devices that are gone.
    pub removed: Vec<DeviceId>,
}

impl PendingCommit {
    /// Returns it as it is posted to the server, without a list.
    #[must_use]
    pub fn to_post(&self) -> PostCommit {
        let welcome = |to: &WelcomeFor| group::WelcomeFor {
            device: to.device,
            welcome: ByteString(to.welcome.clone()),
        };
        PostCommit {
            epoch: self.epoch,
            commit: ByteString(self.commit.clone()),
            welcomes: self.welcomes.iter().map(welcome).collect(),
            list: None,
        }
    }

    /// How many bytes [`Self::save`] writes, about.
    pub(super) fn saved_len(&self) -> usize {
        self.commit.len() + self.welcomes.iter().map(|welcome| welcome.welcome.len() + 32).sum::<usize>() + 32
    }

    /// Appends the fields that [`Self::read`] takes.
    pub(super) fn save(pending: Option<&Self>, blob: &mut BlobWriter) {
        let Some(pending) = pending else {
            blob.field(&[]);
            return;
        };
        blob.field(&pending.epoch.to_be_bytes()).field(&pending.commit);
        let count = u32::try_from(pending.welcomes.len()).expect("a commit adds 64 devices at most");
        blob.field(&count.to_be_bytes());
        for welcome in &pending.welcomes {
            blob.field(&welcome.device.0).field(&welcome.welcome);
        }
    }

    /// Reads what [`Self::save`] wrote.
    pub(super) fn read(blob: &mut BlobReader<'_>) -> Result<Option<Self>, GroupError> {
        let epoch = blob.field()?;
        if epoch.is_empty() {
            return Ok(None);
        }
        let epoch = u64::from_be_bytes(epoch.try_into().map_err(|_| GroupError::Unreadable)?);
        let commit = blob.field()?.to_vec();
        let count = u32::from_be_bytes(blob.fixed()?);
        let mut welcomes = Vec::new();
        for _ in 0..count {
            let device = DeviceId(blob.fixed()?);
            welcomes.push(WelcomeFor { device, welcome: blob.field()?.to_vec() });
        }
        Ok(Some(PendingCommit { epoch, commit, welcomes }))
    }
}
