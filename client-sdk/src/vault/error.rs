//! Why a vault cannot be used or unlocked, each in one sentence that says what to do.

use std::path::PathBuf;

use latchkey_household::home::HomeError;
use latchkey_household::vault::{RestError, VaultError as KeptError};

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
    /// What unlocks it was not there, or was not the right one.
    #[error(transparent)]
    Unlock(#[from] UnlockError),
}

impl VaultError {
    /// Returns what is wrong with the folder, where that is why a device cannot be used.
    pub fn of(error: &HomeError) -> Option<&Self> {
        match error {
            HomeError::Vault(KeptError::Rest(error)) => error.downcast_ref(),
            _ => None,
        }
    }
}

impl From<VaultError> for HomeError {
    fn from(error: VaultError) -> Self {
        Self::Vault(RestError::new(error).into())
    }
}

/// Why the key of a vault could not be had or kept. The vault itself is untouched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnlockError {
    /// A passphrase is needed, and nobody can be asked for it.
    #[error(
        "this device's keys are locked with a passphrase: run this at a terminal, or name a file that holds it in LATCHKEY_VAULT_PASSPHRASE_FILE (- reads it from standard input)"
    )]
    NoPassphrase,
    /// The passphrase is another one.
    #[error("this is not the passphrase of {}: nothing was changed; try again", .0.display())]
    WrongPassphrase(PathBuf),
    /// A new passphrase that is guessed too easily.
    #[error("the passphrase is too short: take at least {MIN_PASSPHRASE} bytes, better several words")]
    ShortPassphrase,
    /// A new passphrase was typed twice, differently.
    #[error("the two passphrases differ: nothing was changed; try again")]
    PassphrasesDiffer,
    /// Asked for a passphrase, the person pressed Ctrl-C.
    #[error("stopped at the passphrase: nothing was changed")]
    Stopped,
    /// The file with the passphrase, or the terminal, cannot be read.
    #[error("cannot read the passphrase from {from}: {reason}")]
    PassphraseFile {
        /// Where it was to come from.
        from: String,
        /// What is wrong.
        reason: String,
    },
    /// The machine cannot do what the passphrase's parameters ask for.
    #[error("there is not enough memory to check the passphrase: it takes {} MiB", .0 / 1024)]
    Memory(u32),
    /// The key file is not where it should be.
    #[error("the key file {} is not there: put it back, or name where it is with --vault-key-file", .0.display())]
    KeyFileMissing(PathBuf),
    /// Others on the machine may read the key file.
    #[error("others on this machine can read the key file {path}: run `chmod 600 {path}`, and if they may have read it, `latchkey vault change keyfile` afterwards", path = .0.display())]
    KeyFileExposed(PathBuf),
    /// The key file is one of another vault.
    #[error("the key file {} belongs to another vault: put the right one there, or name it with --vault-key-file", .0.display())]
    KeyFileForeign(PathBuf),
    /// The key file is no key file.
    #[error("the key file {} is damaged: restore it from a backup, or remove this device and join again", .0.display())]
    KeyFileDamaged(PathBuf),
    /// A new key file would replace another one.
    #[error("{} is there already and may be the key of another vault: move it away, or name another file with --vault-key-file", .0.display())]
    KeyFileTaken(PathBuf),
    /// The operating system refuses the key file.
    #[error("cannot use the key file {}: {reason}", path.display())]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        reason: String,
    },
    /// There is no keyring, or it fails.
    #[error(
        "the keyring does not answer ({0}): log in to the desktop it belongs to and try again; for a new device --vault passphrase or --vault keyfile does without"
    )]
    KeyringSilent(String),
    /// The keyring is locked and was not unlocked.
    #[error("the keyring is locked: unlock it, as by logging in to the desktop, and try again")]
    KeyringLocked,
    /// The keyring has no key for this vault.
    #[error(
        "the keyring holds no key for this vault (service latchkey, user {0}): log in as who made this device, or restore the keyring from a backup"
    )]
    KeyringForgot(String),
}

/// The shortest new passphrase, in bytes.
pub(super) const MIN_PASSPHRASE: usize = 8;
