//! Intruders: who come to the relay's door with grants that must not open it, and throw garbage at its media port.
//!
//! ```text
//!   real grant (from the crew) ─▶ Trick: forged, changed, elsewhere, used twice, … ─▶ POST at the door ─▶ refused, or let in: a fault
//!   garbage: RTP-, RTCP-, STUN-, DTLS- and QUIC-shaped, and noise ─▶ media port, from sockets of its own
//! ```
//! An intruder has what a thief on the network or a curious device of another household may have: real grants, the relay's
//! addresses, an offer. It has no key of the server.

mod garbage;
mod trick;
mod trying;

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::JoinHandle;
use url::Url;
use zeroize::Zeroizing;

use crate::door::{Door, DoorError};
use crate::fleet::peer::PeerError;
use crate::measure::tally::IntruderTally;

pub use crate::fleet::intruder::garbage::Garbage;
pub use crate::fleet::intruder::trick::Trick;

/// A real grant, not used yet, and where it is good.
pub struct RealGrant {
    /// Where an offer goes with it: `…/whep/{room}`.
    pub url: Url,
    /// The grant.
    pub bearer: Zeroizing<String>,
}

/// Where intruders get real grants to view, as [`crate::crew::Crew::session`] gives them; `None` when there is none now.
pub type Grants = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Option<RealGrant>> + Send>> + Send + Sync>;

/// What intruders do.
#[derive(Clone, Debug, PartialEq)]
pub struct IntruderPlan {
    /// Requests at the door with a bad grant, a second; all tricks take turns.
    pub bad_grants_per_second: f64,
    /// Datagrams of garbage at the media port, a second.
    pub garbage_per_second: f64,
    /// The relay's media address; none: no garbage.
    pub media: Option<SocketAddr>,
    /// Sockets that garbage comes from.
    pub sockets: usize,
}

/// A request and a hundred datagrams a second, from four sockets.
impl Default for IntruderPlan {
    fn default() -> Self {
        Self { bad_grants_per_second: 1.0, garbage_per_second: 100.0, media: None, sockets: 4 }
    }
}

/// What became of one kind of request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Requests.
    pub tried: u64,
    /// Of these, let in: always a fault of the server.
    pub let_in: u64,
    /// Of these, refused, by the server's code for it (`grant-expired`), or `http 403` where it gives none.
    pub refused: BTreeMap<String, u64>,
    /// Of these, not answered at all: told apart, because it says nothing about grants.
    pub unanswered: u64,
}

/// Intruders cannot begin. This machine's fault.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IntruderError {
    /// No HTTP client.
    #[error(transparent)]
    Door(#[from] DoorError),
    /// No client to make an offer.
    #[error(transparent)]
    Offer(#[from] PeerError),
    /// No socket for garbage.
    #[error("a socket for garbage: {0}")]
    Socket(#[from] io::Error),
}

/// Intruders at work; dropped, they go away.
pub struct Intruders {
    seen: Arc<Mutex<Seen>>,
    tasks: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Seen {
    since_taken: IntruderTally,
    outcomes: BTreeMap<Trick, Outcome>,
    garbage: BTreeMap<Garbage, u64>,
}

impl Intruders {
    /// Lets intruders loose. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`IntruderError`].
    pub fn start(plan: &IntruderPlan, grants: Grants) -> Result<Self, IntruderError> {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let mut tasks = Vec::new();
        if plan.bad_grants_per_second > 0.0 {
            let every = plan.bad_grants_per_second;
            tasks.push(tokio::spawn(trying::run(
                trying::Burglar::new(Door::new()?)?,
                grants,
                every,
                seen.clone(),
            )));
        }
        if let Some(media) = plan.media.filter(|_| plan.garbage_per_second > 0.0) {
            let sockets = garbage::sockets(media, plan.sockets)?;
            tasks.push(tokio::spawn(garbage::run(sockets, plan.garbage_per_second, seen.clone())));
        }
        Ok(Self { seen, tasks })
    }

    /// Returns what was counted since this was asked last.
    #[must_use]
    pub fn take(&self) -> IntruderTally {
        std::mem::take(&mut lock(&self.seen).since_taken)
    }

    /// Returns what became of each kind of request since the beginning.
    #[must_use]
    pub fn outcomes(&self) -> BTreeMap<Trick, Outcome> {
        lock(&self.seen).outcomes.clone()
    }

    /// Returns how many datagrams of each shape were sent since the beginning.
    #[must_use]
    pub fn garbage(&self) -> BTreeMap<Garbage, u64> {
        lock(&self.seen).garbage.clone()
    }
}

impl Drop for Intruders {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl std::fmt::Debug for RealGrant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RealGrant").field("url", &self.url.as_str()).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Intruders {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Intruders").field("tasks", &self.tasks.len()).finish_non_exhaustive()
    }
}

fn lock(seen: &Mutex<Seen>) -> std::sync::MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}
