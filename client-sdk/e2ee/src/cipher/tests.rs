//! The vectors of RFC 9605 through key schedule and header; see `tests/vectors/README.md` for their source.

#![allow(clippy::unwrap_used)]

use latchkey_cipher::TAG_LEN;
use serde_json::Value;
use sframe::header::SframeHeader;

use super::*;

const VECTORS: &str = include_str!("../../tests/vectors/rfc9605.json");

fn bytes(vector: &Value, name: &str) -> Vec<u8> {
    hex::decode(vector[name].as_str().unwrap()).unwrap()
}

fn suites() -> Vec<(CipherSuite, Value)> {
    let all: Value = serde_json::from_str(VECTORS).unwrap();
    let suite = |vector: &Value| match vector["cipher_suite"].as_u64().unwrap() {
        4 => Some(CipherSuite::AesGcm128Sha256),
        5 => Some(CipherSuite::AesGcm256Sha512),
        _ => None,
    };
    let vectors = all["sframe"].as_array().unwrap().iter();
    let ours: Vec<_> = vectors.filter_map(|vector| Some((suite(vector)?, vector.clone()))).collect();
    assert_eq!(ours.len(), 2);
    ours
}

#[test]
fn headers() {
    let all: Value = serde_json::from_str(VECTORS).unwrap();
    let headers = all["header"].as_array().unwrap();
    assert_eq!(headers.len(), 289);
    for vector in headers {
        let (kid, ctr) = (vector["kid"].as_u64().unwrap(), vector["ctr"].as_u64().unwrap());
        let encoded = bytes(vector, "encoded");
        let header = SframeHeader::new(kid, ctr);
        assert_eq!(Vec::from(&header), encoded);
        let read = latchkey_wire::sframe_header::SframeHeader::read(&encoded).unwrap();
        assert_eq!((read.kid, read.ctr, read.len), (kid, ctr, encoded.len()));
    }
}

#[test]
fn key_schedule_and_nonce() {
    for (suite, vector) in suites() {
        let (kid, ctr) = (vector["kid"].as_u64().unwrap(), vector["ctr"].as_u64().unwrap());
        assert_eq!(get_hkdf_key_expand_label(kid, suite), bytes(&vector, "sframe_key_label"));
        assert_eq!(get_hkdf_salt_expand_label(kid, suite), bytes(&vector, "sframe_salt_label"));
        let mut key = vec![0; suite.key_len()];
        let mut salt = [0; NONCE_LEN];
        expand(suite, &bytes(&vector, "base_key"), kid, &mut key, &mut salt).unwrap();
        assert_eq!(key, bytes(&vector, "sframe_key"));
        assert_eq!(salt.to_vec(), bytes(&vector, "sframe_salt"));
        let secret = Kdf::expand_from(suite, bytes(&vector, "base_key"), kid).unwrap();
        assert_eq!(secret.nonce(ctr).to_vec(), bytes(&vector, "nonce"));
    }
}

#[test]
fn frames_through_the_crates_traits() {
    for (suite, vector) in suites() {
        let (kid, ctr) = (vector["kid"].as_u64().unwrap(), vector["ctr"].as_u64().unwrap());
        let header = Vec::from(&SframeHeader::new(kid, ctr));
        let mut aad = [header.clone(), bytes(&vector, "metadata")].concat();
        assert_eq!(aad, bytes(&vector, "aad"));
        let sealing = SealingKey::derive_from(suite, kid, bytes(&vector, "base_key")).unwrap();
        let mut data = bytes(&vector, "pt");
        let mut tag = [0; TAG_LEN];
        sealing.encrypt(EncryptionBufferView { aad: &mut aad, data: &mut data, tag: &mut tag }, ctr).unwrap();
        let sframe = [header.clone(), data, tag.to_vec()].concat();
        assert_eq!(sframe, bytes(&vector, "ct"));

        let opening = OpeningKey::derive_from(suite, kid, bytes(&vector, "base_key")).unwrap();
        let mut data = sframe[header.len()..].to_vec();
        opening.decrypt(DecryptionBufferView { aad: &mut aad, data: &mut data }, ctr).unwrap();
        assert_eq!(data[..data.len() - TAG_LEN], bytes(&vector, "pt"));
        assert!(opening.decrypt(DecryptionBufferView { aad: &mut aad, data: &mut [0; 3] }, ctr).is_err());
    }
}
