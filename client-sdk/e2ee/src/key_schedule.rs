//! The keys of one MLS epoch, as frames are sealed and opened with them.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use latchkey_api::id::{DeviceId, GroupId};
use sframe::CipherSuite;
use zeroize::Zeroizing;

use crate::cipher::{OpeningKey, SealingKey};
use crate::kid::Kid;

/// The SFrame cipher suite of every frame: AES_128_GCM_SHA256_128 (RFC 9605 section 4.5).
pub(crate) const SUITE: CipherSuite = CipherSuite::AesGcm128Sha256;
/// Length of a base key, AEAD.Nk of the suite.
pub(crate) const BASE_KEY_LEN: usize = 16;
/// The MLS exporter label of RFC 9605 section 5.2; its context is empty.
pub(crate) const EXPORTER_LABEL: &[u8] = b"SFrame 1.0 Base Key";

/// What a member needs to seal and open frames of one epoch. Made by
/// [`crate::group::CameraGroup::frame_keys`] and [`crate::group::Member::frame_keys`]; erased when dropped.
pub struct EpochKeys {
    pub(crate) base_key: Zeroizing<[u8; BASE_KEY_LEN]>,
    pub(crate) group: GroupId,
    pub(crate) epoch: u64,
    pub(crate) own_leaf: u8,
    pub(crate) members: Vec<(u8, DeviceId)>,
}

impl EpochKeys {
    /// The group whose keys these are.
    #[must_use]
    pub fn group(&self) -> GroupId {
        self.group
    }

    /// The MLS epoch.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// This device's leaf; 0 is the camera.
    #[must_use]
    pub fn own_leaf(&self) -> u8 {
        self.own_leaf
    }

    /// Leaf and device of every member, in ascending order of leaves.
    #[must_use]
    pub fn members(&self) -> &[(u8, DeviceId)] {
        &self.members
    }

    /// The device at a leaf.
    #[must_use]
    pub fn device_at(&self, leaf: u8) -> Option<DeviceId> {
        self.members.iter().find(|(at, _)| *at == leaf).map(|(_, device)| *device)
    }

    /// Whether the base key of this epoch stands anywhere in `bytes`: raw, as hexadecimal or as base64. It lets a
    /// test search a server for the key without giving the key away.
    #[must_use]
    pub fn stands_in(&self, bytes: &[u8]) -> bool {
        let key = self.base_key.as_slice();
        let hex: Zeroizing<String> = Zeroizing::new(key.iter().map(|byte| format!("{byte:02x}")).collect());
        let upper = Zeroizing::new(hex.to_uppercase());
        let standard = Zeroizing::new(STANDARD_NO_PAD.encode(key));
        let url = Zeroizing::new(URL_SAFE_NO_PAD.encode(key));
        let spellings = [key, hex.as_bytes(), upper.as_bytes(), standard.as_bytes(), url.as_bytes()];
        spellings.iter().any(|spelling| {
            let (first, len) = (spelling[0], spelling.len());
            let starts = bytes.iter().enumerate().filter(|(_, byte)| **byte == first);
            starts.map(|(at, _)| at).any(|at| bytes.get(at..at + len) == Some(*spelling))
        })
    }

    pub(crate) fn sealing_key(&self, kid: Kid) -> Option<SealingKey> {
        SealingKey::derive_from(SUITE, kid.value(), self.base_key.as_slice()).ok()
    }

    pub(crate) fn opening_key(&self, kid: Kid) -> Option<OpeningKey> {
        OpeningKey::derive_from(SUITE, kid.value(), self.base_key.as_slice()).ok()
    }

    pub(crate) fn copy(&self) -> Self {
        Self {
            base_key: self.base_key.clone(),
            group: self.group,
            epoch: self.epoch,
            own_leaf: self.own_leaf,
            members: self.members.clone(),
        }
    }
}

/// Keys of an epoch without a group behind them.
#[cfg(test)]
pub(crate) fn keys_for_test(epoch: u64, own_leaf: u8) -> EpochKeys {
    let camera = DeviceId([1; 16]);
    EpochKeys {
        base_key: Zeroizing::new([epoch.to_be_bytes()[7]; BASE_KEY_LEN]),
        group: GroupId::new(camera, 0),
        epoch,
        own_leaf,
        members: vec![(0, camera), (1, DeviceId([2; 16]))],
    }
}
