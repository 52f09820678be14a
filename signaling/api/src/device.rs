//! Key packages: what a device leaves at the server so that cameras can add it while it sleeps.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::encoding::ByteString;
use crate::id::DeviceId;

/// `POST /v1/key-packages`: MLS key packages (each an `MLSMessage`) of the calling device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PublishKeyPackages {
    /// Each is handed out once, oldest first. At most 100 are kept per device.
    #[serde(default)]
    pub packages: Vec<ByteString>,
    /// Handed out when all others are used up and never consumed; replaces the earlier one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_resort: Option<ByteString>,
}

/// Reply to [`PublishKeyPackages`] (201).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeyPackagesLeft {
    /// How many single-use key packages of this device the server now holds.
    pub left: u32,
}

/// `POST /v1/key-packages/claim`: a camera takes a key package of a device of its own household.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ClaimKeyPackage {
    /// Whose key package.
    pub device: DeviceId,
}

/// Reply to [`ClaimKeyPackage`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ClaimedKeyPackage {
    /// The key package as the device published it.
    pub key_package: ByteString,
    /// True when it is the last-resort one, which others may have got too.
    pub last_resort: bool,
}
