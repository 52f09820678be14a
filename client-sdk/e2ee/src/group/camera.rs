//! The camera's side: founds its group, keeps it equal to the list, and seals under its keys.

use std::time::{Duration, SystemTime};

use latchkey_api::checks::{self, Check};
use latchkey_api::device_list::{DeviceList, ListChain, Right, VerifiedList};
use latchkey_api::id::{DeviceId, GroupId};
use mls_rs::MlsMessage;
use mls_rs::time::MlsTime;
use zeroize::Zeroizing;

use super::blob::{BlobReader, BlobWriter};
use super::clock::{CommitTime, unix_seconds};
use super::credential::device_of;
use super::engine::{Change, Engine, parse};
use super::error::{GroupError, Refusal, mls};
use super::heard::Heard;
use super::library::client;
use super::list_ref::ListRef;
use super::outcome::{EpochChange, PendingCommit, Processed};
use super::policy::Policy;
use super::sessions::Sessions;
use super::storage::{PackageShelf, StateShelf};
use crate::identity::DeviceIdentity;
use crate::key_schedule::EpochKeys;
use crate::kid::SenderSession;
use crate::note::Note;
use crate::record::EpochView;

/// The group of a camera, seen from the camera.
pub struct CameraGroup {
    pub(super) engine: Engine,
    sessions: Sessions,
    heard: Heard,
}

impl CameraGroup {
    /// Founds the group of this camera in the generation that the newest list gives it. It has one member;
    /// [`Self::sync`] adds the others.
    ///
    /// # Errors
    /// [`GroupError::NoList`]; [`GroupError::Refused`] when the list does not name this device as a camera
    /// with this key.
    pub fn found(device: &DeviceIdentity, lists: &ListChain, now: SystemTime) -> Result<Self, GroupError> {
        let head = lists.head().ok_or(GroupError::NoList)?;
        let camera = device.device();
        let generation = head.list().generation(camera).ok_or(Refusal::NotListed(camera))?;
        let policy = Policy::new(camera, lists);
        let state = StateShelf::default();
        let client =
            client(policy.clone(), PackageShelf::default(), state.clone(), Some((device, lists.household())));
        let named = ListRef::naming(head, unix_seconds(now));
        let group = client.create_group_with_id(
            GroupId::new(camera, generation).0.to_vec(),
            named.to_extensions(),
            Default::default(),
            Some(MlsTime::from(named.time)),
        );
        let engine = Engine::new(group.map_err(mls("found a group"))?, policy, state)?;
        engine.check_roster()?;
        Ok(Self { engine, sessions: Sessions::default(), heard: Heard::default() })
    }

    /// Devices that the newest list entitles but that are not members, or have been silent for 90 days: a key
    /// package of each has to be claimed for [`Self::sync`]. None while two histories are signed.
    #[must_use]
    pub fn missing(&self, lists: &ListChain, now: impl Into<CommitTime>) -> Vec<DeviceId> {
        let Some(head) = lists.head().filter(|_| lists.rival().is_none()) else { return Vec::new() };
        let now = now.into();
        let time = self.name(head, now.group).time;
        let clock = unix_seconds(now.clock).max(time);
        let members = self.engine.members();
        let is_there = |device: &DeviceId| {
            members.iter().any(|(_, member)| member == device) && !self.heard.is_silent(*device, time)
        };
        self.entitled(head.list(), [time, clock]).filter(|device| !is_there(device)).collect()
    }

    /// When the stay of the first member ends that has an end, in seconds since the Unix epoch: time for the
    /// next [`Self::sync`], whether or not anybody says so. `None` when nobody's stay ends.
    #[must_use]
    pub fn next_end(&self, lists: &ListChain) -> Option<u64> {
        let list = lists.effective()?;
        let members = self.engine.members().into_iter();
        members.filter_map(|(_, device)| list.device(device)?.not_after).min()
    }

    /// Makes at most one commit that makes the group equal to the newest list: removes who is no longer
    /// entitled, adds whose key package was claimed, takes in members' updates, and renews keys that are a
    /// day old. A claimed package of a device that is a member puts it in anew, for one that lost its
    /// state. Members that were silent for 90 days are removed, or put in anew when their package was
    /// claimed. Packages that are not what they should be are left out and reported; they never keep a
    /// removal from being made.
    ///
    /// While two histories are signed, who is missing in one of them is removed and nobody is added; the
    /// group goes on to name the list that it rests on.
    ///
    /// # Errors
    /// [`GroupError::CommitPending`], [`GroupError::NoList`], and [`Refusal::GroupClosed`] when the list does
    /// not name the camera or names another generation.
    pub fn sync(
        &mut self,
        lists: &ListChain,
        claimed: &[ClaimedPackage],
        now: impl Into<CommitTime>,
    ) -> Result<Synced, GroupError> {
        let now = now.into();
        if self.engine.pending().is_some() {
            return Err(GroupError::CommitPending);
        }
        let acting = lists.effective().ok_or(GroupError::NoList)?;
        let group = self.engine.group_id();
        // A rival that names another generation closes nothing: the camera goes on with its own history.
        let generation = lists.head().and_then(|head| head.list().generation(group.camera()));
        if acting.device(group.camera()).is_none() || generation != Some(group.generation()) {
            return Err(Refusal::GroupClosed.into());
        }
        self.engine.set_lists(lists);
        let named = self.named(lists, now.group)?;
        let times = [named.time, unix_seconds(now.clock).max(named.time)];
        let heard = self.engine.take_heard();
        self.heard.update(&self.engine.members(), &heard, named.time);
        let claimed = if lists.rival().is_some() { &[] } else { claimed };
        let (add, refused) = self.packages(acting, times, claimed);
        let gone = self.gone(acting, times);
        let before = self.engine.list();
        let is_old = named.time.saturating_sub(before.time) >= RENEWAL.as_secs();
        let is_equal = gone.is_empty() && add.is_empty() && named.list == before.list;
        if is_equal && !is_old && !self.engine.has_proposals() {
            return Ok(Synced { commit: None, refused });
        }
        for (device, _) in &add {
            self.heard.forget(*device);
        }
        self.commit(&gone, add, refused, named, unix_seconds(now.group))
    }

    /// Makes a commit that only renews the keys; the new epoch rests on the newest list.
    ///
    /// # Errors
    /// As [`Self::sync`].
    pub fn renew(
        &mut self,
        lists: &ListChain,
        now: impl Into<CommitTime>,
    ) -> Result<PendingCommit, GroupError> {
        let now = now.into();
        match self.sync(lists, &[], now)?.commit {
            Some(commit) => Ok(commit),
            None => {
                let named = self.named(lists, now.group)?;
                self.engine.commit(&Change { remove: &[], add: &[], named, clock: named.time }).cloned()
            }
        }
    }

    /// The commit that waits for the server's answer, to be sent again after a restart.
    #[must_use]
    pub fn pending(&self) -> Option<&PendingCommit> {
        self.engine.pending()
    }

    /// The server accepted the pending commit: the new epoch begins.
    ///
    /// # Errors
    /// [`GroupError::NoCommitPending`].
    pub fn confirm(&mut self) -> Result<EpochChange, GroupError> {
        self.engine.confirm()
    }

    /// The server accepted another commit for this epoch: forgets the pending one. Process the other, then
    /// sync again.
    ///
    /// # Errors
    /// [`GroupError::Protocol`] when the state cannot be written.
    pub fn discard(&mut self) -> Result<(), GroupError> {
        self.engine.discard()
    }

    /// Takes a message of the group: a member's update, an admin's removal, or the own commit.
    ///
    /// # Errors
    /// [`GroupError::Refused`] when it breaks a rule, [`GroupError::JunkCommit`],
    /// [`GroupError::UnreadableNote`]; the group stays as it was.
    pub fn process(&mut self, message: &[u8], lists: &ListChain) -> Result<Processed, GroupError> {
        self.engine.process(message, lists)
    }

    /// Seals a note for all members and returns the message to post. Save before it is sent, so that its key
    /// is not used again.
    ///
    /// # Errors
    /// [`GroupError::CommitFirst`] while proposals wait for a commit; [`GroupError::NoteTooLarge`],
    /// [`GroupError::Removed`], [`GroupError::Protocol`].
    pub fn send_note(&mut self, note: &Note) -> Result<Vec<u8>, GroupError> {
        self.engine.send_note(note)
    }

    /// What this device's own group says about the present epoch, to be signed as an epoch record or held
    /// against one.
    ///
    /// # Errors
    /// [`GroupError::Removed`], [`GroupError::Protocol`].
    pub fn view(&self) -> Result<EpochView, GroupError> {
        self.engine.view()
    }

    /// The frame keys of the present epoch.
    ///
    /// # Errors
    /// [`GroupError::Protocol`].
    pub fn frame_keys(&self) -> Result<EpochKeys, GroupError> {
        self.engine.frame_keys()
    }

    /// Returns a sender session for a run of the camera that starts: none that this state knows to have been
    /// used in this epoch. Save before the first frame is sealed.
    ///
    /// A state put back from a backup does not know the runs since. The session is drawn from all 32 bits, so
    /// that each of those runs is met with a chance of 2^-32 per start until the next commit; make one
    /// ([`Self::renew`]) after putting a state back, and not even that is left.
    ///
    /// # Errors
    /// [`GroupError::SessionsExhausted`] after [`MAX_SESSIONS`](super::MAX_SESSIONS) starts in one epoch,
    /// [`GroupError::NoRandomness`].
    pub fn next_session(&mut self) -> Result<SenderSession, GroupError> {
        self.sessions.next(self.engine.epoch())
    }

    /// The group's id: camera and generation.
    #[must_use]
    pub fn group_id(&self) -> GroupId {
        self.engine.group_id()
    }

    /// The present epoch.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.engine.epoch()
    }

    /// The list that the group rests on.
    #[must_use]
    pub fn list(&self) -> ListRef {
        self.engine.list()
    }

    /// Leaf and device of every member, in ascending order of leaves.
    #[must_use]
    pub fn members(&self) -> Vec<(u32, DeviceId)> {
        self.engine.members()
    }

    /// The state as bytes, for a vault only.
    #[must_use]
    pub fn save(&self) -> Zeroizing<Vec<u8>> {
        let mut blob = BlobWriter::new(MAGIC, self.engine.saved_len());
        self.engine.save(&mut blob);
        self.sessions.save(&mut blob);
        self.heard.save(&mut blob);
        blob.finish()
    }

    /// Reads what [`Self::save`] wrote.
    ///
    /// # Errors
    /// [`GroupError::Unreadable`].
    pub fn restore(bytes: &[u8], lists: &ListChain) -> Result<Self, GroupError> {
        let mut blob = BlobReader::new(MAGIC, bytes)?;
        let engine = Engine::read(&mut blob, lists)?;
        let sessions = Sessions::read(&mut blob)?;
        let heard = Heard::read(&mut blob)?;
        Ok(Self { engine, sessions, heard })
    }

    /// The list that a commit names at `now`: the newest, or, while two of them are signed, the present one.
    fn named(&self, lists: &ListChain, now: SystemTime) -> Result<ListRef, GroupError> {
        let head = lists.head().ok_or(GroupError::NoList)?;
        let named = self.name(head, now);
        // A household that goes on in spite of a rival has settled which list the others know.
        let open = lists.rivals().any(|rival| rival.list().version >= head.list().version);
        let list = if open { self.engine.list().list } else { named.list };
        Ok(ListRef { list, ..named })
    }

    /// The reference to a list at `now`; neither time nor list fall below what the group has.
    fn name(&self, list: &VerifiedList, now: SystemTime) -> ListRef {
        ListRef::naming(list, unix_seconds(now).max(self.engine.list().time))
    }

    fn entitled<'a>(&self, list: &'a DeviceList, times: Times) -> impl Iterator<Item = DeviceId> + use<'a> {
        let camera = self.engine.group_id().camera();
        let devices = list.devices.iter().map(|entry| entry.device);
        devices.filter(move |device| may(list, *device, camera, times))
    }

    /// Leaves whose device is no longer entitled, or was silent for too long.
    fn gone(&self, list: &DeviceList, times: Times) -> Vec<u32> {
        let camera = self.engine.group_id().camera();
        let stays = |device: DeviceId| {
            device == camera || may(list, device, camera, times) && !self.heard.is_silent(device, times[0])
        };
        self.engine
            .members()
            .into_iter()
            .filter(|(_, device)| !stays(*device))
            .map(|(index, _)| index)
            .collect()
    }

    /// Reads the claimed packages; one per entitled device.
    fn packages(
        &self,
        list: &DeviceList,
        times: Times,
        claimed: &[ClaimedPackage],
    ) -> (Vec<Add>, Vec<RefusedPackage>) {
        let (mut add, mut refused) = (Vec::<Add>::new(), Vec::new());
        for package in claimed {
            let device = package.device;
            match self.read_package(list, times, package) {
                Ok(_) if add.iter().any(|(other, _)| *other == device) => {}
                Ok(message) => add.push((device, message)),
                Err(error) => refused.push(RefusedPackage { device, error }),
            }
        }
        (add, refused)
    }

    fn read_package(
        &self,
        list: &DeviceList,
        times: Times,
        package: &ClaimedPackage,
    ) -> Result<MlsMessage, GroupError> {
        let device = package.device;
        let message = parse(&package.key_package)?;
        let identity = message.as_key_package().ok_or(GroupError::Malformed)?.signing_identity();
        if checks::skipped(Check::KeyPackage) {
            return Ok(message);
        }
        if device_of(identity)? != device {
            return Err(Refusal::WrongKeyPackage(device).into());
        }
        let entry = list.device(device).ok_or(Refusal::NotListed(device))?;
        if !may(list, device, self.engine.group_id().camera(), times) {
            return Err(Refusal::NotEntitled(device).into());
        }
        if identity.signature_key.as_ref() != entry.mls_public {
            return Err(Refusal::WrongKey(device).into());
        }
        Ok(message)
    }

    /// Makes the commit; when packages spoil it, finds out which and makes it without them.
    fn commit(
        &mut self,
        gone: &[u32],
        mut add: Vec<Add>,
        mut refused: Vec<RefusedPackage>,
        named: ListRef,
        clock: u64,
    ) -> Result<Synced, GroupError> {
        let remove = self.leaving(gone, &add);
        if self.engine.try_commit(&Change { remove: &remove, add: &add, named, clock }).is_err() {
            let mut good = Vec::with_capacity(add.len());
            for package in add {
                let alone = std::slice::from_ref(&package);
                let remove = self.leaving(gone, alone);
                match self.engine.try_commit(&Change { remove: &remove, add: alone, named, clock }) {
                    Ok(()) => good.push(package),
                    Err(error) => refused.push(RefusedPackage { device: package.0, error }),
                }
            }
            add = good;
        }
        let remove = self.leaving(gone, &add);
        let commit = self.engine.commit(&Change { remove: &remove, add: &add, named, clock })?.clone();
        Ok(Synced { commit: Some(commit), refused })
    }

    /// The leaves that a commit blanks: those of devices that are gone, and those of members put in anew.
    fn leaving(&self, gone: &[u32], add: &[Add]) -> Vec<u32> {
        let members = self.engine.members().into_iter();
        let anew = members.filter(|(_, member)| add.iter().any(|(device, _)| device == member));
        let anew = anew.map(|(index, _)| index).filter(|index| !gone.contains(index));
        gone.iter().copied().chain(anew).collect()
    }
}

/// A key package that the server gave out for a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimedPackage {
    /// The device it was claimed for.
    pub device: DeviceId,
    /// The key package, an MLSMessage.
    pub key_package: Vec<u8>,
}

/// A key package that was left out of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedPackage {
    /// The device it was claimed for.
    pub device: DeviceId,
    /// Why.
    pub error: GroupError,
}

/// What [`CameraGroup::sync`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Synced {
    /// The commit to send, `None` when the group equals the list already.
    pub commit: Option<PendingCommit>,
    /// Packages that were left out.
    pub refused: Vec<RefusedPackage>,
}

type Add = (DeviceId, MlsMessage);
/// The group's time, and the camera's where that is later.
type Times = [u64; 2];

/// Whether a list lets a device see the camera at both times.
fn may(list: &DeviceList, device: DeviceId, camera: DeviceId, times: Times) -> bool {
    times.iter().all(|time| list.may(device, Right::See, camera, *time))
}

const MAGIC: [u8; 4] = *b"LKC1";
/// Keys that are older than this are renewed by the next sync.
const RENEWAL: Duration = Duration::from_secs(24 * 3600);
