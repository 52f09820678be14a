//! MLS delivery: commits in one order per group, messages by sequence number, welcomes by device.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::encoding::ByteString;
use crate::id::{DeviceId, GroupId, HouseholdId};

/// `POST /v1/groups/{group}/commits`: ends `epoch`. Only the group's camera or an admin may.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PostCommit {
    /// The epoch the commit ends; must equal the one in the commit's header.
    pub epoch: u64,
    /// The commit, an `MLSMessage` with a `PublicMessage`.
    pub commit: ByteString,
    /// Welcomes for the devices the commit adds.
    #[serde(default)]
    pub welcomes: Vec<WelcomeFor>,
    /// The signed list the commit rests on, when the caller is not sure that the server has it yet.
    /// Accepted together with the commit, or not at all; a list the server already has is ignored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list: Option<ByteString>,
}

/// A welcome and whom it is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WelcomeFor {
    /// The added device.
    pub device: DeviceId,
    /// The welcome, an `MLSMessage`.
    pub welcome: ByteString,
}

/// `POST /v1/groups/{group}/messages`: a proposal (`PublicMessage`) or an application message
/// (`PrivateMessage`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PostMessage {
    /// The message, an `MLSMessage`.
    pub message: ByteString,
}

/// Reply to [`PostCommit`] and [`PostMessage`] (201).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MessageAccepted {
    /// The message's place in the group's order; counts up from 1 without a gap.
    pub seq: u64,
}

/// Longest application message in bytes.
pub const MAX_APPLICATION_BYTES: usize = 32 * 1024;

/// Reply to `GET /v1/groups/{group}/messages?after=seq`: what came after `seq`, oldest first. A gap after `seq` means that
/// messages are kept no longer: all who may read the group had read them, or they were too old.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GroupMessages {
    /// The messages in their order.
    pub messages: Vec<GroupMessage>,
    /// True when there are more: ask again with the last `seq`.
    pub more: bool,
}

/// One message of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GroupMessage {
    /// Its place in the group's order.
    pub seq: u64,
    /// What the header says it is.
    pub kind: MessageKind,
    /// The epoch it was sent in.
    pub epoch: u64,
    /// The `MLSMessage` as it was posted.
    pub message: ByteString,
}

/// `POST /v1/groups/{group}/cursor`: the caller has read the messages up to `seq`, has saved what came of them, and will
/// not ask for them again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PostCursor {
    /// The place of the last message that was read.
    pub seq: u64,
}

/// Reply to [`PostCursor`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CursorKept {
    /// How far the caller has read now; a cursor never moves back, nor beyond the last message.
    pub seq: u64,
}

/// `POST /v1/groups/{group}/rejoin`: the calling device is on the list and not in the group, because a welcome was lost or
/// messages are gone. The server passes this on to the group's camera, which puts the device in anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rejoin {
    /// When the device asks, in seconds since the Unix epoch; rises with each request of a device. A camera takes each
    /// request at most once.
    pub time: u64,
    /// A fresh key package, an `MLSMessage`.
    pub key_package: ByteString,
    /// Ed25519 (the device's MLS signature key) over [`rejoin_input`], 64 bytes.
    pub signature: ByteString,
}

/// The bytes a device signs to be put into a group anew:
/// `"latchkey rejoin v1" || 0x00 || household || group || device || time(8, big endian) || key package`.
#[must_use]
pub fn rejoin_input(
    household: &HouseholdId,
    group: &GroupId,
    device: &DeviceId,
    time: u64,
    key_package: &[u8],
) -> Vec<u8> {
    let mut input = Vec::with_capacity(REJOIN.len() + 61 + key_package.len());
    input.extend_from_slice(REJOIN);
    input.push(0);
    input.extend_from_slice(household.as_bytes());
    input.extend_from_slice(&group.0);
    input.extend_from_slice(device.as_bytes());
    input.extend_from_slice(&time.to_be_bytes());
    input.extend_from_slice(key_package);
    input
}

/// Longest key package in a [`Rejoin`], in bytes.
pub const MAX_REJOIN_PACKAGE: usize = 16 * 1024;
const REJOIN: &[u8] = b"latchkey rejoin v1";

/// Content type of a message (RFC 9420 section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MessageKind {
    /// Application data.
    Application,
    /// A proposal.
    Proposal,
    /// A commit.
    Commit,
}

/// Reply to `GET /v1/welcomes`: what waits for the calling device, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Welcomes {
    /// The waiting welcomes; each stays until `DELETE /v1/welcomes/{id}`.
    pub welcomes: Vec<PendingWelcome>,
}

/// A welcome that waits for its device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PendingWelcome {
    /// Names it in `DELETE /v1/welcomes/{id}`.
    pub id: u64,
    /// The group it leads into.
    pub group: GroupId,
    /// The sequence number of the commit that added the device: messages after it are the ones to read.
    pub seq: u64,
    /// The welcome, an `MLSMessage`.
    pub welcome: ByteString,
}
