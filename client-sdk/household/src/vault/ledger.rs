//! What was handed over to be stored, and what is stored: no call leaves in between.

use tokio::sync::watch;

/// The account of one vault. Clones are of the same one.
#[derive(Clone, Debug)]
pub struct Ledger(watch::Sender<Account>);

#[derive(Clone, Debug, Default)]
struct Account {
    /// Number of the newest hand-over.
    handed: u64,
    /// Number of the newest that is stored; it stands for all before.
    stored: u64,
    /// The newest that came to nothing, and why.
    failed: Option<(u64, String)>,
}

/// What was handed over last was not stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotStored(pub String);

/// To be signed when what came with it is stored. Dropped unsigned it says that it is not.
#[derive(Debug)]
pub struct Receipt {
    ledger: Ledger,
    number: u64,
    open: bool,
}

impl Default for Ledger {
    fn default() -> Self {
        Self(watch::Sender::new(Account::default()))
    }
}

impl Ledger {
    /// Waits until everything that was handed over by now is stored. Fails when the newest of it came to nothing.
    pub async fn settled(&self) -> Result<(), NotStored> {
        let due = self.0.borrow().handed;
        let mut account = self.0.subscribe();
        let settled = account.wait_for(|account| account.stored >= due || account.failure_of(due).is_some());
        // The sender is held here.
        let Ok(account) = settled.await else { return Ok(()) };
        match account.failure_of(due) {
            Some(why) if account.stored < due => Err(NotStored(why.to_owned())),
            _ => Ok(()),
        }
    }

    pub(super) fn hand_over(&self) -> Receipt {
        let mut number = 0;
        self.0.send_modify(|account| {
            account.handed += 1;
            number = account.handed;
        });
        Receipt { ledger: self.clone(), number, open: true }
    }

    /// The newest hand-over was refused at once: nobody waits for it.
    pub(super) fn take_back(&self, number: u64) {
        self.0.send_modify(|account| {
            account.handed = account.handed.min(number - 1);
            account.failed.take_if(|(failed, _)| *failed >= number);
        });
    }

    /// Whether the newest hand-over came to nothing.
    pub(super) fn has_failed(&self) -> bool {
        let account = self.0.borrow();
        account.stored < account.handed && account.failure_of(account.handed).is_some()
    }
}

impl Account {
    fn failure_of(&self, due: u64) -> Option<&str> {
        self.failed.as_ref().filter(|(number, _)| *number >= due).map(|(_, why)| why.as_str())
    }
}

impl Receipt {
    /// It is stored, and everything that was handed over before needs not be.
    pub fn stored(mut self) {
        self.open = false;
        let number = self.number;
        self.ledger.0.send_modify(|account| account.stored = account.stored.max(number));
    }

    /// It is not stored: this says why, in a few words.
    pub fn failed(mut self, why: impl Into<String>) {
        self.open = false;
        self.fail(why.into());
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    fn fail(&self, why: String) {
        let number = self.number;
        self.ledger.0.send_modify(|account| {
            if account.failed.as_ref().is_none_or(|(newest, _)| *newest <= number) {
                account.failed = Some((number, why));
            }
        });
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        if self.open {
            self.fail("the storage gave no answer".to_owned());
        }
    }
}
