//! What a device keeps: named records in memory, handed as a whole to where they rest.
//!
//! State is saved before what it answers for is sent: a crash in between costs a repeated request, never a key used twice.
//! Where saving takes a while, as in a browser's database, every later call to the server waits for it.

mod ledger;
pub mod memory;
pub mod records;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

pub use crate::vault::ledger::{Ledger, NotStored, Receipt};
pub use crate::vault::records::Records;

use crate::task::Portable;

/// Where the records of one device rest: an encrypted file, a browser's database.
pub trait Rest: Portable {
    /// Takes the records in place of those before, all or none.
    ///
    /// When they are stored, now or later, `receipt` is signed ([`Receipt::stored`]); until then no call of this device
    /// leaves. An error is for what is known at once: then the records before stand.
    fn keep(&self, records: &Records, receipt: Receipt) -> Result<(), VaultError>;

    /// Reads the records as they are now, where another process may have changed them.
    fn look(&self) -> Result<Records, VaultError>;

    /// Forgets the device, which came to nothing. What cannot be deleted stays.
    fn discard(&self);

    /// Returns what the place is called, for logs.
    fn place(&self) -> String;
}

/// The records of one device, and where they rest.
pub struct Vault {
    records: Records,
    rest: Arc<dyn Rest>,
    ledger: Ledger,
    writable: bool,
}

/// Why a vault cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VaultError {
    /// It was opened to look only.
    #[error("what this device keeps was opened to read only")]
    ReadOnly,
    /// What is stored is no state of a device, or was changed.
    #[error("what this device has stored is damaged ({0}): remove this device and join again")]
    Damaged(&'static str),
    /// Where it rests.
    #[error(transparent)]
    Rest(#[from] RestError),
}

/// Why records could not be kept or read, in the words of where they rest.
#[derive(Clone)]
pub struct RestError(Arc<dyn std::error::Error + Send + Sync>);

impl Vault {
    /// Empty; nothing is handed over before [`Vault::save`].
    pub fn fresh(rest: Arc<dyn Rest>) -> Self {
        Self::held(Records::new(), rest)
    }

    /// With the records that rest there.
    pub fn held(records: Records, rest: Arc<dyn Rest>) -> Self {
        Self { records, rest, ledger: Ledger::default(), writable: true }
    }

    /// With the records that `records::to_bytes` wrote.
    ///
    /// Fails with [`VaultError::Damaged`].
    pub fn from_bytes(bytes: &[u8], rest: Arc<dyn Rest>) -> Result<Self, VaultError> {
        let records = records::from_bytes(bytes).map_err(VaultError::Damaged)?;
        Ok(Self::held(records, rest))
    }

    /// With the records that rest there, while another process may change them. It cannot be saved.
    pub fn read_only(records: Records, rest: Arc<dyn Rest>) -> Self {
        Self { writable: false, ..Self::held(records, rest) }
    }

    /// Returns whether it was opened to look only.
    pub fn is_read_only(&self) -> bool {
        !self.writable
    }

    /// Returns a record.
    pub fn record(&self, name: &str) -> Option<&[u8]> {
        self.records.get(name).map(|value| value.as_slice())
    }

    /// Returns the names of all records that begin with `prefix`, in order.
    pub fn names<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a str> {
        self.records.keys().map(String::as_str).filter(move |name| name.starts_with(prefix))
    }

    /// Puts a record in place; it is handed over with the next [`Vault::save`].
    pub fn put(&mut self, name: &str, value: Zeroizing<Vec<u8>>) {
        self.records.insert(name.to_owned(), value);
    }

    /// Takes a record away; it goes with the next [`Vault::save`].
    pub fn remove(&mut self, name: &str) {
        self.records.remove(name);
    }

    /// Returns all records.
    pub fn records(&self) -> &Records {
        &self.records
    }

    /// Hands the records over to where they rest. They are stored when this returns, or before the next call leaves.
    ///
    /// Fails with [`VaultError::ReadOnly`] and [`VaultError::Rest`].
    pub fn save(&self) -> Result<(), VaultError> {
        if !self.writable {
            return Err(VaultError::ReadOnly);
        }
        let receipt = self.ledger.hand_over();
        let number = receipt.number();
        // Who is told now need not be told by the next call.
        self.rest.keep(&self.records, receipt).inspect_err(|_| self.ledger.take_back(number))
    }

    /// Hands the records over once more, where the last time came to nothing after [`Vault::save`] had returned.
    pub(crate) fn mend(&self) -> Result<(), VaultError> {
        if self.ledger.has_failed() { self.save() } else { Ok(()) }
    }

    /// Reads the records as they are now, where another process may have changed them.
    pub(crate) fn look(&self) -> Result<Records, VaultError> {
        self.rest.look()
    }

    /// Returns what was handed over and stored.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Returns where the records rest.
    pub fn rest(&self) -> &Arc<dyn Rest> {
        &self.rest
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault").field("place", &self.rest.place()).finish_non_exhaustive()
    }
}

impl RestError {
    /// In the words of `error`.
    pub fn new(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self(Arc::new(error))
    }

    /// Returns the error itself, if it is of this type.
    pub fn downcast_ref<E: std::error::Error + 'static>(&self) -> Option<&E> {
        self.0.downcast_ref()
    }
}

impl fmt::Debug for RestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for RestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for RestError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}

impl PartialEq for RestError {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

impl Eq for RestError {}

/// A vault that goes away again unless it is kept.
pub(crate) struct Tentative {
    rest: Arc<dyn Rest>,
    kept: bool,
}

impl Tentative {
    pub(crate) fn new(vault: &Vault) -> Self {
        Self { rest: Arc::clone(&vault.rest), kept: false }
    }

    pub(crate) fn keep(mut self) {
        self.kept = true;
    }

    /// Nothing is kept from now on until it is stored again.
    pub(crate) fn discard(&self) {
        self.rest.discard();
    }
}

impl Drop for Tentative {
    fn drop(&mut self) {
        if !self.kept {
            self.rest.discard();
        }
    }
}
