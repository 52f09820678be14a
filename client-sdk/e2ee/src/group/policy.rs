//! The membership check inside the MLS library: what this device accepts as group, leaf and commit.
//!
//! The library calls `validate_member` for every new or changed leaf and for every leaf of a Welcome's
//! tree, and `filter_proposals` before every commit it makes or takes. Both fail closed.

use std::sync::{Arc, PoisonError, RwLock};

use latchkey_api::checks::{self, Check};
use latchkey_api::device_list::{DeviceList, ListChain, MAX_DEVICES, Right, Role};
use latchkey_api::id::{DeviceId, GroupId, HouseholdId};
use mls_rs::group::{GroupContext, Roster};
use mls_rs::identity::{CredentialType, SigningIdentity};
use mls_rs::mls_rules::{CommitDirection, CommitOptions, CommitSource, EncryptionOptions, ProposalBundle};
use mls_rs::time::MlsTime;
use mls_rs::{ExtensionList, IdentityProvider, MlsRules};
use mls_rs_core::identity::MemberValidationContext;

use super::credential::{device_of, parse_credential};
use super::error::Refusal;
use super::list_ref::ListRef;
use super::proposals::{check_kinds, leave_out_foreign, renewed_list, roster_after};

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
        let known = lists.at(version).ok_or(Refusal::UnknownList { version })?;
        // While two histories are signed, a camera may have been shown the other one first.
        let list = std::iter::once(known).chain(lists.rivals()).find(|list| list.version() == named.list);
        let unmatched = checks::skipped(Check::ListHistories).then_some(known);
        let list = list.or(unmatched).ok_or(Refusal::ListMismatch { version })?;
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
            agreed: lists.effective().filter(|_| lists.rival().is_some()),
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
            judge.check_additions(proposals)?;
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
    /// What two histories agree on, while two are signed.
    agreed: Option<&'a DeviceList>,
    time: u64,
}

impl Judge<'_> {
    /// Returns the device of a leaf when the list entitles it to be in the group.
    fn check_leaf(&self, identity: &SigningIdentity) -> Result<DeviceId, Refusal> {
        let (household, device) = parse_credential(identity)?;
        if checks::skipped(Check::Roster) {
            return Ok(device);
        }
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

    /// While two histories are signed, nobody is added who is not in both.
    fn check_additions(&self, proposals: &ProposalBundle) -> Result<(), Refusal> {
        let Some(agreed) = self.agreed else { return Ok(()) };
        for add in proposals.add_proposals() {
            let device = device_of(add.proposal.signing_identity())?;
            if !agreed.may(device, Right::See, self.camera, self.time) {
                return Err(Refusal::NotEntitled(device));
            }
        }
        Ok(())
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

#[cfg(test)]
mod tests;
