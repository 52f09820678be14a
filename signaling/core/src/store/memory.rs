//! A store in memory: for tests, and the plainest statement of what a store does.

mod tables;

use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use latchkey_api::group::MessageKind;
use latchkey_api::id::{DeviceId, HouseholdId};

use crate::audit::{AuditEntry, AuditRow};
use crate::store::memory::tables::{Household, Tables};
use crate::store::{
    CommitOutcome, FoundOutcome, Inventory, KeptGroup, MailOutcome, MessageOutcome, MessagePage, NewCommit,
    NewCursor, NewHousehold, NewInvite, NewKeyPackages, NewList, NewMail, NewMessage, NewSession, Store,
    StoreError, StoredMessage, StoredWelcome, TakenKeyPackage,
};

/// Keeps everything until it is dropped.
#[derive(Debug, Default)]
pub struct MemoryStore {
    tables: Mutex<Tables>,
}

impl MemoryStore {
    fn lock(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn found_household(&self, new: NewHousehold<'_>, max: u64) -> Result<FoundOutcome, StoreError> {
        let mut tables = self.lock();
        if tables.households.contains_key(&new.household) {
            return Ok(FoundOutcome::Exists);
        }
        if tables.households.len() as u64 >= max {
            return Ok(FoundOutcome::Full);
        }
        if !tables.is_invited(new.invitation) {
            return Ok(FoundOutcome::NotInvited);
        }
        let mut household = Household {
            root_public: new.root_public,
            lists: vec![new.list.to_vec()],
            ..Household::default()
        };
        household.write(new.household, new.audit);
        tables.households.insert(new.household, household);
        Ok(FoundOutcome::Founded)
    }

    async fn household_root(&self, household: HouseholdId) -> Result<Option<[u8; 32]>, StoreError> {
        Ok(self.lock().households.get(&household).map(|household| household.root_public))
    }

    async fn lists_after(
        &self,
        household: HouseholdId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        let tables = self.lock();
        let lists = tables.households.get(&household).map_or(&[][..], |household| &household.lists);
        let skipped = usize::try_from(after).unwrap_or(usize::MAX);
        Ok(lists.iter().skip(skipped).take(limit as usize).cloned().collect())
    }

    async fn append_list(&self, new: NewList<'_>) -> Result<bool, StoreError> {
        let mut tables = self.lock();
        let next = tables.list_is_next(&new)?;
        if next {
            tables.push_list(&new)?;
        }
        Ok(next)
    }

    async fn put_session(&self, new: NewSession, keep: u32, audit: AuditEntry) -> Result<(), StoreError> {
        let mut tables = self.lock();
        tables.household(new.household)?.write(new.household, audit);
        tables.sessions.insert(new.token_hash, new);
        let mut own: Vec<_> = tables
            .sessions
            .values()
            .filter(|session| session.household == new.household && session.device == new.device)
            .map(|session| (session.expires_ms, session.token_hash))
            .collect();
        own.sort_unstable();
        let surplus = own.len().saturating_sub(keep as usize);
        for (_, token_hash) in &own[..surplus] {
            tables.sessions.remove(token_hash);
        }
        Ok(())
    }

    async fn session(
        &self,
        token_hash: [u8; 32],
        now_ms: u64,
    ) -> Result<Option<(HouseholdId, DeviceId)>, StoreError> {
        let tables = self.lock();
        let session = tables.sessions.get(&token_hash).filter(|session| session.expires_ms > now_ms);
        Ok(session.map(|session| (session.household, session.device)))
    }

    async fn add_key_packages(
        &self,
        household: HouseholdId,
        device: DeviceId,
        packages: NewKeyPackages<'_>,
        max: u32,
    ) -> Result<Option<u32>, StoreError> {
        let mut tables = self.lock();
        let kept = tables.household(household)?.key_packages.entry(device).or_default();
        let new = packages.single_use.iter().filter(|package| !kept.single_use.contains(package));
        let all: Vec<_> = kept.single_use.iter().chain(new).cloned().collect();
        let left = all.len();
        if left > max as usize {
            return Ok(None);
        }
        kept.single_use = all;
        if let Some(last_resort) = packages.last_resort {
            kept.last_resort = Some(last_resort.to_vec());
        }
        Ok(u32::try_from(left).ok())
    }

    async fn claim_key_package(
        &self,
        household: HouseholdId,
        device: DeviceId,
        audit: AuditEntry,
    ) -> Result<Option<TakenKeyPackage>, StoreError> {
        let mut tables = self.lock();
        let row = tables.household(household)?;
        let Some(kept) = row.key_packages.get_mut(&device) else { return Ok(None) };
        let taken = if kept.single_use.is_empty() {
            kept.last_resort.clone().map(|key_package| (key_package, true))
        } else {
            Some((kept.single_use.remove(0), false))
        };
        let left = u32::try_from(kept.single_use.len()).unwrap_or(u32::MAX);
        let Some((key_package, last_resort)) = taken else { return Ok(None) };
        row.write(household, audit);
        Ok(Some(TakenKeyPackage { key_package, last_resort, left }))
    }

    async fn append_commit(&self, new: NewCommit<'_>) -> Result<CommitOutcome, StoreError> {
        let mut tables = self.lock();
        let key = (new.household, new.group);
        let known = tables.groups.get(&key).map(|group| (group.next_epoch, group.last_seq));
        match known {
            Some((next, _)) if new.epoch < next => return Ok(CommitOutcome::EpochTaken),
            Some((next, _)) if new.epoch > next => return Ok(CommitOutcome::EpochAhead),
            _ => {}
        }
        if let Some(list) = &new.list {
            if !tables.list_is_next(list)? {
                return Ok(CommitOutcome::ListVersionTaken);
            }
            tables.push_list(list)?;
        }
        let seq = known.map_or(0, |(_, last)| last) + 1;
        for (device, welcome) in new.welcomes {
            tables.next_welcome += 1;
            let id = tables.next_welcome;
            let household = tables.household(new.household)?;
            household.welcomes.retain(|_, (to, old)| to != device || old.group != new.group);
            let stored = StoredWelcome { id, group: new.group, seq, welcome: welcome.clone() };
            household.welcomes.insert(id, (*device, stored));
        }
        tables.household(new.household)?.write(new.household, new.audit);
        let group = tables.groups.entry(key).or_default();
        group.next_epoch = new.epoch.saturating_add(1);
        group.last_seq = seq;
        let message =
            StoredMessage { seq, kind: MessageKind::Commit, epoch: new.epoch, message: new.commit.to_vec() };
        group.messages.push((new.audit.at_ms, message));
        Ok(CommitOutcome::Accepted(seq))
    }

    async fn append_message(&self, new: NewMessage<'_>) -> Result<MessageOutcome, StoreError> {
        let mut tables = self.lock();
        let Some(group) = tables.groups.get_mut(&(new.household, new.group)) else {
            return Ok(MessageOutcome::NoSuchGroup);
        };
        if new.kind == MessageKind::Proposal && new.epoch != group.next_epoch {
            return Ok(MessageOutcome::NotCurrent);
        }
        group.last_seq += 1;
        let seq = group.last_seq;
        let message = StoredMessage { seq, kind: new.kind, epoch: new.epoch, message: new.message.to_vec() };
        group.messages.push((new.at_ms, message));
        Ok(MessageOutcome::Accepted(seq))
    }

    async fn messages_after(&self, page: MessagePage) -> Result<Vec<StoredMessage>, StoreError> {
        let tables = self.lock();
        let Some(group) = tables.groups.get(&(page.household, page.group)) else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        let mut bytes = 0;
        for (_, message) in group.messages.iter().filter(|(_, message)| message.seq > page.after) {
            if found.len() >= page.limit as usize || bytes >= page.max_bytes {
                break;
            }
            bytes += message.message.len();
            found.push(message.clone());
        }
        Ok(found)
    }

    async fn welcomes(
        &self,
        household: HouseholdId,
        device: DeviceId,
    ) -> Result<Vec<StoredWelcome>, StoreError> {
        let tables = self.lock();
        let Some(row) = tables.households.get(&household) else { return Ok(Vec::new()) };
        let own = row.welcomes.values().filter(|(to, _)| *to == device);
        Ok(own.map(|(_, welcome)| welcome.clone()).collect())
    }

    async fn remove_welcome(
        &self,
        household: HouseholdId,
        device: DeviceId,
        id: u64,
    ) -> Result<bool, StoreError> {
        let mut tables = self.lock();
        let welcomes = &mut tables.household(household)?.welcomes;
        let own = welcomes.get(&id).is_some_and(|(to, _)| *to == device);
        if own {
            welcomes.remove(&id);
        }
        Ok(own)
    }

    async fn put_cursor(&self, new: NewCursor<'_>) -> Result<Option<u64>, StoreError> {
        let mut tables = self.lock();
        let Some(group) = tables.groups.get_mut(&(new.household, new.group)) else { return Ok(None) };
        let cursor = group.cursors.entry(new.device).or_default();
        *cursor = (*cursor).max(new.seq.min(group.last_seq));
        let at = *cursor;
        let read = |device| group.cursors.get(device).copied().unwrap_or(0);
        let least = new.readers.iter().map(read).min().unwrap_or(0);
        group.messages.retain(|(_, message)| message.seq > least);
        Ok(Some(at))
    }

    async fn inventory(&self, household: HouseholdId, now_ms: u64) -> Result<Inventory, StoreError> {
        let mut tables = self.lock();
        let mut inventory = Inventory::default();
        for ((_, id), group) in tables.groups.iter().filter(|((home, _), _)| *home == household) {
            inventory.groups.push(KeptGroup {
                group: *id,
                next_epoch: group.next_epoch,
                last_seq: group.last_seq,
                cursors: group.cursors.iter().map(|(device, seq)| (*device, *seq)).collect(),
            });
        }
        let own =
            tables.sessions.values().filter(|kept| kept.household == household && kept.expires_ms > now_ms);
        inventory.sessions = own.map(|session| (session.device, session.expires_ms)).collect();
        let kept = tables.household(household)?;
        inventory.welcomed = kept.welcomes.values().map(|(device, _)| *device).collect();
        let packages = kept
            .key_packages
            .iter()
            .filter(|(_, kept)| !kept.single_use.is_empty() || kept.last_resort.is_some());
        inventory.key_packages = packages
            .map(|(device, kept)| (*device, kept.single_use.len() as u32, kept.last_resort.is_some()))
            .collect();
        inventory.groups.sort_by_key(|kept| kept.group);
        inventory.welcomed.sort_unstable();
        inventory.welcomed.dedup();
        inventory.key_packages.sort_unstable();
        inventory.sessions.sort_unstable();
        Ok(inventory)
    }

    async fn delete_household(&self, household: HouseholdId) -> Result<bool, StoreError> {
        let mut tables = self.lock();
        tables.sessions.retain(|_, session| session.household != household);
        tables.groups.retain(|(home, _), _| *home != household);
        Ok(tables.households.remove(&household).is_some())
    }

    async fn put_invite(&self, new: NewInvite) -> Result<(), StoreError> {
        self.lock().invites.insert(new.name, new);
        Ok(())
    }

    async fn append_audit(&self, household: HouseholdId, entry: AuditEntry) -> Result<AuditRow, StoreError> {
        Ok(self.lock().household(household)?.write(household, entry))
    }

    async fn audit_after(
        &self,
        household: HouseholdId,
        seq: u64,
        limit: u32,
    ) -> Result<Vec<AuditRow>, StoreError> {
        let tables = self.lock();
        let rows = tables.households.get(&household).map_or(&[][..], |household| &household.audit);
        Ok(rows.iter().filter(|row| row.seq > seq).take(limit as usize).copied().collect())
    }

    async fn post_mail(&self, new: NewMail<'_>) -> Result<MailOutcome, StoreError> {
        let mut tables = self.lock();
        tables.mail.retain(|_, (expires, _)| *expires > new.at_ms);
        let here = tables.mail.keys().filter(|(mailbox, _)| *mailbox == new.mailbox).count();
        if here >= new.max_in_mailbox as usize {
            return Ok(MailOutcome::MailboxFull);
        }
        if tables.mail.len() >= new.max_in_all as usize {
            return Ok(MailOutcome::AllFull);
        }
        tables.last_mail += 1;
        let seq = tables.last_mail;
        tables.mail.insert((new.mailbox, seq), (new.expires_ms, new.message.to_vec()));
        Ok(MailOutcome::Accepted(seq))
    }

    async fn mail_after(
        &self,
        mailbox: [u8; 16],
        seq: u64,
        now_ms: u64,
    ) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        let tables = self.lock();
        let kept = tables
            .mail
            .iter()
            .filter(|((name, number), (expires, _))| *name == mailbox && *number > seq && *expires > now_ms);
        Ok(kept.map(|((_, number), (_, message))| (*number, message.clone())).collect())
    }

    async fn purge(&self, now_ms: u64, messages_before_ms: u64) -> Result<u64, StoreError> {
        let mut tables = self.lock();
        let count = |tables: &Tables| {
            tables.sessions.len()
                + tables.mail.len()
                + tables.groups.values().map(|group| group.messages.len()).sum::<usize>()
        };
        let before = count(&tables);
        tables.sessions.retain(|_, session| session.expires_ms > now_ms);
        tables.mail.retain(|_, (expires, _)| *expires > now_ms);
        tables.invites.retain(|_, invite| invite.expires_ms > now_ms);
        for group in tables.groups.values_mut() {
            group.messages.retain(|(at, _)| *at >= messages_before_ms);
        }
        Ok((before - count(&tables)) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::conformance;

    #[tokio::test]
    async fn conforms() {
        conformance::all(&MemoryStore::default()).await;
    }
}
