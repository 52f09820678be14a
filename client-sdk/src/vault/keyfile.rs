//! A vault's key in a file: readable by its owner only, refused when others may read it.
//!
//! ```text
//! "latchkey vault key 1\n" | id of the vault (16) | key (32)
//! ```
//!
//! A new key waits as `NAME.new` until the vault that it opens is in place; whoever crashes in between leaves
//! both, and the id tells which one is meant.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use zeroize::Zeroizing;

use crate::vault::disk;
use crate::vault::error::UnlockError;
use crate::vault::header::VaultId;
use crate::vault::sealed::VaultKey;

/// Returns the key of vault `id` from the file, or from its draft when a crash has left it there.
pub(super) fn read(path: &Path, id: VaultId) -> Result<VaultKey, UnlockError> {
    let refused = match read_one(path, id) {
        Ok(key) => return Ok(key),
        Err(refused) => refused,
    };
    read_one(&disk::draft_of(path), id).map_err(|_| refused)
}

/// Refuses a place where a key file is that belongs to another vault than `own`.
pub(super) fn check_free(path: &Path, own: Option<VaultId>) -> Result<(), UnlockError> {
    let taken = UnlockError::KeyFileTaken(path.to_owned());
    match (path.try_exists(), own) {
        (Ok(false), _) => Ok(()),
        (Ok(true), None) => Err(taken),
        (Ok(true), Some(own)) => match read_one(path, own) {
            Ok(_) | Err(UnlockError::KeyFileExposed(_)) => Ok(()),
            Err(_) => Err(taken),
        },
        (Err(error), _) => Err(failed(path, &error)),
    }
}

/// Writes a new key beside its place, down to the disk.
pub(super) fn prepare(path: &Path, id: VaultId, key: &VaultKey) -> Result<(), UnlockError> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(LENGTH));
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&id.0);
    bytes.extend_from_slice(key.0.as_slice());
    disk::write_draft(&disk::draft_of(path), &bytes)
        .and_then(|()| disk::sync_folder_of(path))
        .map_err(|error| failed(path, &error))
}

/// Puts the key of vault `id` in its place, if it still waits beside it.
pub(super) fn settle(path: &Path, id: VaultId) -> Result<(), UnlockError> {
    let draft = disk::draft_of(path);
    match read_one(&draft, id) {
        Ok(_) => disk::put_in_place(&draft, path).map_err(|error| failed(path, &error)),
        Err(_) => Ok(()),
    }
}

/// Takes the key of vault `id` away, in its place and beside it. Other files, and what cannot be deleted, stay.
pub(super) fn forget(path: &Path, id: VaultId) {
    for path in [path.to_owned(), disk::draft_of(path)] {
        if matches!(read_one(&path, id), Ok(_) | Err(UnlockError::KeyFileExposed(_))) {
            let _ = std::fs::remove_file(path);
        }
    }
}

fn read_one(path: &Path, id: VaultId) -> Result<VaultKey, UnlockError> {
    let mut file = File::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => UnlockError::KeyFileMissing(path.to_owned()),
        _ => failed(path, &error),
    })?;
    // One more than it has, to notice when it is longer.
    let mut bytes = Zeroizing::new([0; LENGTH + 1]);
    let length = fill(&mut file, bytes.as_mut_slice()).map_err(|error| failed(path, &error))?;
    let damaged = || UnlockError::KeyFileDamaged(path.to_owned());
    let content = bytes[..length].strip_prefix(MAGIC).ok_or_else(damaged)?;
    let (of, key) = content.split_first_chunk::<16>().ok_or_else(damaged)?;
    let mut copy = Zeroizing::new([0; 32]);
    if key.len() != copy.len() {
        return Err(damaged());
    }
    if *of != id.0 {
        return Err(UnlockError::KeyFileForeign(path.to_owned()));
    }
    if is_exposed(&file).map_err(|error| failed(path, &error))? {
        return Err(UnlockError::KeyFileExposed(path.to_owned()));
    }
    copy.copy_from_slice(key);
    Ok(VaultKey(copy))
}

/// Reads until the buffer is full or the file ends; returns how many bytes there were.
fn fill(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match file.read(&mut buffer[length..]) {
            Ok(0) => break,
            Ok(more) => length += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}

#[cfg(unix)]
fn is_exposed(file: &File) -> io::Result<bool> {
    use std::os::unix::fs::PermissionsExt;
    Ok(file.metadata()?.permissions().mode() & 0o077 != 0)
}

/// Where folders of a user are closed to others, so are the files in them.
#[cfg(not(unix))]
fn is_exposed(_: &File) -> io::Result<bool> {
    Ok(false)
}

fn failed(path: &Path, error: &io::Error) -> UnlockError {
    UnlockError::KeyFile { path: path.to_owned(), reason: error.to_string() }
}

const MAGIC: &[u8] = b"latchkey vault key 1\n";
const LENGTH: usize = MAGIC.len() + 16 + 32;
