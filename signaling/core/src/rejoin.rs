//! A device that is on the list and not in a group asks the group's camera to be put in anew.

use latchkey_api::event::Event;
use latchkey_api::group::{MAX_REJOIN_PACKAGE, Rejoin};
use latchkey_api::id::GroupId;

use crate::access::follows;
use crate::notice::{Done, Notice};
use crate::signaling::{Caller, Signaling};
use crate::store::Store;

impl<S: Store> Signaling<S> {
    /// Passes a request to be put in anew on to the group's camera; nothing of it is kept. A camera that is not there does
    /// not hear of it: the device asks again.
    ///
    /// # Errors
    /// [`RejoinRefused`].
    pub fn rejoin(
        &self,
        caller: &Caller,
        group: GroupId,
        request: Rejoin,
    ) -> Result<Done<()>, RejoinRefused> {
        let (list, camera) = (caller.list(), group.camera());
        let is_open = list.generation(camera) == Some(group.generation());
        if caller.device() == camera || !is_open || !follows(list, caller.device(), camera) {
            return Err(RejoinRefused::UnknownGroup);
        }
        if request.key_package.as_slice().len() > MAX_REJOIN_PACKAGE
            || request.signature.as_slice().len() != 64
        {
            return Err(RejoinRefused::Malformed);
        }
        let event = Event::Rejoin { group, device: caller.device(), request };
        let notices = vec![Notice::Tell { device: camera, event }];
        Ok(Done { reply: (), household: caller.household_id(), notices })
    }
}

/// Why a request to be put in anew was not passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RejoinRefused {
    /// The caller's: no such group for this device.
    #[error("there is no such group for this device")]
    UnknownGroup,
    /// The caller's: the key package is too large, or the signature is none.
    #[error("the key package may have at most {MAX_REJOIN_PACKAGE} bytes, the signature has 64")]
    Malformed,
}
