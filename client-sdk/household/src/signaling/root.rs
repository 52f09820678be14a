//! The server, seen by the household root: to recover by twelve words, or to delete the household.

use latchkey_api::auth::{ROOT_DEVICE, SignedIn};
use latchkey_api::encoding::ByteString;
use latchkey_api::household::DeleteHousehold;
use latchkey_api::list::{ListAccepted, Lists, PostList};
use latchkey_e2ee::identity::HouseholdRoot;
use zeroize::Zeroizing;

use crate::signaling::http::Method;
use crate::signaling::{DELETION, Server, SignalingError};

/// A sign-in of the household root. It reads lists, brings a list that the root signed, and deletes the household; the
/// server lets it do nothing else. It lasts an hour.
pub struct RootSession {
    server: Server,
    token: Zeroizing<String>,
}

impl RootSession {
    /// Signs in with the root key.
    ///
    /// Fails with code `sign-in-failed` when the server does not have the root's household.
    pub async fn sign_in(server: Server, root: &HouseholdRoot) -> Result<Self, SignalingError> {
        let whom = (root.household(), ROOT_DEVICE);
        let challenge = server.challenge(whom.0, whom.1).await?;
        let signature = root.sign_challenge(&challenge.audience, challenge.nonce.as_slice());
        let SignedIn { token, .. } = server.answer(whom, challenge, signature).await?;
        Ok(Self { server, token: Zeroizing::new(token) })
    }

    /// Returns all signed lists with a version above `version`, oldest first.
    pub async fn lists_after(&self, version: u64) -> Result<Vec<Vec<u8>>, SignalingError> {
        let mut lists = Vec::new();
        loop {
            let path = format!("v1/lists?after={}", version + lists.len() as u64);
            let page: Lists = self.server.call(Method::GET, &path, Some(&self.token), None::<&()>).await?;
            let empty = page.lists.is_empty();
            lists.extend(page.lists.into_iter().map(ByteString::into_vec));
            if !page.more || empty {
                return Ok(lists);
            }
        }
    }

    /// Posts a list that the root signed and returns its version. Code `list-version-taken` when another was first,
    /// `forbidden` for a list that an admin signed.
    pub async fn post_list(&self, list: Vec<u8>) -> Result<u64, SignalingError> {
        let body = PostList { list: ByteString(list) };
        let accepted: ListAccepted =
            self.server.call(Method::POST, "v1/lists", Some(&self.token), Some(&body)).await?;
        Ok(accepted.version)
    }

    /// Removes everything the server has about the household, for good.
    pub async fn delete_household(self, root: &HouseholdRoot) -> Result<(), SignalingError> {
        let challenge = self.server.challenge(root.household(), ROOT_DEVICE).await?;
        let signature = root.sign_deletion(&challenge.audience, challenge.nonce.as_slice());
        let body = DeleteHousehold { nonce: challenge.nonce, signature: ByteString(signature.to_vec()) };
        let _: serde_json::Value =
            self.server.call(Method::POST, DELETION, Some(&self.token), Some(&body)).await?;
        Ok(())
    }
}

impl std::fmt::Debug for RootSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RootSession").field("server", &self.server).finish_non_exhaustive()
    }
}
