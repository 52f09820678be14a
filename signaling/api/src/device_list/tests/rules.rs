//! What a list may hold: how many devices, which keys and roles, for how long, and what the one after it may change.

use super::*;

#[test]
fn too_many_devices_or_generations_are_refused() {
    let crowd = |list: &mut DeviceList| {
        list.devices.extend((20..85).map(|number| entry(number, Role::Viewer)));
    };
    assert_eq!(refusal(crowd), ListError::TooManyDevices);
    let generations = |list: &mut DeviceList| {
        let camera = |at: u16| DeviceId([at.to_be_bytes(); 8].concat().try_into().unwrap());
        list.generations =
            (0..=256).map(|at| CameraGeneration { camera: camera(at), generation: 0 }).collect();
    };
    assert_eq!(refusal(generations), ListError::TooManyDevices);
}

#[test]
fn ids_are_ascending_everywhere_and_there_once() {
    assert_eq!(refusal(|list| list.devices.swap(0, 1)), ListError::IdsNotAscending);
    assert_eq!(refusal(|list| list.devices.insert(0, list.devices[0].clone())), ListError::IdsNotAscending);
    let cameras = |list: &mut DeviceList| {
        let viewer = index(list, 2);
        list.devices[viewer].cameras = Some(vec![DeviceId([10; 16]); 2]);
    };
    assert_eq!(refusal(cameras), ListError::IdsNotAscending);
    assert_eq!(refusal(|list| list.generations.push(list.generations[0])), ListError::IdsNotAscending);
}

#[test]
fn no_key_is_there_twice() {
    let mut twin = entry(6, Role::Viewer);
    twin.mls_public = entry(1, Role::Admin).mls_public;
    assert_eq!(refusal(|list| list.devices.insert(3, twin)), ListError::KeyTwice);
    let mut twin = entry(6, Role::Viewer);
    twin.enrol_public = entry(1, Role::Admin).enrol_public;
    assert_eq!(refusal(|list| list.devices.insert(3, twin)), ListError::KeyTwice);
    let mut both = entry(6, Role::Viewer);
    both.enrol_public = both.mls_public;
    assert_eq!(refusal(|list| list.devices.insert(3, both)), ListError::KeyTwice);
}

#[test]
fn keys_must_be_usable() {
    let device = DeviceId([6; 16]);
    let mut no_point = entry(6, Role::Viewer);
    no_point.mls_public = [2; 32];
    assert_eq!(refusal(|list| list.devices.insert(3, no_point)), ListError::BadKey(device));
    let mut weak = entry(6, Role::Viewer);
    weak.mls_public = [0; 32];
    assert_eq!(refusal(|list| list.devices.insert(3, weak)), ListError::BadKey(device));
    for byte in [0, 1] {
        let mut zero = entry(6, Role::Viewer);
        zero.enrol_public = [0; 32];
        zero.enrol_public[0] = byte;
        assert_eq!(refusal(|list| list.devices.insert(3, zero)), ListError::BadKey(device));
    }
}

#[test]
fn a_device_keeps_its_keys_and_its_kind() {
    let device = DeviceId([2; 16]);
    let changed = ListError::ChangedIdentity(device);
    let new_key = |list: &mut DeviceList| {
        let viewer = index(list, 2);
        list.devices[viewer].mls_public = key(77).verifying_key().to_bytes();
    };
    assert_eq!(refusal(new_key), changed);
    let new_enrol = |list: &mut DeviceList| {
        let viewer = index(list, 2);
        list.devices[viewer].enrol_public = [77; 32];
    };
    assert_eq!(refusal(new_enrol), changed);
    let to_camera = |list: &mut DeviceList| {
        let viewer = index(list, 2);
        list.devices[viewer] = entry(2, Role::Camera);
        list.generations.insert(0, CameraGeneration { camera: device, generation: 0 });
    };
    assert_eq!(refusal(to_camera), changed);
    // A viewer may become an admin, that is no new device.
    let mut chain = chain();
    let draft = next(&chain, Reason::Changed).with(entry(2, Role::Admin)).unwrap();
    chain.accept(&sign(draft, &key(1)), None).unwrap();
}

#[test]
fn lifetimes_and_labels_have_bounds() {
    let device = DeviceId([6; 16]);
    let backwards = DeviceEntry { not_after: Some(NOW), ..entry(6, Role::Viewer) };
    assert_eq!(refusal(|list| list.devices.insert(3, backwards)), ListError::BadLifetime(device));
    let long = DeviceEntry { label: vec![0; MAX_LABEL_BYTES + 1], ..entry(6, Role::Viewer) };
    assert_eq!(refusal(|list| list.devices.insert(3, long)), ListError::LabelTooLong(device));
}

#[test]
fn roles_have_their_limits() {
    let (camera, device) = (DeviceId([10; 16]), DeviceId([6; 16]));
    let change_camera = |change: fn(&mut DeviceEntry)| {
        refusal(move |list| {
            let at = index(list, 10);
            change(&mut list.devices[at]);
        })
    };
    let with_rights = ListError::CameraWithRights(camera);
    assert_eq!(change_camera(|camera| camera.rights = Rights::of(&[Right::See])), with_rights);
    assert_eq!(change_camera(|camera| camera.cameras = Some(Vec::new())), with_rights);
    assert_eq!(change_camera(|camera| camera.not_after = Some(u64::MAX)), with_rights);

    let limited = ListError::LimitedAdmin(device);
    let ending = DeviceEntry { not_after: Some(NOW + 9), ..entry(6, Role::Admin) };
    assert_eq!(refusal(|list| list.devices.insert(3, ending)), limited);
    let partial = DeviceEntry { cameras: Some(vec![camera]), ..entry(6, Role::Admin) };
    assert_eq!(refusal(|list| list.devices.insert(3, partial)), limited);

    let unlimited = ListError::UnlimitedGuest(device);
    let everywhere = DeviceEntry { cameras: None, ..guest(6, 10) };
    assert_eq!(refusal(|list| list.devices.insert(3, everywhere)), unlimited);
    let for_ever = DeviceEntry { not_after: None, ..guest(6, 10) };
    assert_eq!(refusal(|list| list.devices.insert(3, for_ever)), unlimited);
    let long = DeviceEntry { not_after: Some(NOW + MAX_GUEST_SECONDS + 1), ..guest(6, 10) };
    assert_eq!(refusal(|list| list.devices.insert(3, long)), unlimited);
}

#[test]
fn cameras_that_are_named_must_be_listed() {
    let device = DeviceId([6; 16]);
    assert_eq!(refusal(|list| list.devices.insert(3, guest(6, 11))), ListError::UnknownCamera(device));
    assert_eq!(refusal(|list| list.devices.insert(3, guest(6, 2))), ListError::UnknownCamera(device));
}

#[test]
fn a_list_without_an_admin_is_refused() {
    let nobody = |list: &mut DeviceList| list.devices.retain(|entry| entry.role != Role::Admin);
    assert_eq!(refusal(nobody), ListError::NoAdmin);
    let alone = founding().without(DeviceId([1; 16]));
    assert_eq!(alone.err(), Some(ListError::NoAdmin));
}

#[test]
fn generations_are_kept_and_rise() {
    let camera = DeviceId([10; 16]);
    assert_eq!(refusal(|list| list.generations.clear()), ListError::GenerationMissing(camera));
    let mut chain = chain();
    let reset = next(&chain, Reason::CameraReset).with_camera_reset(camera).unwrap();
    chain.accept(&sign(reset, &key(1)), None).unwrap();
    assert_eq!(chain.head().unwrap().list().generation(camera), Some(1));
    let mut fallen = next(&chain, Reason::Changed);
    fallen.generations[0].generation = 0;
    assert_eq!(chain.accept(&sign(fallen, &key(1)), None), Err(ListError::GenerationNotRaised(camera)));

    let gone = next(&chain, Reason::Removed).without(camera).unwrap();
    chain.accept(&sign(gone, &key(1)), None).unwrap();
    assert_eq!(chain.head().unwrap().list().generation(camera), None);
    let forgotten = DeviceList { generations: Vec::new(), ..next(&chain, Reason::Changed) };
    assert_eq!(chain.accept(&sign(forgotten, &key(1)), None), Err(ListError::GenerationMissing(camera)));

    let back = next(&chain, Reason::Added).with(entry(10, Role::Camera)).unwrap();
    let mut same = back.clone();
    same.generations[0].generation = 1;
    assert_eq!(chain.accept(&sign(same, &key(1)), None), Err(ListError::GenerationNotRaised(camera)));
    chain.accept(&sign(back, &key(1)), None).unwrap();
    assert_eq!(chain.head().unwrap().list().generation(camera), Some(2));

    let unlisted = next(&chain, Reason::CameraReset).with_camera_reset(DeviceId([2; 16]));
    assert_eq!(unlisted.err(), Some(ListError::UnknownCamera(DeviceId([2; 16]))));
}
