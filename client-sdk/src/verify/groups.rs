//! The cameras' groups as this device has them: whether exactly those are in them that the list entitles.

use std::collections::BTreeSet;

use latchkey_api::device_list::{Right, Role};
use latchkey_api::id::DeviceId;
use latchkey_e2ee::group::Member;

use crate::home::Home;
use crate::signaling::unix_seconds;
use crate::verify::{Report, Verdict};

/// Checks every group this device is in.
pub(super) fn check(home: &Home, report: &mut Report) {
    let Ok(list) = home.list() else { return };
    let cameras: Vec<DeviceId> =
        list.cameras().map(|entry| entry.device).filter(|camera| *camera != home.device()).collect();
    if home.role().is_ok_and(|role| role == Role::Camera) {
        return report.add("groups", Verdict::Open, "a camera checks its own group at each change");
    }
    for camera in cameras {
        check_group(home, camera, report);
    }
}

fn check_group(home: &Home, camera: DeviceId, report: &mut Report) {
    let name = format!("{:?}", home.name_of(camera));
    let Some(stored) = home.vault().record(&format!("group/{camera}")) else {
        let text = format!("this device has not been let into the group of {name} yet");
        return report.add("groups", Verdict::Open, text);
    };
    let member = match Member::restore(stored, home.chain()) {
        Ok(member) => member,
        Err(error) => {
            return report.add(
                "groups",
                Verdict::Wrong,
                format!("the group of {name} cannot be read: {error}"),
            );
        }
    };
    if member.is_removed() || member.is_closed(home.chain()) {
        let text = format!("the group of {name} that this device was in is over");
        return report.add("groups", Verdict::Open, text);
    }
    let named = member.list();
    if home.chain().at(named.list.version).is_none_or(|list| list.version() != named.list) {
        let text =
            format!("the group of {name} rests on a device list that is not of this household's chain");
        return report.add("groups", Verdict::Wrong, text);
    }
    let members: BTreeSet<DeviceId> = member.members().into_iter().map(|(_, device)| device).collect();
    match strangers(home, camera, named.list.version, named.time, &members).first() {
        Some(stranger) => {
            let text = format!(
                "{} is in the group of {name}, but list {} does not let it see",
                home.name_of(*stranger),
                named.list.version
            );
            report.add("groups", Verdict::Wrong, text);
        }
        None => {
            let head = home.list().map_or(0, |list| list.version);
            let lag = match head - named.list.version.min(head) {
                0 => String::new(),
                behind => format!(
                    ", {behind} lists behind the newest: the camera has not made that change yet, or this device has not read it"
                ),
            };
            let text = format!(
                "the group of {name} (epoch {}) has {} members, all of them entitled by list {}{lag}",
                member.epoch(),
                members.len(),
                named.list.version
            );
            report.add("groups", Verdict::Good, text);
        }
    }
    let now = unix_seconds();
    let gone: Vec<String> = strangers(home, camera, u64::MAX, now, &members)
        .into_iter()
        .map(|device| format!("{:?}", home.name_of(device)))
        .collect();
    if !gone.is_empty() {
        let text = format!(
            "removal pending in the group of {name}: {} may see no more, but the camera has not changed its keys yet as far as this device knows",
            gone.join(", ")
        );
        report.add("groups", Verdict::Open, text);
    }
}

/// The members that a list does not entitle at a time; [`u64::MAX`] means by what the household agrees on now.
fn strangers(
    home: &Home,
    camera: DeviceId,
    version: u64,
    at: u64,
    members: &BTreeSet<DeviceId>,
) -> Vec<DeviceId> {
    let list = match version {
        u64::MAX => home.chain().effective(),
        version => home.chain().at(version).map(|list| list.list()),
    };
    let Some(list) = list else { return members.iter().copied().collect() };
    let entitled = |device: &DeviceId| *device == camera || list.may(*device, Right::See, camera, at);
    members.iter().copied().filter(|device| !entitled(device)).collect()
}
