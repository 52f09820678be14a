//! One test for each reason to refuse a list, and the encoding byte by byte.

#![allow(clippy::unwrap_used)]

use std::time::{Duration, UNIX_EPOCH};

use ciborium::Value;
use coset::{CoseSign1, TaggedCborSerializable as _};
use ed25519_dalek::{Signer as _, SigningKey};
use proptest::prelude::*;

use super::*;

mod histories;
mod rules;

const NOW: u64 = 1_800_000_000;

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn root() -> SigningKey {
    key(0xEE)
}

/// The device with this number: id, keys and all follow from it.
fn entry(number: u8, role: Role) -> DeviceEntry {
    DeviceEntry {
        device: DeviceId([number; 16]),
        role,
        mls_public: key(number).verifying_key().to_bytes(),
        enrol_public: [number | 0x80; 32],
        not_before: NOW,
        not_after: None,
        cameras: None,
        rights: if role == Role::Camera { Rights::NONE } else { Rights::ALL },
        label: vec![number; 40],
    }
}

fn guest(number: u8, camera: u8) -> DeviceEntry {
    DeviceEntry {
        not_after: Some(NOW + 3600),
        cameras: Some(vec![DeviceId([camera; 16])]),
        rights: Rights::of(&[Right::See]),
        ..entry(number, Role::Guest)
    }
}

fn sign(list: DeviceList, key: &SigningKey) -> Vec<u8> {
    let signature = key.sign(&list.signing_input()).to_bytes();
    SignedList::assemble(list, signature).as_bytes().to_vec()
}

fn founding() -> DeviceList {
    let household = HouseholdId::of_root(root().verifying_key().as_bytes());
    DeviceList::founding(household, entry(1, Role::Admin), NOW).unwrap()
}

fn empty() -> ListChain {
    ListChain::new(root().verifying_key().as_bytes()).unwrap()
}

/// A chain of two lists: admin 1, then camera 10, viewer 2 and admin 3.
fn chain() -> ListChain {
    let mut chain = empty();
    chain.accept(&sign(founding(), &root()), None).unwrap();
    let draft = next(&chain, Reason::Added).with(entry(10, Role::Camera)).unwrap();
    let draft = draft.with(entry(2, Role::Viewer)).unwrap().with(entry(3, Role::Admin)).unwrap();
    chain.accept(&sign(draft, &key(1)), None).unwrap();
    chain
}

/// A draft by admin 1.
fn next(chain: &ListChain, reason: Reason) -> DeviceList {
    DeviceList::after(chain.head().unwrap(), Signer::Device(DeviceId([1; 16])), NOW, reason)
}

/// What a chain says to the draft after `change`, signed by admin 1; it must not change the chain.
fn refusal(change: impl FnOnce(&mut DeviceList)) -> ListError {
    let mut chain = chain();
    let mut draft = next(&chain, Reason::Changed);
    change(&mut draft);
    let before = chain.head().unwrap().version();
    let refused = chain.accept(&sign(draft, &key(1)), None).unwrap_err();
    assert_eq!(chain.head().unwrap().version(), before);
    refused
}

fn two_histories(version: u64, ours: u8, theirs: u8) -> ListError {
    let signers = [ours, theirs].map(|number| Signer::Device(DeviceId([number; 16])));
    ListError::TwoHistories { version, signers }
}

fn index(list: &DeviceList, number: u8) -> usize {
    list.devices.iter().position(|entry| entry.device.0[0] == number).unwrap()
}

#[test]
fn a_chain_of_good_lists_is_accepted_and_says_who_may_what() {
    let mut chain = chain();
    let draft = next(&chain, Reason::Added).with(guest(4, 10)).unwrap();
    let bytes = sign(draft, &key(3 - 2));
    let version = chain.accept(&bytes, Some(UNIX_EPOCH + Duration::from_secs(NOW))).unwrap();
    assert_eq!((version.version, chain.lists().count()), (3, 3));
    assert_eq!(chain.accept(&bytes, None).unwrap(), version, "the same list again");
    let list = chain.head().unwrap().list();
    let (camera, other) = (DeviceId([10; 16]), DeviceId([11; 16]));
    for (device, right, at, may) in [
        (1, Right::Talk, NOW, true),
        (2, Right::See, NOW, true),
        (2, Right::See, NOW - 301, false),
        (4, Right::See, NOW + 3599, true),
        (4, Right::See, NOW + 3600, false),
        (4, Right::Talk, NOW, false),
        (10, Right::See, NOW, false),
        (9, Right::See, NOW, false),
    ] {
        assert_eq!(list.may(DeviceId([device; 16]), right, camera, at), may, "{device} {right:?} {at}");
    }
    assert!(!list.may(DeviceId([1; 16]), Right::See, other, NOW), "not a camera of this household");
    assert_eq!(list.generation(camera), Some(0));
    assert_eq!(list.generation(DeviceId([2; 16])), None);
    assert_eq!(list.cameras().count(), 1);
}

#[test]
fn the_encoding_is_the_documented_one() {
    let bytes = sign(founding(), &root());
    let sign1 = CoseSign1::from_tagged_slice(&bytes).unwrap();
    assert_eq!(bytes[..2], [0xD2, 0x84], "tag 18, array of 4");
    assert_eq!(sign1.protected.original_data.as_deref(), Some([0xA1, 0x01, 0x27].as_slice()));
    let payload = sign1.payload.unwrap();
    let mut expected = vec![0xA8, 0x01, 0x50];
    expected.extend_from_slice(&founding().household.0);
    expected.extend_from_slice(&[0x02, 0x01, 0x03, 0x80, 0x04, 0x1A]);
    expected.extend_from_slice(&u32::try_from(NOW).unwrap().to_be_bytes());
    expected.extend_from_slice(&[0x05, 0x64]);
    expected.extend_from_slice(b"root");
    expected.extend_from_slice(&[0x06, 0x81, 0xA8, 0x01, 0x50]);
    assert!(payload.starts_with(&expected));
    assert!(payload.ends_with(&[0x07, 0x80, 0x08, 0x00]));
    println!("founding list: {} bytes", bytes.len());
}

#[test]
fn bytes_that_are_no_list_are_malformed() {
    let good = sign(founding(), &root());
    let mut chain = empty();
    assert_eq!(chain.accept(&[], None), Err(ListError::Malformed));
    assert_eq!(chain.accept(b"list", None), Err(ListError::Malformed));
    for cut in 0..good.len() {
        assert_eq!(chain.accept(&good[..cut], None), Err(ListError::Malformed), "{cut}");
    }
    let large = vec![0; MAX_LIST_BYTES + 1];
    assert_eq!(chain.accept(&large, None), Err(ListError::TooLarge { bytes: large.len() }));
}

proptest! {
    #[test]
    fn no_changed_bit_is_accepted(bit: prop::sample::Index) {
        let mut bytes = sign(founding(), &root());
        let bit = bit.index(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(empty().accept(&bytes, None).is_err());
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(empty().accept(&bytes, None).is_err());
    }
}

#[test]
fn the_same_list_in_other_bytes_is_refused() {
    let good = sign(founding(), &root());
    let mut sign1 = CoseSign1::from_tagged_slice(&good).unwrap();

    let mut trailing = good.clone();
    trailing.push(0);
    assert_eq!(empty().accept(&trailing, None), Err(ListError::Malformed));

    let mut fields: Value = ciborium::from_reader(sign1.payload.as_deref().unwrap()).unwrap();
    fields.as_map_mut().unwrap().reverse();
    let mut payload = Vec::new();
    ciborium::into_writer(&fields, &mut payload).unwrap();
    sign1.payload = Some(payload);
    // Signed as it stands, so that only the order of the map is wrong.
    sign1.signature = root().sign(&sign1.tbs_data(b"latchkey device list v1")).to_bytes().to_vec();
    let reordered = sign1.to_tagged_vec().unwrap();
    assert_eq!(empty().accept(&reordered, None), Err(ListError::NotDeterministic));

    let mut sign1 = CoseSign1::from_tagged_slice(&good).unwrap();
    sign1.unprotected.key_id = b"x".to_vec();
    assert_eq!(
        empty().accept(&sign1.clone().to_tagged_vec().unwrap(), None),
        Err(ListError::NotDeterministic)
    );
    let mut twice: Value = ciborium::from_reader(sign1.payload.as_deref().unwrap()).unwrap();
    let again = twice.as_map().unwrap()[0].clone();
    twice.as_map_mut().unwrap().push(again);
    let mut payload = Vec::new();
    ciborium::into_writer(&twice, &mut payload).unwrap();
    sign1.payload = Some(payload);
    assert_eq!(empty().accept(&sign1.to_tagged_vec().unwrap(), None), Err(ListError::Malformed));
}

#[test]
fn a_weak_root_key_is_refused() {
    let mut identity = [0; 32];
    identity[0] = 1;
    assert_eq!(ListChain::new(&identity).err(), Some(ListError::BadRootKey));
    assert_eq!(ListChain::new(&[2; 32]).err(), Some(ListError::BadRootKey));
}

#[test]
fn another_household_is_refused() {
    let other = ListChain::new(key(0xDD).verifying_key().as_bytes());
    assert_eq!(other.unwrap().accept(&sign(founding(), &root()), None), Err(ListError::WrongHousehold));
    assert_eq!(refusal(|list| list.household.0[0] ^= 1), ListError::WrongHousehold);
}

#[test]
fn versions_have_no_gap_and_do_not_start_at_zero() {
    assert_eq!(refusal(|list| list.version = 4), ListError::WrongVersion { expected: 3, found: 4 });
    assert_eq!(refusal(|list| list.version = 0), ListError::WrongVersion { expected: 3, found: 0 });
    let second = chain().at(2).unwrap().as_bytes().to_vec();
    assert_eq!(empty().accept(&second, None), Err(ListError::WrongVersion { expected: 1, found: 2 }));
}

#[test]
fn the_parent_must_be_the_list_before() {
    let first = chain().at(1).unwrap().version().hash;
    assert_eq!(refusal(|list| list.parents = vec![first]), ListError::WrongParent);
    assert_eq!(refusal(|list| list.parents.clear()), ListError::WrongParent);
    assert_eq!(refusal(|list| list.parents.push(list.parents[0])), ListError::WrongParent);
    assert_eq!(refusal(|list| list.parents = vec![ListHash([0; 32])]), ListError::WrongParent);
    let with_parent = DeviceList { parents: vec![ListHash([0; 32])], ..founding() };
    assert_eq!(empty().accept(&sign(with_parent, &root()), None), Err(ListError::WrongParent));
}

#[test]
fn the_first_list_is_the_roots_alone() {
    let by_device = DeviceList { signer: Signer::Device(DeviceId([1; 16])), ..founding() };
    assert_eq!(empty().accept(&sign(by_device, &key(1)), None), Err(ListError::FirstNotByRoot));
    let other_reason = DeviceList { reason: Reason::Added, ..founding() };
    assert_eq!(empty().accept(&sign(other_reason, &root()), None), Err(ListError::FirstNotByRoot));
    assert_eq!(empty().accept(&sign(founding(), &key(1)), None), Err(ListError::BadSignature));
}

#[test]
fn later_the_root_signs_recoveries_and_nothing_else() {
    let mut chain = chain();
    let mut ordinary = next(&chain, Reason::Changed);
    ordinary.signer = Signer::Root;
    assert_eq!(chain.accept(&sign(ordinary, &root()), None), Err(ListError::RootOutOfPlace));
    assert_eq!(refusal(|list| list.reason = Reason::Recovered), ListError::RootOutOfPlace);
    assert_eq!(refusal(|list| list.reason = Reason::Founded), ListError::RootOutOfPlace);

    let recovery = next(&chain, Reason::Recovered).with(entry(5, Role::Admin)).unwrap();
    let recovery = DeviceList { signer: Signer::Root, ..recovery };
    let recovery = recovery.without(DeviceId([1; 16])).unwrap().without(DeviceId([3; 16])).unwrap();
    assert_eq!(chain.accept(&sign(recovery.clone(), &key(1)), None), Err(ListError::BadSignature));
    assert_eq!(chain.accept(&sign(recovery, &root()), None).unwrap().version, 3);
}

#[test]
fn only_an_admin_of_the_list_before_signs() {
    let viewer = Signer::Device(DeviceId([2; 16]));
    assert_eq!(refusal(|list| list.signer = viewer), ListError::SignerNotAdmin);
    assert_eq!(refusal(|list| list.signer = Signer::Device(DeviceId([10; 16]))), ListError::SignerNotAdmin);
    assert_eq!(refusal(|list| list.signer = Signer::Device(DeviceId([9; 16]))), ListError::UnknownSigner);
    // An admin that the list itself would make.
    let newcomer = |list: &mut DeviceList| {
        list.devices.insert(3, entry(6, Role::Admin));
        list.signer = Signer::Device(DeviceId([6; 16]));
    };
    assert_eq!(refusal(newcomer), ListError::UnknownSigner);
    let mut chain = chain();
    let draft = next(&chain, Reason::Removed).without(DeviceId([3; 16])).unwrap();
    chain.accept(&sign(draft, &key(1)), None).unwrap();
    let late = DeviceList { signer: Signer::Device(DeviceId([3; 16])), ..next(&chain, Reason::Changed) };
    assert_eq!(chain.accept(&sign(late, &key(3)), None), Err(ListError::UnknownSigner));
}

#[test]
fn a_signer_that_is_not_valid_yet_is_refused() {
    let mut chain = chain();
    let later = DeviceEntry { not_before: NOW + 4000, ..entry(6, Role::Admin) };
    let draft = next(&chain, Reason::Added).with(later).unwrap();
    chain.accept(&sign(draft, &key(1)), None).unwrap();
    let early = DeviceList { signer: Signer::Device(DeviceId([6; 16])), ..next(&chain, Reason::Changed) };
    assert_eq!(chain.accept(&sign(early.clone(), &key(6)), None), Err(ListError::SignerExpired));
    let in_time = DeviceList { issued_at: NOW + 4000, ..early };
    chain.accept(&sign(in_time, &key(6)), None).unwrap();
}

#[test]
fn a_wrong_signature_is_refused() {
    let mut chain = chain();
    let draft = next(&chain, Reason::Changed);
    assert_eq!(chain.accept(&sign(draft.clone(), &key(3)), None), Err(ListError::BadSignature));
    assert_eq!(chain.accept(&sign(draft.clone(), &root()), None), Err(ListError::BadSignature));
    let bare = CoseSign1::from_tagged_slice(&sign(draft.clone(), &key(1))).unwrap().payload.unwrap();
    let no_domain = key(1).sign(&bare).to_bytes();
    let bytes = SignedList::assemble(draft, no_domain).as_bytes().to_vec();
    assert_eq!(chain.accept(&bytes, None), Err(ListError::BadSignature));
}

#[test]
fn time_runs_forward_and_not_far_ahead() {
    assert_eq!(refusal(|list| list.issued_at = NOW - 1), ListError::TimeRunsBackwards);
    let mut chain = chain();
    let ahead = DeviceList { issued_at: NOW + 86_401, ..next(&chain, Reason::Changed) };
    let ahead = sign(ahead, &key(1));
    let now = UNIX_EPOCH + Duration::from_secs(NOW);
    assert_eq!(chain.accept(&ahead, Some(now)), Err(ListError::FromTheFuture));
    assert_eq!(chain.accept(&ahead, Some(now + Duration::from_secs(1))).unwrap().version, 3);
}

#[test]
fn removing_a_camera_takes_it_from_those_who_named_it() {
    let chain = chain();
    let draft = next(&chain, Reason::Added).with(guest(6, 10)).unwrap();
    let draft = draft.without(DeviceId([10; 16])).unwrap();
    assert_eq!(draft.device(DeviceId([6; 16])).unwrap().cameras, Some(Vec::new()));
    let nobody = draft.without(DeviceId([99; 16]));
    assert_eq!(nobody.err(), Some(ListError::UnknownDevice(DeviceId([99; 16]))));
}

#[test]
fn two_lists_of_one_version_are_an_alarm_until_a_list_joins_them() {
    let mut chain = chain();
    let ours = next(&chain, Reason::Removed).without(DeviceId([2; 16])).unwrap();
    let theirs = DeviceList { signer: Signer::Device(DeviceId([3; 16])), ..next(&chain, Reason::Changed) };
    let theirs = sign(theirs, &key(3));
    chain.accept(&sign(ours, &key(1)), None).unwrap();
    let mut forged = theirs.clone();
    *forged.last_mut().unwrap() ^= 1;
    assert_eq!(chain.accept(&forged, None), Err(ListError::BadSignature));
    assert_eq!(chain.rival(), None, "only a valid second list is an alarm");

    assert_eq!(chain.accept(&theirs, None), Err(two_histories(3, 1, 3)));
    let rival = chain.rival().unwrap().version().hash;
    let alone = next(&chain, Reason::Changed);
    let mut joined = DeviceList { reason: Reason::Joined, ..alone };
    joined.parents.push(rival);
    joined.parents.sort();
    let joined = sign(joined, &key(1));

    // A device that followed the other history takes the same list.
    let mut other = ListChain::new(chain.root_public()).unwrap();
    other.accept(chain.at(1).unwrap().as_bytes(), None).unwrap();
    other.accept(chain.at(2).unwrap().as_bytes(), None).unwrap();
    other.accept(&theirs, None).unwrap();
    for chain in [&mut chain, &mut other] {
        assert_eq!(chain.accept(&joined, None).unwrap().version, 4);
        assert_eq!(chain.rival(), None);
    }
}

#[test]
fn who_was_removed_in_one_history_neither_joins_them_nor_goes_on_with_one() {
    let mut chain = chain();
    let ours = next(&chain, Reason::Changed);
    let removes_signer =
        DeviceList { signer: Signer::Device(DeviceId([3; 16])), ..next(&chain, Reason::Removed) };
    let removes_signer = removes_signer.without(DeviceId([1; 16])).unwrap();
    chain.accept(&sign(ours, &key(1)), None).unwrap();
    let version = chain.accept(&sign(removes_signer, &key(3)), None);
    assert_eq!(version, Err(two_histories(3, 1, 3)));
    let alone = sign(next(&chain, Reason::Changed), &key(1));
    assert_eq!(chain.accept(&alone, None), Err(ListError::HistoriesNotJoined));
    let mut joined = next(&chain, Reason::Joined);
    joined.parents.push(chain.rival().unwrap().version().hash);
    joined.parents.sort();
    assert_eq!(chain.accept(&sign(joined, &key(1)), None), Err(ListError::UnknownSigner));
}

#[test]
fn an_old_list_of_another_history_is_an_alarm_too() {
    let mut chain = chain();
    let second =
        DeviceList::after(chain.at(1).unwrap(), Signer::Device(DeviceId([1; 16])), NOW, Reason::Changed);
    let draft = next(&chain, Reason::Changed);
    chain.accept(&sign(draft, &key(1)), None).unwrap();
    assert_eq!(chain.accept(&sign(second, &key(1)), None), Err(two_histories(2, 1, 1)));
    assert_eq!(chain.rival(), None);
}
