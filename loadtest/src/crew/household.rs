//! A household in memory: its admin, its cameras with their groups, and its members with their places in them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use latchkey_api::device_list::ListChain;
use latchkey_api::group::GroupMessage;
use latchkey_api::id::GroupId;
use latchkey_e2ee::group::{CameraGroup, GroupError, KeyPackages, Member};
use latchkey_e2ee::identity::HouseholdRoot;
use latchkey_e2ee::key_schedule::EpochKeys;
use latchkey_e2ee::label::LabelKey;
use latchkey_e2ee::seal::FrameSealer;

use crate::crew::device::Device;
use crate::crew::hints::Hints;
use crate::crew::{CrewError, MemberRef};

/// A household.
pub(in crate::crew) struct Household {
    /// Its number in the crew.
    pub(in crate::crew) number: u32,
    pub(in crate::crew) admin: Device,
    pub(in crate::crew) labels: LabelKey,
    /// The lists that all its devices know.
    chain: RwLock<Arc<ListChain>>,
    pub(in crate::crew) cameras: Vec<Arc<Camera>>,
    members: RwLock<Vec<Arc<Viewer>>>,
    pub(in crate::crew) hints: Hints,
    /// One change at a time.
    pub(in crate::crew) changing: tokio::sync::Mutex<()>,
}

/// A camera and its group.
pub(in crate::crew) struct Camera {
    pub(in crate::crew) device: Device,
    group: Mutex<Group>,
}

/// A group as its camera has it.
pub(in crate::crew) struct Group {
    pub(in crate::crew) mls: CameraGroup,
    /// Place of the last message that was taken.
    pub(in crate::crew) seq: u64,
}

/// A viewing device.
pub(in crate::crew) struct Viewer {
    /// Its number in the household.
    pub(in crate::crew) number: u32,
    pub(in crate::crew) device: Device,
    state: Mutex<ViewerState>,
}

struct ViewerState {
    packages: KeyPackages,
    /// One for each camera of the household; none until it has joined.
    places: Vec<Option<Place>>,
    removed: bool,
}

struct Place {
    member: Member,
    /// Place of the last message that was taken.
    seq: u64,
}

impl Household {
    pub(in crate::crew) fn new(
        number: u32,
        root: &HouseholdRoot,
        admin: Device,
        chain: ListChain,
        cameras: Vec<Arc<Camera>>,
    ) -> Self {
        Self {
            number,
            admin,
            labels: LabelKey::of_root(root),
            chain: RwLock::new(Arc::new(chain)),
            cameras,
            members: RwLock::default(),
            hints: Hints::default(),
            changing: tokio::sync::Mutex::default(),
        }
    }

    pub(in crate::crew) fn chain(&self) -> Arc<ListChain> {
        Arc::clone(&self.chain.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts the verified chain in the place of the one before.
    pub(in crate::crew) fn set_chain(&self, chain: ListChain) {
        *self.chain.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(chain);
    }

    pub(in crate::crew) fn camera(&self, camera: u32) -> Result<&Camera, CrewError> {
        self.cameras.get(camera as usize).map(Arc::as_ref).ok_or(CrewError::NoSuchSeat)
    }

    /// The member with this number, also one that was removed.
    pub(in crate::crew) fn member(&self, member: u32) -> Result<Arc<Viewer>, CrewError> {
        let members = self.members.read().unwrap_or_else(PoisonError::into_inner);
        members.get(member as usize).cloned().ok_or(CrewError::NoSuchSeat)
    }

    /// The number of the next device. Ask under [`Household::changing`].
    pub(in crate::crew) fn next_number(&self) -> u32 {
        self.members.read().unwrap_or_else(PoisonError::into_inner).len() as u32
    }

    /// A device that has joined every group has its place from now on.
    pub(in crate::crew) fn take_in(&self, viewer: Arc<Viewer>) {
        self.members.write().unwrap_or_else(PoisonError::into_inner).push(viewer);
    }

    /// Everyone that is not removed.
    pub(in crate::crew) fn staying(&self) -> Vec<Arc<Viewer>> {
        let members = self.members.read().unwrap_or_else(PoisonError::into_inner);
        members.iter().filter(|viewer| !viewer.state().removed).cloned().collect()
    }

    pub(in crate::crew) fn present(&self) -> Vec<MemberRef> {
        let staying = self.staying();
        staying.iter().map(|viewer| MemberRef { household: self.number, member: viewer.number }).collect()
    }
}

impl Camera {
    pub(in crate::crew) fn new(device: Device, mls: CameraGroup) -> Self {
        Self { device, group: Mutex::new(Group { mls, seq: 0 }) }
    }

    pub(in crate::crew) fn group(&self) -> MutexGuard<'_, Group> {
        self.group.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(in crate::crew) fn group_id(&self) -> GroupId {
        self.group().mls.group_id()
    }

    pub(in crate::crew) fn sealer(&self) -> Result<FrameSealer, CrewError> {
        let doing = "begin to seal";
        let mut group = self.group();
        let session = group.mls.next_session().map_err(|source| CrewError::Group { doing, source })?;
        let keys = group.mls.frame_keys().map_err(|source| CrewError::Group { doing, source })?;
        Ok(FrameSealer::new(&keys, session))
    }
}

impl Group {
    /// Takes what members and the server's order bring.
    pub(in crate::crew) fn take(
        &mut self,
        messages: &[GroupMessage],
        lists: &ListChain,
    ) -> Result<(), GroupError> {
        for message in messages {
            if message.seq > self.seq {
                self.mls.process(message.message.as_slice(), lists)?;
                self.seq = message.seq;
            }
        }
        Ok(())
    }
}

impl Viewer {
    pub(in crate::crew) fn new(number: u32, device: Device, cameras: usize) -> Self {
        let places = (0..cameras).map(|_| None).collect();
        let state = ViewerState { packages: KeyPackages::new(), places, removed: false };
        Self { number, device, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, ViewerState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a key package for each camera, to be published.
    pub(in crate::crew) fn make_packages(&self, lists: &ListChain) -> Result<Vec<Vec<u8>>, GroupError> {
        let now = std::time::SystemTime::now();
        let mut state = self.state();
        let count = state.places.len();
        (0..count).map(|_| state.packages.generate(&self.device.identity, lists, now)).collect()
    }

    /// Joins the group of the household's camera with this number; messages after `seq` come next.
    pub(in crate::crew) fn join(
        &self,
        camera: usize,
        of: &Camera,
        lists: &ListChain,
        (welcome, seq): (&[u8], u64),
    ) -> Result<(), GroupError> {
        let mut state = self.state();
        let member =
            Member::join(&self.device.identity, lists, &mut state.packages, of.device.id(), welcome)?;
        state.places[camera] = Some(Place { member, seq });
        Ok(())
    }

    /// Takes messages of a camera's group, as the server has them. Returns the epoch that it is in then; none where it is
    /// in no such group.
    pub(in crate::crew) fn follow(
        &self,
        camera: usize,
        messages: &[GroupMessage],
        lists: &ListChain,
    ) -> Result<Option<u64>, GroupError> {
        let mut state = self.state();
        let Some(place) = &mut state.places[camera] else { return Ok(None) };
        for message in messages {
            if message.seq > place.seq {
                place.member.process(message.message.as_slice(), lists)?;
                place.seq = message.seq;
            }
        }
        Ok(Some(place.member.epoch()))
    }

    /// Place of the last message of a camera's group that was taken.
    pub(in crate::crew) fn seq(&self, camera: usize) -> Option<u64> {
        self.state().places[camera].as_ref().map(|place| place.seq)
    }

    /// The keys it has; the error is none where it is in no such group.
    pub(in crate::crew) fn keys(&self, camera: usize) -> Result<EpochKeys, Option<GroupError>> {
        let state = self.state();
        let place = state.places.get(camera).and_then(Option::as_ref).ok_or(None)?;
        place.member.frame_keys().map_err(Some)
    }

    /// Whether its group took it out and gives it nothing any more.
    pub(in crate::crew) fn is_out(&self, camera: usize) -> bool {
        let state = self.state();
        let place = state.places.get(camera).and_then(Option::as_ref);
        place.is_none_or(|place| place.member.is_removed() && place.member.frame_keys().is_err())
    }

    pub(in crate::crew) fn mark_removed(&self) {
        self.state().removed = true;
    }

    pub(in crate::crew) fn is_removed(&self) -> bool {
        self.state().removed
    }
}
