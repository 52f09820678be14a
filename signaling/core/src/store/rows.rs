//! What a store is given and gives back, a type for each kind of row and for each race that it decides.

use latchkey_api::group::MessageKind;
use latchkey_api::id::{DeviceId, GroupId, HouseholdId};

use crate::audit::AuditEntry;

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
