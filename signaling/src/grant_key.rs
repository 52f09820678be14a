//! The key that signs grants: made at the first start, kept in a file that only the server's user can read.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use latchkey_api::encoding::{from_text, to_text};
use latchkey_wire::grant::{GrantSigner, SignError};
use zeroize::Zeroizing;

/// Reads the signing key of the folder, or makes one.
///
/// # Errors
/// [`GrantKeyError`], naming the file.
pub(crate) fn load_or_make(folder: &Path) -> Result<GrantSigner, GrantKeyError> {
    let path = folder.join(FILE);
    let seed = match fs::read_to_string(&path) {
        Ok(text) => read(&path, &Zeroizing::new(text))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => make(&path)?,
        Err(source) => return Err(GrantKeyError::File { path, source }),
    };
    GrantSigner::from_seed(KEY_ID, &seed).map_err(GrantKeyError::from)
}

/// Why there is no key to sign grants with. The operator's or the system's fault.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GrantKeyError {
    /// The file cannot be read or written.
    #[error("cannot use the grant signing key {path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others than the server's user may read it.
    #[error("the grant signing key {path} can be read by others: chmod 600 {path}")]
    ReadableByOthers {
        /// The file.
        path: PathBuf,
    },
    /// It holds no key.
    #[error("{path} holds no grant signing key: restore it, or delete it and a new one is made")]
    Malformed {
        /// The file.
        path: PathBuf,
    },
    /// The back end refused the key.
    #[error(transparent)]
    Key(#[from] SignError),
}

fn read(path: &Path, text: &str) -> Result<Zeroizing<[u8; 32]>, GrantKeyError> {
    let file = |source| GrantKeyError::File { path: path.to_owned(), source };
    if fs::metadata(path).map_err(file)?.permissions().mode() & 0o077 != 0 {
        return Err(GrantKeyError::ReadableByOthers { path: path.to_owned() });
    }
    let malformed = || GrantKeyError::Malformed { path: path.to_owned() };
    let bytes = Zeroizing::new(from_text(text.trim()).map_err(|_| malformed())?);
    let seed = <[u8; 32]>::try_from(bytes.as_slice()).map_err(|_| malformed())?;
    Ok(Zeroizing::new(seed))
}

/// Written aside and renamed, so that a power cut leaves a whole key or none.
fn make(path: &Path) -> Result<Zeroizing<[u8; 32]>, GrantKeyError> {
    let file = |source| GrantKeyError::File { path: path.to_owned(), source };
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *seed).map_err(|error| file(io::Error::other(error.to_string())))?;
    let aside = path.with_extension("new");
    let text = Zeroizing::new(to_text(&*seed));
    let write = || -> io::Result<()> {
        match fs::remove_file(&aside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut out = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside)?;
        writeln!(out, "{}", text.as_str())?;
        out.sync_all()?;
        fs::rename(&aside, path)
    };
    write().map_err(file)?;
    Ok(seed)
}

const FILE: &str = "grant-signing.key";
const KEY_ID: &str = "signaling-1";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn refused(folder: &Path) -> GrantKeyError {
        load_or_make(folder).err().unwrap()
    }

    #[test]
    fn made_once_private_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let first = load_or_make(folder.path()).unwrap().public_key();
        let mode = fs::metadata(folder.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(load_or_make(folder.path()).unwrap().public_key(), first);
        let elsewhere = tempfile::tempdir().unwrap();
        assert_ne!(load_or_make(elsewhere.path()).unwrap().public_key(), first);
    }

    #[test]
    fn a_file_that_others_read_or_that_holds_no_key_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        load_or_make(folder.path()).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(refused(folder.path()), GrantKeyError::ReadableByOthers { .. }));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "short").unwrap();
        assert!(matches!(refused(folder.path()), GrantKeyError::Malformed { .. }));
    }
}
