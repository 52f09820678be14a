//! What two histories agree on: the removals of each, the additions of none.

use super::{CameraGeneration, DeviceEntry, DeviceList, Rights, Role};
use crate::id::DeviceId;

/// Returns what `lists`, rivals of one version, agree on, also with the list `before` them: devices that all
/// of them name, each with the least that any of them gives it. `None` when there is no list.
pub(super) fn agreed(before: Option<&DeviceList>, lists: &[&DeviceList]) -> Option<DeviceList> {
    let (first, rest) = lists.split_first()?;
    let mut agreed = (*first).clone();
    for other in rest.iter().copied().chain(before) {
        agreed.devices =
            agreed.devices.iter().filter_map(|entry| least(entry, other.device(entry.device)?)).collect();
    }
    for other in rest {
        agreed.issued_at = agreed.issued_at.max(other.issued_at);
        for generation in &other.generations {
            keep_highest(&mut agreed.generations, *generation);
        }
    }
    leave_out_unlisted_cameras(&mut agreed.devices);
    Some(agreed)
}

/// Returns the entry that gives no more than either of two, `None` when they are not of one device or
/// have no time in common.
fn least(one: &DeviceEntry, other: &DeviceEntry) -> Option<DeviceEntry> {
    let same = one.mls_public == other.mls_public
        && one.enrol_public == other.enrol_public
        && (one.role == Role::Camera) == (other.role == Role::Camera);
    if !same {
        return None;
    }
    let not_before = one.not_before.max(other.not_before);
    let not_after = [one.not_after, other.not_after].into_iter().flatten().min();
    if not_after.is_some_and(|end| end <= not_before) {
        return None;
    }
    let cameras = match (&one.cameras, &other.cameras) {
        (Some(cameras), Some(others)) => {
            Some(cameras.iter().copied().filter(|camera| others.contains(camera)).collect())
        }
        (Some(cameras), None) | (None, Some(cameras)) => Some(cameras.clone()),
        (None, None) => None,
    };
    let role = least_role(one.role, other.role);
    Some(DeviceEntry {
        role,
        not_before,
        not_after,
        cameras,
        rights: Rights::from_bits(one.rights.bits() & other.rights.bits()).unwrap_or(Rights::NONE),
        ..one.clone()
    })
}

fn least_role(one: Role, other: Role) -> Role {
    let rank = |role| match role {
        Role::Camera | Role::Admin => 2,
        Role::Viewer => 1,
        Role::Guest => 0,
    };
    if rank(one) <= rank(other) { one } else { other }
}

fn keep_highest(generations: &mut Vec<CameraGeneration>, other: CameraGeneration) {
    match generations.binary_search_by_key(&other.camera, |entry| entry.camera) {
        Ok(at) => generations[at].generation = generations[at].generation.max(other.generation),
        Err(at) => generations.insert(at, other),
    }
}

fn leave_out_unlisted_cameras(devices: &mut [DeviceEntry]) {
    let cameras: Vec<DeviceId> =
        devices.iter().filter(|entry| entry.role == Role::Camera).map(|entry| entry.device).collect();
    for named in devices.iter_mut().filter_map(|entry| entry.cameras.as_mut()) {
        named.retain(|camera| cameras.contains(camera));
    }
}
