//! What can be said of a vault without unlocking it.

use std::path::{Path, PathBuf};

use crate::vault::error::VaultError;
use crate::vault::header::{Cost, Method, Way};
use crate::vault::sealed::Sealed;
use crate::vault::{file_of, plain, read_file};

/// What a vault's file says to everybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The file.
    pub file: PathBuf,
    /// What unlocks it; `None` for a file of before, which is not encrypted until it is next saved.
    pub method: Option<Method>,
    /// The user name of its entry in the keyring, whose service is `latchkey`; for [`Method::Keyring`].
    pub keyring_user: Option<String>,
    /// What a try of a passphrase costs; for [`Method::Passphrase`].
    pub cost: Option<Cost>,
    /// Where its key file is; for [`Method::KeyFile`].
    pub key_file: Option<PathBuf>,
}

/// Reads what the vault in `dir` says to everybody.
///
/// Fails with [`VaultError::Missing`], [`VaultError::Damaged`], [`VaultError::Io`].
pub fn status(dir: &Path) -> Result<Status, VaultError> {
    let bytes = read_file(dir)?;
    let file = file_of(dir);
    let plain = Status { file: file.clone(), method: None, keyring_user: None, cost: None, key_file: None };
    if plain::is_plain(&bytes) {
        return Ok(plain);
    }
    let sealed = Sealed::parse(&bytes).map_err(|what| VaultError::Damaged { path: file, what })?;
    let header = sealed.header;
    Ok(Status {
        method: Some(header.method()),
        keyring_user: (header.way == Way::Keyring).then(|| header.id.to_string()),
        cost: match header.way {
            Way::Passphrase { cost, .. } => Some(cost),
            _ => None,
        },
        key_file: header.key_file(dir),
        ..plain
    })
}
