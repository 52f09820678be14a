//! What may be changed of which device, and with which clock.

#![allow(clippy::unwrap_used)]

use super::*;
use latchkey_api::device_list::Right;
use latchkey_e2ee::identity::DeviceIdentity;

const NOW: u64 = 1_790_000_000;
const DAY: u64 = 24 * 3600;

fn entry(role: Role) -> DeviceEntry {
    let entry = DeviceIdentity::generate().unwrap().public().entry(role, NOW, Vec::new());
    match role {
        Role::Guest => DeviceEntry { cameras: Some(Vec::new()), not_after: Some(NOW + DAY), ..entry },
        _ => entry,
    }
}

fn edit(entry: &DeviceEntry, change: &Change, now: u64) -> Result<DeviceEntry, DevicesError> {
    changed("x", entry, change, now)
}

#[test]
fn each_role_has_what_can_be_changed() {
    let see = Change { rights: Some(Rights::of(&[Right::See])), ..Change::default() };
    let until = Change { not_after: Some(Some(NOW + DAY)), ..Change::default() };
    let name = || "x".to_owned();
    assert_eq!(edit(&entry(Role::Camera), &see, NOW), Err(DevicesError::IsCamera(name())));
    assert_eq!(edit(&entry(Role::Admin), &until, NOW), Err(DevicesError::IsAdmin(name())));
    assert_eq!(edit(&entry(Role::Admin), &see, NOW).unwrap().rights, Rights::of(&[Right::See]));
    assert_eq!(edit(&entry(Role::Viewer), &until, NOW).unwrap().not_after, Some(NOW + DAY));
    assert_eq!(edit(&entry(Role::Viewer), &until, NOW + DAY), Err(DevicesError::EndIsPast));
    let same = Change::default();
    assert_eq!(edit(&entry(Role::Viewer), &same, NOW), Err(DevicesError::NothingToChange(name())));
}

#[test]
fn a_guest_stays_thirty_days_at_most_from_the_change_on() {
    let guest = entry(Role::Guest);
    let until = |end| Change { not_after: Some(end), ..Change::default() };
    let unlimited = Err(DevicesError::GuestUnlimited("x".to_owned()));
    assert_eq!(edit(&guest, &until(None), NOW), unlimited);
    assert_eq!(edit(&guest, &Change { cameras: Some(None), ..Change::default() }, NOW), unlimited);
    assert_eq!(edit(&guest, &until(Some(NOW + MAX_GUEST_SECONDS + 1)), NOW), unlimited);
    let later = NOW + 20 * DAY;
    let longer = edit(&guest, &until(Some(later + MAX_GUEST_SECONDS)), later).unwrap();
    assert_eq!((longer.not_before, longer.not_after), (later, Some(later + MAX_GUEST_SECONDS)));
}

#[test]
fn cameras_are_named_in_order_and_once() {
    let ids = [DeviceId([9; 16]), DeviceId([3; 16]), DeviceId([9; 16])];
    let change = Change { cameras: Some(Some(ids.to_vec())), ..Change::default() };
    let cameras = edit(&entry(Role::Viewer), &change, NOW).unwrap().cameras;
    assert_eq!(cameras, Some(vec![ids[1], ids[0]]));
}

#[test]
fn a_clock_more_than_five_minutes_off_signs_nothing() {
    assert_eq!(compare_clocks(NOW, NOW + 300), Ok(()));
    assert_eq!(compare_clocks(NOW + 300, NOW), Ok(()));
    let behind = compare_clocks(NOW, NOW + 301).unwrap_err();
    assert_eq!(behind, DevicesError::ClockDiffers { minutes: 5, side: "behind" });
    let ahead = compare_clocks(NOW + 7200, NOW).unwrap_err().to_string();
    assert!(ahead.contains("120 minutes ahead of the server's: set the clock"), "{ahead}");
}
