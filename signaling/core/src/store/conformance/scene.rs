//! What these tests are made of: devices, a household, and rows with little in them.

use latchkey_api::audit::AuditKind;
use latchkey_api::id::{DeviceId, GroupId, HouseholdId};

use crate::audit::AuditEntry;
use crate::store::{
    FoundOutcome, Invitation, MessagePage, NewCommit, NewHousehold, NewKeyPackages, NewList, NewSession,
    Store,
};

pub(super) const CAMERA: DeviceId = DeviceId([1; 16]);
pub(super) const VIEWER: DeviceId = DeviceId([2; 16]);
pub(super) const OTHER: DeviceId = DeviceId([3; 16]);
/// More households than these tests make.
pub(super) const MANY: u64 = 100;

pub(super) async fn found<S: Store>(store: &S, number: u8) -> HouseholdId {
    let household = HouseholdId([number; 16]);
    let invitation = Invitation::NotAsked;
    let new = NewHousehold { household, root_public: [7; 32], list: b"one", invitation, audit: entry(1) };
    assert_eq!(store.found_household(new, MANY).await.expect("stored"), FoundOutcome::Founded);
    household
}

pub(super) async fn put<S: Store>(
    store: &S,
    household: HouseholdId,
    token: u8,
    device: DeviceId,
    expires_ms: u64,
) {
    let new = NewSession { token_hash: [token; 32], household, device, expires_ms };
    store.put_session(new, 2, entry(0)).await.expect("stored");
}

pub(super) async fn whose<S: Store>(store: &S, token: u8, now_ms: u64) -> Option<(HouseholdId, DeviceId)> {
    store.session([token; 32], now_ms).await.expect("read")
}

pub(super) async fn add<S: Store>(
    store: &S,
    household: HouseholdId,
    single_use: &[&[u8]],
    last_resort: Option<&[u8]>,
) -> Option<u32> {
    let single_use: Vec<_> = single_use.iter().map(|package| package.to_vec()).collect();
    let packages = NewKeyPackages { single_use: &single_use, last_resort };
    store.add_key_packages(household, VIEWER, packages, 3).await.expect("asked")
}

pub(super) fn entry(detail: u64) -> AuditEntry {
    AuditEntry { kind: AuditKind::ListAccepted, actor: Some(VIEWER), subject: None, detail, at_ms: 1_000 }
}

pub(super) fn list(household: HouseholdId, version: u64, list: &[u8]) -> NewList<'_> {
    NewList { household, version, list, ends_sessions_of: &[], forgets: &[], audit: entry(version) }
}

pub(super) fn commit(household: HouseholdId, group: GroupId, epoch: u64, commit: &[u8]) -> NewCommit<'_> {
    NewCommit { household, group, epoch, commit, welcomes: &[], list: None, audit: entry(epoch) }
}

pub(super) fn page(household: HouseholdId, group: GroupId, after: u64) -> MessagePage {
    MessagePage { household, group, after, limit: 100, max_bytes: 1_000_000 }
}
