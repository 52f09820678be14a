//! The proposals of one commit: which kinds have a place in our groups, which list they name, whom they leave in.

use latchkey_api::checks::{self, Check};
use mls_rs::ExtensionList;
#[cfg(not(target_arch = "wasm32"))]
use mls_rs::group::proposal::PreSharedKeyProposal;
use mls_rs::group::proposal::{AddProposal, ExternalInit, ReInitProposal, RemoveProposal, UpdateProposal};
use mls_rs::group::{Roster, Sender};
use mls_rs::identity::SigningIdentity;
use mls_rs::mls_rules::{ProposalBundle, ProposalInfo};

use super::error::Refusal;
use super::list_ref::ListRef;

/// Refuses proposals that have no place in our groups.
pub(super) fn check_kinds(proposals: &ProposalBundle) -> Result<(), Refusal> {
    if checks::skipped(Check::OutsideSender) {
        return Ok(());
    }
    // A page's library has no such proposals: what holds one does not decode there.
    #[cfg(not(target_arch = "wasm32"))]
    if !proposals.psk_proposals().is_empty() {
        return Err(Refusal::ForbiddenProposal("pre-shared key"));
    }
    if !proposals.reinit_proposals().is_empty() {
        return Err(Refusal::ForbiddenProposal("reinitialisation"));
    }
    if !proposals.external_init_proposals().is_empty() {
        return Err(Refusal::ExternalCommit);
    }
    #[cfg(not(target_arch = "wasm32"))]
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

/// Leaves out of a commit of our own what others proposed and somebody would refuse, so that nobody can keep
/// a commit from being made or from being followed: the library would leave in a second update of one member,
/// and no receiver takes such a commit (RFC 9420 section 12.2).
pub(super) fn leave_out_foreign(
    by_camera: bool,
    roster: &Roster<'_>,
    proposals: &mut ProposalBundle,
) -> Result<(), Refusal> {
    fn own<T>(proposal: &ProposalInfo<T>) -> Result<bool, Refusal> {
        Ok(proposal.is_by_value() || checks::skipped(Check::OutsideSender))
    }
    proposals.retain_by_type::<AddProposal, _, _>(own)?;
    proposals.retain_by_type::<RemoveProposal, _, _>(own)?;
    proposals.retain_by_type::<ExtensionList, _, _>(own)?;
    #[cfg(not(target_arch = "wasm32"))]
    proposals.retain_by_type::<PreSharedKeyProposal, _, _>(own)?;
    proposals.retain_by_type::<ReInitProposal, _, _>(own)?;
    proposals.retain_by_type::<ExternalInit, _, _>(own)?;
    #[cfg(not(target_arch = "wasm32"))]
    proposals.retain_custom(own)?;

    let mut settled: Vec<u32> =
        proposals.remove_proposals().iter().map(|removal| removal.proposal.to_remove()).collect();
    proposals.retain_by_type::<UpdateProposal, _, _>(|update| {
        let Sender::Member(sender) = update.sender() else { return Ok(false) };
        let keeps_identity = roster
            .member_with_index(*sender)
            .is_ok_and(|leaf| leaf.signing_identity == *update.proposal.signing_identity());
        let keep = by_camera && keeps_identity && !settled.contains(sender);
        settled.push(*sender);
        Ok(keep)
    })
}

/// The list that the commit names: exactly one, by the committer itself.
pub(super) fn renewed_list(proposals: &ProposalBundle, committer: u32) -> Result<ListRef, Refusal> {
    let [renewal] = proposals.group_context_ext_proposals() else { return Err(Refusal::ListNotRenewed) };
    if !renewal.is_by_value() || *renewal.sender() != Sender::Member(committer) {
        return Err(Refusal::ListNotRenewed);
    }
    ListRef::from_extensions(&renewal.proposal)
}

/// The leaves after the commit. New leaves get numbers of their own above all others: where the library
/// will really put them does not matter here, only that it is not leaf 0, which the camera keeps.
pub(super) fn roster_after(
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
