//! What a list must satisfy by itself, and what it must satisfy as the successor of another.

use std::collections::HashSet;

use ed25519_dalek::VerifyingKey;

use super::{
    DeviceEntry, DeviceList, ListError, MAX_DEVICES, MAX_GENERATIONS, MAX_GUEST_SECONDS, MAX_LABEL_BYTES,
    Reason, Rights, Role, Signer,
};
use crate::id::DeviceId;

/// Checks a list by itself: order, bounds, keys, and the limits of each role.
pub(super) fn check_content(list: &DeviceList) -> Result<(), ListError> {
    if list.devices.len() > MAX_DEVICES || list.generations.len() > MAX_GENERATIONS {
        return Err(ListError::TooManyDevices);
    }
    ascending(list.devices.iter().map(|entry| entry.device))?;
    ascending(list.generations.iter().map(|entry| entry.camera))?;
    check_keys(&list.devices)?;
    for entry in &list.devices {
        check_entry(list, entry)?;
    }
    if !list.devices.iter().any(|entry| entry.role == Role::Admin) {
        return Err(ListError::NoAdmin);
    }
    Ok(())
}

/// Checks that a list may follow another: time, signer, identities, and generations that only rise.
pub(super) fn check_successor(list: &DeviceList, last: &DeviceList) -> Result<(), ListError> {
    if list.issued_at < last.issued_at {
        return Err(ListError::TimeRunsBackwards);
    }
    check_signer(list, last)?;
    for entry in &list.devices {
        if let Some(before) = last.device(entry.device) {
            let same_kind = (entry.role == Role::Camera) == (before.role == Role::Camera);
            if !same_kind
                || entry.mls_public != before.mls_public
                || entry.enrol_public != before.enrol_public
            {
                return Err(ListError::ChangedIdentity(entry.device));
            }
        }
    }
    for before in &last.generations {
        let now = list.last_generation(before.camera).ok_or(ListError::GenerationMissing(before.camera))?;
        let listed_anew = list.device(before.camera).is_some() && last.device(before.camera).is_none();
        if now < before.generation || (listed_anew && now == before.generation) {
            return Err(ListError::GenerationNotRaised(before.camera));
        }
    }
    Ok(())
}

/// Checks that the signer was allowed to sign `list` by what `last` says.
pub(super) fn check_signer(list: &DeviceList, last: &DeviceList) -> Result<(), ListError> {
    match list.signer {
        Signer::Root if list.reason == Reason::Recovered => Ok(()),
        Signer::Root => Err(ListError::RootOutOfPlace),
        Signer::Device(_) if matches!(list.reason, Reason::Recovered | Reason::Founded) => {
            Err(ListError::RootOutOfPlace)
        }
        Signer::Device(id) => {
            let signer = last.device(id).ok_or(ListError::UnknownSigner)?;
            if signer.role != Role::Admin {
                return Err(ListError::SignerNotAdmin);
            }
            if !signer.valid_at(list.issued_at) {
                return Err(ListError::SignerExpired);
            }
            Ok(())
        }
    }
}

fn check_entry(list: &DeviceList, entry: &DeviceEntry) -> Result<(), ListError> {
    let device = entry.device;
    if entry.label.len() > MAX_LABEL_BYTES {
        return Err(ListError::LabelTooLong(device));
    }
    if entry.not_after.is_some_and(|end| end <= entry.not_before) {
        return Err(ListError::BadLifetime(device));
    }
    if let Some(cameras) = &entry.cameras {
        ascending(cameras.iter().copied())?;
        let listed = |camera: &DeviceId| list.device(*camera).is_some_and(|found| found.role == Role::Camera);
        if !cameras.iter().all(listed) {
            return Err(ListError::UnknownCamera(device));
        }
    }
    match entry.role {
        Role::Camera => {
            if entry.rights != Rights::NONE || entry.cameras.is_some() || entry.not_after.is_some() {
                return Err(ListError::CameraWithRights(device));
            }
            list.last_generation(device).ok_or(ListError::GenerationMissing(device))?;
        }
        Role::Admin => {
            if entry.cameras.is_some() || entry.not_after.is_some() {
                return Err(ListError::LimitedAdmin(device));
            }
        }
        Role::Viewer => {}
        Role::Guest => {
            let stays = entry.not_after.map(|end| end - entry.not_before);
            if entry.cameras.is_none() || stays.is_none_or(|seconds| seconds > MAX_GUEST_SECONDS) {
                return Err(ListError::UnlimitedGuest(device));
            }
        }
    }
    Ok(())
}

fn check_keys(devices: &[DeviceEntry]) -> Result<(), ListError> {
    let mut seen = HashSet::with_capacity(devices.len() * 2);
    for entry in devices {
        let usable = VerifyingKey::from_bytes(&entry.mls_public).is_ok_and(|key| !key.is_weak())
            && !SMALL_ORDER_U.contains(&entry.enrol_public);
        if !usable {
            return Err(ListError::BadKey(entry.device));
        }
        if !seen.insert(entry.mls_public) || !seen.insert(entry.enrol_public) {
            return Err(ListError::KeyTwice);
        }
    }
    Ok(())
}

fn ascending(ids: impl Iterator<Item = DeviceId>) -> Result<(), ListError> {
    let mut last = None;
    for id in ids {
        if last.is_some_and(|last| last >= id) {
            return Err(ListError::IdsNotAscending);
        }
        last = Some(id);
    }
    Ok(())
}

/// X25519 public keys that lead to an all-zero shared secret (RFC 7748 section 6.1): 0 and 1.
const SMALL_ORDER_U: [[u8; 32]; 2] = {
    let mut one = [0; 32];
    one[0] = 1;
    [[0; 32], one]
};
