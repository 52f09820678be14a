//! Camera and member take any bytes as a message, a Welcome, a key package or a stored state, and stay as they were.
#![no_main]

#[path = "../../tests/household/mod.rs"]
mod household;

use std::sync::{Mutex, OnceLock};

use household::{NOW, Scene, at};
use latchkey_api::device_list::Role;
use latchkey_e2ee::group::{CameraGroup, ClaimedPackage, KeyPackages, Member, Processed};
use libfuzzer_sys::fuzz_target;

fn scene() -> &'static Mutex<Scene> {
    static SCENE: OnceLock<Mutex<Scene>> = OnceLock::new();
    SCENE.get_or_init(|| Mutex::new(Scene::with(&[Role::Viewer, Role::Admin])))
}

fuzz_target!(|bytes: &[u8]| {
    let mut scene = scene().lock().expect("no run panics in between");
    let Scene { home, camera, group, devices, members } = &mut *scene;
    for processed in [
        group.process(bytes, &home.chain),
        members[0].process(bytes, &home.chain),
        members[1].process(bytes, &home.chain),
    ] {
        assert!(matches!(processed, Err(_) | Ok(Processed::Stale)), "{processed:?}");
    }
    assert_eq!((group.epoch(), members[0].epoch()), (1, 1));

    let device = &mut devices[0];
    assert!(
        Member::join(&device.identity, &home.chain, &mut device.packages, camera.device(), bytes).is_err()
    );
    let claimed = ClaimedPackage { device: device.identity.device(), key_package: bytes.to_vec() };
    let synced = group.sync(&home.chain, &[claimed], at(NOW)).expect("a bad package spoils nothing");
    assert!(synced.commit.is_none() && synced.refused.len() == 1);

    let _ = CameraGroup::restore(bytes, &home.chain);
    let _ = Member::restore(bytes, &home.chain);
    let _ = KeyPackages::restore(bytes);
});
