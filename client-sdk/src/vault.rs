//! Where a device's secrets rest: one encrypted file, replaced as a whole or not at all.
//!
//! A vault is held by one process at a time. State is saved before what it answers for is sent: a crash
//! in between costs a repeated request, never a key used twice. Format, ways to unlock, and what a thief of the disk
//! gets: `client-sdk/docs/vault.md`.

mod disk;
mod error;
mod header;
mod keyfile;
mod keyring;
mod lockbox;
mod passphrase;
mod records;
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

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::vault::header::Header;
use crate::vault::lockbox::Lockbox;
use crate::vault::records::Records;
use crate::vault::sealed::{Sealed, VaultKey};

/// The secrets of one device, in memory and on disk.
pub struct Vault {
    dir: PathBuf,
    records: Records,
    /// `None` for a look without the right to write.
    held: Option<Held>,
}

/// What the holder of a vault has.
struct Held {
    lockbox: Lockbox,
    /// Held as long as the vault is.
    _lock: File,
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
        let held = Held { lockbox, _lock: lock };
        Ok(Self { dir: dir.to_owned(), records: Records::new(), held: Some(held) })
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
        Ok(Self { dir: dir.to_owned(), records, held: Some(Held { lockbox, _lock: lock }) })
    }

    /// Reads the vault in `dir` as it is now, also while another process holds it. It cannot be saved.
    ///
    /// Fails like [`Vault::open`], but never with [`VaultError::InUse`].
    pub fn look(dir: &Path) -> Result<Self, VaultError> {
        Self::look_with(dir, &Unlock::installed())
    }

    /// As [`Vault::look`], with what `unlock` has.
    pub fn look_with(dir: &Path, unlock: &Unlock) -> Result<Self, VaultError> {
        let mut before = read_file(dir)?;
        loop {
            match decode(dir, unlock, &before) {
                Ok((records, _)) => return Ok(Self { dir: dir.to_owned(), records, held: None }),
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

    /// Returns whether the vault was opened to look only.
    pub fn is_read_only(&self) -> bool {
        self.held.is_none()
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
        &self.dir
    }

    /// Returns a record.
    pub fn record(&self, name: &str) -> Option<&[u8]> {
        self.records.get(name).map(|value| value.as_slice())
    }

    /// Returns the names of all records that begin with `prefix`, in order.
    pub fn names<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a str> {
        self.records.keys().map(String::as_str).filter(move |name| name.starts_with(prefix))
    }

    /// Puts a record in place; it reaches the disk with the next [`Vault::save`].
    pub fn put(&mut self, name: &str, value: Zeroizing<Vec<u8>>) {
        self.records.insert(name.to_owned(), value);
    }

    /// Takes a record away; it leaves the disk with the next [`Vault::save`].
    pub fn remove(&mut self, name: &str) {
        self.records.remove(name);
    }

    /// Replaces the file: when this returns, the records are on disk, whatever happens next.
    ///
    /// Fails with [`VaultError::Io`], [`VaultError::Unlock`] where a new key cannot be kept, the old file then being
    /// untouched, or [`VaultError::ReadOnly`].
    pub fn save(&self) -> Result<(), VaultError> {
        let held = self.held.as_ref().ok_or_else(|| VaultError::ReadOnly(self.dir.clone()))?;
        self.write(&held.lockbox)
    }

    /// Locks the vault anew, as `unlock` says, with a new key, and saves it; takes the old key away.
    ///
    /// Fails like [`Vault::create`] and [`Vault::save`]; then the old key goes on unlocking it.
    pub fn change(&mut self, unlock: &Unlock) -> Result<(), VaultError> {
        let read_only = || VaultError::ReadOnly(self.dir.clone());
        let held = self.held.as_ref().ok_or_else(read_only)?;
        let new = unlock.lock_again(&self.dir, &held.lockbox.header)?;
        self.write(&new)?;
        if let Some(held) = &mut self.held {
            let old = std::mem::replace(&mut held.lockbox, new);
            old.forget();
        }
        Ok(())
    }

    fn write(&self, lockbox: &Lockbox) -> Result<(), VaultError> {
        lockbox.prepare()?;
        let path = file_of(&self.dir);
        let bytes = sealed::seal(&lockbox.header, &lockbox.key, &self.records);
        disk::replace(&path, &bytes).map_err(|error| failed(&path, &error))?;
        lockbox.settle();
        Ok(())
    }
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vault").field("dir", &self.dir).finish_non_exhaustive()
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
    if records::is_plain(file) {
        return Ok((records::decode_plain(file).map_err(damaged)?, None));
    }
    let sealed = Sealed::parse(file).map_err(damaged)?;
    let (key, records) = unlock.open(dir, &sealed)?;
    Ok((records, Some((sealed.header, key))))
}

fn failed(path: &Path, error: &io::Error) -> VaultError {
    VaultError::Io { path: path.to_owned(), reason: error.to_string() }
}
