//! A place that lasts as long as the process: for devices that begin anew each time, and for tests.

use std::sync::{Mutex, PoisonError};

use crate::vault::{Receipt, Records, Rest, VaultError};

/// Records in memory.
#[derive(Debug, Default)]
pub struct Memory(Mutex<Option<Records>>);

impl Memory {
    /// Returns whether anything rests here.
    pub fn is_empty(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }
}

impl Rest for Memory {
    fn keep(&self, records: &Records, receipt: Receipt) -> Result<(), VaultError> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(records.clone());
        receipt.stored();
        Ok(())
    }

    fn look(&self) -> Result<Records, VaultError> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone().unwrap_or_default())
    }

    fn discard(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn place(&self) -> String {
        "memory".to_owned()
    }
}
