//! The folder of one device, as the place where its records rest.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use latchkey_household::vault::{Receipt, Records, Rest, RestError, VaultError as KeptError};

use crate::vault::error::VaultError;
use crate::vault::lockbox::Lockbox;
use crate::vault::unlock::Unlock;
use crate::vault::{Vault, disk, failed, file_of, look, sealed};

/// One device's folder.
pub(super) struct Folder {
    dir: PathBuf,
    /// `None` for a look without the right to write.
    held: Option<Held>,
}

/// What the holder of a vault has.
struct Held {
    lockbox: Mutex<Lockbox>,
    /// Held as long as the vault is.
    _lock: File,
}

impl Folder {
    pub(super) fn held(dir: &Path, lockbox: Lockbox, lock: File) -> Self {
        Self { dir: dir.to_owned(), held: Some(Held { lockbox: Mutex::new(lockbox), _lock: lock }) }
    }

    pub(super) fn seen(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), held: None }
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Replaces the file.
    pub(super) fn write(&self, records: &Records) -> Result<(), VaultError> {
        self.write_with(&*self.lockbox()?, records)
    }

    /// Replaces the file and its key, and takes the old key away.
    pub(super) fn lock_again(&self, unlock: &Unlock, records: &Records) -> Result<(), VaultError> {
        let mut lockbox = self.lockbox()?;
        let new = unlock.lock_again(&self.dir, &lockbox.header)?;
        self.write_with(&new, records)?;
        std::mem::replace(&mut *lockbox, new).forget();
        Ok(())
    }

    fn lockbox(&self) -> Result<MutexGuard<'_, Lockbox>, VaultError> {
        let held = self.held.as_ref().ok_or_else(|| VaultError::ReadOnly(self.dir.clone()))?;
        Ok(held.lockbox.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn write_with(&self, lockbox: &Lockbox, records: &Records) -> Result<(), VaultError> {
        lockbox.prepare()?;
        let path = file_of(&self.dir);
        let bytes = sealed::seal(&lockbox.header, &lockbox.key, records);
        disk::replace(&path, &bytes).map_err(|error| failed(&path, &error))?;
        lockbox.settle();
        Ok(())
    }
}

impl Rest for Folder {
    fn keep(&self, records: &Records, receipt: Receipt) -> Result<(), KeptError> {
        self.write(records).map_err(RestError::new)?;
        receipt.stored();
        Ok(())
    }

    fn look(&self) -> Result<Records, KeptError> {
        Ok(look(&self.dir, &Unlock::installed()).map_err(RestError::new)?)
    }

    fn discard(&self) {
        Vault::discard(&self.dir);
    }

    fn place(&self) -> String {
        self.dir.display().to_string()
    }
}
