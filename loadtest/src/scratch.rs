//! Temporary folders of a run: gone when it is over, also where it ends at once.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A temporary folder; dropped, it is removed with all that is in it.
#[derive(Debug)]
pub struct Scratch(PathBuf);

/// The folders that are there; none when no more can be made.
static FOLDERS: Mutex<Option<Vec<PathBuf>>> = Mutex::new(Some(Vec::new()));

impl Scratch {
    /// Makes a folder whose name begins with `prefix`, where the system has temporary files; only this user may look into it.
    ///
    /// # Errors
    /// What the system said.
    pub fn new(prefix: &str) -> io::Result<Self> {
        // Whoever ends the process at once finds it among the folders, or does not find it made.
        let mut folders = FOLDERS.lock().unwrap_or_else(PoisonError::into_inner);
        let folders = folders.as_mut().ok_or_else(|| io::Error::other("this process ends"))?;
        let path = tempfile::Builder::new().prefix(prefix).tempdir()?.keep();
        folders.push(path.clone());
        Ok(Self(path))
    }

    /// Returns where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let mut folders = FOLDERS.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(folders) = folders.as_mut() {
            folders.retain(|folder| *folder != self.0);
            remove(&self.0);
        }
    }
}

/// Removes all that are there, for a process that ends without dropping them; none can be made any more.
pub(crate) fn remove_all() {
    let mut folders = FOLDERS.lock().unwrap_or_else(PoisonError::into_inner);
    for folder in folders.take().unwrap_or_default() {
        remove(&folder);
    }
}

/// What cannot be removed stays: there is nobody to tell. A program that is being killed may write a last file meanwhile.
fn remove(folder: &Path) {
    for _ in 0..ATTEMPTS {
        match std::fs::remove_dir_all(folder) {
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {
                std::thread::sleep(BETWEEN_ATTEMPTS);
            }
            _ => return,
        }
    }
}

/// How often a folder is tried that does not stay empty.
const ATTEMPTS: u32 = 50;
/// How long what fills it is given to end.
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_folder_goes_with_all_that_is_in_it() {
        let (one, other) = (Scratch::new("latchkey-test-").unwrap(), Scratch::new("latchkey-test-").unwrap());
        let (path, another) = (one.path().to_owned(), other.path().to_owned());
        assert!(path != another && path.is_dir());
        std::fs::create_dir(path.join("data")).unwrap();
        std::fs::write(path.join("data/file"), "x").unwrap();
        drop(one);
        assert!(!path.exists() && another.is_dir());
        drop(other);
        assert!(!another.exists());
    }
}
