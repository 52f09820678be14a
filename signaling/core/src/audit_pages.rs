//! Reading a household's audit chain, a page at a time.

use latchkey_api::audit::AuditRows;
use latchkey_api::id::HouseholdId;

use crate::audit::AuditRow;
use crate::signaling::{Caller, Signaling};
use crate::store::{Store, StoreError};

/// How many rows one page holds.
pub const ROWS_PER_PAGE: u32 = 500;

impl<S: Store> Signaling<S> {
    /// The rows of the caller's household after `after`, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn audit(&self, caller: &Caller, after: u64) -> Result<AuditRows, StoreError> {
        self.audit_page(caller.household_id(), after).await
    }

    pub(crate) async fn audit_page(
        &self,
        household: HouseholdId,
        after: u64,
    ) -> Result<AuditRows, StoreError> {
        let mut rows = self.store.audit_after(household, after, ROWS_PER_PAGE + 1).await?;
        let more = rows.len() > ROWS_PER_PAGE as usize;
        rows.truncate(ROWS_PER_PAGE as usize);
        Ok(AuditRows { rows: rows.iter().map(AuditRow::shown).collect(), more })
    }
}
