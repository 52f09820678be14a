//! Households and their devices: founding one, inviting, joining.

mod code;
mod invite;
mod join;
mod sealed;

pub use code::{CodeError, InviteCode};
pub use invite::{Invitation, InviteError, Invited};
pub use join::{JoinError, join};

use std::path::Path;

use latchkey_api::device_list::{DeviceList, Role};
use latchkey_e2ee::identity::{DeviceIdentity, HouseholdRoot, Phrase};
use latchkey_e2ee::label::{LabelError, LabelKey, seal_label};

use crate::home::{Beginnings, Home, HomeError};
use crate::key_packages;
use crate::signaling::{Server, unix_seconds};
use crate::vault::Vault;

/// Why no household was founded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CreateError {
    /// The vault, the server, or keys.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The device's name.
    #[error("the name cannot be used: {0}")]
    Name(#[from] LabelError),
}

/// Founds a household on `server`, with this device, called `name`, as its first admin, kept in `dir`.
///
/// Returns the device and the twelve words of the root: show them once, they are kept nowhere.
/// On failure nothing is left in `dir`.
pub async fn create(dir: &Path, server: &str, name: &str) -> Result<(Home, Phrase), CreateError> {
    let server = Server::new(server).map_err(HomeError::from)?;
    let vault = Vault::create(dir).map_err(HomeError::from)?;
    let made = found(vault, server, name).await;
    if made.is_err() {
        Vault::discard(dir);
    }
    made
}

async fn found(vault: Vault, server: Server, name: &str) -> Result<(Home, Phrase), CreateError> {
    let (root, words) = HouseholdRoot::generate().map_err(HomeError::from)?;
    let identity = DeviceIdentity::generate().map_err(HomeError::from)?;
    let label_key = LabelKey::generate()?;
    let label = seal_label(&label_key, root.household(), identity.device(), name)?;
    let now = unix_seconds();
    let entry = identity.public().entry(Role::Admin, now, label);
    let list = DeviceList::founding(root.household(), entry, now).map_err(HomeError::from)?;
    let list = root.sign_list(list).as_bytes().to_vec();

    let root_public = root.public();
    let mut home = Home::begin(vault, Beginnings { identity, server, root_public, label_key })?;
    home.take_lists(std::slice::from_ref(&list))?;
    home.server().create_household(root_public, list, None).await.map_err(HomeError::from)?;
    let signaling = home.signaling();
    key_packages::leave(&mut home, &signaling).await?;
    Ok((home, words))
}
