//! Two signed lists of one version: what is remembered, by what devices act, and how a list joins them.

use super::*;

fn device(number: u8) -> DeviceId {
    DeviceId([number; 16])
}

/// A draft of version 3 by an admin of [`chain`].
fn draft(chain: &ListChain, by: u8, reason: Reason) -> DeviceList {
    DeviceList { signer: Signer::Device(device(by)), ..next(chain, reason) }
}

/// The chain that took `ours` and saw `theirs`, and the one that took `theirs` and saw `ours`.
fn both_sides(base: &ListChain, ours: &[u8], theirs: &[u8]) -> [ListChain; 2] {
    [(ours, theirs), (theirs, ours)].map(|(taken, seen)| {
        let mut chain = base.clone();
        chain.accept(taken, None).unwrap();
        assert!(matches!(chain.accept(seen, None), Err(ListError::TwoHistories { version: 3, .. })));
        chain
    })
}

fn ids(list: &DeviceList) -> Vec<u8> {
    list.devices.iter().map(|entry| entry.device.0[0]).collect()
}

#[test]
fn without_a_rival_devices_act_by_the_newest_list() {
    assert_eq!(empty().effective(), None);
    let chain = chain();
    assert_eq!(chain.effective(), chain.head().map(VerifiedList::list));
    assert_eq!(chain.rivals().count(), 0);
}

#[test]
fn removals_of_both_count_and_additions_of_none() {
    let mut base = chain();
    // One viewer more, so that each history can remove one.
    let more = next(&base, Reason::Added).with(entry(4, Role::Viewer)).unwrap();
    base.accept(&sign(more, &key(1)), None).unwrap();
    let ours = draft(&base, 1, Reason::Removed).without(device(2)).unwrap();
    let ours = sign(ours.with(entry(5, Role::Viewer)).unwrap(), &key(1));
    let theirs = draft(&base, 3, Reason::Removed).without(device(4)).unwrap();
    let theirs =
        sign(theirs.with(entry(5, Role::Viewer)).unwrap().with(entry(6, Role::Admin)).unwrap(), &key(3));
    for (taken, seen, signers) in [(&ours, &theirs, (1, 3)), (&theirs, &ours, (3, 1))] {
        let mut chain = base.clone();
        chain.accept(taken, None).unwrap();
        let refused = chain.accept(seen, None);
        assert_eq!(refused, Err(two_histories(4, signers.0, signers.1)), "both signers are named");
        // 2 and 4 are removed in one history each; 5 is added by both, 6 by one: nobody new.
        assert_eq!(ids(chain.effective().unwrap()), [1, 3, 10]);
        assert_eq!(chain.head().unwrap().list().version, 4);
        assert_ne!(chain.effective(), chain.head().map(VerifiedList::list));
    }
}

#[test]
fn each_device_has_the_least_that_any_history_gives() {
    let base = chain();
    let mut ours = draft(&base, 1, Reason::Changed);
    let at = index(&ours, 2);
    ours.devices[at].rights = Rights::of(&[Right::See]);
    ours.devices[at].not_after = Some(NOW + 500);
    let mut theirs = draft(&base, 3, Reason::Changed);
    let at = index(&theirs, 2);
    theirs.devices[at].rights = Rights::of(&[Right::See, Right::History]);
    theirs.devices[at].not_after = Some(NOW + 100);
    theirs.devices[at].cameras = Some(vec![device(10)]);
    // One history makes admin 3 a viewer, the other resets the camera.
    let at = index(&ours, 3);
    ours.devices[at].role = Role::Viewer;
    let theirs = theirs.with_camera_reset(device(10)).unwrap();
    let (ours, theirs) = (sign(ours, &key(1)), sign(theirs, &key(3)));
    for chain in both_sides(&base, &ours, &theirs) {
        let agreed = chain.effective().unwrap();
        let viewer = agreed.device(device(2)).unwrap();
        assert_eq!(viewer.rights, Rights::of(&[Right::See]));
        assert_eq!((viewer.not_after, viewer.cameras.clone()), (Some(NOW + 100), Some(vec![device(10)])));
        assert_eq!(agreed.device(device(3)).unwrap().role, Role::Viewer);
        assert_eq!(agreed.generation(device(10)), Some(1), "a generation never falls");
        assert!(!agreed.may(device(2), Right::See, device(10), NOW + 100));
    }
}

#[test]
fn a_camera_that_one_history_removed_is_in_nobodys_reach() {
    let base = chain();
    let ours = draft(&base, 1, Reason::Changed).with(guest(2, 10)).unwrap();
    let theirs = draft(&base, 3, Reason::Removed).without(device(10)).unwrap();
    for chain in both_sides(&base, &sign(ours, &key(1)), &sign(theirs, &key(3))) {
        let agreed = chain.effective().unwrap();
        assert_eq!(agreed.generation(device(10)), None);
        assert_eq!(agreed.device(device(2)).unwrap().cameras, Some(Vec::new()));
    }
}

#[test]
fn a_draft_joins_what_was_seen_and_ends_the_alarm_on_both_sides() {
    let base = chain();
    let ours = draft(&base, 1, Reason::Removed).without(device(2)).unwrap();
    let theirs = DeviceList { issued_at: NOW + 50, ..draft(&base, 3, Reason::Added) };
    let theirs = theirs.with(entry(7, Role::Viewer)).unwrap();
    let [ours_first, theirs_first] = both_sides(&base, &sign(ours, &key(1)), &sign(theirs, &key(3)));
    let joined = ours_first.next_draft(Signer::Device(device(1)), NOW, Reason::Changed).unwrap();
    assert_eq!((joined.reason, joined.parents.len(), joined.issued_at), (Reason::Joined, 2, NOW + 50));
    assert_eq!(ids(&joined), [1, 3, 10]);
    let joined = sign(joined, &key(1));
    for mut chain in [ours_first, theirs_first] {
        assert_eq!(chain.accept(&joined, None).unwrap().version, 4);
        assert_eq!((chain.rival(), chain.rivals().count()), (None, 0));
        assert_eq!(chain.effective(), chain.head().map(VerifiedList::list));
    }
}

#[test]
fn the_root_joins_histories_when_each_admin_removed_the_other() {
    let base = chain();
    let ours = draft(&base, 1, Reason::Removed).without(device(3)).unwrap();
    let theirs = draft(&base, 3, Reason::Removed).without(device(1)).unwrap();
    for mut chain in both_sides(&base, &sign(ours, &key(1)), &sign(theirs, &key(3))) {
        assert_eq!(ids(chain.effective().unwrap()), [2, 10], "no admin is left");
        let by_admin = chain.next_draft(Signer::Device(device(1)), NOW, Reason::Changed).unwrap();
        assert_eq!(chain.accept(&sign(by_admin, &key(1)), None), Err(ListError::NoAdmin));
        let recovery = chain.next_draft(Signer::Root, NOW, Reason::Recovered).unwrap();
        let recovery = sign(recovery.with(entry(8, Role::Admin)).unwrap(), &root());
        assert_eq!(chain.accept(&recovery, None).unwrap().version, 4);
        assert_eq!(chain.rival(), None);
    }
}

#[test]
fn a_list_that_breaks_a_rule_in_either_history_joins_none() {
    let base = chain();
    let ours = draft(&base, 1, Reason::Changed);
    let theirs = draft(&base, 3, Reason::Added).with(entry(7, Role::Viewer)).unwrap();
    let [mut chain, _] = both_sides(&base, &sign(ours, &key(1)), &sign(theirs, &key(3)));
    // Device 7 with other keys than the rival history gave it.
    let other_keys = DeviceEntry { device: device(7), ..entry(9, Role::Viewer) };
    let joined = chain.next_draft(Signer::Device(device(1)), NOW, Reason::Changed).unwrap();
    let joined = sign(joined.with(other_keys).unwrap(), &key(1));
    assert_eq!(chain.accept(&joined, None), Err(ListError::ChangedIdentity(device(7))));
    assert!(chain.rival().is_some());
}

#[test]
fn further_rivals_count_too_up_to_a_bound() {
    let mut chain = chain();
    let rival = |chain: &ListChain, label: u8| {
        let mut list = draft(chain, 1, Reason::Changed);
        let at = index(&list, 2);
        list.devices[at].label = vec![label; 40];
        sign(list, &key(1))
    };
    let lists: Vec<Vec<u8>> = (0..6).map(|label| rival(&chain, label)).collect();
    let last = draft(&chain, 3, Reason::Removed).without(device(2)).unwrap();
    chain.accept(&lists[0], None).unwrap();
    for list in &lists[1..3] {
        for _ in 0..2 {
            assert_eq!(chain.accept(list, None), Err(two_histories(3, 1, 1)));
        }
    }
    assert_eq!(chain.rivals().count(), 2, "the same rival again is no further one");
    assert_eq!(chain.accept(&sign(last, &key(3)), None), Err(two_histories(3, 1, 3)));
    assert!(chain.effective().unwrap().device(device(2)).is_none(), "the third removes");
    assert!(chain.accept(&lists[4], None).is_err());
    assert_eq!(chain.rivals().count(), MAX_PARENTS - 1);
    let joined = chain.next_draft(Signer::Device(device(1)), NOW, Reason::Changed).unwrap();
    assert_eq!(joined.parents.len(), MAX_PARENTS);
    chain.accept(&sign(joined, &key(1)), None).unwrap();
}

#[test]
fn a_list_that_lost_a_race_keeps_nobody_from_going_on() {
    let mut base = chain();
    base.accept(&sign(next(&base, Reason::Added).with(entry(4, Role::Viewer)).unwrap(), &key(1)), None)
        .unwrap();
    // Admin 3 removed viewer 4; admin 1 was first. The server shows both to one device only.
    let ours = sign(draft(&base, 1, Reason::Changed), &key(1));
    let theirs = sign(draft(&base, 3, Reason::Removed).without(device(4)).unwrap(), &key(3));
    let mut chain = base.clone();
    chain.accept(&ours, None).unwrap();
    chain.accept(&theirs, None).unwrap_err();
    // The household knows nothing of it: it removes viewer 2 and adds viewer 5.
    let mut household = base.clone();
    household.accept(&ours, None).unwrap();
    let on =
        next(&household, Reason::Changed).without(device(2)).unwrap().with(entry(5, Role::Viewer)).unwrap();
    let on = sign(on, &key(1));
    household.accept(&on, None).unwrap();
    assert_eq!(chain.accept(&on, None).unwrap().version, 5);
    // The alarm stands: removals of each count, additions of none.
    assert_eq!(chain.rival().unwrap().as_bytes(), theirs);
    assert_eq!(ids(chain.effective().unwrap()), [1, 3, 10]);
    let again = sign(next(&household, Reason::Changed), &key(1));
    household.accept(&again, None).unwrap();
    assert_eq!(chain.accept(&again, None).unwrap().version, 6);
    assert_eq!(ids(chain.effective().unwrap()), [1, 3, 10]);

    // A list that names the rival ends the alarm, also for those who never saw it.
    let mut joined = next(&chain, Reason::Joined).without(device(5)).unwrap();
    joined.parents.push(chain.rival().unwrap().version().hash);
    joined.parents.sort_unstable();
    let joined = sign(joined, &key(1));
    for chain in [&mut chain, &mut household] {
        assert_eq!(chain.accept(&joined, None).unwrap().version, 7);
        assert_eq!((chain.rival(), ids(chain.effective().unwrap())), (None, vec![1, 3, 4, 10]));
    }
}

#[test]
fn who_is_admin_in_one_history_only_does_not_go_on_alone() {
    let base = chain();
    // Each admin removes the other, and makes a viewer an admin.
    let promoted = |by: u8, gone: u8| {
        let list = draft(&base, by, Reason::Changed).without(device(gone)).unwrap();
        sign(list.with(entry(7, Role::Admin)).unwrap(), &key(by))
    };
    for mut chain in both_sides(&base, &promoted(1, 3), &promoted(3, 1)) {
        for by in [1, 3, 7] {
            let alone = sign(draft(&chain, by, Reason::Changed), &key(by));
            assert!(chain.clone().accept(&alone, None).is_err(), "{by}");
        }
        // The root stands above both.
        let recovered = DeviceList::after(chain.head().unwrap(), Signer::Root, NOW, Reason::Recovered);
        assert_eq!(chain.accept(&sign(recovered, &root()), None).unwrap().version, 4);
        assert!(chain.rival().is_some());
    }
}

#[test]
fn rivals_outlast_a_restart() {
    let base = chain();
    let ours = sign(draft(&base, 1, Reason::Changed), &key(1));
    let theirs = sign(draft(&base, 3, Reason::Removed).without(device(2)).unwrap(), &key(3));
    let [before, _] = both_sides(&base, &ours, &theirs);
    let mut again = empty();
    for list in before.lists() {
        again.accept(list.as_bytes(), None).unwrap();
    }
    for rival in before.rivals() {
        again.accept(rival.as_bytes(), None).unwrap_err();
    }
    assert_eq!(again.effective(), before.effective());
    assert_eq!(again.rival(), before.rival());
}

#[test]
fn more_parents_than_there_is_room_for_are_refused() {
    let parents = |list: &mut DeviceList| {
        let further = (1..=4).map(|byte| ListHash([byte; 32]));
        list.parents.extend(further);
        list.parents.sort_unstable();
    };
    assert_eq!(refusal(parents), ListError::WrongParent);
}

/// What one of two admins does with the list of version 2.
fn any_edit() -> impl Strategy<Value = (u8, Vec<(u8, u8)>)> {
    (prop_oneof![Just(1_u8), Just(3)], proptest::collection::vec((0_u8..4, 0_u8..8), 0..5))
}

fn edited(base: &ListChain, by: u8, edits: &[(u8, u8)]) -> Vec<u8> {
    let mut list = draft(base, by, Reason::Changed);
    for (what, number) in edits {
        let changed = match (what, number) {
            (0, number) => list.clone().without(device([1, 2, 3, 10][usize::from(number % 4)])),
            (1, number) => list.clone().with(entry(20 + number, Role::Viewer)),
            (2, number) => list.clone().with(guest(30 + number, 10)),
            (_, number) => list
                .clone()
                .with(DeviceEntry { rights: Rights::from_bits(*number).unwrap(), ..entry(2, Role::Viewer) }),
        };
        list = changed.unwrap_or(list);
    }
    sign(list, &key(by))
}

proptest! {
    #[test]
    fn both_sides_act_alike_and_nobody_gains((one, one_edits) in any_edit(), (other, other_edits) in any_edit()) {
        let base = chain();
        let (ours, theirs) = (edited(&base, one, &one_edits), edited(&base, other, &other_edits));
        prop_assume!(ours != theirs);
        let [left, right] = both_sides(&base, &ours, &theirs);
        let (agreed, alike) = (left.effective().unwrap(), right.effective().unwrap());
        prop_assert_eq!(ids(agreed), ids(alike));
        for entry in &agreed.devices {
            let same = alike.device(entry.device).unwrap();
            prop_assert_eq!((entry.rights, entry.role, &entry.cameras), (same.rights, same.role, &same.cameras));
        }
        for number in 0..=255 {
            for asked in [Right::See, Right::Talk, Right::History] {
                let may = |list: &DeviceList| list.may(device(number), asked, device(10), NOW + 1);
                for chain in [&base, &left, &right] {
                    prop_assert!(!may(agreed) || may(chain.head().unwrap().list()));
                }
            }
        }
    }
}
