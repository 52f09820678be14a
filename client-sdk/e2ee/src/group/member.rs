//! A viewer's or admin's side: joins by Welcome, follows the camera's commits, and opens under the keys.

use latchkey_api::checks::{self, Check};
use latchkey_api::device_list::{ListChain, Right};
use latchkey_api::id::{DeviceId, GroupId};
use mls_rs::MlsMessageDescription;
use zeroize::Zeroizing;

use super::blob::{BlobReader, BlobWriter};
use super::engine::{Change, Engine, parse};
use super::error::{GroupError, Refusal, mls};
use super::key_packages::KeyPackages;
use super::library::client;
use super::list_ref::ListRef;
use super::outcome::{EpochChange, PendingCommit, Processed};
use super::policy::Policy;
use super::storage::StateShelf;
use crate::identity::DeviceIdentity;
use crate::key_schedule::EpochKeys;
use crate::note::Note;
use crate::record::EpochView;

/// The group of a camera, seen from a device that may see it.
pub struct Member {
    pub(super) engine: Engine,
}

impl Member {
    /// Joins the group of `camera`. The whole roster is checked against the list that the group names.
    /// Save the member and the key packages, whose used one is erased, before telling the server.
    ///
    /// # Errors
    /// [`GroupError::Malformed`] when it is no Welcome; [`GroupError::Refused`] when the group breaks a
    /// rule, with [`Refusal::UnknownList`] when lists have to be fetched first; [`GroupError::Protocol`]
    /// when it is not for one of these key packages.
    pub fn join(
        device: &DeviceIdentity,
        lists: &ListChain,
        packages: &mut KeyPackages,
        camera: DeviceId,
        welcome: &[u8],
    ) -> Result<Self, GroupError> {
        let message = parse(welcome)?;
        if !matches!(message.description(), MlsMessageDescription::Welcome { .. }) {
            return Err(GroupError::Malformed);
        }
        let policy = Policy::new(camera, lists);
        let state = StateShelf::default();
        let client =
            client(policy.clone(), packages.shelf(), state.clone(), Some((device, lists.household())));
        let (group, info) = client.join_group(None, &message, None).map_err(mls("join a group"))?;
        if info.sender != 0 {
            return Err(Refusal::WelcomeNotFromCamera.into());
        }
        let members = group.roster().members();
        let leaves = members.iter().map(|member| (member.index, &member.signing_identity));
        policy.check_roster(group.context(), leaves)?;
        Ok(Self { engine: Engine::new(group, policy, state)? })
    }

    /// Takes a message of the group.
    ///
    /// # Errors
    /// [`GroupError::Refused`] when it breaks a rule, with [`Refusal::UnknownList`] when lists have to be
    /// fetched first; [`GroupError::Gap`] when messages before it are missing; [`GroupError::JunkCommit`]
    /// and [`GroupError::UnreadableNote`]. The group stays as it was.
    pub fn process(&mut self, message: &[u8], lists: &ListChain) -> Result<Processed, GroupError> {
        self.engine.process(message, lists)
    }

    /// Proposes to renew this device's own keys and returns the message to send; the camera's next commit
    /// takes it in.
    ///
    /// # Errors
    /// [`GroupError::Removed`], [`GroupError::Protocol`].
    pub fn propose_update(&mut self) -> Result<Vec<u8>, GroupError> {
        if self.engine.is_removed() {
            return Err(GroupError::Removed);
        }
        self.engine.propose_update()
    }

    /// For an admin, when the camera does not do it: makes a commit that removes who the newest list no
    /// longer entitles. Returns `None` when there is nobody to remove. While two histories are signed, too: whom only the
    /// other history removed is left to the camera, since members that do not know it would refuse the commit.
    ///
    /// # Errors
    /// [`GroupError::Refused`] with [`Refusal::CommitterNotAllowed`] when this device is no admin;
    /// [`GroupError::CommitPending`], [`GroupError::NoList`],
    /// [`GroupError::Removed`].
    pub fn remove_unlisted(&mut self, lists: &ListChain) -> Result<Option<PendingCommit>, GroupError> {
        if self.engine.is_removed() {
            return Err(GroupError::Removed);
        }
        let head = lists.head().ok_or(GroupError::NoList)?;
        let camera = self.engine.group_id().camera();
        let named = ListRef::naming(head, self.engine.list().time);
        let stays =
            |device: DeviceId| device == camera || head.list().may(device, Right::See, camera, named.time);
        let members = self.engine.members().into_iter();
        let remove: Vec<_> = members.filter(|(_, device)| !stays(*device)).map(|(index, _)| index).collect();
        if remove.is_empty() {
            return Ok(None);
        }
        self.engine.set_lists(lists);
        self.engine.commit(&Change { remove: &remove, add: &[], named, clock: named.time }).cloned().map(Some)
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

    /// The server accepted another commit for this epoch: forgets the pending one.
    ///
    /// # Errors
    /// [`GroupError::Protocol`] when the state cannot be written.
    pub fn discard(&mut self) -> Result<(), GroupError> {
        self.engine.discard()
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
    /// [`GroupError::Removed`], [`GroupError::Protocol`].
    pub fn frame_keys(&self) -> Result<EpochKeys, GroupError> {
        self.engine.frame_keys()
    }

    /// Returns true when a commit removed this device.
    #[must_use]
    pub fn is_removed(&self) -> bool {
        self.engine.is_removed()
    }

    /// Returns true when the newest list ends this group: the camera is gone, or founded a new generation.
    #[must_use]
    pub fn is_closed(&self, lists: &ListChain) -> bool {
        let group = self.engine.group_id();
        lists.head().is_none_or(|head| head.list().generation(group.camera()) != Some(group.generation()))
    }

    /// Returns true when this group may take the place of `before`: the same camera's, and later. A Welcome
    /// that leads back to an earlier epoch or list is a replay.
    #[must_use]
    pub fn supersedes(&self, before: &Self) -> bool {
        let (group, old) = (self.engine.group_id(), before.engine.group_id());
        if checks::skipped(Check::WelcomeLater) {
            return group.camera() == old.camera();
        }
        group.camera() == old.camera()
            && self.list().list.version >= before.list().list.version
            && (group.generation(), self.epoch()) > (old.generation(), before.epoch())
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
        blob.finish()
    }

    /// Reads what [`Self::save`] wrote.
    ///
    /// # Errors
    /// [`GroupError::Unreadable`].
    pub fn restore(bytes: &[u8], lists: &ListChain) -> Result<Self, GroupError> {
        let mut blob = BlobReader::new(MAGIC, bytes)?;
        let engine = Engine::read(&mut blob, lists)?;
        blob.end()?;
        Ok(Self { engine })
    }
}

const MAGIC: [u8; 4] = *b"LKM1";
