//! What a follower keeps in the vault: its membership, the place it has read to, and the camera's records.

use latchkey_api::group::PendingWelcome;
use latchkey_api::id::{DeviceId, GroupId};
use latchkey_e2ee::group::{GroupError, Member, Refusal};
use latchkey_e2ee::record::RecordChain;
use zeroize::Zeroizing;

use crate::follower::FollowError;
use crate::home::Home;
use crate::key_packages;

/// Joins by a Welcome; `None` when it leads to where this device is already, [`Refusal::WelcomeLeadsBack`] when it
/// leads to where it was.
pub(super) fn join(home: &mut Home, welcome: &PendingWelcome) -> Result<Option<Member>, FollowError> {
    let camera = welcome.group.camera();
    let mut packages = key_packages::load(home)?;
    let bytes = welcome.welcome.as_slice();
    let member = Member::join(home.identity(), home.chain(), &mut packages, camera, bytes)?;
    let before = stored_member(home, camera)?;
    let before = before.filter(|before| !before.is_removed());
    let replayed = before.as_ref().is_some_and(|before| !member.supersedes(before));
    if !replayed {
        put_member(home, &member, welcome.seq);
    }
    // Together with the member: the package that led to it is erased.
    key_packages::save(home, &packages)?;
    if before.is_some_and(|before| replayed && member.epoch() < before.epoch()) {
        return Err(GroupError::from(Refusal::WelcomeLeadsBack).into());
    }
    Ok((!replayed).then_some(member))
}

pub(super) fn stored_member(home: &Home, camera: DeviceId) -> Result<Option<Member>, GroupError> {
    let stored = home.vault().record(&group_record(camera));
    stored.map(|bytes| Member::restore(bytes, home.chain())).transpose()
}

/// Puts a member in its place in the vault, without saving.
pub(super) fn put_member(home: &mut Home, member: &Member, seq: u64) {
    let group = member.group_id();
    let vault = home.vault_mut();
    vault.put(&group_record(group.camera()), member.save());
    vault.put(&seq_record(group), Zeroizing::new(seq.to_be_bytes().to_vec()));
}

pub(super) fn stored_seq(home: &Home, group: GroupId) -> u64 {
    let stored = home.vault().record(&seq_record(group)).and_then(|bytes| bytes.try_into().ok());
    stored.map_or(0, u64::from_be_bytes)
}

/// Returns the camera's records as the vault holds them.
pub fn stored_records(home: &Home, camera: DeviceId) -> Option<RecordChain> {
    home.vault().record(&records_record(camera)).and_then(RecordChain::from_bytes)
}

/// Record of this device's membership in a camera's group.
fn group_record(camera: DeviceId) -> String {
    format!("group/{camera}")
}

/// Record of the place of the last message taken from a group.
fn seq_record(group: GroupId) -> String {
    format!("group-seq/{group}")
}

/// Record of a camera's epoch records.
pub(crate) fn records_record(camera: DeviceId) -> String {
    format!("records/{camera}")
}
