//! What the store in memory keeps, and the steps that more than one of its transactions takes.

use std::collections::{BTreeMap, HashMap};

use latchkey_api::id::{DeviceId, GroupId, HouseholdId};

use crate::audit::{AuditEntry, AuditRow};
use crate::store::{Invitation, NewInvite, NewList, NewSession, StoreError, StoredMessage, StoredWelcome};

#[derive(Debug, Default)]
pub(super) struct Tables {
    pub(super) households: HashMap<HouseholdId, Household>,
    pub(super) sessions: HashMap<[u8; 32], NewSession>,
    pub(super) groups: HashMap<(HouseholdId, GroupId), Group>,
    pub(super) mail: BTreeMap<([u8; 16], u64), (u64, Vec<u8>)>,
    pub(super) invites: HashMap<[u8; 4], NewInvite>,
    pub(super) last_mail: u64,
    pub(super) next_welcome: u64,
}

#[derive(Debug, Default)]
pub(super) struct Household {
    pub(super) root_public: [u8; 32],
    pub(super) lists: Vec<Vec<u8>>,
    pub(super) audit: Vec<AuditRow>,
    pub(super) key_packages: HashMap<DeviceId, KeyPackages>,
    pub(super) welcomes: BTreeMap<u64, (DeviceId, StoredWelcome)>,
}

#[derive(Debug, Default)]
pub(super) struct KeyPackages {
    pub(super) single_use: Vec<Vec<u8>>,
    pub(super) last_resort: Option<Vec<u8>>,
}

#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) next_epoch: u64,
    pub(super) last_seq: u64,
    pub(super) messages: Vec<(u64, StoredMessage)>,
    pub(super) cursors: BTreeMap<DeviceId, u64>,
}

impl Tables {
    pub(super) fn household(&mut self, household: HouseholdId) -> Result<&mut Household, StoreError> {
        self.households.get_mut(&household).ok_or(StoreError::Failed)
    }

    /// Uses a code up once, if it is good.
    pub(super) fn is_invited(&mut self, invitation: Invitation) -> bool {
        let used = match invitation {
            Invitation::NotAsked => return true,
            Invitation::Missing => return false,
            Invitation::Brought(used) => used,
        };
        let Some(kept) = self.invites.get_mut(&used.name) else { return false };
        let good = kept.hash == used.hash && kept.uses > 0 && kept.expires_ms > used.at_ms;
        kept.uses -= u32::from(good);
        good
    }

    pub(super) fn list_is_next(&mut self, new: &NewList<'_>) -> Result<bool, StoreError> {
        Ok(self.household(new.household)?.lists.len() as u64 + 1 == new.version)
    }

    pub(super) fn push_list(&mut self, new: &NewList<'_>) -> Result<(), StoreError> {
        self.sessions.retain(|_, session| {
            session.household != new.household || !new.ends_sessions_of.contains(&session.device)
        });
        for (_, group) in self.groups.iter_mut().filter(|((home, _), _)| *home == new.household) {
            group.cursors.retain(|device, _| !new.forgets.contains(device));
        }
        let household = self.household(new.household)?;
        household.lists.push(new.list.to_vec());
        household.key_packages.retain(|device, _| !new.forgets.contains(device));
        household.welcomes.retain(|_, (device, _)| !new.forgets.contains(device));
        household.write(new.household, new.audit);
        Ok(())
    }
}

impl Household {
    pub(super) fn write(&mut self, id: HouseholdId, entry: AuditEntry) -> AuditRow {
        let row = AuditRow::following(&id, self.audit.last().map(|row| (row.seq, row.hash)), entry);
        self.audit.push(row);
        row
    }
}
