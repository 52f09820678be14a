//! Founding a household: its root public key and the first signed list.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::encoding::ByteString;
use crate::id::HouseholdId;

/// `POST /v1/households`: open registration; the list proves that the caller holds the root key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateHousehold {
    /// Ed25519 public key of the household root, 32 bytes.
    pub root_public: ByteString,
    /// Signed device list, version 1.
    pub list: ByteString,
}

/// Reply to [`CreateHousehold`] (201).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HouseholdCreated {
    /// [`HouseholdId::of_root`] of the root key.
    pub household: HouseholdId,
}
