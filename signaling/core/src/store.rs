//! What signaling keeps, as a trait: each method is one transaction, and what must be unique is unique there.
//!
//! A store decides races (who was first), never rules (who may). When a method has returned, what it wrote
//! survives a power cut. Times are milliseconds since the Unix epoch.

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
pub mod memory;
mod rows;

use async_trait::async_trait;
use latchkey_api::id::{DeviceId, HouseholdId};

pub use crate::store::rows::{
    CommitOutcome, FoundOutcome, Inventory, Invitation, InviteUse, KeptGroup, MailOutcome, MessageOutcome,
    MessagePage, NewCommit, NewCursor, NewHousehold, NewInvite, NewKeyPackages, NewList, NewMail, NewMessage,
    NewSession, StoredMessage, StoredWelcome, TakenKeyPackage,
};

use crate::audit::{AuditEntry, AuditRow};

/// The store of a signaling server.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Registers a household with its first list, while there are fewer than `max` of them.
    async fn found_household(&self, new: NewHousehold<'_>, max: u64) -> Result<FoundOutcome, StoreError>;

    /// The root public key of a household, if it is registered.
    async fn household_root(&self, household: HouseholdId) -> Result<Option<[u8; 32]>, StoreError>;

    /// The lists of a household with a version above `after`, oldest first, at most `limit`.
    async fn lists_after(
        &self,
        household: HouseholdId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Vec<u8>>, StoreError>;

    /// Adds a list if its version is the next one, and forgets what the list takes away. Returns false when the
    /// version is taken.
    async fn append_list(&self, new: NewList<'_>) -> Result<bool, StoreError>;

    /// Keeps a session of a device; of more than `keep` the ones that end first are dropped.
    async fn put_session(&self, new: NewSession, keep: u32, audit: AuditEntry) -> Result<(), StoreError>;

    /// Whose session this is, if it lasts beyond `now_ms`.
    async fn session(
        &self,
        token_hash: [u8; 32],
        now_ms: u64,
    ) -> Result<Option<(HouseholdId, DeviceId)>, StoreError>;

    /// Adds key packages of a device, those it has already only once, or none of them when it would then have more than `max`.
    /// Returns how many single-use ones it has now, `None` when there are too many.
    async fn add_key_packages(
        &self,
        household: HouseholdId,
        device: DeviceId,
        packages: NewKeyPackages<'_>,
        max: u32,
    ) -> Result<Option<u32>, StoreError>;

    /// Takes the oldest single-use key package of a device away, or else reads its last-resort one.
    async fn claim_key_package(
        &self,
        household: HouseholdId,
        device: DeviceId,
        audit: AuditEntry,
    ) -> Result<Option<TakenKeyPackage>, StoreError>;

    /// Adds a commit if nothing has ended its epoch, with its welcomes and list, all or nothing.
    async fn append_commit(&self, new: NewCommit<'_>) -> Result<CommitOutcome, StoreError>;

    /// Adds a message that is no commit.
    async fn append_message(&self, new: NewMessage<'_>) -> Result<MessageOutcome, StoreError>;

    /// The messages of a group after `seq`, oldest first: at most `limit`, and no more than the first that
    /// brings their length to `max_bytes`.
    async fn messages_after(&self, page: MessagePage) -> Result<Vec<StoredMessage>, StoreError>;

    /// The welcomes that wait for a device, oldest first.
    async fn welcomes(
        &self,
        household: HouseholdId,
        device: DeviceId,
    ) -> Result<Vec<StoredWelcome>, StoreError>;

    /// Removes a welcome of a device. Returns false when it is not there.
    async fn remove_welcome(
        &self,
        household: HouseholdId,
        device: DeviceId,
        id: u64,
    ) -> Result<bool, StoreError>;

    /// Keeps how far a device has read a group, never further than its last message and never less than before, and drops
    /// the messages up to the least that all `readers` have read. Returns where the device is now, `None` when there is no
    /// such group.
    async fn put_cursor(&self, new: NewCursor<'_>) -> Result<Option<u64>, StoreError>;

    /// What is kept about a household besides lists, audit rows, messages and welcomes themselves; of sessions those that
    /// last beyond `now_ms`.
    async fn inventory(&self, household: HouseholdId, now_ms: u64) -> Result<Inventory, StoreError>;

    /// Removes everything of a household, so that nothing of it can be read from the store's files any more. Returns false
    /// when it is not there.
    async fn delete_household(&self, household: HouseholdId) -> Result<bool, StoreError>;

    /// Keeps an invite code of the operator.
    async fn put_invite(&self, new: NewInvite) -> Result<(), StoreError>;

    /// Adds a row to the household's audit chain.
    async fn append_audit(&self, household: HouseholdId, entry: AuditEntry) -> Result<AuditRow, StoreError>;

    /// Rows of the household's audit chain after `seq`, oldest first, at most `limit`.
    async fn audit_after(
        &self,
        household: HouseholdId,
        seq: u64,
        limit: u32,
    ) -> Result<Vec<AuditRow>, StoreError>;

    /// Adds a message to a mailbox within bounds.
    async fn post_mail(&self, new: NewMail<'_>) -> Result<MailOutcome, StoreError>;

    /// The messages of a mailbox after `seq` that last beyond `now_ms`, oldest first.
    async fn mail_after(
        &self,
        mailbox: [u8; 16],
        seq: u64,
        now_ms: u64,
    ) -> Result<Vec<(u64, Vec<u8>)>, StoreError>;

    /// Drops what is over at `now_ms` (sessions, mail, invite codes) and group messages from before `messages_before_ms`.
    /// Returns how many rows went. Which epochs are taken stays known.
    async fn purge(&self, now_ms: u64, messages_before_ms: u64) -> Result<u64, StoreError>;
}

/// The store could not do it; nothing was written. Whose fault it is does not depend on the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Somebody else holds it for too long: worth a retry.
    #[error("the store is busy")]
    Busy,
    /// No room is left on the disk.
    #[error("the store is full")]
    Full,
    /// The store failed; its own log says how.
    #[error("the store failed")]
    Failed,
}
