//! What a new device list changes in the household, in words for people and a code for programs.

use latchkey_api::device_list::{DeviceEntry, DeviceList, Reason, Right, Role};
use serde::Serialize;

use crate::names::Names;

/// One change of the household, as every device tells it when it sees the list.
///
/// As JSON it is `{"code":"device-removed","text":"…","list_version":4}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Notice {
    /// The stable name of the kind of change.
    pub code: &'static str,
    /// What changed and by whom, in one sentence.
    pub text: String,
    /// The list that says so.
    pub list_version: u64,
}

/// Returns what `list` changes after `before`, in the order: recovery, joined histories, removed, added, changed.
pub(crate) fn of_change(names: Names<'_>, before: &DeviceList, list: &DeviceList) -> Vec<Notice> {
    let by = names.signer(list.signer);
    let notice = |code, text| Notice { code, text, list_version: list.version };
    let mut notices = Vec::new();
    match list.reason {
        Reason::Recovered => notices.push(of_recovery(names, before, list)),
        Reason::Joined => notices.push(notice(
            "histories-joined",
            format!(
                "{by} joined two histories of the device list: somebody had shown two; compare safety numbers"
            ),
        )),
        _ => {}
    }
    for entry in &before.devices {
        if list.device(entry.device).is_none() {
            let text = format!("{by} removed {} from the household", described(names, entry));
            notices.push(notice("device-removed", text));
        }
    }
    for entry in &list.devices {
        match before.device(entry.device) {
            None => {
                let text = format!("{by} added {} to the household", described(names, entry));
                notices.push(notice("device-added", text));
            }
            Some(old) => {
                let text = change_of(names, old, entry);
                notices.extend(text.map(|(code, text)| notice(code, format!("{by} {text}"))));
            }
        }
    }
    for camera in list.cameras() {
        let generations = [before, list].map(|list| list.generation(camera.device));
        if let [Some(old), Some(new)] = generations
            && old != new
        {
            let text = format!("{by} had {} begin anew with a new group", described(names, camera));
            notices.push(notice("camera-renewed", text));
        }
    }
    notices
}

/// Returns the notice of a recovery by the twelve words, which is told for seven days.
pub(crate) fn of_recovery(names: Names<'_>, before: &DeviceList, list: &DeviceList) -> Notice {
    let admins = |of: &DeviceList, without: &DeviceList| -> String {
        let listed = of.devices.iter().filter(|entry| entry.role == Role::Admin);
        let new =
            listed.filter(|entry| without.device(entry.device).is_none_or(|old| old.role != Role::Admin));
        new.map(|entry| quoted(names, entry)).collect::<Vec<_>>().join(", ")
    };
    let (new, gone) = (admins(list, before), admins(before, list));
    let gone = if gone.is_empty() { String::new() } else { format!("; {gone} is admin no more") };
    let text = format!(
        "the household was RECOVERED with its twelve words: {new} is admin now{gone}; if nobody of you did this, somebody has the words: found a new household and reset the cameras"
    );
    Notice { code: "recovered", text, list_version: list.version }
}

/// What changed between two entries of one device.
fn change_of(names: Names<'_>, old: &DeviceEntry, new: &DeviceEntry) -> Option<(&'static str, String)> {
    let name = quoted(names, new);
    let mut changes = Vec::new();
    if old.role != new.role {
        changes.push(format!("it is {} now", with_article(new.role)));
    }
    if old.rights != new.rights {
        changes.push(format!("it may {} now", rights_text(new)));
    }
    if old.cameras != new.cameras {
        changes.push(match &new.cameras {
            None => "for all cameras".to_owned(),
            Some(cameras) if cameras.is_empty() => "for no camera".to_owned(),
            Some(cameras) => {
                let called: Vec<String> =
                    cameras.iter().map(|camera| format!("{:?}", names.name_of(*camera))).collect();
                format!("for {}", called.join(", "))
            }
        });
    }
    if (old.not_before, old.not_after) != (new.not_before, new.not_after) {
        changes.push("its time was changed".to_owned());
    }
    if !changes.is_empty() {
        return Some(("device-changed", format!("changed {name}: {}", changes.join(", "))));
    }
    let old_name = names.label(old);
    (old_name != names.label(new)).then(|| ("device-renamed", format!("renamed {old_name:?} to {name}")))
}

/// Returns the rights of an entry in words: `see, talk`.
pub fn rights_text(entry: &DeviceEntry) -> String {
    let rights = right_names(entry);
    if rights.is_empty() { "do nothing".to_owned() } else { rights.join(", ") }
}

/// Returns the rights of an entry, one word each.
pub fn right_names(entry: &DeviceEntry) -> Vec<&'static str> {
    [(Right::See, "see"), (Right::Talk, "talk"), (Right::History, "history")]
        .into_iter()
        .filter(|(right, _)| entry.rights.contains(*right))
        .map(|(_, name)| name)
        .collect()
}

fn described(names: Names<'_>, entry: &DeviceEntry) -> String {
    format!("{} ({})", quoted(names, entry), role_word(entry.role))
}

fn quoted(names: Names<'_>, entry: &DeviceEntry) -> String {
    format!("{:?}", names.label(entry))
}

/// Returns a role in one word.
pub fn role_word(role: Role) -> &'static str {
    match role {
        Role::Camera => "camera",
        Role::Admin => "admin",
        Role::Viewer => "viewer",
        Role::Guest => "guest",
    }
}

/// Returns a role with its article.
pub fn with_article(role: Role) -> &'static str {
    match role {
        Role::Camera => "a camera",
        Role::Admin => "an admin",
        Role::Viewer => "a viewer",
        Role::Guest => "a guest",
    }
}
