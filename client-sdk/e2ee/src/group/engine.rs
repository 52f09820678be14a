//! What camera and members have in common: one MLS group under our policy, saved as one blob.

use latchkey_api::checks::{self, Check};
use latchkey_api::device_list::ListChain;
use latchkey_api::id::{DeviceId, GroupId};
use mls_rs::error::MlsError;
use mls_rs::group::{CommitBuilder, CommitEffect, ContentType, ProposalSender, ReceivedMessage, Sender};
use mls_rs::time::MlsTime;
use mls_rs::{CipherSuiteProvider, Group, MlsMessage, MlsMessageDescription};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::blob::{BlobReader, BlobWriter};
use super::credential::device_of;
use super::error::{GroupError, Refusal, mls};
use super::library::{Mls, client, suite};
use super::list_ref::ListRef;
use super::outcome::{EpochChange, PendingCommit, Processed, WelcomeFor};
use super::policy::Policy;
use super::storage::{PackageShelf, StateShelf};
use crate::key_schedule::{BASE_KEY_LEN, EXPORTER_LABEL, EpochKeys};
use crate::note::Note;
use crate::record::EpochView;

/// What a commit is to do.
pub(super) struct Change<'a> {
    /// Leaves to blank.
    pub(super) remove: &'a [u32],
    /// Devices to add, with their key packages.
    pub(super) add: &'a [(DeviceId, MlsMessage)],
    /// The list to name.
    pub(super) named: ListRef,
    /// The committer's clock in seconds since the Unix epoch, for the lifetimes of key packages.
    pub(super) clock: u64,
}

/// One MLS group of this device.
pub(super) struct Engine {
    pub(super) group: Group<Mls>,
    policy: Policy,
    state: StateShelf,
    pending: Option<PendingCommit>,
    removed: bool,
    /// Who sent something since it was asked last.
    heard: Vec<DeviceId>,
}

impl Engine {
    pub(super) fn new(group: Group<Mls>, policy: Policy, state: StateShelf) -> Result<Self, GroupError> {
        let mut engine = Self { group, policy, state, pending: None, removed: false, heard: Vec::new() };
        engine.write()?;
        Ok(engine)
    }

    pub(super) fn group_id(&self) -> GroupId {
        GroupId::try_from(self.group.group_id()).expect("the policy admits only group ids of our length")
    }

    pub(super) fn epoch(&self) -> u64 {
        self.group.current_epoch()
    }

    pub(super) fn list(&self) -> ListRef {
        let extensions = &self.group.context().extensions;
        ListRef::from_extensions(extensions).expect("the policy admits only groups that name a list")
    }

    pub(super) fn own_leaf(&self) -> u32 {
        self.group.current_member_index()
    }

    /// Leaf and device of every member, in ascending order of leaves.
    pub(super) fn members(&self) -> Vec<(u32, DeviceId)> {
        let members = self.group.roster().members_iter();
        members.filter_map(|m| Some((m.index, device_of(&m.signing_identity).ok()?))).collect()
    }

    pub(super) fn is_removed(&self) -> bool {
        self.removed
    }

    pub(super) fn pending(&self) -> Option<&PendingCommit> {
        self.pending.as_ref()
    }

    pub(super) fn set_lists(&self, lists: &ListChain) {
        self.policy.set_lists(lists);
    }

    /// Checks the roster as it is against the list that the group names.
    pub(super) fn check_roster(&self) -> Result<(), GroupError> {
        let members = self.group.roster().members();
        let leaves = members.iter().map(|member| (member.index, &member.signing_identity));
        Ok(self.policy.check_roster(self.group.context(), leaves)?)
    }

    /// True when a member's proposal waits for a commit: until then nobody can send notes, also where the commit
    /// will not take it in.
    pub(super) fn has_proposals(&self) -> bool {
        !self.group.get_cached_proposals().is_empty()
    }

    /// Makes a commit; it becomes pending.
    pub(super) fn commit(&mut self, change: &Change<'_>) -> Result<&PendingCommit, GroupError> {
        if self.pending.is_some() {
            return Err(GroupError::CommitPending);
        }
        let epoch = self.epoch();
        let output = self.builder(change)?.build().map_err(mls("make a commit"))?;
        let commit = output.commit_message().to_bytes().map_err(mls("encode a commit"));
        let pending = commit.and_then(|commit| {
            let welcomes = welcomes(output.welcome_messages(), change.add)?;
            Ok(PendingCommit { epoch, commit, welcomes })
        });
        match pending {
            Ok(pending) => {
                self.write()?;
                Ok(self.pending.insert(pending))
            }
            Err(error) => {
                self.group.clear_pending_commit();
                Err(error)
            }
        }
    }

    /// Makes the same commit and throws it away: tells whether it could be made.
    pub(super) fn try_commit(&mut self, change: &Change<'_>) -> Result<(), GroupError> {
        self.builder(change)?.build_detached().map(|_| ()).map_err(mls("make a commit"))
    }

    fn builder(&mut self, change: &Change<'_>) -> Result<CommitBuilder<'_, Mls>, GroupError> {
        let mut builder = self.group.commit_builder().commit_time(MlsTime::from(change.clock));
        for index in change.remove {
            builder = builder.remove_member(*index).map_err(mls("remove a member"))?;
        }
        for (_, package) in change.add {
            builder = builder.add_member(package.clone()).map_err(mls("add a member"))?;
        }
        builder.set_group_context_ext(change.named.to_extensions()).map_err(mls("name a list"))
    }

    pub(super) fn confirm(&mut self) -> Result<EpochChange, GroupError> {
        self.pending.as_ref().ok_or(GroupError::NoCommitPending)?;
        let before = self.members();
        self.group.apply_pending_commit().map_err(mls("apply a commit"))?;
        self.pending = None;
        self.write()?;
        Ok(self.change_since(&before))
    }

    pub(super) fn discard(&mut self) -> Result<(), GroupError> {
        self.group.clear_pending_commit();
        self.pending = None;
        self.write()
    }

    pub(super) fn process(&mut self, message: &[u8], lists: &ListChain) -> Result<Processed, GroupError> {
        if self.removed {
            return Err(GroupError::Removed);
        }
        if self.pending.as_ref().is_some_and(|pending| pending.commit == message) {
            return self.confirm().map(Processed::Epoch);
        }
        let message = parse(message)?;
        let kind = match self.check_header(&message)? {
            Header::Current(kind) => kind,
            Header::Stale => return Ok(Processed::Stale),
        };
        self.set_lists(lists);
        let before = self.members();
        let received = match self.group.process_incoming_message(message) {
            Ok(received) => received,
            Err(error) => return self.explain(kind, error),
        };
        let processed = match received {
            ReceivedMessage::Proposal(proposal) => {
                if let ProposalSender::Member(leaf) = proposal.sender {
                    self.heard.extend(self.device_at(leaf));
                }
                Processed::Proposal
            }
            ReceivedMessage::Commit(commit) => {
                self.pending = None;
                match commit.effect {
                    CommitEffect::NewEpoch(_) => Processed::Epoch(self.change_since(&before)),
                    CommitEffect::Removed { .. } => {
                        self.removed = true;
                        Processed::Removed
                    }
                    CommitEffect::ReInit(_) => {
                        return Err(Refusal::ForbiddenProposal("reinitialisation").into());
                    }
                }
            }
            ReceivedMessage::ApplicationMessage(message) => {
                // Its key is used up, whatever it says.
                self.write()?;
                let from = self.device_at(message.sender_index).ok_or(GroupError::Malformed)?;
                let note = Note::from_bytes(message.data()).map_err(|_| GroupError::Malformed)?;
                self.heard.push(from);
                return Ok(Processed::Note { from, note });
            }
            _ => return Err(GroupError::Malformed),
        };
        self.write()?;
        Ok(processed)
    }

    /// What it means that the library refuses a message of the present epoch.
    fn explain(&self, kind: ContentType, error: MlsError) -> Result<Processed, GroupError> {
        let epoch = self.epoch();
        match (kind, error) {
            // The server shows everybody everything, and some of it twice.
            (ContentType::Application | ContentType::Proposal, MlsError::CantProcessMessageFromSelf)
            | (ContentType::Application, MlsError::KeyMissing(_)) => Ok(Processed::Stale),
            (ContentType::Application, _) => Err(GroupError::UnreadableNote { epoch }),
            (kind, error) => match mls("take a message")(error) {
                GroupError::Protocol { why, .. } if kind == ContentType::Commit => {
                    Err(GroupError::JunkCommit { epoch, why })
                }
                error => Err(error),
            },
        }
    }

    /// Seals a note for all members. Save before it is sent: its key must not be used again.
    pub(super) fn send_note(&mut self, note: &Note) -> Result<Vec<u8>, GroupError> {
        if self.removed {
            return Err(GroupError::Removed);
        }
        let note = note.to_bytes().map_err(|_| GroupError::NoteTooLarge)?;
        let message = match self.group.encrypt_application_message(&note, Vec::new()) {
            Err(MlsError::CommitRequired) => return Err(GroupError::CommitFirst),
            sealed => sealed.map_err(mls("seal a note"))?,
        };
        self.write()?;
        message.to_bytes().map_err(mls("encode a note"))
    }

    /// What this device knows about the present epoch.
    pub(super) fn view(&self) -> Result<EpochView, GroupError> {
        if self.removed {
            return Err(GroupError::Removed);
        }
        let context = self.group.context();
        let authenticator = self.group.epoch_authenticator().map_err(mls("read the authenticator"))?;
        Ok(EpochView {
            group: self.group_id(),
            epoch: self.epoch(),
            list: self.list().list,
            tree_hash: context.tree_hash.as_slice().try_into().map_err(|_| GroupError::Malformed)?,
            members: self.members().into_iter().map(|(_, device)| device).collect(),
            authenticator: Sha256::digest(authenticator.as_bytes()).into(),
        })
    }

    /// The devices that sent notes or proposals since this was asked last.
    pub(super) fn take_heard(&mut self) -> Vec<DeviceId> {
        std::mem::take(&mut self.heard)
    }

    fn device_at(&self, leaf: u32) -> Option<DeviceId> {
        device_of(&self.group.roster().member_with_index(leaf).ok()?.signing_identity).ok()
    }

    pub(super) fn propose_update(&mut self) -> Result<Vec<u8>, GroupError> {
        let message = self.group.propose_update(Vec::new()).map_err(mls("propose an update"))?;
        self.write()?;
        message.to_bytes().map_err(mls("encode a proposal"))
    }

    pub(super) fn frame_keys(&self) -> Result<EpochKeys, GroupError> {
        if self.removed {
            return Err(GroupError::Removed);
        }
        let secret =
            self.group.export_secret(EXPORTER_LABEL, &[], BASE_KEY_LEN).map_err(mls("export a key"))?;
        let mut base_key = Zeroizing::new([0; BASE_KEY_LEN]);
        base_key.copy_from_slice(secret.as_bytes());
        let leaf = |index: u32| u8::try_from(index).map_err(|_| Refusal::TooManyMembers);
        let members = self.members().into_iter().map(|(index, device)| Ok((leaf(index)?, device)));
        Ok(EpochKeys {
            base_key,
            group: self.group_id(),
            epoch: self.epoch(),
            own_leaf: leaf(self.own_leaf())?,
            members: members.collect::<Result<_, Refusal>>()?,
        })
    }

    /// Appends the fields that [`Self::read`] takes.
    pub(super) fn save(&self, blob: &mut BlobWriter) {
        let state = self.state.copy().unwrap_or_default();
        blob.field(self.group.group_id())
            .field(&self.policy.camera().0)
            .field(&[u8::from(self.removed)])
            .field(&state);
        PendingCommit::save(self.pending.as_ref(), blob);
    }

    /// How many bytes [`Self::save`] writes, about.
    pub(super) fn saved_len(&self) -> usize {
        self.state.len() + self.pending.as_ref().map_or(0, PendingCommit::saved_len) + 256
    }

    pub(super) fn read(blob: &mut BlobReader<'_>, lists: &ListChain) -> Result<Self, GroupError> {
        let group_id = blob.fixed::<20>()?;
        let camera = DeviceId(blob.fixed()?);
        let [removed] = blob.fixed()?;
        let state = StateShelf::holding(blob.field()?);
        let pending = PendingCommit::read(blob)?;
        let policy = Policy::new(camera, lists);
        let client = client(policy.clone(), PackageShelf::default(), state.clone(), None);
        let group = client.load_group(&group_id).map_err(|_| GroupError::Unreadable)?;
        if pending.is_some() != group.has_pending_commit() {
            return Err(GroupError::Unreadable);
        }
        Ok(Self { group, policy, state, pending, removed: removed == 1, heard: Vec::new() })
    }

    fn write(&mut self) -> Result<(), GroupError> {
        self.group.write_to_storage().map_err(mls("write the state"))
    }

    fn change_since(&self, before: &[(u32, DeviceId)]) -> EpochChange {
        let after = self.members();
        // A device that was removed and added again in one commit has another leaf or the same; both ways
        // it is neither new nor gone.
        let missing_in = |there: &[(u32, DeviceId)], here: &[(u32, DeviceId)]| -> Vec<DeviceId> {
            let devices = here.iter().map(|(_, device)| *device);
            devices.filter(|device| !there.iter().any(|(_, other)| other == device)).collect()
        };
        EpochChange {
            epoch: self.epoch(),
            list: self.list(),
            added: missing_in(before, &after),
            removed: missing_in(&after, before),
        }
    }

    /// Looks at the parts of a message that are readable before any cryptography.
    fn check_header(&self, message: &MlsMessage) -> Result<Header, GroupError> {
        let (group_id, epoch_id, content_type, sender) = match message.description() {
            MlsMessageDescription::PublicProtocolMessage {
                group_id, epoch_id, content_type, sender, ..
            } => (group_id, epoch_id, content_type, Some(sender)),
            MlsMessageDescription::PrivateProtocolMessage { group_id, epoch_id, content_type } => {
                (group_id, epoch_id, content_type, None)
            }
            _ => return Err(GroupError::Malformed),
        };
        if group_id != self.group.group_id() {
            return Err(GroupError::OtherGroup);
        }
        match (sender, content_type) {
            // Commits and proposals travel in the open, so that the server can order them; notes do not.
            (Some(Sender::Member(_)), ContentType::Commit | ContentType::Proposal)
            | (None, ContentType::Application) => {}
            _ if checks::skipped(Check::OutsideSender) => {}
            (Some(Sender::NewMemberCommit), _) => return Err(Refusal::ExternalCommit.into()),
            (Some(Sender::External(_) | Sender::NewMemberProposal), _) => {
                return Err(Refusal::ExternalSender.into());
            }
            _ => return Err(GroupError::Malformed),
        }
        let epoch = self.epoch();
        if epoch_id < epoch {
            return Ok(Header::Stale);
        }
        if epoch_id > epoch {
            return Err(GroupError::Gap { expected: epoch, found: epoch_id });
        }
        if content_type == ContentType::Proposal {
            let kept = self.group.get_cached_proposals();
            if kept.iter().filter(|kept| Some(kept.sender()) == sender.as_ref()).count() >= MAX_PROPOSALS {
                return Err(Refusal::ForbiddenProposal("one too many in this epoch").into());
            }
        }
        Ok(Header::Current(content_type))
    }
}

#[derive(Clone, Copy)]
enum Header {
    Current(ContentType),
    Stale,
}

/// Reads an MLSMessage of bounded size, without anything behind it.
pub(super) fn parse(bytes: &[u8]) -> Result<MlsMessage, GroupError> {
    if bytes.len() > MAX_MESSAGE_BYTES {
        return Err(GroupError::Malformed);
    }
    MlsMessage::from_bytes(bytes).map_err(|_| GroupError::Malformed)
}

/// Finds out which Welcome is for which device: by the reference of its key package.
fn welcomes(
    messages: &[MlsMessage],
    added: &[(DeviceId, MlsMessage)],
) -> Result<Vec<WelcomeFor>, GroupError> {
    let suite = suite();
    let mut welcomes = Vec::with_capacity(messages.len());
    for (device, package) in added {
        let reference = key_package_ref(package, &suite)?;
        let message =
            messages.iter().find(|message| message.welcome_key_package_references().contains(&&reference));
        let message = message.ok_or(GroupError::Malformed)?;
        let welcome = message.to_bytes().map_err(mls("encode a Welcome"))?;
        welcomes.push(WelcomeFor { device: *device, welcome });
    }
    Ok(welcomes)
}

fn key_package_ref(
    package: &MlsMessage,
    suite: &impl CipherSuiteProvider,
) -> Result<mls_rs::KeyPackageRef, GroupError> {
    let reference = package.key_package_reference(suite).map_err(mls("hash a key package"))?;
    reference.ok_or(GroupError::Malformed)
}

/// Largest MLS message that is read, in bytes.
pub const MAX_MESSAGE_BYTES: usize = 256 * 1024;
/// Proposals of each member that are kept until the next commit: nobody uses up the others' room.
const MAX_PROPOSALS: usize = 16;
