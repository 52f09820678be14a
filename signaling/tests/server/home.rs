//! A household made by hand: root, devices with keys, and the lists they sign.

use std::time::{SystemTime, UNIX_EPOCH};

use ed25519_dalek::{Signer as _, SigningKey};
use latchkey_api::auth::ROOT_DEVICE;
use latchkey_api::device_list::{
    DeviceEntry, DeviceList, ListChain, Reason, Right, Rights, Role, SignedList, Signer,
};
use latchkey_api::household::CreateHousehold;
use latchkey_api::id::{DeviceId, GroupId, HouseholdId};

/// A device and its signature key.
#[derive(Clone)]
pub(crate) struct Device {
    pub(crate) id: DeviceId,
    pub(crate) key: SigningKey,
    pub(crate) enrol: [u8; 32],
}

impl Device {
    pub(crate) fn new() -> Self {
        Self { id: DeviceId(random()), key: SigningKey::from_bytes(&random()), enrol: random() }
    }

    pub(crate) fn entry(&self, role: Role) -> DeviceEntry {
        DeviceEntry {
            device: self.id,
            role,
            mls_public: self.key.verifying_key().to_bytes(),
            enrol_public: self.enrol,
            not_before: now(),
            not_after: None,
            cameras: None,
            rights: if role == Role::Camera { Rights::NONE } else { Rights::of(&[Right::See]) },
            label: Vec::new(),
        }
    }
}

/// A household with two cameras, an admin, a viewer, and a guest of the first camera.
pub(crate) struct Home {
    pub(crate) root: SigningKey,
    pub(crate) id: HouseholdId,
    pub(crate) camera: Device,
    pub(crate) other_camera: Device,
    pub(crate) admin: Device,
    pub(crate) viewer: Device,
    pub(crate) guest: Device,
    pub(crate) chain: ListChain,
    pub(crate) first: Vec<u8>,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self::with_guest_until(now() + 3600)
    }

    pub(crate) fn with_guest_until(end: u64) -> Self {
        let root = SigningKey::from_bytes(&random());
        let root_public = root.verifying_key().to_bytes();
        let id = HouseholdId::of_root(&root_public);
        let [camera, other_camera, admin, viewer, guest] = std::array::from_fn(|_| Device::new());
        let guest_entry = DeviceEntry {
            cameras: Some(vec![camera.id]),
            not_before: end - 24 * 3600,
            not_after: Some(end),
            ..guest.entry(Role::Guest)
        };
        let list = DeviceList::founding(id, admin.entry(Role::Admin), now())
            .and_then(|list| list.with(camera.entry(Role::Camera)))
            .and_then(|list| list.with(other_camera.entry(Role::Camera)))
            .and_then(|list| list.with(viewer.entry(Role::Viewer)))
            .and_then(|list| list.with(guest_entry))
            .unwrap();
        let first = sign(list, &root);
        let mut chain = ListChain::new(&root_public).unwrap();
        chain.accept(&first, None).unwrap();
        Self { root, id, camera, other_camera, admin, viewer, guest, chain, first }
    }

    pub(crate) fn registration(&self) -> CreateHousehold {
        CreateHousehold {
            root_public: self.root.verifying_key().to_bytes().to_vec().into(),
            list: self.first.clone().into(),
            invite_code: None,
        }
    }

    /// The root, as it signs in.
    pub(crate) fn root_device(&self) -> Device {
        Device { id: ROOT_DEVICE, key: self.root.clone(), enrol: [0; 32] }
    }

    /// A recovery list: the root puts a new admin in the place of the old one.
    pub(crate) fn recovery(&self, admin: &Device) -> Vec<u8> {
        let head = self.chain.head().unwrap();
        let list = DeviceList::after(head, Signer::Root, now(), Reason::Recovered);
        sign(list.with(admin.entry(Role::Admin)).unwrap().without(self.admin.id).unwrap(), &self.root)
    }

    pub(crate) fn group(&self) -> GroupId {
        GroupId::new(self.camera.id, 0)
    }

    /// A list after the present one, signed by the admin; not taken into the household's own chain.
    pub(crate) fn draft(&self, change: impl FnOnce(DeviceList) -> DeviceList) -> Vec<u8> {
        self.draft_by(&self.admin, change)
    }

    pub(crate) fn draft_by(&self, by: &Device, change: impl FnOnce(DeviceList) -> DeviceList) -> Vec<u8> {
        let head = self.chain.head().unwrap();
        let draft = DeviceList::after(head, Signer::Device(by.id), now(), Reason::Changed);
        sign(change(draft), &by.key)
    }

    /// The same, taken in.
    pub(crate) fn next(&mut self, change: impl FnOnce(DeviceList) -> DeviceList) -> Vec<u8> {
        let list = self.draft(change);
        self.chain.accept(&list, None).unwrap();
        list
    }
}

pub(crate) fn sign(list: DeviceList, key: &SigningKey) -> Vec<u8> {
    let signature = key.sign(&list.signing_input()).to_bytes();
    SignedList::assemble(list, signature).as_bytes().to_vec()
}

pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).unwrap();
    bytes
}
