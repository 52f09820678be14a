//! Enrolment keys that would share no secret are in no list: all of them, in every encoding.

#![allow(clippy::unwrap_used)]

use latchkey_api::device_list::{DeviceList, ListError, Role};
use latchkey_e2ee::identity::{DeviceIdentity, HouseholdRoot};
use x25519_dalek::{PublicKey, StaticSecret};

/// The u-coordinates of small order, as decimal little-endian bytes from the list of curve25519's author.
const SMALL_ORDER: [&str; 7] = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
];

fn bytes(hex: &str) -> [u8; 32] {
    std::array::from_fn(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap())
}

/// What signing a first list with this enrolment key says.
fn listed(enrol_public: [u8; 32]) -> Result<(), ListError> {
    let (root, _) = HouseholdRoot::generate().unwrap();
    let admin = DeviceIdentity::generate().unwrap();
    let mut entry = admin.public().entry(Role::Admin, 9, Vec::new());
    entry.enrol_public = enrol_public;
    let id = entry.device;
    match DeviceList::founding(root.household(), entry, 9) {
        Err(ListError::BadKey(device)) if device == id => Err(ListError::BadKey(id)),
        other => other.map(|_| ()),
    }
}

fn shares_a_secret(public: [u8; 32]) -> bool {
    let secret = StaticSecret::from([7; 32]);
    secret.diffie_hellman(&PublicKey::from(public)).was_contributory()
}

#[test]
fn keys_of_small_order_are_refused_whatever_their_topmost_bit_is() {
    for hex in SMALL_ORDER {
        for top in [0, 0x80] {
            let mut public = bytes(hex);
            public[31] |= top;
            assert!(!shares_a_secret(public), "{public:02x?}");
            assert!(matches!(listed(public), Err(ListError::BadKey(_))), "{public:02x?}");
        }
    }
}

#[test]
fn their_neighbours_and_real_keys_are_not() {
    let real = *DeviceIdentity::generate().unwrap().public().enrol_public.first_chunk().unwrap();
    let mut publics = vec![real];
    for hex in SMALL_ORDER {
        for (at, change) in [(0, 0x04), (15, 0x01), (30, 0x40)] {
            let mut public = bytes(hex);
            public[at] ^= change;
            publics.push(public);
        }
    }
    for public in publics {
        assert_eq!(listed(public).is_ok(), shares_a_secret(public), "{public:02x?}");
    }
}
