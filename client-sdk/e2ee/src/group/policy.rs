//! The membership check inside the MLS library: what this device accepts as group, leaf and commit.
//!
//! The library calls `validate_member` for every new or changed leaf and for every leaf of a Welcome's
//! tree, and `filter_proposals` before every commit it makes or takes. Both fail closed.

use std::sync::{Arc, PoisonError, RwLock};

use latchkey_api::device_list::{DeviceList, ListChain, MAX_DEVICES, Right, Role};
use latchkey_api::id::{DeviceId, GroupId, HouseholdId};
use mls_rs::group::proposal::{
    AddProposal, ExternalInit, PreSharedKeyProposal, ReInitProposal, RemoveProposal, UpdateProposal,
};
use mls_rs::group::{GroupContext, Roster, Sender};
use mls_rs::identity::basic::BasicCredential;
use mls_rs::identity::{Credential, CredentialType, SigningIdentity};
use mls_rs::mls_rules::{
    CommitDirection, CommitOptions, CommitSource, EncryptionOptions, ProposalBundle, ProposalInfo,
};
use mls_rs::time::MlsTime;
use mls_rs::{ExtensionList, IdentityProvider, MlsRules};
use mls_rs_core::identity::MemberValidationContext;

use super::error::Refusal;
use super::list_ref::ListRef;

/// The rules of one camera's group, shared between the library's hooks and the group that owns them.
#[derive(Clone)]
pub(super) struct Policy {
    camera: DeviceId,
    lists: Arc<RwLock<ListChain>>,
}

impl Policy {
    pub(super) fn new(camera: DeviceId, lists: &ListChain) -> Self {
        Self { camera, lists: Arc::new(RwLock::new(lists.clone())) }
    }

    /// Takes the chain as it is now; the hooks judge by it until the next call.
    pub(super) fn set_lists(&self, lists: &ListChain) {
        *self.lists.write().unwrap_or_else(PoisonError::into_inner) = lists.clone();
    }

    pub(super) fn camera(&self) -> DeviceId {
        self.camera
    }

    /// Checks that `named` is a list of the verified chain, that the group is the one that list gives to
    /// the camera, and lets `check` judge by it.
    fn with_list<T>(
        &self,
        group: &[u8],
        named: ListRef,
        check: impl FnOnce(&Judge<'_>) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let lists = self.lists.read().unwrap_or_else(PoisonError::into_inner);
        let version = named.list.version;
        let list = lists.at(version).ok_or(Refusal::UnknownList { version })?;
        if list.version() != named.list {
            return Err(Refusal::ListMismatch { version });
        }
        let group = GroupId::try_from(group).map_err(|_| Refusal::WrongGroup)?;
        if group.camera() != self.camera {
            return Err(Refusal::WrongGroup);
        }
        if list.list().generation(self.camera) != Some(group.generation()) {
            return Err(Refusal::GroupClosed);
        }
        check(&Judge {
            household: lists.household(),
            camera: self.camera,
            list: list.list(),
            time: named.time,
        })
    }

    /// Checks a whole roster: every leaf entitled, the camera at leaf 0, nobody twice.
    pub(super) fn check_roster<'a>(
        &self,
        context: &GroupContext,
        leaves: impl Iterator<Item = (u32, &'a SigningIdentity)>,
    ) -> Result<(), Refusal> {
        let named = ListRef::from_extensions(&context.extensions)?;
        let leaves: Vec<_> = leaves.collect();
        self.with_list(&context.group_id, named, |judge| judge.check_roster(&leaves))
    }

    fn check_commit(
        &self,
        direction: CommitDirection,
        source: &CommitSource,
        roster: &Roster<'_>,
        context: &GroupContext,
        proposals: &mut ProposalBundle,
    ) -> Result<(), Refusal> {
        let CommitSource::ExistingMember(committer) = source else { return Err(Refusal::ExternalCommit) };
        let committer_id = device_of(&committer.signing_identity)?;
        let by_camera = committer.index == 0 && committer_id == self.camera;
        if direction == CommitDirection::Send {
            leave_out_foreign(by_camera, roster, proposals)?;
        }
        check_kinds(proposals)?;

        let named = renewed_list(proposals, committer.index)?;
        let before = ListRef::from_extensions(&context.extensions)?;
        check_order(before, named)?;
        self.with_list(&context.group_id, named, |judge| {
            let leaves = roster_after(roster, proposals)?;
            let leaves: Vec<_> = leaves.iter().map(|(index, identity)| (*index, identity)).collect();
            judge.check_roster(&leaves)?;
            if !by_camera {
                judge.check_admin_commit(committer_id, roster, proposals)?;
                judge.check_admin_time(before)?;
            }
            Ok(())
        })
    }
}

/// One list at one time, as judge over identities.
struct Judge<'a> {
    household: HouseholdId,
    camera: DeviceId,
    list: &'a DeviceList,
    time: u64,
}

impl Judge<'_> {
    /// Returns the device of a leaf when the list entitles it to be in the group.
    fn check_leaf(&self, identity: &SigningIdentity) -> Result<DeviceId, Refusal> {
        let (household, device) = parse_credential(identity)?;
        if household != self.household {
            return Err(Refusal::OtherHousehold);
        }
        let entry = self.list.device(device).ok_or(Refusal::NotListed(device))?;
        if identity.signature_key.as_ref() != entry.mls_public {
            return Err(Refusal::WrongKey(device));
        }
        if !self.entitles(device) {
            return Err(Refusal::NotEntitled(device));
        }
        Ok(device)
    }

    fn entitles(&self, device: DeviceId) -> bool {
        device == self.camera || self.list.may(device, Right::See, self.camera, self.time)
    }

    fn check_roster(&self, leaves: &[(u32, &SigningIdentity)]) -> Result<(), Refusal> {
        if leaves.len() > MAX_DEVICES {
            return Err(Refusal::TooManyMembers);
        }
        let mut seen = Vec::with_capacity(leaves.len());
        for (index, identity) in leaves {
            let device = self.check_leaf(identity)?;
            if seen.contains(&device) {
                return Err(Refusal::DeviceTwice(device));
            }
            if (*index == 0) != (device == self.camera) {
                return Err(Refusal::CameraNotAtLeafZero);
            }
            seen.push(device);
        }
        if seen.contains(&self.camera) { Ok(()) } else { Err(Refusal::CameraNotAtLeafZero) }
    }

    /// The group's clock is the camera's. An admin may move it no further than the list it names does, so
    /// that a phone with a wrong clock cannot end every guest's stay.
    fn check_admin_time(&self, before: ListRef) -> Result<(), Refusal> {
        if self.time > before.time.max(self.list.issued_at) { Err(Refusal::TimeMoved) } else { Ok(()) }
    }

    /// An admin may remove what the list no longer entitles, and nothing else.
    fn check_admin_commit(
        &self,
        committer: DeviceId,
        roster: &Roster<'_>,
        proposals: &ProposalBundle,
    ) -> Result<(), Refusal> {
        let admin = self.list.device(committer).is_some_and(|entry| entry.role == Role::Admin);
        let only_removes = proposals.add_proposals().is_empty() && proposals.update_proposals().is_empty();
        if !admin || !only_removes || proposals.remove_proposals().is_empty() {
            return Err(Refusal::CommitterNotAllowed(committer));
        }
        for removal in proposals.remove_proposals() {
            let leaf = roster.member_with_index(removal.proposal.to_remove());
            let leaf = leaf.map_err(|_| Refusal::ForbiddenProposal("removal of an empty leaf"))?;
            if let Ok(device) = self.check_leaf(&leaf.signing_identity) {
                return Err(Refusal::NeedlessRemoval(device));
            }
        }
        Ok(())
    }
}

impl IdentityProvider for Policy {
    type Error = Refusal;

    fn validate_member(
        &self,
        identity: &SigningIdentity,
        _: Option<MlsTime>,
        context: MemberValidationContext<'_>,
    ) -> Result<(), Refusal> {
        let (group, extensions) = match context {
            MemberValidationContext::ForCommit { current_context, new_extensions } => {
                (&current_context.group_id, new_extensions)
            }
            MemberValidationContext::ForNewGroup { current_context } => {
                (&current_context.group_id, &current_context.extensions)
            }
            // Outside a group nothing is valid.
            _ => return Err(Refusal::ListNotNamed),
        };
        let named = ListRef::from_extensions(extensions)?;
        self.with_list(group, named, |judge| judge.check_leaf(identity).map(|_| ()))
    }

    fn validate_external_sender(
        &self,
        _: &SigningIdentity,
        _: Option<MlsTime>,
        _: Option<&ExtensionList>,
    ) -> Result<(), Refusal> {
        Err(Refusal::ExternalSender)
    }

    fn identity(&self, identity: &SigningIdentity, _: &ExtensionList) -> Result<Vec<u8>, Refusal> {
        let (household, device) = parse_credential(identity)?;
        Ok([household.0, device.0].concat())
    }

    fn valid_successor(
        &self,
        before: &SigningIdentity,
        after: &SigningIdentity,
        _: &ExtensionList,
    ) -> Result<bool, Refusal> {
        Ok(before == after)
    }

    fn supported_types(&self) -> Vec<CredentialType> {
        vec![CredentialType::BASIC]
    }
}

impl MlsRules for Policy {
    type Error = Refusal;

    fn filter_proposals(
        &self,
        direction: CommitDirection,
        source: CommitSource,
        roster: &Roster<'_>,
        context: &GroupContext,
        mut proposals: ProposalBundle,
    ) -> Result<ProposalBundle, Refusal> {
        self.check_commit(direction, &source, roster, context, &mut proposals)?;
        Ok(proposals)
    }

    fn commit_options(
        &self,
        _: &Roster<'_>,
        _: &GroupContext,
        _: &ProposalBundle,
    ) -> Result<CommitOptions, Refusal> {
        Ok(CommitOptions::new()
            .with_path_required(true)
            .with_ratchet_tree_extension(true)
            .with_single_welcome_message(false)
            .with_allow_external_commit(false))
    }

    fn encryption_options(&self, _: &Roster<'_>, _: &GroupContext) -> Result<EncryptionOptions, Refusal> {
        Ok(EncryptionOptions::default())
    }
}

/// The credential of a device: household id, then device id.
pub(super) fn credential(household: HouseholdId, device: DeviceId) -> Credential {
    BasicCredential::new([household.0, device.0].concat()).into_credential()
}

/// The device that a leaf claims to be.
pub(super) fn device_of(identity: &SigningIdentity) -> Result<DeviceId, Refusal> {
    parse_credential(identity).map(|(_, device)| device)
}

fn parse_credential(identity: &SigningIdentity) -> Result<(HouseholdId, DeviceId), Refusal> {
    let Credential::Basic(basic) = &identity.credential else { return Err(Refusal::BadCredential) };
    let (household, device) = basic.identifier.split_first_chunk::<16>().ok_or(Refusal::BadCredential)?;
    let device = <[u8; 16]>::try_from(device).map_err(|_| Refusal::BadCredential)?;
    Ok((HouseholdId(*household), DeviceId(device)))
}

/// Refuses proposals that have no place in our groups.
fn check_kinds(proposals: &ProposalBundle) -> Result<(), Refusal> {
    if !proposals.psk_proposals().is_empty() {
        return Err(Refusal::ForbiddenProposal("pre-shared key"));
    }
    if !proposals.reinit_proposals().is_empty() {
        return Err(Refusal::ForbiddenProposal("reinitialisation"));
    }
    if !proposals.external_init_proposals().is_empty() {
        return Err(Refusal::ExternalCommit);
    }
    if !proposals.custom_proposals().is_empty() {
        return Err(Refusal::ForbiddenProposal("custom"));
    }
    if !proposals.add_proposals().iter().all(ProposalInfo::is_by_value) {
        return Err(Refusal::ForbiddenProposal("add by reference"));
    }
    if !proposals.remove_proposals().iter().all(ProposalInfo::is_by_value) {
        return Err(Refusal::ForbiddenProposal("remove by reference"));
    }
    if !proposals.update_proposals().iter().all(|update| matches!(update.sender(), Sender::Member(_))) {
        return Err(Refusal::ExternalSender);
    }
    Ok(())
}

/// Leaves out of a commit of our own what others proposed and we would refuse, so that nobody can keep a
/// commit from being made.
fn leave_out_foreign(
    by_camera: bool,
    roster: &Roster<'_>,
    proposals: &mut ProposalBundle,
) -> Result<(), Refusal> {
    fn own<T>(proposal: &ProposalInfo<T>) -> Result<bool, Refusal> {
        Ok(proposal.is_by_value())
    }
    let keeps_identity = |update: &ProposalInfo<UpdateProposal>| match update.sender() {
        Sender::Member(sender) => roster
            .member_with_index(*sender)
            .is_ok_and(|leaf| leaf.signing_identity == *update.proposal.signing_identity()),
        _ => false,
    };
    proposals.retain_by_type::<AddProposal, _, _>(own)?;
    proposals.retain_by_type::<RemoveProposal, _, _>(own)?;
    proposals.retain_by_type::<ExtensionList, _, _>(own)?;
    proposals.retain_by_type::<PreSharedKeyProposal, _, _>(own)?;
    proposals.retain_by_type::<ReInitProposal, _, _>(own)?;
    proposals.retain_by_type::<ExternalInit, _, _>(own)?;
    proposals.retain_custom(own)?;
    proposals.retain_by_type::<UpdateProposal, _, _>(|update| Ok(by_camera && keeps_identity(update)))
}

/// The list that the commit names: exactly one, by the committer itself.
fn renewed_list(proposals: &ProposalBundle, committer: u32) -> Result<ListRef, Refusal> {
    let [renewal] = proposals.group_context_ext_proposals() else { return Err(Refusal::ListNotRenewed) };
    if !renewal.is_by_value() || *renewal.sender() != Sender::Member(committer) {
        return Err(Refusal::ListNotRenewed);
    }
    ListRef::from_extensions(&renewal.proposal)
}

fn check_order(before: ListRef, named: ListRef) -> Result<(), Refusal> {
    let (from, to) = (before.list.version, named.list.version);
    if to < from {
        return Err(Refusal::ListFell { from, to });
    }
    if named.time < before.time {
        return Err(Refusal::TimeFell);
    }
    Ok(())
}

/// The leaves after the commit. New leaves get numbers of their own above all others: where the library
/// will really put them does not matter here, only that it is not leaf 0, which the camera keeps.
fn roster_after(
    roster: &Roster<'_>,
    proposals: &ProposalBundle,
) -> Result<Vec<(u32, SigningIdentity)>, Refusal> {
    let mut leaves: Vec<_> =
        roster.members_iter().map(|member| (member.index, member.signing_identity)).collect();
    for update in proposals.update_proposals() {
        let Sender::Member(sender) = update.sender() else { return Err(Refusal::ExternalSender) };
        let leaf = leaves.iter_mut().find(|(index, _)| index == sender);
        let leaf = leaf.ok_or(Refusal::ForbiddenProposal("update of an empty leaf"))?;
        if leaf.1 != *update.proposal.signing_identity() {
            return Err(Refusal::IdentityChanged);
        }
    }
    for removal in proposals.remove_proposals() {
        leaves.retain(|(index, _)| *index != removal.proposal.to_remove());
    }
    let mut next = leaves.iter().map(|(index, _)| *index).max().unwrap_or(0);
    for add in proposals.add_proposals() {
        next += 1;
        leaves.push((next, add.proposal.signing_identity().clone()));
    }
    Ok(leaves)
}

#[cfg(test)]
mod tests;
