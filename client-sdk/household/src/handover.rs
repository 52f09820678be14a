//! Giving a camera away: the admin takes it off the list, the camera forgets the household.
//!
//! Neither step needs the other: off the list, nobody of the household opens what the camera seals; without its keys,
//! the camera seals for nobody. The new owner enrols it as any camera, with new keys.

use latchkey_api::id::DeviceId;

use crate::devices::{DevicesError, Signed, find_camera, refresh, remove};
use crate::home::Home;
use crate::signaling::Signaling;

/// Takes the camera that `name` means off the list; returns it with the list.
///
/// Fails with [`DevicesError::Unknown`] when it names no camera.
pub async fn transfer(
    home: &mut Home,
    signaling: &Signaling,
    name: &str,
) -> Result<(DeviceId, Signed), DevicesError> {
    refresh(home, signaling).await?;
    let camera = find_camera(home, name)?;
    let signed = remove(home, signaling, camera).await?;
    Ok((camera, signed))
}
