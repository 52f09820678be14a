//! What signaling keeps, as a trait: each method is one transaction, and what must be unique is unique there.
//!
//! A store decides races (who was first), never rules (who may). When a method has returned, what it wrote
//! survives a power cut. Times are milliseconds since the Unix epoch.

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
pub mod memory;

use async_trait::async_trait;
use latchkey_api::group::MessageKind;
use latchkey_api::id::{DeviceId, GroupId, HouseholdId};

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

/// A household to register.
#[derive(Clone, Copy, Debug)]
pub struct NewHousehold<'a> {
    /// Its id.
    pub household: HouseholdId,
    /// Its root's Ed25519 public key.
    pub root_public: [u8; 32],
    /// Signed list 1.
    pub list: &'a [u8],
    /// The invite code that is used up by it.
    pub invitation: Invitation,
    /// What the audit chain says about it; also its time.
    pub audit: AuditEntry,
}

/// Whether a household that registers needs an invite code of the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invitation {
    /// It needs none.
    NotAsked,
    /// It needs one, and this one was brought.
    Brought(InviteUse),
    /// It needs one, and none was brought.
    Missing,
}

/// The use of an invite code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InviteUse {
    /// By which it is found.
    pub name: [u8; 4],
    /// The hash that must be kept under that name; compare it in constant time.
    pub hash: [u8; 32],
    /// Now.
    pub at_ms: u64,
}

/// An invite code to keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewInvite {
    /// By which it is found.
    pub name: [u8; 4],
    /// Its hash.
    pub hash: [u8; 32],
    /// How many households it may register.
    pub uses: u32,
    /// Until when it is good.
    pub expires_ms: u64,
}

/// What became of a household to register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FoundOutcome {
    /// It is registered now.
    Founded,
    /// It was there already, whatever its first list.
    Exists,
    /// There are as many households as there may be.
    Full,
    /// It needs an invite code, and there is none that is good.
    NotInvited,
}

/// A list to add.
#[derive(Clone, Copy, Debug)]
pub struct NewList<'a> {
    /// The household.
    pub household: HouseholdId,
    /// The version it has: must be the next.
    pub version: u64,
    /// The signed list.
    pub list: &'a [u8],
    /// Devices whose sessions end with it.
    pub ends_sessions_of: &'a [DeviceId],
    /// Devices whose key packages, welcomes and cursors go with it.
    pub forgets: &'a [DeviceId],
    /// What the audit chain says about it; also its time.
    pub audit: AuditEntry,
}

/// A session to keep.
#[derive(Clone, Copy, Debug)]
pub struct NewSession {
    /// SHA-256 of the token.
    pub token_hash: [u8; 32],
    /// The device's household.
    pub household: HouseholdId,
    /// The device.
    pub device: DeviceId,
    /// When it ends.
    pub expires_ms: u64,
}

/// Key packages to add.
#[derive(Clone, Copy, Debug)]
pub struct NewKeyPackages<'a> {
    /// Single-use ones, in the order in which they are to be handed out.
    pub single_use: &'a [Vec<u8>],
    /// Replaces the last-resort one.
    pub last_resort: Option<&'a [u8]>,
}

/// A key package that was handed out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakenKeyPackage {
    /// The key package.
    pub key_package: Vec<u8>,
    /// True when it is the last-resort one.
    pub last_resort: bool,
    /// How many single-use ones are left.
    pub left: u32,
}

/// A commit to add.
#[derive(Clone, Copy, Debug)]
pub struct NewCommit<'a> {
    /// The camera's household.
    pub household: HouseholdId,
    /// The group.
    pub group: GroupId,
    /// The epoch it ends.
    pub epoch: u64,
    /// The message.
    pub commit: &'a [u8],
    /// Welcomes, each replacing one that waits for the same device and group.
    pub welcomes: &'a [(DeviceId, Vec<u8>)],
    /// A list to add with it.
    pub list: Option<NewList<'a>>,
    /// What the audit chain says about it; also its time.
    pub audit: AuditEntry,
}

/// What became of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitOutcome {
    /// It stands at this place of the group's order.
    Accepted(u64),
    /// An earlier one ended the epoch.
    EpochTaken,
    /// The group is at an earlier epoch.
    EpochAhead,
    /// The list that came with it lost the race for its version.
    ListVersionTaken,
}

/// A message to add that is no commit.
#[derive(Clone, Copy, Debug)]
pub struct NewMessage<'a> {
    /// The camera's household.
    pub household: HouseholdId,
    /// The group.
    pub group: GroupId,
    /// What it is.
    pub kind: MessageKind,
    /// The epoch it was sent in; a proposal counts only in the present one.
    pub epoch: u64,
    /// The message.
    pub message: &'a [u8],
    /// When it came.
    pub at_ms: u64,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageOutcome {
    /// It stands at this place of the group's order.
    Accepted(u64),
    /// No commit has founded such a group.
    NoSuchGroup,
    /// The proposal is not for the present epoch.
    NotCurrent,
}

/// Which messages to read.
#[derive(Clone, Copy, Debug)]
pub struct MessagePage {
    /// The camera's household.
    pub household: HouseholdId,
    /// The group.
    pub group: GroupId,
    /// Those after this place.
    pub after: u64,
    /// At most so many.
    pub limit: u32,
    /// Enough when they have so many bytes together.
    pub max_bytes: usize,
}

/// A message as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredMessage {
    /// Its place in the group's order.
    pub seq: u64,
    /// What it is.
    pub kind: MessageKind,
    /// Its epoch.
    pub epoch: u64,
    /// The message.
    pub message: Vec<u8>,
}

/// How far a device has read a group.
#[derive(Clone, Copy, Debug)]
pub struct NewCursor<'a> {
    /// The camera's household.
    pub household: HouseholdId,
    /// The group.
    pub group: GroupId,
    /// The device.
    pub device: DeviceId,
    /// Up to which place it has read.
    pub seq: u64,
    /// All devices for which messages are kept.
    pub readers: &'a [DeviceId],
}

/// What is kept about a household besides what can be long.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    /// Its groups, by id.
    pub groups: Vec<KeptGroup>,
    /// Devices for which welcomes wait, by id.
    pub welcomed: Vec<DeviceId>,
    /// Devices with their number of single-use key packages, and whether there is a last-resort one, by id.
    pub key_packages: Vec<(DeviceId, u32, bool)>,
    /// Devices with the ends of their sessions in milliseconds since the Unix epoch, by id.
    pub sessions: Vec<(DeviceId, u64)>,
}

/// A group without its messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptGroup {
    /// The group.
    pub group: GroupId,
    /// The epoch that the next commit must end.
    pub next_epoch: u64,
    /// The place of its last message.
    pub last_seq: u64,
    /// How far devices have read, by id.
    pub cursors: Vec<(DeviceId, u64)>,
}

/// A welcome as it waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredWelcome {
    /// Names it.
    pub id: u64,
    /// The group it leads into.
    pub group: GroupId,
    /// The place of the commit it came with.
    pub seq: u64,
    /// The welcome.
    pub welcome: Vec<u8>,
}

/// A message for a mailbox.
#[derive(Clone, Copy, Debug)]
pub struct NewMail<'a> {
    /// The mailbox.
    pub mailbox: [u8; 16],
    /// The message.
    pub message: &'a [u8],
    /// Now.
    pub at_ms: u64,
    /// Until when it is kept.
    pub expires_ms: u64,
    /// How many messages the mailbox may hold.
    pub max_in_mailbox: u32,
    /// How many messages all mailboxes together may hold.
    pub max_in_all: u32,
}

/// What became of a message for a mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailOutcome {
    /// It has this number; numbers of one mailbox rise and are not used again.
    Accepted(u64),
    /// The mailbox is full.
    MailboxFull,
    /// All mailboxes together are full.
    AllFull,
}
