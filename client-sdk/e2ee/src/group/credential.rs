//! A leaf's credential: which device of which household it claims to be.
//!
//! ```text
//! basic credential (RFC 9420 section 5.3)      household id(16) || device id(16)
//! ```

use latchkey_api::id::{DeviceId, HouseholdId};
use mls_rs::identity::basic::BasicCredential;
use mls_rs::identity::{Credential, SigningIdentity};

use super::error::Refusal;

/// The credential of a device: household id, then device id.
pub(super) fn credential(household: HouseholdId, device: DeviceId) -> Credential {
    BasicCredential::new([household.0, device.0].concat()).into_credential()
}

/// The device that a leaf claims to be.
pub(super) fn device_of(identity: &SigningIdentity) -> Result<DeviceId, Refusal> {
    parse_credential(identity).map(|(_, device)| device)
}

/// The household and device that a leaf claims to be.
pub(super) fn parse_credential(identity: &SigningIdentity) -> Result<(HouseholdId, DeviceId), Refusal> {
    let Credential::Basic(basic) = &identity.credential else { return Err(Refusal::BadCredential) };
    let (household, device) = basic.identifier.split_first_chunk::<16>().ok_or(Refusal::BadCredential)?;
    let device = <[u8; 16]>::try_from(device).map_err(|_| Refusal::BadCredential)?;
    Ok((HouseholdId(*household), DeviceId(device)))
}
