//! Reading and extending the household's chain of signed device lists.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::encoding::ByteString;

/// Reply to `GET /v1/lists?after=N`: the lists with a version above N, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Lists {
    /// Signed lists as they were accepted, one version each without a gap.
    pub lists: Vec<ByteString>,
    /// True when there are more: ask again with the version of the last one.
    #[serde(default)]
    pub more: bool,
}

/// `POST /v1/lists`: the next list of the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PostList {
    /// The signed list with the version after the present one.
    pub list: ByteString,
}

/// Reply to [`PostList`] (201).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ListAccepted {
    /// The version that is now the household's present one.
    pub version: u64,
}
