//! Both files behind the seam are the cipher of RFC 9605, and one and the same cipher.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use serde_json::Value;

use super::{CipherFailure, NONCE_LEN, TAG_LEN, native, portable};

const VECTORS: &str = include_str!("../../tests/vectors/rfc9605.json");

fn vector(suite: u64) -> Value {
    let all: Value = serde_json::from_str(VECTORS).unwrap();
    let found = all["sframe"].as_array().unwrap().iter().find(|vector| vector["cipher_suite"] == suite);
    found.unwrap().clone()
}

fn bytes(vector: &Value, name: &str) -> Vec<u8> {
    hex::decode(vector[name].as_str().unwrap()).unwrap()
}

macro_rules! keeps_the_vector {
    ($name:ident, $key:ty, $suite:literal) => {
        #[test]
        fn $name() {
            let vector = vector($suite);
            let key = <$key>::new(&bytes(&vector, "sframe_key")).unwrap();
            let nonce: [u8; NONCE_LEN] = bytes(&vector, "nonce").try_into().unwrap();
            let (aad, plain) = (bytes(&vector, "aad"), bytes(&vector, "pt"));
            let mut data = plain.clone();
            let tag = key.seal(&nonce, &aad, &mut data).unwrap();
            data.extend_from_slice(&tag);
            assert!(bytes(&vector, "ct").ends_with(&data));
            let mut bent = data.clone();
            bent[0] ^= 1;
            assert_eq!(key.open(&nonce, &aad, &mut bent), Err(CipherFailure));
            assert_eq!(key.open(&nonce, &aad[1..], &mut data.clone()), Err(CipherFailure));
            assert_eq!(key.open(&nonce, &aad, &mut [0; TAG_LEN - 1]), Err(CipherFailure));
            assert_eq!(key.open(&nonce, &aad, &mut data), Ok(plain.len()));
            assert_eq!(data[..plain.len()], plain);
        }
    };
}

keeps_the_vector!(native_suite_4, native::PreparedKey, 4);
keeps_the_vector!(native_suite_5, native::PreparedKey, 5);
keeps_the_vector!(portable_suite_4, portable::PreparedKey, 4);

#[test]
fn keys_of_other_lengths_are_refused() {
    for len in [0, 15, 17, 24, 31, 33] {
        assert!(native::PreparedKey::new(&vec![0; len]).is_err());
        assert!(portable::PreparedKey::new(&vec![0; len]).is_err());
    }
    assert!(portable::PreparedKey::new(&[0; 32]).is_err(), "a page has suite 4 only");
}

proptest! {
    /// What one seals the other seals and opens alike, at every length; a changed bit opens at neither.
    #[test]
    fn both_files_are_one_cipher(
        key: [u8; 16],
        nonce: [u8; NONCE_LEN],
        aad in proptest::collection::vec(any::<u8>(), 0..40),
        plain in proptest::collection::vec(any::<u8>(), 0..400),
        bent in any::<prop::sample::Index>(),
        bit in 0..8,
    ) {
        let (native, portable) =
            (native::PreparedKey::new(&key).unwrap(), portable::PreparedKey::new(&key).unwrap());
        let (mut one, mut other) = (plain.clone(), plain.clone());
        let tags = [native.seal(&nonce, &aad, &mut one), portable.seal(&nonce, &aad, &mut other)];
        one.extend(tags[0].unwrap());
        other.extend(tags[1].unwrap());
        prop_assert_eq!(&one, &other);
        let mut changed = one.clone();
        changed[bent.index(one.len())] ^= 1u8 << bit;
        prop_assert_eq!(native.open(&nonce, &aad, &mut changed.clone()), Err(CipherFailure));
        prop_assert_eq!(portable.open(&nonce, &aad, &mut changed), Err(CipherFailure));
        prop_assert_eq!(native.open(&nonce, &aad, &mut other), Ok(plain.len()));
        prop_assert_eq!(portable.open(&nonce, &aad, &mut one), Ok(plain.len()));
        prop_assert_eq!(&one[..plain.len()], plain.as_slice());
        prop_assert_eq!(&other[..plain.len()], plain.as_slice());
    }
}
