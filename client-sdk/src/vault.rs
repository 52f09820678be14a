//! Where a device's secrets rest: one file, readable by its owner only, replaced as a whole or not at all.
//!
//! ```text
//! "latchkey vault 1\n" | record ... | SHA-256 of all before (32)
//! record = name length u16 | name | value length u32 | value          integers big endian
//! ```
//!
//! A vault is held by one process at a time. State is saved before what it answers for is sent: a crash
//! in between costs a repeated request, never a key used twice.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// The secrets of one device, in memory and on disk.
pub struct Vault {
    dir: PathBuf,
    records: Records,
    /// Held as long as the vault is; `None` for a look without the right to write.
    lock: Option<File>,
}

type Records = BTreeMap<String, Zeroizing<Vec<u8>>>;

/// Why a vault cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VaultError {
    /// No device lives there.
    #[error("there is no device in {}: run `latchkey household create` or `latchkey join` first, or name the right folder with --home", .0.display())]
    Missing(PathBuf),
    /// A device lives there already.
    #[error("{} already holds a device: name another folder with --home", .0.display())]
    Occupied(PathBuf),
    /// Another process holds it.
    #[error("{} is in use by another latchkey process: stop that one first, or name another folder with --home", .0.display())]
    InUse(PathBuf),
    /// The file is not a vault, or was changed.
    #[error("{} is damaged ({what}): restore it from a backup, or remove this device and join again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The operating system refused.
    #[error("cannot use {}: {reason}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system says.
        reason: String,
    },
    /// The vault was opened to look only.
    #[error("{} was opened to read only", .0.display())]
    ReadOnly(PathBuf),
}

impl Vault {
    /// Makes an empty vault in `dir`, which is created when missing; nothing is written before [`Vault::save`].
    ///
    /// Fails with [`VaultError::Occupied`] when there is one, [`VaultError::InUse`], [`VaultError::Io`].
    pub fn create(dir: &Path) -> Result<Self, VaultError> {
        create_private_dir(dir)?;
        let lock = lock(dir)?;
        if file_of(dir).exists() {
            return Err(VaultError::Occupied(dir.to_owned()));
        }
        Ok(Self { dir: dir.to_owned(), records: Records::new(), lock: Some(lock) })
    }

    /// Opens the vault in `dir` and holds it.
    ///
    /// Fails with [`VaultError::Missing`], [`VaultError::InUse`], [`VaultError::Damaged`], [`VaultError::Io`].
    pub fn open(dir: &Path) -> Result<Self, VaultError> {
        if !file_of(dir).exists() {
            return Err(VaultError::Missing(dir.to_owned()));
        }
        let lock = lock(dir)?;
        Ok(Self { dir: dir.to_owned(), records: load(dir)?, lock: Some(lock) })
    }

    /// Reads the vault in `dir` as it is now, also while another process holds it. It cannot be saved.
    ///
    /// Fails like [`Vault::open`], but never with [`VaultError::InUse`].
    pub fn look(dir: &Path) -> Result<Self, VaultError> {
        if !file_of(dir).exists() {
            return Err(VaultError::Missing(dir.to_owned()));
        }
        Ok(Self { dir: dir.to_owned(), records: load(dir)?, lock: None })
    }

    /// Returns whether the vault was opened to look only.
    pub fn is_read_only(&self) -> bool {
        self.lock.is_none()
    }

    /// Takes a vault away that was begun in vain. What cannot be deleted stays.
    pub(crate) fn discard(dir: &Path) {
        let _ = fs::remove_file(file_of(dir));
        let _ = fs::remove_file(dir.join("device.vault.new"));
        let _ = fs::remove_file(dir.join("device.lock"));
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
    /// Fails with [`VaultError::Io`], the old file then being untouched, or [`VaultError::ReadOnly`].
    pub fn save(&self) -> Result<(), VaultError> {
        if self.lock.is_none() {
            return Err(VaultError::ReadOnly(self.dir.clone()));
        }
        let path = file_of(&self.dir);
        let io = |error: io::Error| VaultError::Io { path: path.clone(), reason: error.to_string() };
        let bytes = encode(&self.records);
        let draft = self.dir.join("device.vault.new");
        let mut file = private_file(&draft).map_err(io)?;
        file.write_all(&bytes).and_then(|()| file.sync_all()).map_err(io)?;
        fs::rename(&draft, &path).map_err(io)?;
        // The rename itself must last too.
        File::open(&self.dir).and_then(|dir| dir.sync_all()).map_err(io)
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

fn lock(dir: &Path) -> Result<File, VaultError> {
    let path = dir.join("device.lock");
    let io = |error: io::Error| VaultError::Io { path: path.clone(), reason: error.to_string() };
    let file = private_file(&path).map_err(io)?;
    let deadline = Instant::now() + LOCK_PATIENCE;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(fs::TryLockError::WouldBlock) if Instant::now() < deadline => std::thread::sleep(LOCK_PAUSE),
            Err(fs::TryLockError::WouldBlock) => return Err(VaultError::InUse(dir.to_owned())),
            Err(fs::TryLockError::Error(error)) => return Err(io(error)),
        }
    }
}

/// A child that this process is just starting holds the lock too, until it has become another program.
const LOCK_PATIENCE: Duration = Duration::from_millis(200);
const LOCK_PAUSE: Duration = Duration::from_millis(5);

fn load(dir: &Path) -> Result<Records, VaultError> {
    let path = file_of(dir);
    let bytes =
        fs::read(&path).map_err(|error| VaultError::Io { path: path.clone(), reason: error.to_string() })?;
    let bytes = Zeroizing::new(bytes);
    decode(&bytes).map_err(|what| VaultError::Damaged { path, what })
}

fn encode(records: &Records) -> Zeroizing<Vec<u8>> {
    let size: usize = records.iter().map(|(name, value)| 6 + name.len() + value.len()).sum();
    // Sized at once: a vector that grows leaves copies of secrets behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAGIC.len() + size + 32));
    bytes.extend_from_slice(MAGIC);
    for (name, value) in records {
        let name_len = u16::try_from(name.len()).expect("record names are short constants and ids");
        let value_len = u32::try_from(value.len()).expect("a record is far below 4 GiB");
        bytes.extend_from_slice(&name_len.to_be_bytes());
        bytes.extend_from_slice(name.as_bytes());
        bytes.extend_from_slice(&value_len.to_be_bytes());
        bytes.extend_from_slice(value);
    }
    let digest = Sha256::digest(bytes.as_slice());
    bytes.extend_from_slice(&digest);
    bytes
}

fn decode(bytes: &[u8]) -> Result<Records, &'static str> {
    let body = bytes.strip_prefix(MAGIC).ok_or("it is not a vault of this version")?;
    let (mut rest, digest) = body.split_last_chunk::<32>().ok_or("it is cut off")?;
    let whole = &bytes[..bytes.len() - 32];
    if Sha256::digest(whole).as_slice() != digest {
        return Err("its checksum is wrong");
    }
    let mut records = Records::new();
    while !rest.is_empty() {
        let (name, after) = take::<2>(rest)?;
        let (value, after) = take::<4>(after)?;
        let name = std::str::from_utf8(name).map_err(|_| "a name is not text")?;
        records.insert(name.to_owned(), Zeroizing::new(value.to_vec()));
        rest = after;
    }
    Ok(records)
}

/// Splits off one value with an `N`-byte length in front.
fn take<const N: usize>(bytes: &[u8]) -> Result<(&[u8], &[u8]), &'static str> {
    let (length, rest) = bytes.split_first_chunk::<N>().ok_or("it is cut off")?;
    let length = length.iter().fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte));
    rest.split_at_checked(length).ok_or("it is cut off")
}

fn create_private_dir(dir: &Path) -> Result<(), VaultError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder.create(dir).map_err(|error| VaultError::Io { path: dir.to_owned(), reason: error.to_string() })
}

fn private_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.open(path)
}

const MAGIC: &[u8] = b"latchkey vault 1\n";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn secret(bytes: &[u8]) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(bytes.to_vec())
    }

    #[test]
    fn records_come_back_and_are_private() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("home");
        let mut vault = Vault::create(&home).unwrap();
        vault.put("identity", secret(&[7; 64]));
        vault.put("group/a", secret(b""));
        vault.save().unwrap();
        vault.put("identity", secret(&[8; 64]));
        vault.save().unwrap();
        drop(vault);

        let vault = Vault::open(&home).unwrap();
        assert_eq!(vault.record("identity"), Some([8; 64].as_slice()));
        assert_eq!(vault.names("group/").collect::<Vec<_>>(), ["group/a"]);
        assert_eq!(vault.record("none"), None);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(file_of(&home)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
            assert_eq!(fs::metadata(&home).unwrap().permissions().mode() & 0o777, 0o700);
        }
    }

    #[test]
    fn two_holders_refuse_each_other_and_a_look_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let vault = Vault::create(dir.path()).unwrap();
        vault.save().unwrap();
        assert_eq!(Vault::open(dir.path()).unwrap_err(), VaultError::InUse(dir.path().to_owned()));
        let look = Vault::look(dir.path()).unwrap();
        assert_eq!(look.save().unwrap_err(), VaultError::ReadOnly(dir.path().to_owned()));
        drop(vault);
        Vault::open(dir.path()).unwrap();
    }

    #[test]
    fn a_second_device_is_not_put_over_the_first() {
        let dir = tempfile::tempdir().unwrap();
        Vault::create(dir.path()).unwrap().save().unwrap();
        assert_eq!(Vault::create(dir.path()).unwrap_err(), VaultError::Occupied(dir.path().to_owned()));
        let empty = dir.path().join("empty");
        assert_eq!(Vault::open(&empty).unwrap_err(), VaultError::Missing(empty));
    }

    #[test]
    fn any_changed_byte_is_noticed() {
        let mut records = Records::new();
        records.insert("identity".to_owned(), secret(&[7; 40]));
        let good = encode(&records);
        assert_eq!(decode(&good).unwrap(), records);
        for at in 0..good.len() {
            let mut bad = good.to_vec();
            bad[at] ^= 1;
            assert!(decode(&bad).is_err(), "byte {at}");
            assert!(decode(&good[..at]).is_err(), "cut at {at}");
        }
    }
}
