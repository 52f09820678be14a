//! Where a device's secrets rest: one encrypted file, replaced as a whole or not at all.
//!
//! A vault is held by one process at a time. State is saved before what it answers for is sent: a crash
//! in between costs a repeated request, never a key used twice. Format, ways to unlock, and what a thief of the disk
//! gets: `client-sdk/docs/vault.md`.

mod disk;
mod error;
mod folder;
mod header;
mod keyfile;
mod keyring;
mod lockbox;
mod passphrase;
mod plain;
mod sealed;
mod status;
#[cfg(test)]
mod tests;
mod unlock;

pub use error::{UnlockError, VaultError};
pub use header::{Cost, Method};
pub use passphrase::{Asker, Passphrase, read as read_passphrase};
pub use status::{Status, status};
pub use unlock::{Choice, Unlock};

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use latchkey_household::vault::{Records, Vault as Kept};
use zeroize::Zeroizing;

use crate::vault::folder::Folder;
use crate::vault::header::Header;
use crate::vault::lockbox::Lockbox;
use crate::vault::sealed::{Sealed, VaultKey};

/// The secrets of one device, in memory and on disk.
pub struct Vault {
    kept: Kept,
    folder: Arc<Folder>,
}

impl Vault {
    /// Makes an empty vault in `dir`, which is created when missing, locked as [`Unlock::installed`] says; nothing is
    /// written there before [`Vault::save`].
    ///
    /// Fails with [`VaultError::Occupied`] when there is one, [`VaultError::InUse`], [`VaultError::Unlock`],
    /// [`VaultError::Io`].
    pub fn create(dir: &Path) -> Result<Self, VaultError> {
        Self::create_with(dir, &Unlock::installed())
    }

    /// As [`Vault::create`], locked as `unlock` says.
    pub fn create_with(dir: &Path, unlock: &Unlock) -> Result<Self, VaultError> {
        disk::create_folder(dir)?;
        let lock = disk::lock(dir)?;
        if file_of(dir).exists() {
            return Err(VaultError::Occupied(dir.to_owned()));
        }
        let lockbox = unlock.lock_new(dir).inspect_err(|_| Self::discard(dir))?;
        Ok(Self::held(Folder::held(dir, lockbox, lock), Records::new()))
    }

    /// Opens the vault in `dir` with what [`Unlock::installed`] has, and holds it.
    ///
    /// Fails with [`VaultError::Missing`], [`VaultError::InUse`], [`VaultError::Damaged`], [`VaultError::Unlock`],
    /// [`VaultError::Io`].
    pub fn open(dir: &Path) -> Result<Self, VaultError> {
        Self::open_with(dir, &Unlock::installed())
    }

    /// As [`Vault::open`], with what `unlock` has.
    pub fn open_with(dir: &Path, unlock: &Unlock) -> Result<Self, VaultError> {
        if !file_of(dir).exists() {
            return Err(VaultError::Missing(dir.to_owned()));
        }
        let lock = disk::lock(dir)?;
        let (records, locked) = decode(dir, unlock, &read_file(dir)?)?;
        let lockbox = match locked {
            Some((header, key)) => Lockbox::of_vault(dir, header, key),
            None => unlock.lock_plain(dir)?,
        };
        Ok(Self::held(Folder::held(dir, lockbox, lock), records))
    }

    /// Reads the vault in `dir` as it is now, also while another process holds it. It cannot be saved.
    ///
    /// Fails like [`Vault::open`], but never with [`VaultError::InUse`].
    pub fn look(dir: &Path) -> Result<Self, VaultError> {
        Self::look_with(dir, &Unlock::installed())
    }

    /// As [`Vault::look`], with what `unlock` has.
    pub fn look_with(dir: &Path, unlock: &Unlock) -> Result<Self, VaultError> {
        let records = look(dir, unlock)?;
        let folder = Arc::new(Folder::seen(dir));
        Ok(Self { kept: Kept::read_only(records, folder.clone()), folder })
    }

    fn held(folder: Folder, records: Records) -> Self {
        let folder = Arc::new(folder);
        Self { kept: Kept::held(records, folder.clone()), folder }
    }

    /// Returns whether the vault was opened to look only.
    pub fn is_read_only(&self) -> bool {
        self.kept.is_read_only()
    }

    /// Takes a vault away that was begun in vain, and its key. What cannot be deleted stays.
    pub(crate) fn discard(dir: &Path) {
        if let Ok(bytes) = read_file(dir)
            && let Ok(sealed) = Sealed::parse(&bytes)
        {
            lockbox::forget(&sealed.header, sealed.header.key_file(dir).as_deref());
        }
        let file = file_of(dir);
        let _ = fs::remove_file(&file);
        let _ = fs::remove_file(disk::draft_of(&file));
        let _ = fs::remove_file(dir.join(disk::LOCK_FILE));
        // Only goes when nothing else is in it.
        let _ = fs::remove_dir(dir);
    }

    /// Returns the folder.
    pub fn dir(&self) -> &Path {
        self.folder.dir()
    }

    /// Returns a record.
    pub fn record(&self, name: &str) -> Option<&[u8]> {
        self.kept.record(name)
    }

    /// Returns the names of all records that begin with `prefix`, in order.
    pub fn names<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a str> {
        self.kept.names(prefix)
    }

    /// Puts a record in place; it reaches the disk with the next [`Vault::save`].
    pub fn put(&mut self, name: &str, value: Zeroizing<Vec<u8>>) {
        self.kept.put(name, value);
    }

    /// Takes a record away; it leaves the disk with the next [`Vault::save`].
    pub fn remove(&mut self, name: &str) {
        self.kept.remove(name);
    }

    /// Replaces the file: when this returns, the records are on disk, whatever happens next.
    ///
    /// Fails with [`VaultError::Io`], [`VaultError::Unlock`] where a new key cannot be kept, the old file then being
    /// untouched, or [`VaultError::ReadOnly`].
    pub fn save(&self) -> Result<(), VaultError> {
        self.folder.write(self.kept.records())
    }

    /// Locks the vault anew, as `unlock` says, with a new key, and saves it; takes the old key away.
    ///
    /// Fails like [`Vault::create`] and [`Vault::save`]; then the old key goes on unlocking it.
    pub fn change(&mut self, unlock: &Unlock) -> Result<(), VaultError> {
        self.folder.lock_again(unlock, self.kept.records())
    }
}

impl From<Vault> for Kept {
    fn from(vault: Vault) -> Self {
        vault.kept
    }
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vault").field("dir", &self.dir()).finish_non_exhaustive()
    }
}

/// Reads the records in `dir` as they are now, also while another process holds them.
fn look(dir: &Path, unlock: &Unlock) -> Result<Records, VaultError> {
    let mut before = read_file(dir)?;
    loop {
        match decode(dir, unlock, &before) {
            Ok((records, _)) => return Ok(records),
            // Its holder may just have given it another key: then file and key do not fit for a moment.
            Err(VaultError::Unlock(error)) => {
                let now = read_file(dir)?;
                if now == before {
                    return Err(error.into());
                }
                before = now;
            }
            Err(error) => return Err(error),
        }
    }
}

fn file_of(dir: &Path) -> PathBuf {
    dir.join("device.vault")
}

fn read_file(dir: &Path) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    let path = file_of(dir);
    match fs::read(&path) {
        Ok(bytes) => Ok(Zeroizing::new(bytes)),
        // A file where the folder should be holds no device either.
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Err(VaultError::Missing(dir.to_owned()))
        }
        Err(error) => Err(failed(&path, &error)),
    }
}

/// Returns the records of a file, and what it is locked with unless it is one of before.
fn decode(
    dir: &Path,
    unlock: &Unlock,
    file: &[u8],
) -> Result<(Records, Option<(Header, VaultKey)>), VaultError> {
    let damaged = |what| VaultError::Damaged { path: file_of(dir), what };
    if plain::is_plain(file) {
        return Ok((plain::decode(file).map_err(damaged)?, None));
    }
    let sealed = Sealed::parse(file).map_err(damaged)?;
    let (key, records) = unlock.open(dir, &sealed)?;
    Ok((records, Some((sealed.header, key))))
}

fn failed(path: &Path, error: &io::Error) -> VaultError {
    VaultError::Io { path: path.to_owned(), reason: error.to_string() }
}
