//! The suite against the one of the MLS library's authors: the same bytes, and what one seals the other opens.
#![allow(clippy::unwrap_used)]

use mls_rs_core::crypto::{HpkeContextR as _, HpkeContextS as _};
use mls_rs_crypto_rustcrypto::RustCryptoProvider;
use proptest::prelude::*;

use super::*;

fn theirs() -> impl CipherSuiteProvider {
    RustCryptoProvider::new().cipher_suite_provider(SUITE).unwrap()
}

proptest! {
    #[test]
    fn what_has_no_randomness_is_the_same(
        key in any::<[u8; 16]>(),
        nonce in any::<[u8; 12]>(),
        seed in any::<[u8; 32]>(),
        aad in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..40)),
        data in proptest::collection::vec(any::<u8>(), 1..300),
        len in 0..200usize,
    ) {
        let (ours, theirs) = (Suite::new(), theirs());
        let aad = aad.as_deref();
        prop_assert_eq!(ours.hash(&data).unwrap(), theirs.hash(&data).unwrap());
        prop_assert_eq!(ours.mac(&seed, &data).unwrap(), theirs.mac(&seed, &data).unwrap());
        let prk = ours.kdf_extract(&key, &data).unwrap();
        prop_assert_eq!(&prk, &theirs.kdf_extract(&key, &data).unwrap());
        prop_assert_eq!(ours.kdf_extract(&[], &data).unwrap(), theirs.kdf_extract(&[], &data).unwrap());
        prop_assert_eq!(ours.kdf_expand(&prk, &data, len).unwrap(), theirs.kdf_expand(&prk, &data, len).unwrap());
        let sealed = ours.aead_seal(&key, &data, aad, &nonce).unwrap();
        prop_assert_eq!(&sealed, &theirs.aead_seal(&key, &data, aad, &nonce).unwrap());
        let opened = ours.aead_open(&key, &sealed, aad, &nonce).unwrap();
        prop_assert_eq!(opened.as_slice(), data.as_slice());
        prop_assert_eq!(ours.kem_derive(&seed).unwrap(), theirs.kem_derive(&seed).unwrap());
        let pair = SigningKey::from_bytes(&seed).to_keypair_bytes().to_vec().into();
        prop_assert_eq!(ours.sign(&pair, &data).unwrap(), theirs.sign(&pair, &data).unwrap());
        let public = ours.signature_key_derive_public(&pair).unwrap();
        prop_assert_eq!(&public, &theirs.signature_key_derive_public(&pair).unwrap());
        ours.verify(&public, &theirs.sign(&pair, &data).unwrap(), &data).unwrap();
    }

    #[test]
    fn what_one_seals_to_a_key_the_other_opens(
        info in proptest::collection::vec(any::<u8>(), 0..40),
        data in proptest::collection::vec(any::<u8>(), 1..300),
        psk in any::<[u8; 32]>(),
    ) {
        let (ours, theirs) = (Suite::new(), theirs());
        let (secret, public) = ours.kem_generate().unwrap();
        theirs.kem_public_key_validate(&public).unwrap();
        let aad = Some(b"aad".as_slice());
        let there = theirs.hpke_seal(&public, &info, aad, &data).unwrap();
        let opened = ours.hpke_open(&there, &secret, &public, &info, aad).unwrap();
        prop_assert_eq!(opened.as_slice(), &data);
        let back = ours.hpke_seal(&public, &info, aad, &data).unwrap();
        let opened = theirs.hpke_open(&back, &secret, &public, &info, aad).unwrap();
        prop_assert_eq!(opened.as_slice(), &data);
        let shared = || HpkePsk::new(b"name", &psk);
        let back = ours.hpke_seal_psk(&public, &info, aad, &data, shared()).unwrap();
        let opened = theirs.hpke_open_psk(&back, &secret, &public, &info, aad, shared()).unwrap();
        prop_assert_eq!(opened.as_slice(), &data);
        let (enc, mut sender) = ours.hpke_setup_s(&public, &info).unwrap();
        let mut receiver = theirs.hpke_setup_r(&enc, &secret, &public, &info).unwrap();
        let sealed = sender.seal(aad, &data).unwrap();
        let opened = receiver.open(aad, &sealed).unwrap();
        prop_assert_eq!(opened.as_slice(), &data);
        prop_assert_eq!(sender.export(b"x", 32).unwrap(), receiver.export(b"x", 32).unwrap());
    }

    #[test]
    fn bytes_of_the_network_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let suite = Suite::new();
        let (secret, public) = suite.kem_generate().unwrap();
        let (signer, _) = suite.signature_key_generate().unwrap();
        prop_assert!(suite.aead_open(&[7; 16], &bytes, None, &[0; 12]).is_err());
        prop_assert!(suite.aead_open(&bytes, &[0; 20], None, &bytes).is_err());
        prop_assert!(suite.verify(&bytes.clone().into(), &bytes, b"x").is_err());
        prop_assert!(suite.verify(&suite.signature_key_derive_public(&signer).unwrap(), &bytes, b"x").is_err());
        let sealed = HpkeCiphertext { kem_output: bytes.clone(), ciphertext: bytes.clone() };
        prop_assert!(suite.hpke_open(&sealed, &secret, &public, b"", None).is_err());
        prop_assert_eq!(suite.kem_public_key_validate(&bytes.clone().into()).is_ok(), bytes.len() == 32);
    }
}

#[test]
fn a_public_key_that_lends_nothing_is_refused() {
    let suite = Suite::new();
    let error = suite.hpke_seal(&vec![0; 32].into(), b"", None, b"data").unwrap_err();
    assert!(matches!(error, SuiteError::Hpke(HpkeError::KemError(_))), "{error:?}");
}

#[test]
fn other_suites_are_not_offered() {
    assert_eq!(OneSuite.supported_cipher_suites(), [SUITE]);
    for other in CipherSuite::all().filter(|suite| *suite != SUITE) {
        assert!(OneSuite.cipher_suite_provider(other).is_none());
    }
}
