//! The list that names a new device, by whichever way it came.

use latchkey_api::device_list::{Reason, Role};
use latchkey_api::id::DeviceId;
use latchkey_e2ee::enrol::Terms;
use latchkey_e2ee::identity::DevicePublic;
use latchkey_e2ee::label::seal_label;

use crate::clock::unix_seconds;
use crate::devices::{DevicesError, sign_next};
use crate::home::Home;

/// A device that has joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invited {
    /// The device.
    pub device: DeviceId,
    /// Version of the list that has it.
    pub list_version: u64,
}

/// Signs and posts the list that names a device on these terms.
pub(super) async fn enlist(
    home: &mut Home,
    public: &DevicePublic,
    terms: &Terms,
) -> Result<Invited, DevicesError> {
    let signaling = home.signaling();
    let device: DeviceId = public.device;
    let signed = sign_next(home, &signaling, Reason::Added, |home, draft| {
        let label = seal_label(home.label_key(), home.household(), device, &terms.name)?;
        Ok(draft.with(terms.entry(public, unix_seconds(), label))?)
    })
    .await?;
    Ok(Invited { device, list_version: signed.list.version })
}

/// Fails with [`DevicesError::NotAdmin`] on other devices.
pub(super) fn check_admin(home: &Home) -> Result<(), DevicesError> {
    if home.role()? == Role::Admin { Ok(()) } else { Err(DevicesError::NotAdmin) }
}
