//! The cameras' groups as this device has them: whether exactly those are in them that the list entitles.

use std::collections::BTreeSet;

use latchkey_api::device_list::{Right, Role};
use latchkey_api::id::DeviceId;
use latchkey_e2ee::group::Member;
use latchkey_e2ee::record::{EpochRecord, RecordChain};

use crate::clock::unix_seconds;
use crate::follower::Follower;
use crate::home::Home;
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
    if let Ok(follower) = Follower::new(home, camera) {
        check_records(home, camera, &member, follower.records(), report);
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

/// The camera's signed records of its epochs: signatures, order, lists, members, and the own group.
fn check_records(home: &Home, camera: DeviceId, member: &Member, records: &RecordChain, report: &mut Report) {
    let name = format!("{:?}", home.name_of(camera));
    let mut before: Option<&EpochRecord> = None;
    let mut count = 0;
    for record in records.records() {
        if let Some(what) = fault(home, camera, member, before, record) {
            let text = format!("the record that {name} signed of epoch {} {what}", record.epoch());
            return report.add("records", Verdict::Wrong, text);
        }
        before = Some(record);
        count += 1;
    }
    match before {
        None => report.add("records", Verdict::Open, format!("no signed record of {name} has come yet")),
        Some(head) => {
            let text = format!(
                "{count} records that {name} signed of its epochs, the last of epoch {} on list {}, agree with the lists and with this device's group",
                head.epoch(),
                head.list().version
            );
            report.add("records", Verdict::Good, text);
        }
    }
}

/// What is wrong with a record, if anything.
fn fault(
    home: &Home,
    camera: DeviceId,
    member: &Member,
    before: Option<&EpochRecord>,
    record: &EpochRecord,
) -> Option<String> {
    let Some(list) = home.chain().at(record.list().version).filter(|list| list.version() == record.list())
    else {
        return Some(format!(
            "rests on a device list {} that is not of this household's chain",
            record.list().version
        ));
    };
    let key = list.list().device(camera).map(|entry| entry.mls_public);
    if key.is_none_or(|key| record.verify(&key).is_err()) {
        return Some("is not signed with the camera's key".to_owned());
    }
    let follows =
        |before: &EpochRecord| record.epoch() > before.epoch() + 1 || record.previous() == before.hash();
    if !before.is_none_or(follows) {
        return Some("does not follow the one before".to_owned());
    }
    let members: BTreeSet<DeviceId> = record.view().members.iter().copied().collect();
    if !members.contains(&camera) {
        return Some("does not name the camera itself".to_owned());
    }
    // The group's own clock is at most as late as the record's.
    let listed = |device: &DeviceId| {
        list.list().device(*device).is_some_and(|entry| *device == camera || entry.holds(Right::See, camera))
    };
    if let Some(stranger) = members.iter().find(|device| !listed(device)) {
        return Some(format!(
            "names {} as a member, which list {} does not let see",
            home.name_of(*stranger),
            list.list().version
        ));
    }
    let same_epoch = record.group() == member.group_id() && record.epoch() == member.epoch();
    let differs = same_epoch && member.view().is_ok_and(|own| record.check(&own).is_err());
    differs.then(|| "is of another group than this device is in".to_owned())
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
