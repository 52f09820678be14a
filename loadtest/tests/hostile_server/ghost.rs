//! The device that a server wants to smuggle in: it has keys of its own, and a list that names it.

use std::time::SystemTime;

use ed25519_dalek::SigningKey;
use latchkey::home;
use latchkey_api::device::ClaimedKeyPackage;
use latchkey_api::device_list::{DeviceList, ListChain, Reason, Role, Signer};
use latchkey_api::encoding::ByteString;
use latchkey_api::id::DeviceId;
use latchkey_e2ee::group::{GroupError, KeyPackages, Member};
use latchkey_e2ee::identity::DeviceIdentity;

use crate::stage::{Stage, seconds};

/// A device of nobody.
pub struct Ghost {
    identity: DeviceIdentity,
    packages: KeyPackages,
    /// The household's lists, which the server has.
    pub chain: ListChain,
}

impl Ghost {
    /// A ghost that knows what the server of this household knows: all its lists.
    pub fn new(stage: &Stage) -> Self {
        Self::with(stage, DeviceIdentity::generate().expect("randomness"))
    }

    /// A ghost that claims to be `device`.
    pub fn posing_as(stage: &Stage, device: DeviceId) -> Self {
        let mut bytes = DeviceIdentity::generate().expect("randomness").to_bytes();
        bytes[1..17].copy_from_slice(device.as_bytes());
        Self::with(stage, DeviceIdentity::from_bytes(&bytes).expect("an identity"))
    }

    fn with(stage: &Stage, identity: DeviceIdentity) -> Self {
        let home = home::look(&stage.home("ada")).expect("the admin's folder");
        Self { identity, packages: KeyPackages::new(), chain: home.chain().clone() }
    }

    /// Its id.
    pub fn id(&self) -> DeviceId {
        self.identity.device()
    }

    /// The next list with the ghost on it, said to be signed by `admin`, but signed by the ghost.
    pub fn forged_list(&self, admin: DeviceId) -> Vec<u8> {
        let head = self.chain.head().expect("a list");
        let entry = self.identity.public().entry(Role::Viewer, seconds(), vec![0; 64]);
        let list = DeviceList::after(head, Signer::Device(admin), seconds(), Reason::Added);
        let list = list.with(entry).expect("there is room on the list");
        self.identity.sign_list(list).as_bytes().to_vec()
    }

    /// What a server answers to a camera that claims a key package.
    pub fn claimed(&mut self) -> ClaimedKeyPackage {
        ClaimedKeyPackage { key_package: ByteString(self.package()), last_resort: false }
    }

    /// A key package of its own.
    pub fn package(&mut self) -> Vec<u8> {
        self.packages.generate(&self.identity, &self.chain, SystemTime::now()).expect("a key package")
    }

    /// Joins the camera's group.
    pub fn join(&mut self, camera: DeviceId, welcome: &[u8]) -> Result<Member, GroupError> {
        Member::join(&self.identity, &self.chain, &mut self.packages, camera, welcome)
    }

    /// Its signature key.
    pub fn key(&self) -> SigningKey {
        let seed: [u8; 32] = self.identity.to_bytes()[17..49].try_into().expect("an identity has this form");
        SigningKey::from_bytes(&seed)
    }
}
