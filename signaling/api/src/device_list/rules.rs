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
            && !is_small_order(&entry.enrol_public);
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

/// Whether an X25519 public key leads to an all-zero shared secret whatever the other key is (RFC 7748 section 6.1).
fn is_small_order(public: &[u8; 32]) -> bool {
    // X25519 does not look at the topmost bit.
    let mut u = *public;
    u[31] &= 0x7F;
    SMALL_ORDER_U.contains(&u)
}

/// All points of small order on Curve25519 and its twist, also in encodings that are not reduced modulo
/// p = 2^255 - 19. Little-endian.
const SMALL_ORDER_U: [[u8; 32]; 7] = [
    near_p(0, 0, 0),
    near_p(1, 0, 0),
    // Order 8.
    [
        0xE0, 0xEB, 0x7A, 0x7C, 0x3B, 0x41, 0xB8, 0xAE, 0x16, 0x56, 0xE3, 0xFA, 0xF1, 0x9F, 0xC4, 0x6A, 0xDA,
        0x09, 0x8D, 0xEB, 0x9C, 0x32, 0xB1, 0xFD, 0x86, 0x62, 0x05, 0x16, 0x5F, 0x49, 0xB8, 0x00,
    ],
    [
        0x5F, 0x9C, 0x95, 0xBC, 0xA3, 0x50, 0x8C, 0x24, 0xB1, 0xD0, 0xB1, 0x55, 0x9C, 0x83, 0xEF, 0x5B, 0x04,
        0x44, 0x5C, 0xC4, 0x58, 0x1C, 0x8E, 0x86, 0xD8, 0x22, 0x4E, 0xDD, 0xD0, 0x9F, 0x11, 0x57,
    ],
    // p - 1, p, p + 1.
    near_p(0xEC, 0xFF, 0x7F),
    near_p(0xED, 0xFF, 0x7F),
    near_p(0xEE, 0xFF, 0x7F),
];

/// The number with these first, middle and last bytes.
const fn near_p(first: u8, middle: u8, last: u8) -> [u8; 32] {
    let mut number = [middle; 32];
    number[0] = first;
    number[31] = last;
    number
}
