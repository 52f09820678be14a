//! The key of one vault, and the order in which key and vault reach the disk: first the key, then what it opens.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::vault::error::UnlockError;
use crate::vault::header::{Header, Way};
use crate::vault::sealed::VaultKey;
use crate::vault::{keyfile, keyring};

/// A vault's key and what unlocks it.
pub(super) struct Lockbox {
    pub(super) header: Header,
    pub(super) key: VaultKey,
    /// Where its key file is, if it has one.
    key_file: Option<PathBuf>,
    stage: Mutex<Stage>,
}

/// How far a key has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// No vault on disk needs it.
    Fresh,
    /// A vault on disk may need it.
    Needed,
    /// It is in its place, and so is the vault.
    Settled,
}

impl Lockbox {
    /// A key that no vault on disk needs yet.
    pub(super) fn fresh(dir: &Path, header: Header, key: VaultKey) -> Self {
        let key_file = header.key_file(dir);
        Self { header, key, key_file, stage: Mutex::new(Stage::Fresh) }
    }

    /// The key of a vault that it has just opened.
    pub(super) fn of_vault(dir: &Path, header: Header, key: VaultKey) -> Self {
        let mut lockbox = Self::fresh(dir, header, key);
        lockbox.stage = Mutex::new(Stage::Needed);
        lockbox.settle();
        lockbox
    }

    /// Makes sure that the key can be had again once the vault is on disk.
    pub(super) fn prepare(&self) -> Result<(), UnlockError> {
        let mut stage = self.stage.lock().unwrap_or_else(PoisonError::into_inner);
        if *stage == Stage::Fresh {
            if let Some(path) = &self.key_file {
                keyfile::prepare(path, self.header.id, &self.key)?;
            }
            *stage = Stage::Needed;
        }
        Ok(())
    }

    /// Puts the key in its place, now that the vault is. Where that fails it waits for the next time, and is found.
    pub(super) fn settle(&self) {
        let mut stage = self.stage.lock().unwrap_or_else(PoisonError::into_inner);
        if *stage != Stage::Needed {
            return;
        }
        if self.key_file.as_ref().is_none_or(|path| keyfile::settle(path, self.header.id).is_ok()) {
            *stage = Stage::Settled;
        }
    }

    /// Takes the key away from where it is kept: no vault needs it any more.
    pub(super) fn forget(&self) {
        forget(&self.header, self.key_file.as_deref());
    }
}

/// Takes a key away from where it is kept.
pub(super) fn forget(header: &Header, key_file: Option<&Path>) {
    match (&header.way, key_file) {
        (Way::Keyring, _) => keyring::forget(header.id),
        (_, Some(path)) => keyfile::forget(path, header.id),
        _ => {}
    }
}

impl Drop for Lockbox {
    fn drop(&mut self) {
        let stage = self.stage.get_mut().unwrap_or_else(PoisonError::into_inner);
        if *stage == Stage::Fresh {
            self.forget();
        }
    }
}
