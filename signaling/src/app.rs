//! What every handler needs, and how what the rules say is carried out.

use std::future::Future;
use std::sync::Arc;
use std::time::SystemTime;

use futures_util::future::join_all;
use latchkey_signaling_core::notice::{Done, Notice};
use latchkey_signaling_core::relay_port::RelayPort;
use latchkey_signaling_core::signaling::Signaling;
use tokio::sync::watch;

use crate::addresses::Addresses;
use crate::bus::Bus;
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::refusal::Refusal;
use crate::store::sqlite::SqliteStore;

/// The server's parts. Cheap to clone.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) signaling: Arc<Signaling<SqliteStore>>,
    pub(crate) bus: Bus,
    pub(crate) relay: Arc<dyn RelayPort>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) addresses: Arc<Addresses>,
    pub(crate) metrics: Metrics,
    /// Turns true when the server ends.
    pub(crate) stopping: watch::Receiver<bool>,
}

impl App {
    /// Carries out what a request asks besides its answer, and returns the answer. Telling comes first, as it waits for
    /// nobody; cuts run beside each other; who goes is dismissed last.
    pub(crate) async fn carry_out<T>(&self, done: Done<T>) -> T {
        let (mut cuts, mut dismissed) = (Vec::new(), Vec::new());
        for notice in done.notices {
            match notice {
                Notice::Tell { device, event } => self.bus.tell(done.household, device, &event),
                // The time of the cut, not of the request: no grant cut in between slips through.
                Notice::Cut { room, device } => cuts.push(self.relay.cut(room, device, SystemTime::now())),
                Notice::Dismiss { device } => dismissed.push(device),
            }
        }
        join_all(cuts).await;
        for device in dismissed {
            self.bus.dismiss(done.household, device);
        }
        done.reply
    }
}

/// Runs `work` to its end, even when the client goes away in the middle: what was stored must also be told.
pub(crate) async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, Refusal>> + Send + 'static,
) -> Result<T, Refusal> {
    tokio::spawn(work).await.unwrap_or_else(|error| {
        tracing::error!(%error, "a request ended in the middle");
        Err(Refusal::internal())
    })
}

/// Fresh random bytes from the system.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], Refusal> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| {
        tracing::error!(%error, "the system gives no randomness");
        Refusal::internal()
    })?;
    Ok(bytes)
}
