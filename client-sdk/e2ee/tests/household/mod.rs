//! A household for tests: a root, an admin, and a chain that grows by one list per change.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use latchkey_api::device_list::{DeviceList, ListChain, Reason, Right, Rights, Role, Signer};
use latchkey_api::id::{DeviceId, HouseholdId};
use latchkey_e2ee::group::{CameraGroup, ClaimedPackage, KeyPackages, Member, PendingCommit, Processed};
use latchkey_e2ee::identity::{DeviceIdentity, HouseholdRoot};

/// Seconds since the Unix epoch at which these households live.
pub const NOW: u64 = 1_800_000_000;

pub struct Household {
    pub root: HouseholdRoot,
    pub admin: DeviceIdentity,
    pub chain: ListChain,
}

impl Household {
    pub fn found() -> Self {
        let (root, _) = HouseholdRoot::generate().unwrap();
        let admin = DeviceIdentity::generate().unwrap();
        let entry = admin.public().entry(Role::Admin, NOW, Vec::new());
        let list = root.sign_list(DeviceList::founding(root.household(), entry, NOW).unwrap());
        let mut chain = ListChain::new(&root.public()).unwrap();
        chain.accept(list.as_bytes(), Some(at(NOW))).unwrap();
        Self { root, admin, chain }
    }

    pub fn id(&self) -> HouseholdId {
        self.chain.household()
    }

    pub fn enrol(&mut self, role: Role) -> DeviceIdentity {
        let device = DeviceIdentity::generate().unwrap();
        self.list(&device, role);
        device
    }

    pub fn list(&mut self, device: &DeviceIdentity, role: Role) {
        let entry = device.public().entry(role, NOW, Vec::new());
        let draft = self.draft(Reason::Added).with(entry).unwrap();
        self.sign(draft);
    }

    /// A guest of one camera until `end`.
    pub fn enrol_guest(&mut self, camera: DeviceId, end: u64) -> DeviceIdentity {
        let device = DeviceIdentity::generate().unwrap();
        let mut entry = device.public().entry(Role::Guest, NOW, Vec::new());
        entry.not_after = Some(end);
        entry.cameras = Some(vec![camera]);
        entry.rights = Rights::of(&[Right::See]);
        let draft = self.draft(Reason::Added).with(entry).unwrap();
        self.sign(draft);
        device
    }

    pub fn remove(&mut self, device: DeviceId) {
        let draft = self.draft(Reason::Removed).without(device).unwrap();
        self.sign(draft);
    }

    pub fn draft(&self, reason: Reason) -> DeviceList {
        let signer = Signer::Device(self.admin.device());
        DeviceList::after(self.chain.head().unwrap(), signer, NOW, reason)
    }

    pub fn sign(&mut self, draft: DeviceList) {
        let signed = self.admin.sign_list(draft);
        self.chain.accept(signed.as_bytes(), Some(at(NOW))).unwrap();
    }
}

/// One device with its key packages.
pub struct Device {
    pub identity: DeviceIdentity,
    pub packages: KeyPackages,
}

impl Device {
    pub fn new(identity: DeviceIdentity) -> Self {
        Self { identity, packages: KeyPackages::new() }
    }

    pub fn id(&self) -> DeviceId {
        self.identity.device()
    }

    pub fn package(&mut self, lists: &ListChain) -> ClaimedPackage {
        let key_package = self.packages.generate(&self.identity, lists, at(NOW)).unwrap();
        ClaimedPackage { device: self.id(), key_package }
    }

    pub fn join(&mut self, lists: &ListChain, camera: DeviceId, commit: &PendingCommit) -> Member {
        let welcome = commit.welcomes.iter().find(|welcome| welcome.device == self.id()).unwrap();
        Member::join(&self.identity, lists, &mut self.packages, camera, &welcome.welcome).unwrap()
    }
}

/// A household with one camera and members that joined its group.
pub struct Scene {
    pub home: Household,
    pub camera: DeviceIdentity,
    pub group: CameraGroup,
    pub devices: Vec<Device>,
    pub members: Vec<Member>,
}

impl Scene {
    /// `roles` are the members besides the household's first admin, who is not in the group.
    pub fn with(roles: &[Role]) -> Self {
        let mut home = Household::found();
        let camera = home.enrol(Role::Camera);
        let mut devices: Vec<_> = roles.iter().map(|role| Device::new(home.enrol(*role))).collect();
        let mut group = CameraGroup::found(&camera, &home.chain, at(NOW)).unwrap();
        let packages: Vec<_> = devices.iter_mut().map(|device| device.package(&home.chain)).collect();
        let mut members = Vec::new();
        if let Some(commit) = group.sync(&home.chain, &packages, at(NOW)).unwrap().commit {
            group.confirm().unwrap();
            let joined = devices.iter_mut().map(|device| device.join(&home.chain, camera.device(), &commit));
            members.extend(joined);
        }
        Self { home, camera, group, devices, members }
    }

    /// The camera commits what the list asks for, and all members take it.
    pub fn sync(&mut self) -> PendingCommit {
        let commit = self.group.sync(&self.home.chain, &[], at(NOW)).unwrap().commit.unwrap();
        self.group.confirm().unwrap();
        for member in &mut self.members {
            if !member.is_removed() {
                let processed = member.process(&commit.commit, &self.home.chain).unwrap();
                assert!(matches!(processed, Processed::Epoch(_) | Processed::Removed), "{processed:?}");
            }
        }
        commit
    }
}

pub fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}
