//! The relay as a whole: starts shards, door and ops port, and ends them again.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant, SystemTime};

use axum::Router;
use latchkey_wire::grant::GrantVerifier;
use latchkey_wire::id::{DeviceHandle, RoomId};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::admission::Admission;
use crate::admission::crowd::{Crowd, CrowdLimits};
use crate::config::{GrantKey, GrantKeyError, RelayConfig};
use crate::door::{Door, Probe, RelayTransport};
use crate::http;
use crate::metrics::DoorCounters;
use crate::ops;
use crate::port;
use crate::public_address::{self, DiscoveryError};
use crate::registry::Registry;
use crate::sessions::Sessions;
use crate::shard::end::SessionEnd;
use crate::shard::{MAX_SHARDS, Shards, ShardsConfig};

/// A running relay. Dropping it ends it at once; [`shutdown`](Relay::shutdown) ends it in order.
pub struct Relay {
    door: Arc<Door>,
    shards: Shards,
    addr: SocketAddr,
    door_addr: Option<SocketAddr>,
    ops_addr: Option<SocketAddr>,
    max_connections: usize,
    stop: watch::Sender<bool>,
    /// The two HTTP servers. Dropping the set ends them.
    servers: JoinSet<()>,
    /// Listens for the ends of sessions as long as there are shards, and follows the public address.
    tasks: JoinSet<()>,
}

/// Cuts devices off and asks who is live. Cheap to clone, may be kept by any task; works until the relay ends.
#[derive(Clone)]
pub struct RelayControl {
    door: Arc<Door>,
}

/// Why a relay did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The operator's fault: without a key no grant could ever be believed.
    #[error(
        "no grant key: name the public key of your signaling with --grant-key kid:key or --grant-key-file"
    )]
    NoGrantKey,
    /// The operator's fault, or the system's: a file with grant keys cannot be read.
    #[error("cannot read the grant keys in {path}: {source}")]
    GrantKeyFile {
        /// As configured.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The operator's fault: a line in a file with grant keys is none.
    #[error("{path} line {line}: {source}")]
    GrantKey {
        /// As configured.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// What is wrong with it.
        source: GrantKeyError,
    },
    /// The operator's fault: two keys with one name.
    #[error("two grant keys have the kid \"{0}\": give each its own")]
    GrantKeyTwice(String),
    /// The operator's fault, or another program's: a TCP address cannot be had.
    #[error("cannot listen on {address} for the {what}: {source}")]
    Listen {
        /// As configured.
        address: SocketAddr,
        /// `door` or `ops port`.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The media socket or a shard thread cannot be had.
    #[error("{0}")]
    Shards(#[from] crate::shard::StartError),
    /// No public address could be found.
    #[error(transparent)]
    PublicAddress(#[from] DiscoveryError),
}

impl Relay {
    /// Starts shards, door and ops port as `config` says; they run until [`shutdown`](Relay::shutdown).
    ///
    /// # Errors
    /// See [`StartError`]; nothing runs then.
    pub async fn start(config: RelayConfig) -> Result<Self, StartError> {
        Self::start_with(config, |_| {}).await
    }

    /// As [`start`](Relay::start), and shows `tap` every opened packet, for tests that search them.
    ///
    /// # Errors
    /// See [`StartError`].
    #[cfg(feature = "test-tap")]
    pub async fn start_tapped(config: RelayConfig, tap: crate::shard::Tap) -> Result<Self, StartError> {
        Self::start_with(config, |shards| shards.tap = Some(tap)).await
    }

    /// As [`start`](Relay::start), and lets `meddler` change what every room gets, for tests of a hostile relay.
    ///
    /// # Errors
    /// See [`StartError`].
    #[cfg(feature = "test-tap")]
    pub async fn start_meddled(
        config: RelayConfig,
        meddler: crate::shard::Meddler,
    ) -> Result<Self, StartError> {
        Self::start_with(config, |shards| shards.meddler = Some(meddler)).await
    }

    async fn start_with(
        config: RelayConfig,
        adjust: impl FnOnce(&mut ShardsConfig),
    ) -> Result<Self, StartError> {
        let verifier = grant_verifier(&config)?;
        let door_listener = listen(config.door, "door").await?;
        let ops_listener = listen(config.ops, "ops port").await?;
        let (ends, ended) = mpsc::unbounded_channel();
        let mut shards = shards_config(&config, ends);
        adjust(&mut shards);
        let shards = Shards::start(shards)?;
        let addr = shards.local_addr();
        let (candidates, follower) = public_address::find(&config.public_address, addr).await?;
        tracing::info!(media = %addr, candidates = ?candidates.now(), shards = shards.handles().len(), "relay runs");
        let door = Arc::new(Door {
            admission: Admission::new(verifier, Crowd::new(CrowdLimits::from(&config))),
            registry: Registry::new(shards.handles().len()),
            sessions: Sessions::default(),
            shards: shards.handles().to_vec(),
            counters: DoorCounters::new(),
            transport: RelayTransport { fingerprint: shards.fingerprint(), candidates },
            max_sdp_bytes: config.max_sdp_bytes,
            draining: AtomicBool::new(false),
        });
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        tasks.spawn(note_ends(Arc::clone(&door), ended));
        tasks.spawn(follower.run());
        let mut relay = Self {
            door,
            shards,
            addr,
            door_addr: None,
            ops_addr: None,
            max_connections: config.max_connections,
            stop,
            servers: JoinSet::new(),
            tasks,
        };
        relay.door_addr = relay.serve(door_listener, http::whole_router(&relay.door), &stopped, "door");
        relay.ops_addr = relay.serve(ops_listener, ops::router(&relay.door), &stopped, "ops port");
        Ok(relay)
    }

    /// UDP address of the media socket, with the port that was really taken.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Address of the door, when the configuration asked for one.
    #[must_use]
    pub fn door_addr(&self) -> Option<SocketAddr> {
        self.door_addr
    }

    /// Address of the private ops port, when the configuration asked for one.
    #[must_use]
    pub fn ops_addr(&self) -> Option<SocketAddr> {
        self.ops_addr
    }

    /// Addresses that answers name now, best first: where clients must be able to send UDP. They may change.
    #[must_use]
    pub fn candidates(&self) -> Vec<SocketAddr> {
        self.door.transport.candidates.now().to_vec()
    }

    /// The door's routes (`/whip/…`, `/whep/…`), to be merged into a host's own router.
    pub fn door_router(&self) -> Router {
        http::router(&self.door)
    }

    /// The private routes (`/metrics`, `/livez`, …). Never merge them into a public router.
    pub fn ops_router(&self) -> Router {
        ops::router(&self.door)
    }

    /// Ends every leg of `device` in `room` at once and refuses for 120 s its grants issued up to `issued_before`. Returns how
    /// many legs ended.
    pub async fn cut(&self, room: RoomId, device: DeviceHandle, issued_before: SystemTime) -> usize {
        self.door.cut(room, device, issued_before).await
    }

    /// Whether somebody publishes into `room` now.
    pub async fn is_live(&self, room: RoomId) -> bool {
        self.door.is_live(room).await
    }

    /// Sessions, publishers and viewers together, now.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.door.admission.crowd().sessions()
    }

    /// What `/metrics` would say now, in the Prometheus text format.
    #[must_use]
    pub fn metrics(&self) -> String {
        self.door.metrics()
    }

    /// A handle for [`cut`](Relay::cut) and [`is_live`](Relay::is_live) that a host's own tasks may keep.
    #[must_use]
    pub fn control(&self) -> RelayControl {
        RelayControl { door: Arc::clone(&self.door) }
    }

    /// Takes nobody new from now on; `/readyz` says so. Present sessions go on.
    pub fn drain(&self) {
        self.door.drain();
    }

    /// Drains, and returns when the last session has left or after `patience`.
    pub async fn drained(&self, patience: Duration) {
        self.drain();
        let until = Instant::now() + patience;
        while self.sessions() > 0 && Instant::now() < until {
            tokio::time::sleep(DRAIN_STEP).await;
        }
    }

    /// Ends all sessions, closes all ports and returns when every thread and task is gone.
    pub async fn shutdown(self) {
        self.drain();
        let Self { shards, stop, mut servers, mut tasks, .. } = self;
        stop.send_replace(true);
        let served = async { while servers.join_next().await.is_some() {} };
        if tokio::time::timeout(HTTP_PATIENCE, served).await.is_err() {
            servers.shutdown().await;
        }
        // Joining threads blocks; they end within one round of their loop.
        let _ = tokio::task::spawn_blocking(move || shards.stop()).await;
        tasks.shutdown().await;
        tracing::info!("relay has ended");
    }

    fn serve(
        &mut self,
        listener: Option<TcpListener>,
        router: Router,
        stopped: &watch::Receiver<bool>,
        what: &'static str,
    ) -> Option<SocketAddr> {
        let listener = listener?;
        let address = listener.local_addr().ok()?;
        tracing::info!(%address, "{what} is open");
        self.servers.spawn(port::serve(listener, router, self.max_connections, stopped.clone()));
        Some(address)
    }
}

impl RelayControl {
    /// As [`Relay::cut`].
    pub async fn cut(&self, room: RoomId, device: DeviceHandle, issued_before: SystemTime) -> usize {
        self.door.cut(room, device, issued_before).await
    }

    /// What somebody outside needs to see whether its packets reach the media port; `None` when too many look just now.
    pub async fn open_probe(&self) -> Option<Probe> {
        self.door.open_probe().await
    }

    /// As [`Relay::is_live`].
    pub async fn is_live(&self, room: RoomId) -> bool {
        self.door.is_live(room).await
    }
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay")
            .field("addr", &self.addr)
            .field("door_addr", &self.door_addr)
            .field("ops_addr", &self.ops_addr)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for RelayControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RelayControl").finish_non_exhaustive()
    }
}

/// Gives back the places of sessions that ended, and remembers why they did.
async fn note_ends(door: Arc<Door>, mut ended: mpsc::UnboundedReceiver<SessionEnd>) {
    while let Some(end) = ended.recv().await {
        tracing::info!(session = ?end.session, reason = end.reason.label(), detail = end.detail, "session ended");
        door.sessions.end(end, Instant::now());
    }
}

async fn listen(address: Option<SocketAddr>, what: &'static str) -> Result<Option<TcpListener>, StartError> {
    let Some(address) = address else { return Ok(None) };
    let listener = TcpListener::bind(address).await;
    listener.map(Some).map_err(|source| StartError::Listen { address, what, source })
}

fn shards_config(config: &RelayConfig, ends: mpsc::UnboundedSender<SessionEnd>) -> ShardsConfig {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut shards = ShardsConfig {
        bind: config.bind,
        shards: if config.shards == 0 { cores.min(MAX_SHARDS) } else { config.shards },
        srtp_profiles: config.srtp_profiles.clone(),
        ends: Some(ends),
        ..ShardsConfig::default()
    };
    shards.limits.sessions_per_shard = config.max_sessions;
    config.limits.apply(&mut shards.limits);
    // Admission counts a room's viewers over all shards; no shard refuses one that was let in.
    shards.room.subscribers = config.max_viewers_per_room;
    shards
}

/// A verifier that believes every configured key: those of the configuration, then those of its files.
fn grant_verifier(config: &RelayConfig) -> Result<GrantVerifier, StartError> {
    let mut keys = config.grant_keys.clone();
    for path in &config.grant_key_files {
        let unreadable = |source| StartError::GrantKeyFile { path: path.clone(), source };
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        for (index, line) in text.lines().enumerate() {
            let entry = line.split('#').next().unwrap_or_default().trim();
            if !entry.is_empty() {
                let wrong = |source| StartError::GrantKey { path: path.clone(), line: index + 1, source };
                keys.push(entry.parse::<GrantKey>().map_err(wrong)?);
            }
        }
    }
    if keys.is_empty() {
        return Err(StartError::NoGrantKey);
    }
    let mut verifier = GrantVerifier::new(&config.audience);
    for (index, key) in keys.iter().enumerate() {
        if keys[..index].iter().any(|other| other.kid == key.kid && other.public != key.public) {
            return Err(StartError::GrantKeyTwice(key.kid.clone()));
        }
        verifier.add_key(&key.kid, &key.public);
    }
    Ok(verifier)
}

const DRAIN_STEP: Duration = Duration::from_millis(100);
const HTTP_PATIENCE: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_room_refuses_viewers_that_the_configuration_allows() {
        for viewers in [1, 1_000, 50_000] {
            let config = RelayConfig { max_viewers_per_room: viewers, ..RelayConfig::loopback() };
            let (ends, _) = mpsc::unbounded_channel();
            assert_eq!(shards_config(&config, ends).room.subscribers, viewers);
        }
    }
}
