//! Deleting a household: by a fresh signature of an admin or of the root, and then nothing of it is left.

use std::time::SystemTime;

use latchkey_api::auth::deletion_input;
use latchkey_api::device_list::Role;
use latchkey_api::household::DeleteHousehold;
use latchkey_wire::id::RoomId;

use crate::challenge::{ChallengeFor, StaleNonce};
use crate::directory::Household;
use crate::names::{handle_of, room_of};
use crate::notice::{Done, Notice};
use crate::sign_in::is_signed;
use crate::signaling::{Bearer, Signaling};
use crate::store::{Store, StoreError};

impl<S: Store> Signaling<S> {
    /// Removes everything that is kept about the caller's household.
    ///
    /// # Errors
    /// [`DeletionRefused`].
    pub async fn delete_household(
        &self,
        bearer: &Bearer,
        request: &DeleteHousehold,
        audience: &str,
        now: SystemTime,
    ) -> Result<Done<()>, DeletionRefused> {
        if let Bearer::Device(caller) = bearer
            && caller.entry().role != Role::Admin
        {
            return Err(DeletionRefused::NotAnAdmin);
        }
        let (household, device) = (bearer.household_id(), bearer.device());
        let whom = ChallengeFor { audience, household, device };
        let nonce = self.challenger.check(whom, request.nonce.as_slice(), now)?;
        let input = deletion_input(audience, &household, &device, request.nonce.as_slice());
        if !is_signed(&bearer.public_key(), &input, request.signature.as_slice()) {
            return Err(DeletionRefused::NotSigned);
        }
        self.challenger.use_up(nonce, now)?;
        let known = self.directory.present(&self.store, household).await?;
        self.store.delete_household(household).await?;
        let last = self.directory.forget(household).or(known);
        Ok(Done { reply: (), household, notices: last.as_ref().map(farewell).unwrap_or_default() })
    }
}

/// Everybody is cut off everywhere, also where the present list gives no right: a leg may be older than the list.
fn farewell(household: &Household) -> Vec<Notice> {
    let id = household.id();
    let list = household.list();
    let rooms: Vec<RoomId> = list.cameras().map(|camera| room_of(&id, &camera.device)).collect();
    let devices = || list.devices.iter().map(|entry| entry.device);
    let cuts = devices().flat_map(|device| {
        let device = handle_of(&id, &device);
        rooms.iter().map(move |room| Notice::Cut { room: *room, device })
    });
    cuts.chain(devices().map(|device| Notice::Dismiss { device })).collect()
}

/// Why a household was not deleted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeletionRefused {
    /// The caller's: neither an admin nor the root.
    #[error("only an admin of the household, or its root, deletes it")]
    NotAnAdmin,
    /// The caller's: stale nonce or wrong signature.
    #[error("the signature is not one for deleting over a fresh nonce: ask for a new challenge and sign it")]
    NotSigned,
    /// Ours.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<StaleNonce> for DeletionRefused {
    fn from(_: StaleNonce) -> Self {
        Self::NotSigned
    }
}
