//! A vault's key from a passphrase: where it comes from, and argon2id (RFC 9106).

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use argon2::{Algorithm, Argon2, Params, Version};
use zeroize::Zeroizing;

use crate::vault::error::{MIN_PASSPHRASE, UnlockError};
use crate::vault::header::Cost;
use crate::vault::sealed::VaultKey;

/// A passphrase as it was given, without the end of its line; wiped when dropped.
pub type Passphrase = Zeroizing<Vec<u8>>;

/// Somebody who can be asked for a passphrase.
pub trait Asker: Send + Sync {
    /// Shows the sentence and returns what was answered, without showing it.
    ///
    /// Fails with [`UnlockError::Stopped`] when the person gives up, [`UnlockError::PassphraseFile`].
    fn ask(&self, sentence: &str) -> Result<Passphrase, UnlockError>;
}

/// Returns the key that a passphrase gives. Fails with [`UnlockError::Memory`].
pub(super) fn derive(passphrase: &[u8], cost: Cost, salt: &[u8; 16]) -> Result<VaultKey, UnlockError> {
    let memory = |_| UnlockError::Memory(cost.memory_kib);
    let mut key = Zeroizing::new([0; 32]);
    let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(key.len())).map_err(memory)?;
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase, salt, key.as_mut_slice())
        .map_err(memory)?;
    Ok(VaultKey(key))
}

/// Refuses a new passphrase that is guessed too easily.
pub(super) fn check_new(passphrase: &Passphrase) -> Result<(), UnlockError> {
    match passphrase.len() {
        0..MIN_PASSPHRASE => Err(UnlockError::ShortPassphrase),
        _ => Ok(()),
    }
}

/// Reads the first line of a file, or the next one of standard input where the file is `-`.
///
/// Fails with [`UnlockError::PassphraseFile`], also when the line is empty.
pub fn read(path: &Path) -> Result<Passphrase, UnlockError> {
    let named = path.as_os_str() != "-";
    let from = if named { path.display().to_string() } else { "standard input".to_owned() };
    let line = match named {
        true => File::open(path).and_then(line_of),
        false => standard_input().and_then(line_of),
    };
    match line {
        Ok(line) if line.is_empty() => {
            Err(UnlockError::PassphraseFile { from, reason: "its first line is empty".to_owned() })
        }
        Ok(line) => Ok(line),
        Err(error) => Err(UnlockError::PassphraseFile { from, reason: error.to_string() }),
    }
}

/// Reads a line byte by byte: what comes after it is for somebody else.
fn line_of(mut from: File) -> io::Result<Passphrase> {
    let mut line = Zeroizing::new(Vec::with_capacity(LONGEST));
    let mut byte = Zeroizing::new([0; 1]);
    loop {
        match from.read(byte.as_mut_slice()) {
            Ok(0) => break,
            Ok(_) if byte[0] == b'\n' => break,
            Ok(_) if line.len() == LONGEST => {
                return Err(io::Error::other(format!("its first line is longer than {LONGEST} bytes")));
            }
            Ok(_) => line.push(byte[0]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    Ok(line)
}

/// Standard input without the buffer that the standard library puts before it and does not wipe.
#[cfg(unix)]
fn standard_input() -> io::Result<File> {
    use std::os::fd::AsFd;
    Ok(io::stdin().as_fd().try_clone_to_owned()?.into())
}

/// Standard input without the buffer that the standard library puts before it and does not wipe.
#[cfg(windows)]
fn standard_input() -> io::Result<File> {
    use std::os::windows::io::AsHandle;
    Ok(io::stdin().as_handle().try_clone_to_owned()?.into())
}

/// The longest passphrase, in bytes.
const LONGEST: usize = 1024;
