//! The keys of the run: a household of one camera, made as a real one is.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use latchkey_api::device_list::{DeviceList, ListChain, Reason, Role, Signer};
use latchkey_e2ee::group::CameraGroup;
use latchkey_e2ee::identity::{DeviceIdentity, HouseholdRoot};
use latchkey_e2ee::kid::SenderSession;
use latchkey_e2ee::open::FrameOpener;
use latchkey_e2ee::seal::FrameSealer;

/// A camera's group, from which sealer and openers take their keys.
pub(crate) struct Keys(CameraGroup);

impl Keys {
    /// Founds household, list and group.
    pub(crate) fn new() -> anyhow::Result<Self> {
        let now = SystemTime::now();
        let seconds = now.duration_since(UNIX_EPOCH)?.as_secs();
        let (root, _) = HouseholdRoot::generate()?;
        let (phone, camera) = (DeviceIdentity::generate()?, DeviceIdentity::generate()?);
        let mut lists = ListChain::new(&root.public())?;
        let first = DeviceList::founding(
            root.household(),
            phone.public().entry(Role::Admin, seconds, Vec::new()),
            seconds,
        )?;
        lists.accept(root.sign_list(first).as_bytes(), Some(now))?;
        let head = lists.head().expect("a list was accepted");
        let second = DeviceList::after(head, Signer::Device(phone.device()), seconds, Reason::Added)
            .with(camera.public().entry(Role::Camera, seconds, Vec::new()))?;
        lists.accept(phone.sign_list(second).as_bytes(), Some(now))?;
        Ok(Self(CameraGroup::found(&camera, &lists, now)?))
    }

    /// Returns the camera's sealer.
    pub(crate) fn sealer(&mut self) -> anyhow::Result<FrameSealer> {
        Ok(FrameSealer::new(&self.0.frame_keys()?, SenderSession(7)))
    }

    /// Returns a member's opener.
    pub(crate) fn opener(&mut self) -> anyhow::Result<FrameOpener> {
        let mut opener = FrameOpener::new();
        opener.add_epoch(self.0.frame_keys()?, Duration::ZERO);
        Ok(opener)
    }
}
