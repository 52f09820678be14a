//! Reading out everything that is kept about one household, piece by piece.

use std::time::SystemTime;

use latchkey_api::audit::{AuditKind, AuditRows};
use latchkey_api::device_list::Role;
use latchkey_api::export::{ExportedCursor, ExportedGroup, ExportedKeyPackages, ExportedSession};
use latchkey_api::group::{GroupMessages, Welcomes};
use latchkey_api::id::{DeviceId, GroupId, HouseholdId};
use latchkey_api::list::Lists;

use crate::audit::AuditEntry;
use crate::clock::unix_millis;
use crate::signaling::{Caller, Signaling};
use crate::store::{Inventory, Store, StoreError};

/// Leave to read everything about a household, which its audit chain names.
#[derive(Clone, Debug)]
pub struct Exporting {
    household: HouseholdId,
    root_public: [u8; 32],
    inventory: Inventory,
}

impl<S: Store> Signaling<S> {
    /// Begins an export for an admin. It is written into the audit chain first.
    ///
    /// # Errors
    /// [`ExportRefused`].
    pub async fn begin_export(&self, caller: &Caller, now: SystemTime) -> Result<Exporting, ExportRefused> {
        if caller.entry().role != Role::Admin {
            return Err(ExportRefused::NotAnAdmin);
        }
        let household = caller.household_id();
        let audit = AuditEntry {
            kind: AuditKind::Exported,
            actor: Some(caller.device()),
            subject: None,
            detail: 0,
            at_ms: unix_millis(now),
        };
        self.store.append_audit(household, audit).await?;
        let inventory = self.store.inventory(household, unix_millis(now)).await?;
        Ok(Exporting { household, root_public: *caller.root_public(), inventory })
    }

    /// A page of lists.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn exported_lists(&self, export: &Exporting, after: u64) -> Result<Lists, StoreError> {
        self.lists_page(export.household, after).await
    }

    /// A page of the audit chain.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn exported_audit(&self, export: &Exporting, after: u64) -> Result<AuditRows, StoreError> {
        self.audit_page(export.household, after).await
    }

    /// A page of a group's messages.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn exported_messages(
        &self,
        export: &Exporting,
        group: GroupId,
        after: u64,
    ) -> Result<GroupMessages, StoreError> {
        self.messages_page(export.household, group, after).await
    }

    /// The welcomes that wait for a device.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn exported_welcomes(
        &self,
        export: &Exporting,
        device: DeviceId,
    ) -> Result<Welcomes, StoreError> {
        self.welcomes_of(export.household, device).await
    }
}

impl Exporting {
    /// The household.
    #[must_use]
    pub fn household(&self) -> HouseholdId {
        self.household
    }

    /// Its root's public key.
    #[must_use]
    pub fn root_public(&self) -> &[u8; 32] {
        &self.root_public
    }

    /// Its groups, their messages left out.
    pub fn groups(&self) -> impl Iterator<Item = ExportedGroup> {
        self.inventory.groups.iter().map(|kept| ExportedGroup {
            group: kept.group,
            next_epoch: kept.next_epoch,
            last_seq: kept.last_seq,
            cursors: kept
                .cursors
                .iter()
                .map(|(device, seq)| ExportedCursor { device: *device, seq: *seq })
                .collect(),
            messages: Vec::new(),
        })
    }

    /// The devices for which welcomes wait.
    pub fn welcomed(&self) -> impl Iterator<Item = DeviceId> {
        self.inventory.welcomed.iter().copied()
    }

    /// How many key packages devices have left.
    #[must_use]
    pub fn key_packages(&self) -> Vec<ExportedKeyPackages> {
        let kept = self.inventory.key_packages.iter();
        kept.map(|&(device, single_use, last_resort)| ExportedKeyPackages { device, single_use, last_resort })
            .collect()
    }

    /// The sign-ins that last.
    #[must_use]
    pub fn sessions(&self) -> Vec<ExportedSession> {
        let kept = self.inventory.sessions.iter();
        kept.map(|&(device, expires_ms)| ExportedSession { device, expires_at: expires_ms / 1000 }).collect()
    }
}

/// Why nothing was read out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExportRefused {
    /// The caller's: it holds messages and audit rows of all devices.
    #[error("only an admin reads out what the server has about the household")]
    NotAnAdmin,
    /// Ours.
    #[error(transparent)]
    Store(#[from] StoreError),
}
