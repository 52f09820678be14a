//! A modified client: the same MLS library and the device's real keys, but no rules at all.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use ed25519_dalek::SigningKey;
use latchkey_api::device_list::VerifiedList;
use latchkey_api::id::{DeviceId, GroupId, HouseholdId};
use latchkey_e2ee::identity::DeviceIdentity;
use mls_rs::client_builder::MlsConfig;
use mls_rs::extension::ExtensionType;
use mls_rs::group::CommitBuilder;
use mls_rs::identity::SigningIdentity;
use mls_rs::identity::basic::{BasicCredential, BasicIdentityProvider};
use mls_rs::mls_rules::{CommitOptions, DefaultMlsRules};
use mls_rs::psk::{ExternalPskId, PreSharedKey};
use mls_rs::{CipherSuite, Client, Extension, ExtensionList, Group, MlsMessage};
use mls_rs_crypto_rustcrypto::RustCryptoProvider;

pub const SUITE: CipherSuite = CipherSuite::CURVE25519_AES128;

/// A client without rules for this device. It puts a path into every commit, as ours do.
pub fn client(household: HouseholdId, device: &DeviceIdentity) -> Client<impl MlsConfig + use<>> {
    client_of(household, device.device(), &key_of(device))
}

/// The signature key of a device, read out of its vault.
pub fn key_of(device: &DeviceIdentity) -> SigningKey {
    let seed: [u8; 32] = device.to_bytes()[17..49].try_into().unwrap();
    SigningKey::from_bytes(&seed)
}

/// A client that claims to be `device` with a key of its own.
pub fn client_of(
    household: HouseholdId,
    device: DeviceId,
    key: &SigningKey,
) -> Client<impl MlsConfig + use<>> {
    let options = CommitOptions::new().with_path_required(true).with_allow_external_commit(true);
    Client::builder()
        .identity_provider(BasicIdentityProvider::new())
        .crypto_provider(RustCryptoProvider::with_enabled_cipher_suites(vec![SUITE]))
        .mls_rules(DefaultMlsRules::new().with_commit_options(options))
        .extension_type(ExtensionType::new(0xF0C1))
        .psk(psk(), PreSharedKey::new(vec![7; 32]))
        .signing_identity(identity(household, device, key), key.to_keypair_bytes().to_vec().into(), SUITE)
        .build()
}

/// A pre-shared key that such a client knows.
pub fn psk() -> ExternalPskId {
    ExternalPskId::new(vec![1])
}

pub fn identity(household: HouseholdId, device: DeviceId, key: &SigningKey) -> SigningIdentity {
    let credential = BasicCredential::new([household.0, device.0].concat()).into_credential();
    SigningIdentity::new(credential, key.verifying_key().to_bytes().to_vec().into())
}

/// The extensions of a group that names `list` at `time`.
pub fn naming(list: &VerifiedList, time: u64) -> ExtensionList {
    named(list.version().version, list.version().hash.0, time)
}

pub fn named(version: u64, hash: [u8; 32], time: u64) -> ExtensionList {
    let mut data = version.to_be_bytes().to_vec();
    data.extend_from_slice(&hash);
    data.extend_from_slice(&time.to_be_bytes());
    ExtensionList::from(vec![Extension::new(ExtensionType::new(0xF0C1), data)])
}

pub fn package<C: MlsConfig>(client: &Client<C>) -> MlsMessage {
    let time = Some(crate::household::NOW.into());
    client.generate_key_package_message(Default::default(), Default::default(), time).unwrap()
}

/// A commit in the time of the test households.
pub fn commit<C: MlsConfig>(group: &mut Group<C>) -> CommitBuilder<'_, C> {
    group.commit_builder().commit_time(crate::household::NOW.into())
}

pub fn read(bytes: &[u8]) -> MlsMessage {
    MlsMessage::from_bytes(bytes).unwrap()
}

/// A group of the camera, founded by a modified camera.
pub fn found<C: MlsConfig>(client: &Client<C>, camera: DeviceId, list: &VerifiedList, time: u64) -> Group<C> {
    let id = GroupId::new(camera, list.list().generation(camera).unwrap());
    client.create_group_with_id(id.0.to_vec(), naming(list, time), Default::default(), None).unwrap()
}
