//! The checker itself: what is wrong on purpose, it names. And two runs that once went wrong without purpose.

use latchkey_api::device_list::Role;

use crate::step::{AdminStep, CameraStep, Change, DeviceStep, Ends, Step};
use crate::world::World;

/// Takes the steps in a world that `spoil` has made faulty; returns what the checker says.
fn says(spoil: impl FnOnce(&mut World), steps: &[Step]) -> String {
    let mut world = World::found().unwrap();
    spoil(&mut world);
    world.live(steps).err().unwrap_or_else(|| "all held".to_owned())
}

fn remove(device: u8) -> [Step; 2] {
    [
        Step::Admin(0, AdminStep::Sign(Change::Remove(device))),
        Step::Admin(0, AdminStep::Post { answered: true }),
    ]
}

const RESTART: [Step; 4] = [
    Step::Camera(CameraStep::Seal(2)),
    Step::Camera(CameraStep::Crash),
    Step::Camera(CameraStep::Start),
    Step::Camera(CameraStep::Seal(1)),
];

#[test]
fn a_camera_that_restores_a_state_without_a_new_session_is_caught() {
    assert_eq!(says(|_| {}, &RESTART), "all held");
    let said = says(|world| world.camera.faults.keeps_session = true, &RESTART);
    assert!(said.starts_with("nonce: ") && said.contains("was used twice"), "{said}");
}

#[test]
fn a_camera_that_goes_on_under_old_keys_is_caught() {
    let [sign, post] = remove(3);
    let steps = [sign, post, Step::Camera(CameraStep::Round)];
    assert_eq!(says(|_| {}, &steps), "all held");
    let said = says(|world| world.camera.faults.keeps_keys = true, &steps);
    assert!(said.starts_with("revocation: "), "{said}");
}

#[test]
fn a_camera_that_sends_before_it_saves_is_caught() {
    let steps = [
        Step::Camera(CameraStep::Save),
        Step::Camera(CameraStep::Sync { renew: true }),
        Step::Camera(CameraStep::Send { answered: false }),
        Step::Camera(CameraStep::Crash),
    ];
    assert_eq!(says(|_| {}, &steps), "all held");
    let said = says(|world| world.camera.faults.saves_late = true, &steps);
    assert!(said.starts_with("convergence: "), "{said}");
}

#[test]
fn a_member_that_misses_a_commit_is_caught() {
    let [sign, post] = remove(2);
    let steps = [sign, post, Step::Camera(CameraStep::Round)];
    let said = says(|world| world.devices[3].is_deaf = true, &steps);
    assert!(said.starts_with("convergence: "), "{said}");
}

#[test]
fn a_server_that_takes_two_commits_of_an_epoch_is_caught() {
    let [sign, post] = remove(3);
    let steps = [
        sign,
        post,
        Step::Camera(CameraStep::Lists(1)),
        Step::Camera(CameraStep::Sync { renew: false }),
        Step::Admin(0, AdminStep::Remove),
        Step::Camera(CameraStep::Send { answered: true }),
        Step::Admin(0, AdminStep::Send { answered: true }),
    ];
    assert_eq!(says(|_| {}, &steps), "all held");
    let said = says(|world| world.server.takes_every_commit = true, &steps);
    let is_named = said.starts_with("fork: ") || said.starts_with("convergence: ");
    // Members who are apart cannot read each other's notes.
    assert!(is_named || said.starts_with("note: ") && said.contains("forked"), "{said}");
}

#[test]
fn a_camera_that_sends_notes_before_it_saves_is_caught() {
    let steps = [
        Step::Camera(CameraStep::Note { ends: Ends::AfterSending }),
        Step::Camera(CameraStep::Start),
        Step::Camera(CameraStep::Note { ends: Ends::Never }),
    ];
    assert_eq!(says(|_| {}, &steps), "all held");
    let said = says(|world| world.camera.faults.notes_late = true, &steps);
    assert!(said.starts_with("note: ") && said.contains("twice"), "{said}");
}

#[test]
fn a_member_that_sends_notes_before_it_saves_is_caught() {
    let steps = [
        Step::Device(2, DeviceStep::Note { ends: Ends::AfterSending }),
        Step::Device(2, DeviceStep::Start),
        Step::Device(2, DeviceStep::Note { ends: Ends::Never }),
    ];
    assert_eq!(says(|_| {}, &steps), "all held");
    let said = says(|world| world.devices[2].notes_late = true, &steps);
    assert!(said.starts_with("note: ") && said.contains("twice"), "{said}");
}

#[test]
fn a_camera_that_signs_two_records_of_an_epoch_is_caught() {
    let steps = [
        Step::Camera(CameraStep::Sync { renew: true }),
        Step::Camera(CameraStep::Send { answered: true }),
        Step::Camera(CameraStep::Record { ends: Ends::AfterSending }),
        Step::Camera(CameraStep::Start),
        Step::Camera(CameraStep::Record { ends: Ends::Never }),
        Step::Device(2, DeviceStep::Read(u8::MAX)),
    ];
    assert_eq!(says(|_| {}, &steps), "all held");
    let said = says(|world| world.camera.faults.forgets_records = true, &steps);
    assert!(said.starts_with("record: ") && said.contains("forked"), "{said}");
}

#[test]
fn a_camera_that_leaves_frames_unsigned_is_caught() {
    let watch = Step::Device(2, DeviceStep::Watch { count: u8::MAX, loses: 0, swaps: false });
    let seal = Step::Camera(CameraStep::Seal(8));
    let steps = [seal, watch, Step::Hours(1), seal, watch, seal, watch, seal, watch];
    assert_eq!(says(|_| {}, &steps), "all held");
    let said = says(|world| world.camera.faults.skips_signing = true, &steps);
    assert!(said.starts_with("checkpoint: ") && said.contains("forged"), "{said}");
}

#[test]
fn a_leaf_that_no_list_has_is_caught() {
    let forgets = |world: &mut World| {
        let head = world.server.lists().head().unwrap();
        let without = head.list().clone().without(world.devices[3].id()).unwrap();
        world.checker.list_signed(head.version().hash, without);
    };
    let said = says(forgets, &[Step::Camera(CameraStep::Sync { renew: true })]);
    assert!(said.starts_with("roster: ") && said.contains("not entitled"), "{said}");
}

#[test]
fn keys_in_the_hands_of_somebody_else_are_caught() {
    let stranger = latchkey_api::id::DeviceId([9; 16]);
    let leaks = |world: &mut World| {
        let group = &world.camera.run.as_ref().unwrap().group;
        world.checker.member_in(stranger, group.frame_keys().unwrap(), group.list()).unwrap();
    };
    let said = says(leaks, &[Step::Camera(CameraStep::Seal(1))]);
    assert!(said.starts_with("revocation: ") && said.contains("was no member"), "{said}");
}

/// The library makes a commit that holds both, and no member can take it.
#[test]
fn two_updates_of_one_member_do_not_stop_the_group() {
    let update = Step::Device(3, DeviceStep::Update { saves: true, posts: true });
    assert_eq!(says(|_| {}, &[update, update, Step::Camera(CameraStep::Round)]), "all held");
    let [sign, post] = remove(3);
    assert_eq!(says(|_| {}, &[update, sign, post, Step::Camera(CameraStep::Round)]), "all held");
}

/// The camera has used the last-resort package that the server still had, and the device has made another.
#[test]
fn a_last_resort_package_that_was_never_published_shuts_nobody_out() {
    let steps = [
        Step::Admin(0, AdminStep::Sign(Change::Enrol(Role::Viewer))),
        Step::Admin(0, AdminStep::Post { answered: true }),
        Step::Device(4, DeviceStep::Publish { last_resort: true, ends_before: false }),
        Step::Device(4, DeviceStep::Publish { last_resort: true, ends_before: true }),
        Step::Camera(CameraStep::Round),
        Step::Device(4, DeviceStep::Round),
    ];
    assert_eq!(says(|_| {}, &steps), "all held");
}
