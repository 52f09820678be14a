//! A store that takes its time, as a browser's does: no call leaves before what it answers for is stored.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests run natively")]

mod stage;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use latchkey_household::enrol::{CreateError, Founding};
use latchkey_household::home::HomeError;
use latchkey_household::signaling::SignalingError;
use latchkey_household::vault::{Receipt, Records, Rest, Vault, VaultError};
use stage::{Stage, in_time};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// Hands each state to the test, which stores it when it likes.
struct Late {
    states: mpsc::UnboundedSender<(usize, Receipt)>,
    discarded: Mutex<bool>,
}

impl Late {
    fn new() -> (Arc<Self>, mpsc::UnboundedReceiver<(usize, Receipt)>) {
        let (states, handed) = mpsc::unbounded_channel();
        (Arc::new(Self { states, discarded: Mutex::default() }), handed)
    }
}

impl Rest for Late {
    fn keep(&self, records: &Records, receipt: Receipt) -> Result<(), VaultError> {
        self.states.send((records.len(), receipt)).unwrap();
        Ok(())
    }

    fn look(&self) -> Result<Records, VaultError> {
        Err(VaultError::ReadOnly)
    }

    fn discard(&self) {
        *self.discarded.lock().unwrap() = true;
    }

    fn place(&self) -> String {
        "late".to_owned()
    }
}

#[tokio::test]
async fn nobody_is_called_before_the_keys_are_stored() {
    // Nobody answers here; who calls is seen.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (late, mut handed) = Late::new();
    let founding = Founding::prepare(Vault::fresh(late.clone()), &url, "Ada").unwrap();
    let founding = tokio::spawn(founding.found());
    // The keys, then the first list with them.
    let (_, first) = in_time("the keys are handed over", handed.recv()).await.unwrap();
    let (records, second) = in_time("the list is handed over", handed.recv()).await.unwrap();
    assert!(records >= 5, "{records}");
    let called = tokio::time::timeout(Duration::from_millis(300), listener.accept()).await;
    assert!(called.is_err(), "the server was called before anything was stored");
    first.stored();
    let called = tokio::time::timeout(Duration::from_millis(300), listener.accept()).await;
    assert!(called.is_err(), "the server was called before the newest state was stored");
    second.stored();
    in_time("the call", listener.accept()).await.unwrap();
    founding.abort();
}

#[tokio::test]
async fn a_full_store_tells_nobody_and_leaves_nothing() {
    let stage = Stage::open().await;
    let (late, mut handed) = Late::new();
    let founding = Founding::prepare(Vault::fresh(late.clone()), stage.url(), "Ada").unwrap();
    let founding = tokio::spawn(founding.found());
    let (_, first) = in_time("the keys are handed over", handed.recv()).await.unwrap();
    first.stored();
    let (_, second) = in_time("the list is handed over", handed.recv()).await.unwrap();
    second.failed("the disk is full");
    let error = in_time("the refusal", founding).await.unwrap().map(drop).unwrap_err();
    let full = SignalingError::NotStored("the disk is full".to_owned());
    assert_eq!(error, CreateError::Home(HomeError::Signaling(full)));
    assert!(error.to_string().contains("nothing was sent"), "{error}");
    assert!(*late.discarded.lock().unwrap());
    stage.server.shutdown().await;
}

#[tokio::test]
async fn a_device_whose_store_is_slow_founds_a_household_all_the_same() {
    let stage = Stage::open().await;
    let (late, mut handed) = Late::new();
    let stores = tokio::spawn(async move {
        while let Some((_, receipt)) = handed.recv().await {
            tokio::time::sleep(Duration::from_millis(30)).await;
            receipt.stored();
        }
    });
    let founding = Founding::prepare(Vault::fresh(late.clone()), stage.url(), "Ada").unwrap();
    let (mut home, _) = in_time("the household", founding.found()).await.unwrap();
    let signaling = home.signaling();
    assert_eq!(home.refresh(&signaling).await, Ok(false));
    assert!(!*late.discarded.lock().unwrap());
    drop((home, late));
    stores.abort();
    stage.server.shutdown().await;
}
