//! Giving a camera away: the admin takes it off the list, the camera forgets the household.
//!
//! Neither step needs the other: off the list, nobody of the household opens what the camera seals; without its keys,
//! the camera seals for nobody. The new owner enrols it as any camera, with new keys.

use std::path::{Path, PathBuf};

use latchkey_api::device_list::Role;
use latchkey_api::id::DeviceId;
pub use latchkey_household::handover::transfer;
use latchkey_household::notice::with_article;

use crate::home::{self, HomeError};
use crate::vault::Vault;

/// What a reset forgot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forgotten {
    /// The id that the camera had; it gets a new one when it is enrolled again.
    pub device: DeviceId,
    /// Whether it was still on the household's list, as far as this camera knows.
    pub still_listed: bool,
}

/// Why a camera was not reset; nothing was changed then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResetError {
    /// It is another kind of device.
    #[error(
        "this device is no camera but {0}: only cameras are reset; an admin removes others with `latchkey devices remove`"
    )]
    NotACamera(&'static str),
    /// The machine does not let the keys be deleted.
    #[error("the keys in {} cannot be deleted: remove this folder by hand", .0.display())]
    NotErased(PathBuf),
    /// The vault.
    #[error(transparent)]
    Home(#[from] HomeError),
}

/// Erases the camera's keys, its group and its household. Afterwards it is as new.
///
/// Fails with [`ResetError::NotACamera`], and with a vault error while another process holds it.
pub fn reset(dir: &Path) -> Result<Forgotten, ResetError> {
    let home = home::open(dir)?;
    let last = home.chain().lists().filter_map(|list| list.list().device(home.device())).last();
    match last.map(|entry| entry.role) {
        Some(Role::Camera) | None => {}
        Some(role) => return Err(ResetError::NotACamera(with_article(role))),
    }
    let still_listed = home.entry().is_ok();
    let device = home.device();
    drop(home);
    Vault::discard(dir);
    if dir.join("device.vault").exists() {
        return Err(ResetError::NotErased(dir.to_owned()));
    }
    Ok(Forgotten { device, still_listed })
}
