//! Founding a household by its root public key and first signed list, and deleting it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::encoding::ByteString;
use crate::id::HouseholdId;

/// `POST /v1/households`: registration; the list proves that the caller holds the root key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateHousehold {
    /// Ed25519 public key of the household root, 32 bytes.
    pub root_public: ByteString,
    /// Signed device list, version 1.
    pub list: ByteString,
    /// Where the operator asks for one: the code that `latchkey-server invite-code` printed. A server that is open to all
    /// ignores it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invite_code: Option<String>,
}

/// Reply to [`CreateHousehold`] (201).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HouseholdCreated {
    /// [`HouseholdId::of_root`] of the root key.
    pub household: HouseholdId,
}

/// `POST /v1/households/self/deletion`: removes everything the server has about the caller's household, for good (204).
/// The caller is a signed-in admin, or the household root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteHousehold {
    /// The nonce of a challenge that the caller has just asked for.
    pub nonce: ByteString,
    /// Ed25519 over [`deletion_input`](crate::auth::deletion_input), 64 bytes: by the caller's MLS signature key, or by the
    /// root.
    pub signature: ByteString,
}
