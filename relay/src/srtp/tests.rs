//! SRTP against `rtc-srtp`, byte for byte, and against forgers.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use rtc_srtp::context::Context;
use rtc_srtp::protection_profile::ProtectionProfile;

use super::keys::{Protocol, SessionKey};
use super::*;

const PROFILES: [SrtpProfile; 2] = [SrtpProfile::Aes128Gcm, SrtpProfile::Aes128CmSha1];

fn material(profile: SrtpProfile) -> Vec<u8> {
    (0..profile.keying_material_len()).map(|i| (i * 37 + 11) as u8).collect()
}

/// Keys of the client's and of the server's direction.
fn masters(profile: SrtpProfile) -> (MasterKey, MasterKey) {
    from_keying_material(profile, &material(profile)).unwrap()
}

/// The witness, with the keys that the server sends with.
fn witness(profile: SrtpProfile, server: bool) -> Context {
    let theirs = match profile {
        SrtpProfile::Aes128Gcm => ProtectionProfile::AeadAes128Gcm,
        SrtpProfile::Aes128CmSha1 => ProtectionProfile::Aes128CmHmacSha1_80,
    };
    let mut config = rtc_srtp::config::Config { profile: theirs, ..Default::default() };
    config.set_session_keys_from_keying_material(&material(profile), !server).unwrap();
    let crypto = rtc_crypto::default_provider().unwrap();
    Context::new(
        &config.keys.local_master_key,
        &config.keys.local_master_salt,
        theirs,
        None,
        None,
        crypto.crypto(),
    )
    .unwrap()
}

/// One-byte header extensions (RFC 8285) of these lengths, then padding as the relay adds it to even out a train.
fn extensions(lengths: &[usize], padding: usize) -> Vec<u8> {
    let mut block = Vec::new();
    for (i, len) in lengths.iter().enumerate() {
        block.push((i as u8 + 1) << 4 | (len - 1) as u8);
        block.extend((0..*len).map(|j| (i + j) as u8));
    }
    block.resize(block.len() + padding, 0);
    block
}

fn packet(ssrc: u32, sequence: u16, extension: &[u8], csrcs: usize, payload: &[u8]) -> (Vec<u8>, usize) {
    let mut bytes = vec![0x80 | csrcs as u8, 96];
    bytes.extend(sequence.to_be_bytes());
    bytes.extend(0x1234_5678u32.to_be_bytes());
    bytes.extend(ssrc.to_be_bytes());
    bytes.extend((0..csrcs as u32).flat_map(u32::to_be_bytes));
    if !extension.is_empty() {
        bytes[0] |= 0x10;
        bytes.extend([0xBE, 0xDE]);
        let words = extension.len().div_ceil(4);
        bytes.extend((words as u16).to_be_bytes());
        bytes.extend(extension);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    let clear = bytes.len();
    bytes.extend(payload);
    (bytes, clear)
}

fn sealed(sealer: &Sealer, bytes: &[u8], clear: usize, prefix: usize, index: u64) -> Vec<u8> {
    let mut out = vec![0; bytes.len() + sealer.overhead()];
    let ssrc = u32::from_be_bytes(bytes[8..12].try_into().unwrap());
    let plain = Plain {
        header: &bytes[..clear],
        prefix: &bytes[clear..clear + prefix],
        payload: &bytes[clear + prefix..],
        ssrc,
        index,
    };
    sealer.seal(&plain, &mut out).unwrap();
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// What we seal is what `rtc-srtp` seals, and both open it, over the rollover of the sequence number.
    #[test]
    fn sealing_equals_rtc_srtp(
        first in 65_000u16..,
        steps in proptest::collection::vec(1u16..40, 1..60),
        ssrc: u32,
        lengths in proptest::collection::vec(1usize..=16, 0..4),
        padding in 0usize..12,
        csrcs in 0usize..3,
        payload in proptest::collection::vec(any::<u8>(), 2..1200),
        prefix in 0usize..3,
        profile in 0usize..2,
    ) {
        let profile = PROFILES[profile];
        let (client, server) = masters(profile);
        let sealer = Sealer::new(&server);
        let mut theirs = witness(profile, true);
        // The client's opener holds the server's sending key.
        let mut opener = Opener::new(&server);
        drop(client);
        let extension = extensions(&lengths, padding);
        let mut index = u64::from(first);
        for step in steps {
            let (bytes, clear) = packet(ssrc, index as u16, &extension, csrcs, &payload);
            let ours = sealed(&sealer, &bytes, clear, prefix, index);
            prop_assert_eq!(&ours[..], &theirs.encrypt_rtp(&bytes).unwrap()[..]);
            let mut back = ours.clone();
            let len = opener.open(&mut back).unwrap();
            prop_assert_eq!(&back[..len], &bytes[..]);
            let mut again = ours;
            prop_assert_eq!(opener.open(&mut again), Err(OpenError::Replayed));
            index += u64::from(step);
        }
    }

    /// RTCP both ways: they open ours, we open theirs.
    #[test]
    fn control_packets_equal_rtc_srtp(body in proptest::collection::vec(any::<u8>(), 0..300), ssrc: u32, profile in 0usize..2) {
        let profile = PROFILES[profile];
        let (client, server) = masters(profile);
        let (mut sealer, mut opener) = (ControlSealer::new(&server), ControlOpener::new(&client));
        let (mut open_theirs, mut seal_theirs) = (witness(profile, true), witness(profile, false));
        let mut bytes = vec![0x80, 200, 0, 0];
        bytes.extend(ssrc.to_be_bytes());
        bytes.extend(&body);
        for _ in 0..3 {
            let mut ours = bytes.clone();
            ours.resize(bytes.len() + sealer.overhead(), 0);
            sealer.seal(&mut ours).unwrap();
            prop_assert_eq!(&open_theirs.decrypt_rtcp(&ours).unwrap()[..], &bytes[..]);
            let mut theirs = seal_theirs.encrypt_rtcp(&bytes).unwrap().to_vec();
            let replayed = theirs.clone();
            let len = opener.open(&mut theirs).unwrap();
            prop_assert_eq!(&theirs[..len], &bytes[..]);
            prop_assert_eq!(opener.open(&mut replayed.clone()), Err(OpenError::Replayed));
        }
    }

    /// Whatever arrives, nothing panics, nothing is opened and nothing is remembered.
    #[test]
    fn forgeries_change_nothing(garbage in proptest::collection::vec(any::<u8>(), 0..200), profile in 0usize..2) {
        let (client, _) = masters(PROFILES[profile]);
        let (mut opener, mut control) = (Opener::new(&client), ControlOpener::new(&client));
        let mut framed = garbage.clone();
        if let Some(first) = framed.first_mut() {
            *first = *first & 0x3F | 0x80;
        }
        for bytes in [garbage, framed] {
            prop_assert!(opener.open(&mut bytes.clone()).is_err());
            prop_assert!(control.open(&mut bytes.clone()).is_err());
        }
        prop_assert_eq!(opener.sources_len(), 0);
    }
}

#[test]
fn every_flipped_bit_is_noticed() {
    for profile in PROFILES {
        let (_, server) = masters(profile);
        let sealer = Sealer::new(&server);
        let (bytes, clear) = packet(7, 100, &[0x10, 0xAA], 0, b"payload of a packet");
        let good = sealed(&sealer, &bytes, clear, 0, 100);
        let mut opener = Opener::new(&server);
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(opener.open(&mut bad).is_err(), "{profile:?}: bit {bit}");
        }
        assert_eq!(opener.open(&mut good.clone()), Ok(bytes.len()), "forgeries left no trace");
    }
}

#[test]
fn unencrypted_control_packets_are_refused() {
    for profile in PROFILES {
        let (_, server) = masters(profile);
        let mut control = ControlOpener::new(&server);
        let mut bytes = vec![0u8; 60];
        bytes[0] = 0x80;
        bytes[1] = 201;
        assert_eq!(control.open(&mut bytes), Err(OpenError::Malformed), "{profile:?}");
    }
}

#[test]
fn a_peer_has_a_bounded_number_of_sources() {
    let (_, server) = masters(SrtpProfile::Aes128Gcm);
    let (sealer, mut opener) = (Sealer::new(&server), Opener::new(&server));
    let mut results = Vec::new();
    for ssrc in 0..=Opener::MAX_SOURCES as u32 {
        let (bytes, clear) = packet(ssrc, 1, &[], 0, b"x");
        results.push(opener.open(&mut sealed(&sealer, &bytes, clear, 0, 1)).is_ok());
    }
    assert_eq!(results.iter().filter(|ok| **ok).count(), Opener::MAX_SOURCES);
    let (bytes, clear) = packet(3, 2, &[], 0, b"x");
    assert!(opener.open(&mut sealed(&sealer, &bytes, clear, 0, 2)).is_ok(), "known ones go on");
}

#[test]
fn the_derivation_is_that_of_rfc_3711_appendix_b_3() {
    let key = hex("E1F97A0D3E018BE0D64FA32C06DE4139");
    let salt = hex("0EC675AD498AFEEBB6960B3AABE6");
    let master = MasterKey::new(SrtpProfile::Aes128CmSha1, &key, &salt).unwrap();
    let SessionKey::CmSha1(derived) = SessionKey::derive(&master, Protocol::Rtp) else {
        panic!("the profile chooses the cipher")
    };
    assert_eq!(derived.salt.to_vec(), hex("30CBBC08863D8C85D49DB34A9AE1"));
}

fn hex(text: &str) -> Vec<u8> {
    text.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}
