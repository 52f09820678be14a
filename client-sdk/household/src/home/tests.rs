//! What a device keeps of the lists it is shown: pinned, told, and with two histories an alarm that lasts.

#![allow(clippy::unwrap_used)]

use std::time::UNIX_EPOCH;

use latchkey_api::device_list::{Reason, Signer};
use latchkey_e2ee::identity::HouseholdRoot;
use latchkey_e2ee::label::seal_label;

use super::*;
use crate::home::lists::{MADE_AFTER, RECOVERY_TOLD_SECONDS};
use crate::vault::Rest;
use crate::vault::memory::Memory;

const NOW: u64 = 1_790_000_000;

/// A household whose devices are all in this process.
struct Scene {
    root: HouseholdRoot,
    ada: Arc<DeviceIdentity>,
    eve: DeviceIdentity,
    lists: Vec<Vec<u8>>,
    rest: Arc<Memory>,
}

impl Scene {
    /// Ada and Eve are admins, Bob is a viewer; list 1 and 2.
    fn new() -> (Self, Home) {
        let (root, _) = HouseholdRoot::generate().unwrap();
        let (ada, eve) = (DeviceIdentity::generate().unwrap(), DeviceIdentity::generate().unwrap());
        let rest = Arc::new(Memory::default());
        let label_key = LabelKey::of_root(&root);
        let entry = |device: &DeviceIdentity, role, name| {
            let label = seal_label(&label_key, root.household(), device.device(), name).unwrap();
            device.public().entry(role, NOW, label)
        };
        let bob = DeviceIdentity::generate().unwrap();
        let first = DeviceList::founding(root.household(), entry(&ada, Role::Admin, "Ada"), NOW).unwrap();
        let first = root.sign_list(first).as_bytes().to_vec();
        let mut chain = ListChain::new(&root.public()).unwrap();
        chain.accept(&first, None).unwrap();
        let second = chain.next_draft(Signer::Device(ada.device()), NOW, Reason::Added).unwrap();
        let second = second.with(entry(&eve, Role::Admin, "Eve")).unwrap();
        let second =
            ada.sign_list(second.with(entry(&bob, Role::Viewer, "Bob")).unwrap()).as_bytes().to_vec();

        let vault = Vault::fresh(Arc::clone(&rest) as Arc<dyn Rest>);
        let server = Server::new("http://127.0.0.1:9").unwrap();
        let kept = DeviceIdentity::from_bytes(&ada.to_bytes()).unwrap();
        let root_public = root.public();
        let mut home =
            Home::begin(vault, Beginnings { identity: kept, server, root_public, label_key }).unwrap();
        let lists = vec![first, second];
        home.take_lists(&lists[..1]).unwrap();
        assert_eq!(home.take_news(), [], "the lists a device begins with are no news");
        assert_eq!(home.take_lists(&lists[1..]), Ok(true));
        (Self { root, ada: Arc::new(ada), eve, lists, rest }, home)
    }

    /// The list after list 2 that `signer` signs, without the device of this name.
    fn without(&self, home: &Home, signer: &DeviceIdentity, name: &str) -> Vec<u8> {
        let chain = self.chain();
        let draft = chain.next_draft(Signer::Device(signer.device()), NOW, Reason::Removed).unwrap();
        let gone = draft.devices.iter().find(|entry| home.label(entry) == name).unwrap().device;
        signer.sign_list(draft.without(gone).unwrap()).as_bytes().to_vec()
    }

    fn chain(&self) -> ListChain {
        let mut chain = ListChain::new(&self.root.public()).unwrap();
        for list in &self.lists {
            chain.accept(list, None).unwrap();
        }
        chain
    }
}

fn reopen(home: Home, scene: &Scene) -> Home {
    drop(home);
    let rest = Arc::clone(&scene.rest) as Arc<dyn Rest>;
    Home::load(Vault::held(rest.look().unwrap(), rest)).unwrap()
}

fn codes(news: &[Notice]) -> Vec<&'static str> {
    news.iter().map(|notice| notice.code).collect()
}

#[test]
fn what_a_list_changes_is_told_once_and_by_whom() {
    let (scene, mut home) = Scene::new();
    let news = home.take_news();
    assert_eq!(codes(&news), ["device-added", "device-added"]);
    assert!(news.iter().any(|notice| notice.text == "this device added \"Bob\" (viewer) to the household"));
    let removal = scene.without(&home, &scene.eve, "Bob");
    home.take_lists(&[removal]).unwrap();
    let news = home.take_news();
    assert_eq!(codes(&news), ["device-removed"]);
    assert_eq!(news[0].text, "\"Eve\" removed \"Bob\" (viewer) from the household");
    assert_eq!((home.take_news(), news[0].list_version), (Vec::new(), 3));
    let mut again = reopen(home, &scene);
    assert_eq!(again.take_news(), [], "a removal is no news after a restart");
}

#[test]
fn two_histories_are_told_once_kept_over_a_restart_and_end_with_the_list_that_joins_them() {
    let (scene, mut home) = Scene::new();
    let ours = scene.without(&home, &scene.ada, "Bob");
    let theirs = {
        let chain = scene.chain();
        let draft = chain.next_draft(Signer::Device(scene.eve.device()), NOW, Reason::Changed).unwrap();
        scene.eve.sign_list(draft).as_bytes().to_vec()
    };
    home.take_lists(std::slice::from_ref(&ours)).unwrap();
    home.take_news();
    let split = home.take_lists(std::slice::from_ref(&theirs)).unwrap_err();
    let signers = [scene.ada.device(), scene.eve.device()].map(Signer::Device);
    assert_eq!(split, HomeError::List(ListError::TwoHistories { version: 3, signers }));
    assert_eq!(home.take_lists(std::slice::from_ref(&theirs)), Ok(false), "the same rival is told once");

    let mut home = reopen(home, &scene);
    assert_eq!(home.chain().rival().map(|rival| rival.as_bytes()), Some(theirs.as_slice()));
    let agreed = home.chain().effective().unwrap();
    assert!(agreed.devices.iter().all(|entry| home.label(entry) != "Bob"));
    // What follows the other history only is refused, and no further alarm.
    let mut other = scene.chain();
    other.accept(&theirs, None).unwrap();
    let alone = other.next_draft(Signer::Device(scene.eve.device()), NOW, Reason::Changed).unwrap();
    let alone = scene.eve.sign_list(alone).as_bytes().to_vec();
    assert_eq!(home.take_lists(&[theirs.clone(), alone]), Ok(false));
    assert_eq!(home.list().unwrap().version, 3);

    let joined = home.chain().next_draft(Signer::Device(scene.ada.device()), NOW, Reason::Changed).unwrap();
    let joined = scene.ada.sign_list(joined).as_bytes().to_vec();
    assert_eq!(home.take_lists(&[theirs, joined]), Ok(true));
    assert_eq!(codes(&home.take_news()), ["histories-joined"]);
    let home = reopen(home, &scene);
    assert_eq!((home.list().unwrap().version, home.chain().rival()), (4, None));
}

#[test]
fn a_rival_that_comes_with_its_joining_list_is_told_by_that_list() {
    let (scene, mut home) = Scene::new();
    let ours = scene.without(&home, &scene.ada, "Bob");
    let mut other = scene.chain();
    let theirs = other.next_draft(Signer::Device(scene.eve.device()), NOW, Reason::Changed).unwrap();
    let theirs = scene.eve.sign_list(theirs).as_bytes().to_vec();
    other.accept(&theirs, None).unwrap();
    other.accept(&ours, None).unwrap_err();
    let joined = other.next_draft(Signer::Device(scene.eve.device()), NOW, Reason::Changed).unwrap();
    let joined = scene.eve.sign_list(joined).as_bytes().to_vec();
    home.take_lists(&[ours]).unwrap();
    home.take_news();
    assert_eq!(home.take_lists(&[theirs, joined]), Ok(true));
    assert_eq!(codes(&home.take_news()), ["histories-joined"]);
}

#[test]
fn a_list_that_is_not_valid_changes_nothing() {
    let (scene, mut home) = Scene::new();
    let mut bent = scene.without(&home, &scene.eve, "Bob");
    *bent.last_mut().unwrap() ^= 1;
    let good = scene.without(&home, &scene.eve, "Bob");
    assert_eq!(home.take_lists(&[bent, good]), Err(HomeError::List(ListError::BadSignature)));
    assert_eq!(home.list().unwrap().version, 2);
    let (foreign, _) = Scene::new();
    assert_eq!(home.take_lists(&foreign.lists), Err(HomeError::List(ListError::WrongHousehold)));
    assert_eq!(home.list().unwrap().version, 2);
}

#[test]
fn a_clock_that_cannot_be_right_refuses_no_list() {
    let (_scene, home) = Scene::new();
    let at = |seconds| UNIX_EPOCH + std::time::Duration::from_secs(seconds);
    // Behind the newest list, or before there was this program.
    for wrong in [0, MADE_AFTER - 1, NOW - 1] {
        assert_eq!(home.trusted(at(wrong)), None, "{wrong}");
    }
    for right in [NOW, NOW + 60] {
        assert_eq!(home.trusted(at(right)), Some(at(right)));
    }
}

#[test]
fn a_rival_that_the_household_passed_over_stays_an_alarm_over_a_restart() {
    let (scene, mut home) = Scene::new();
    let ours = {
        let draft = scene.chain().next_draft(Signer::Device(scene.ada.device()), NOW, Reason::Changed);
        scene.ada.sign_list(draft.unwrap()).as_bytes().to_vec()
    };
    let theirs = scene.without(&home, &scene.eve, "Bob");
    let mut household = scene.chain();
    household.accept(&ours, None).unwrap();
    let on = household.next_draft(Signer::Device(scene.ada.device()), NOW, Reason::Changed).unwrap();
    let on = scene.ada.sign_list(on).as_bytes().to_vec();
    home.take_lists(&[ours]).unwrap();
    home.take_lists(std::slice::from_ref(&theirs)).unwrap_err();
    assert_eq!(home.take_lists(&[on]), Ok(true), "the household goes on");
    for _ in 0..2 {
        assert_eq!(home.list().unwrap().version, 4);
        assert_eq!(home.chain().rival().map(|rival| rival.as_bytes()), Some(theirs.as_slice()));
        let agreed = home.chain().effective().unwrap();
        assert!(agreed.devices.iter().all(|entry| home.label(entry) != "Bob"));
        home = reopen(home, &scene);
    }
}

#[test]
fn a_recovery_is_told_at_each_start_for_seven_days() {
    let (scene, mut home) = Scene::new();
    home.take_news();
    let new = DeviceIdentity::generate().unwrap();
    let label = seal_label(home.label_key(), home.household(), new.device(), "Mia").unwrap();
    let draft = scene.chain().next_draft(Signer::Root, NOW, Reason::Recovered).unwrap();
    let mut draft = draft.with(new.public().entry(Role::Admin, NOW, label)).unwrap();
    draft.devices.retain(|entry| entry.device != scene.eve.device());
    home.take_lists(&[scene.root.sign_list(draft).as_bytes().to_vec()]).unwrap();
    let news = home.take_news();
    assert_eq!(codes(&news), ["recovered", "device-removed", "device-added"]);
    let text = "\"Mia\" is admin now; \"Eve\" is admin no more";
    assert!(news[0].text.contains(text), "{}", news[0].text);
    for _ in 0..2 {
        home = reopen(home, &scene);
        assert_eq!(codes(&home.take_news()), ["recovered"]);
    }
    let now = unix_seconds();
    assert_eq!(home.recent_recoveries(now + RECOVERY_TOLD_SECONDS - 60).len(), 1);
    assert_eq!(home.recent_recoveries(now + RECOVERY_TOLD_SECONDS + 60), []);
}
