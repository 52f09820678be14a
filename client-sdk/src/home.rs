//! A device in its folder.

use std::path::Path;

pub use latchkey_household::home::{Home, HomeError, SharedHome};

use crate::vault::Vault;

/// Opens the device in `dir` and holds it against other processes.
///
/// Fails with [`HomeError::Vault`] and [`HomeError::Record`].
pub fn open(dir: &Path) -> Result<Home, HomeError> {
    Home::load(Vault::open(dir)?.into())
}

/// Reads the device in `dir`, also while another process holds it; it cannot be changed.
///
/// Fails with [`HomeError::Vault`] and [`HomeError::Record`].
pub fn look(dir: &Path) -> Result<Home, HomeError> {
    Home::load(Vault::look(dir)?.into())
}
