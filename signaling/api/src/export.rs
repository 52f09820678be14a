//! Everything the server has about one household, as one JSON document.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::audit::AuditRow;
use crate::encoding::ByteString;
use crate::group::{GroupMessage, PendingWelcome};
use crate::id::{DeviceId, GroupId, HouseholdId};

/// Reply to `GET /v1/export`, for admins. The server writes it page by page and keeps no snapshot: what is added
/// while it is written may be missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Export {
    /// The household.
    pub household: HouseholdId,
    /// Ed25519 public key of its root, 32 bytes.
    pub root_public: ByteString,
    /// All signed lists, oldest first.
    pub lists: Vec<ByteString>,
    /// The whole audit chain, oldest first.
    pub audit: Vec<AuditRow>,
    /// Every group with the messages that are kept.
    pub groups: Vec<ExportedGroup>,
    /// Welcomes that wait, by device.
    pub welcomes: Vec<ExportedWelcomes>,
    /// How many key packages each device has left. They are handed to cameras only.
    pub key_packages: Vec<ExportedKeyPackages>,
    /// Sign-ins that last. Of a token the server keeps the hash only, and does not tell it.
    pub sessions: Vec<ExportedSession>,
}

/// A group and what is kept of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExportedGroup {
    /// The group.
    pub group: GroupId,
    /// The epoch that the next commit must end.
    pub next_epoch: u64,
    /// The place of its last message.
    pub last_seq: u64,
    /// How far each device has said that it read.
    pub cursors: Vec<ExportedCursor>,
    /// The messages that are kept, in their order.
    pub messages: Vec<GroupMessage>,
}

/// How far a device has read a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExportedCursor {
    /// The device.
    pub device: DeviceId,
    /// The place up to which it needs no message again.
    pub seq: u64,
}

/// The welcomes that wait for a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExportedWelcomes {
    /// The device.
    pub device: DeviceId,
    /// What waits for it.
    pub welcomes: Vec<PendingWelcome>,
}

/// How many key packages a device has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExportedKeyPackages {
    /// The device.
    pub device: DeviceId,
    /// Single-use ones.
    pub single_use: u32,
    /// Whether there is a last-resort one.
    pub last_resort: bool,
}

/// A sign-in that lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExportedSession {
    /// The device; [`ROOT_DEVICE`](crate::auth::ROOT_DEVICE) for the household root.
    pub device: DeviceId,
    /// When it ends, in seconds since the Unix epoch.
    pub expires_at: u64,
}
