//! Leaves key packages at the server, so that cameras can let this device in while it sleeps.

use std::time::SystemTime;

use latchkey_api::device_list::Role;
use latchkey_e2ee::group::{GroupError, KeyPackages};

use crate::clock;
use crate::home::{Home, HomeError};
use crate::signaling::Signaling;

/// Makes and leaves key packages, unless this device is a camera: a camera joins nobody.
pub(crate) async fn leave(home: &mut Home, signaling: &Signaling) -> Result<(), HomeError> {
    if home.role()? == Role::Camera {
        return Ok(());
    }
    let mut shelf = load(home)?;
    top_up(home, signaling, &mut shelf).await
}

/// Reads the secrets of the key packages left so far.
pub(crate) fn load(home: &Home) -> Result<KeyPackages, HomeError> {
    match home.vault().record(RECORD) {
        Some(bytes) => KeyPackages::restore(bytes).map_err(|_| HomeError::Record(RECORD)),
        None => Ok(KeyPackages::new()),
    }
}

/// Saves the secrets.
pub(crate) fn save(home: &mut Home, shelf: &KeyPackages) -> Result<(), HomeError> {
    home.vault_mut().put(RECORD, shelf.save());
    Ok(home.vault().save()?)
}

/// Leaves a new batch where the server says that few are left. Everything that follows a group hears that at once: one of
/// them leaves them, and the others find them there. More would push out last-resort packages that cameras use.
pub(crate) async fn top_up_if_few(home: &mut Home, signaling: &Signaling) -> Result<(), HomeError> {
    if signaling.key_packages_left().await? > FEW {
        return Ok(());
    }
    let mut shelf = load(home)?;
    top_up(home, signaling, &mut shelf).await
}

/// Leaves a new batch and a new last-resort package. Their secrets are saved first.
pub(crate) async fn top_up(
    home: &mut Home,
    signaling: &Signaling,
    shelf: &mut KeyPackages,
) -> Result<(), HomeError> {
    let now = clock::now();
    let made = make(home, shelf, now);
    let (packages, last_resort) = made.map_err(|_| HomeError::Record(RECORD))?;
    save(home, shelf)?;
    signaling.publish_key_packages(packages, Some(last_resort)).await?;
    Ok(())
}

fn make(
    home: &Home,
    shelf: &mut KeyPackages,
    now: SystemTime,
) -> Result<(Vec<Vec<u8>>, Vec<u8>), GroupError> {
    let mut packages = Vec::with_capacity(BATCH);
    for _ in 0..BATCH {
        packages.push(shelf.generate(home.identity(), home.chain(), now)?);
    }
    let last_resort = shelf.generate_last_resort(home.identity(), home.chain(), now)?;
    Ok((packages, last_resort))
}

/// Key packages left at once: enough for as many cameras, with the last-resort one behind them.
const BATCH: usize = 8;
/// The server tells when there are no more than these.
const FEW: u32 = 3;
/// Record of the secrets.
const RECORD: &str = "key-packages";
