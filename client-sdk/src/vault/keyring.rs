//! A vault's key in the keyring of the platform: one entry per vault, asked with a time limit.

use std::sync::mpsc::sync_channel;
use std::time::Duration;

use keyring::{Entry, Error};
use zeroize::Zeroizing;

use crate::vault::error::UnlockError;
use crate::vault::header::VaultId;
use crate::vault::sealed::VaultKey;

/// Returns whether a keyring is likely here: on Linux a session bus is, elsewhere the system has one.
pub(super) fn is_likely() -> bool {
    if cfg!(any(target_os = "macos", target_os = "windows")) {
        return true;
    }
    std::env::var_os("DBUS_SESSION_BUS_ADDRESS").is_some_and(|address| !address.is_empty())
}

/// Puts the key into the keyring and reads it back.
pub(super) fn keep(id: VaultId, key: &VaultKey) -> Result<(), UnlockError> {
    let key = key.clone();
    let kept = within(id, move |entry| {
        entry.set_secret(key.0.as_slice())?;
        let kept = Zeroizing::new(entry.get_secret()?);
        Ok(*kept == key.0.as_slice())
    })?;
    match kept {
        true => Ok(()),
        false => Err(UnlockError::KeyringSilent("it does not keep what it is given".to_owned())),
    }
}

/// Returns the key that the keyring has for this vault.
pub(super) fn fetch(id: VaultId) -> Result<VaultKey, UnlockError> {
    let bytes = within(id, |entry| Ok(Zeroizing::new(entry.get_secret()?)))?;
    let mut key = Zeroizing::new([0; 32]);
    if bytes.len() != key.len() {
        return Err(UnlockError::KeyringForgot(id.to_string()));
    }
    key.copy_from_slice(&bytes);
    Ok(VaultKey(key))
}

/// Takes the key of this vault out of the keyring. Where that fails it stays: it opens nothing any more.
pub(super) fn forget(id: VaultId) {
    let _ = within(id, |entry| entry.delete_credential());
}

/// Does `work` with the entry of this vault on a thread of its own: the keyring may ask a person to unlock it, and it
/// may never answer.
fn within<T: Send + 'static>(
    id: VaultId,
    work: impl FnOnce(&Entry) -> keyring::Result<T> + Send + 'static,
) -> Result<T, UnlockError> {
    let (sender, receiver) = sync_channel(1);
    let asked = std::thread::Builder::new().name("keyring".to_owned()).spawn(move || {
        let done = Entry::new(SERVICE, &id.to_string()).and_then(|entry| work(&entry));
        let _ = sender.send(done.map_err(|error| explain(&error, id)));
    });
    asked.map_err(|error| UnlockError::KeyringSilent(error.to_string()))?;
    receiver.recv_timeout(PATIENCE).unwrap_or_else(|_| {
        Err(UnlockError::KeyringSilent(format!("nothing came for {} s", PATIENCE.as_secs())))
    })
}

fn explain(error: &Error, id: VaultId) -> UnlockError {
    match error {
        Error::NoEntry => UnlockError::KeyringForgot(id.to_string()),
        Error::NoStorageAccess(_) => UnlockError::KeyringLocked,
        Error::NoDefaultStore => match Entry::store_status() {
            Err(Error::PlatformFailure(reason)) => UnlockError::KeyringSilent(reason.to_string()),
            _ => UnlockError::KeyringSilent("there is none".to_owned()),
        },
        // Others show what they hold, which may be a secret.
        Error::PlatformFailure(reason) => UnlockError::KeyringSilent(reason.to_string()),
        _ => UnlockError::KeyringSilent("it holds something else under this name".to_owned()),
    }
}

/// What all entries of this program are filed under.
const SERVICE: &str = "latchkey";
/// How long a keyring may take, a person who unlocks it included.
const PATIENCE: Duration = Duration::from_secs(30);
