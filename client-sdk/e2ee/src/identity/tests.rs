//! The derivations that must never change, and what the keys sign.

#![allow(clippy::unwrap_used)]

use ed25519_dalek::{Signature, VerifyingKey};
use latchkey_api::device_list::{ListChain, Reason, Signer};

use super::*;

const WORDS: &str =
    "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about";

#[test]
fn the_root_of_known_words_is_known() {
    // HKDF-SHA256 of 16 zero bytes, empty salt, info "household root v1", computed with Python's hmac.
    let seed = "3ac0b391608cf2de281db83621825bd7176c3313aeaad8f586076a2496bb8a42";
    let seed: [u8; 32] = hex::decode(seed).unwrap().try_into().unwrap();
    let root = HouseholdRoot::from_phrase(WORDS).unwrap();
    assert_eq!(root.public(), SigningKey::from_bytes(&seed).verifying_key().to_bytes());
    assert_eq!(root.household(), HouseholdId::of_root(&root.public()));
    let shouted = format!("  {}\n", WORDS.to_uppercase().replace(' ', "   "));
    assert_eq!(HouseholdRoot::from_phrase(&shouted).unwrap().public(), root.public());
}

#[test]
fn a_new_root_comes_back_from_its_words() {
    let (root, phrase) = HouseholdRoot::generate().unwrap();
    assert_eq!(phrase.words().split(' ').count(), 12);
    assert_eq!(HouseholdRoot::from_phrase(phrase.words()).unwrap().public(), root.public());
    let (other, _) = HouseholdRoot::generate().unwrap();
    assert_ne!(other.public(), root.public());
}

#[test]
fn mistyped_words_are_refused() {
    let swapped = WORDS.replacen("abandon", "ability", 1);
    let unknown = WORDS.replacen("abandon", "abandond", 1);
    let longer = "abandon ".repeat(23) + "art";
    let third = WORDS.replacen("abandon", "ABANDOM", 3).replacen("ABANDOM", "abandon", 2);
    for (words, error) in [
        ("", IdentityError::WordCount(0)),
        ("abandon", IdentityError::WordCount(1)),
        (&longer, IdentityError::WordCount(24)),
        (&swapped, IdentityError::WrongChecksum),
        (&unknown, IdentityError::UnknownWord(1)),
        (&third, IdentityError::UnknownWord(3)),
    ] {
        assert_eq!(HouseholdRoot::from_phrase(words).err(), Some(error), "{words}");
    }
}

#[test]
fn a_device_comes_back_from_its_bytes() {
    let device = DeviceIdentity::generate().unwrap();
    let bytes = device.to_bytes();
    assert_eq!(bytes.len(), DeviceIdentity::LEN);
    assert_eq!(DeviceIdentity::from_bytes(&bytes).unwrap().public(), device.public());
    let mut newer = bytes.to_vec();
    newer[0] = 2;
    for bad in [&bytes[..80], &[], &newer] {
        assert_eq!(DeviceIdentity::from_bytes(bad).err(), Some(IdentityError::Malformed));
    }
    assert_ne!(DeviceIdentity::generate().unwrap().public(), device.public());
}

#[test]
fn a_challenge_is_signed_for_one_audience_household_and_nonce() {
    let device = DeviceIdentity::generate().unwrap();
    let household = HouseholdId([7; 16]);
    let signature = Signature::from_bytes(&device.sign_challenge("cam.example", &household, &[1; 32]));
    let key = VerifyingKey::from_bytes(&device.public().mls_public).unwrap();
    let signed = |audience, household, nonce: &[u8]| {
        key.verify_strict(&signing_input(audience, &household, &device.device(), nonce), &signature).is_ok()
    };
    assert!(signed("cam.example", household, &[1; 32]));
    assert!(!signed("cam.example.org", household, &[1; 32]));
    assert!(!signed("cam.example", HouseholdId([8; 16]), &[1; 32]));
    assert!(!signed("cam.example", household, &[2; 32]));
}

#[test]
fn root_and_admin_sign_lists_that_are_accepted() {
    let (root, _) = HouseholdRoot::generate().unwrap();
    let (admin, camera) = (DeviceIdentity::generate().unwrap(), DeviceIdentity::generate().unwrap());
    let first = DeviceList::founding(root.household(), admin.public().entry(Role::Admin, 9, vec![1]), 9);
    let mut chain = ListChain::new(&root.public()).unwrap();
    chain.accept(root.sign_list(first.unwrap()).as_bytes(), None).unwrap();
    let signer = Signer::Device(admin.device());
    let second = DeviceList::after(chain.head().unwrap(), signer, 9, Reason::Added);
    let second = second.with(camera.public().entry(Role::Camera, 9, vec![2])).unwrap();
    assert!(chain.accept(camera.sign_list(second.clone()).as_bytes(), None).is_err());
    chain.accept(admin.sign_list(second).as_bytes(), None).unwrap();
    assert_eq!(chain.head().unwrap().list().device(camera.device()).unwrap().rights, Rights::NONE);
}

#[test]
fn no_id_looks_like_a_flag() {
    for _ in 0..500 {
        let id = DeviceIdentity::generate().unwrap().device().to_string();
        assert!(!id.starts_with('-'), "{id}");
    }
}
