//! Records as bytes, and a ledger that holds up who comes after it.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests run natively")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;
use zeroize::Zeroizing;

use super::*;
use crate::vault::memory::Memory;

/// Keeps receipts until the test signs them.
#[derive(Default)]
struct Slow(Mutex<Vec<Receipt>>);

impl Rest for Slow {
    fn keep(&self, _: &Records, receipt: Receipt) -> Result<(), VaultError> {
        self.0.lock().unwrap().push(receipt);
        Ok(())
    }

    fn look(&self) -> Result<Records, VaultError> {
        Err(VaultError::ReadOnly)
    }

    fn discard(&self) {}

    fn place(&self) -> String {
        "slow".to_owned()
    }
}

impl Slow {
    fn oldest(&self) -> Receipt {
        self.0.lock().unwrap().remove(0)
    }
}

fn secret(bytes: &[u8]) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(bytes.to_vec())
}

/// Whether a call would leave now.
async fn may_leave(ledger: &Ledger) -> Option<Result<(), NotStored>> {
    tokio::time::timeout(Duration::from_millis(20), ledger.settled()).await.ok()
}

#[tokio::test]
async fn nothing_leaves_before_what_was_saved_is_stored() {
    let slow = Arc::new(Slow::default());
    let mut vault = Vault::fresh(Arc::clone(&slow) as Arc<dyn Rest>);
    let ledger = vault.ledger().clone();
    assert_eq!(may_leave(&ledger).await, Some(Ok(())), "nothing was saved yet");
    vault.put("a", secret(b"1"));
    vault.save().unwrap();
    vault.save().unwrap();
    assert_eq!(may_leave(&ledger).await, None);
    slow.oldest().stored();
    assert_eq!(may_leave(&ledger).await, None, "the newer state counts");
    let waits = tokio::spawn({
        let ledger = ledger.clone();
        async move { ledger.settled().await }
    });
    slow.oldest().stored();
    assert_eq!(waits.await.unwrap(), Ok(()));

    // The newest stands for all before it.
    vault.save().unwrap();
    vault.save().unwrap();
    let (older, newer) = (slow.oldest(), slow.oldest());
    newer.stored();
    assert_eq!(may_leave(&ledger).await, Some(Ok(())));
    drop(older);
    assert_eq!(may_leave(&ledger).await, Some(Ok(())));
}

#[tokio::test]
async fn what_cannot_be_stored_holds_everything_up_until_it_can() {
    let slow = Arc::new(Slow::default());
    let vault = Vault::fresh(Arc::clone(&slow) as Arc<dyn Rest>);
    vault.save().unwrap();
    slow.oldest().failed("the disk is full");
    let refused = Some(Err(NotStored("the disk is full".to_owned())));
    assert_eq!(may_leave(vault.ledger()).await, refused);
    assert_eq!(may_leave(vault.ledger()).await, refused, "and again");
    vault.mend().unwrap();
    assert_eq!(may_leave(vault.ledger()).await, None);
    slow.oldest().stored();
    assert_eq!(may_leave(vault.ledger()).await, Some(Ok(())));
    vault.mend().unwrap();
    assert!(slow.0.lock().unwrap().is_empty(), "nothing is to be mended");
}

/// Refuses at once.
struct Refusing;

impl Rest for Refusing {
    fn keep(&self, _: &Records, _: Receipt) -> Result<(), VaultError> {
        Err(RestError::new(std::io::Error::other("no")).into())
    }

    fn look(&self) -> Result<Records, VaultError> {
        Err(VaultError::ReadOnly)
    }

    fn discard(&self) {}

    fn place(&self) -> String {
        "nowhere".to_owned()
    }
}

#[tokio::test]
async fn who_was_told_at_once_is_not_held_up() {
    let vault = Vault::fresh(Arc::new(Refusing));
    assert_eq!(vault.save().unwrap_err().to_string(), "no");
    assert_eq!(may_leave(vault.ledger()).await, Some(Ok(())));
}

#[test]
fn a_state_comes_back_and_other_bytes_do_not() {
    let memory = Arc::new(Memory::default());
    let mut vault = Vault::fresh(Arc::clone(&memory) as Arc<dyn Rest>);
    vault.put("identity", secret(&[7; 64]));
    vault.put("group/a", secret(b""));
    let bytes = records::to_bytes(vault.records());
    let back = Vault::from_bytes(&bytes, Arc::clone(&memory) as Arc<dyn Rest>).unwrap();
    assert_eq!(back.record("identity"), Some([7; 64].as_slice()));
    assert_eq!(back.names("group/").collect::<Vec<_>>(), ["group/a"]);
    for bad in [&bytes[..bytes.len() - 1], b"", b"latchkey vault 1\n"] {
        let error = Vault::from_bytes(bad, Arc::clone(&memory) as Arc<dyn Rest>).unwrap_err();
        assert!(matches!(error, VaultError::Damaged(_)), "{error}");
    }
    assert!(memory.is_empty(), "nothing was saved");
    let look = Vault::read_only(back.records().clone(), memory);
    assert_eq!(look.save(), Err(VaultError::ReadOnly));
}

proptest! {
    #[test]
    fn arbitrary_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(records) = records::decode(&bytes) {
            prop_assert_eq!(records::decode(&records::encode(&records, 0)), Ok(records));
        }
    }
}
