//! The server as a whole: starts store, relay, public port and ops port, and ends them again.

use std::fmt;
use std::fs;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Router;
use latchkey_relay::port::{self, stopped};
use latchkey_relay::{GrantKey, Relay, RelayConfig};
use latchkey_signaling_core::invites::InviteCode;
use latchkey_signaling_core::signaling::{Policy, Signaling};
use latchkey_wire::grant::GrantSigner;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::addresses::Addresses;
use crate::app::App;
use crate::bus::Bus;
use crate::config::{ServerConfig, Tls};
use crate::grant_key::{self, GrantKeyError};
use crate::http;
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::ops;
use crate::relay_side::RelaySide;
use crate::store::sqlite::{OpenError, SqliteStore};
use crate::tls::handshake::Doorman;
use crate::tls::reach::{self, Reach, Trust};
use crate::tls::{Https, TlsError};
use crate::web::{NoWebApp, WebApp};

/// A running server. Dropping it ends it at once; [`shutdown`](Server::shutdown) ends it in order.
#[derive(Debug)]
pub struct Server {
    urls: ServerUrls,
    store: SqliteStore,
    relay: Option<Relay>,
    drain_time: Duration,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

/// Where a running server can be reached, with the ports that were really taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerUrls {
    /// Base URL of signaling.
    pub signaling: String,
    /// Base URL of the relay's door; the same port.
    pub door: String,
    /// UDP address of the media socket.
    pub media: SocketAddr,
    /// Base URL of the private ops port.
    pub ops: String,
    /// The page that helps devices trust the household CA, where there is one.
    pub install: Option<Install>,
    /// Every address to dial, best first, and which devices each works for.
    pub reach: Vec<Reach>,
    /// What a browser gets there, or what to do to have it; none where the operator wants none.
    pub web: Option<String>,
}

/// Where devices learn to trust the household CA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Install {
    /// Address of the page, with the port that was really taken.
    pub address: SocketAddr,
    /// SHA-256 of the CA's certificate, to compare with what a device shows.
    pub fingerprint: String,
}

/// One line per door.
impl fmt::Display for ServerUrls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "signaling  {}  (clients dial this)", self.signaling)?;
        writeln!(f, "door       {}/whip and /whep  (publishers and viewers, with a grant)", self.door)?;
        writeln!(f, "media      {}  (UDP)", self.media)?;
        writeln!(f, "ops        {}/metrics  (private)", self.ops)?;
        for reach in &self.reach {
            writeln!(f, "open       {}  (for {})", reach.url, reach.devices)?;
        }
        if let Some(install) = &self.install {
            writeln!(f, "household CA, SHA-256  {}", install.fingerprint)?;
        }
        if let Some(web) = &self.web {
            writeln!(f, "web        {web}")?;
        }
        Ok(())
    }
}

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The operator's: the data folder cannot be had.
    #[error("cannot use the data folder {path}: {source}")]
    DataDir {
        /// As configured.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The operator's: the grant signing key cannot be had.
    #[error(transparent)]
    GrantKey(#[from] GrantKeyError),
    /// The operator's: the database cannot be opened.
    #[error("cannot open the database {path}: {source}")]
    Store {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        source: OpenError,
    },
    /// The operator's, or another program's: a TCP address cannot be had.
    #[error("cannot listen on {address} for {what}: {source}")]
    Listen {
        /// As configured.
        address: SocketAddr,
        /// `signaling` or `the ops port`.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The operator's: the folder named holds no web app.
    #[error(transparent)]
    Web(#[from] NoWebApp),
    /// The operator's: HTTPS cannot be served as asked for.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The relay did not start.
    #[error(transparent)]
    Relay(#[from] latchkey_relay::StartError),
    /// The database takes no invite code just now; its log says why.
    #[error("the database takes no invite code just now: try again")]
    InviteCode,
    /// The system gives no randomness.
    #[error("the system gives no randomness")]
    NoRandomness,
}

impl Server {
    /// Starts a server with a relay inside.
    ///
    /// # Errors
    /// [`StartError`]; nothing runs then.
    pub async fn start(config: ServerConfig) -> Result<Self, StartError> {
        Self::start_with(config, Relay::start).await
    }

    /// As [`Server::start`], and shows `tap` every packet that the relay opened, for tests that search them.
    ///
    /// # Errors
    /// [`StartError`]; nothing runs then.
    #[cfg(feature = "test-tap")]
    pub async fn start_tapped(
        config: ServerConfig,
        tap: latchkey_relay::shard::Tap,
    ) -> Result<Self, StartError> {
        Self::start_with(config, |relay| Relay::start_tapped(relay, tap)).await
    }

    /// As [`Server::start`], and lets `meddler` change what the relay's rooms get, for tests of a hostile relay.
    ///
    /// # Errors
    /// [`StartError`]; nothing runs then.
    #[cfg(feature = "test-tap")]
    pub async fn start_meddled(
        config: ServerConfig,
        meddler: latchkey_relay::shard::Meddler,
    ) -> Result<Self, StartError> {
        Self::start_with(config, |relay| Relay::start_meddled(relay, meddler)).await
    }

    async fn start_with<F>(
        config: ServerConfig,
        start: impl FnOnce(RelayConfig) -> F,
    ) -> Result<Self, StartError>
    where
        F: Future<Output = Result<Relay, latchkey_relay::StartError>>,
    {
        let prepared = Prepared::new(&config).await?;
        let key = GrantKey { kid: prepared.grants.key_id().to_owned(), public: prepared.grants.public_key() };
        let relay = start(relay_config(&config, key)).await?;
        let side = RelaySide::of(&relay);
        let mut server = prepared.open(&config, side)?;
        server.relay = Some(relay);
        Ok(server)
    }

    /// Starts a server beside a relay that somebody else runs: for tests that watch what is asked of it.
    ///
    /// # Errors
    /// [`StartError`]; nothing runs then.
    pub async fn start_beside(config: ServerConfig, relay: RelaySide) -> Result<Self, StartError> {
        Prepared::new(&config).await?.open(&config, relay)
    }

    /// Where it can be reached.
    #[must_use]
    pub fn urls(&self) -> &ServerUrls {
        &self.urls
    }

    /// The relay inside, if there is one.
    #[must_use]
    pub fn relay(&self) -> Option<&Relay> {
        self.relay.as_ref()
    }

    /// Lets the relay take nobody new, and returns when the last session has left or after the drain time.
    pub async fn drained(&self) {
        if let Some(relay) = &self.relay {
            relay.drained(self.drain_time).await;
        }
    }

    /// Ends all sockets and sessions, closes all ports and the database, and returns when all is gone.
    pub async fn shutdown(self) {
        let Self { store, relay, stop, mut tasks, .. } = self;
        stop.send_replace(true);
        let served = async { while tasks.join_next().await.is_some() {} };
        if timeout(PATIENCE, served).await.is_err() {
            tasks.shutdown().await;
        }
        if let Some(relay) = relay {
            relay.shutdown().await;
        }
        store.close().await;
        tracing::info!("server has ended");
    }

    fn serve(&mut self, listener: TcpListener, routes: Router, connections: usize) {
        self.tasks.spawn(port::serve(listener, routes, connections, self.stop.subscribe()));
    }

    fn serve_tls(&mut self, listener: TcpListener, doorman: Doorman, connections: usize) {
        let open = move |stream, peer| doorman.clone().open(stream, peer);
        self.tasks.spawn(port::serve_over(listener, open, connections, self.stop.subscribe()));
    }
}

/// What can fail before anything runs.
struct Prepared {
    store: SqliteStore,
    grants: GrantSigner,
    public: TcpListener,
    private: TcpListener,
    https: Option<Https>,
    install: Option<TcpListener>,
    web: WebApp,
    secret: [u8; 32],
}

impl Prepared {
    async fn new(config: &ServerConfig) -> Result<Self, StartError> {
        let web = WebApp::find(&config.web_dir)?;
        make_data_dir(config)?;
        let grants = grant_key::load_or_make(&config.data_dir)?;
        let store = open_store(config).await?;
        let public = listen(config.listen, "signaling").await?;
        let private = listen(config.ops, "the ops port").await?;
        let https = Https::prepare(config)?;
        let install = match config.tls {
            Tls::LocalCa => Some(listen(config.tls_install, "the install page").await?),
            _ => None,
        };
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(|_| StartError::NoRandomness)?;
        Ok(Self { store, grants, public, private, https, install, web, secret })
    }

    fn open(self, config: &ServerConfig, relay: RelaySide) -> Result<Server, StartError> {
        let Self { store, grants, public, private, https, install, web, secret } = self;
        let policy = Policy {
            relay_audience: RELAY_AUDIENCE.to_owned(),
            longest_session: Duration::from_secs(config.max_session_hours.saturating_mul(3600)),
            keep_messages: Duration::from_secs(config.keep_messages_days.saturating_mul(24 * 3600)),
            max_households: config.max_households,
            registration: config.registration.into(),
        };
        let (stop, stopping) = watch::channel(false);
        let app = App {
            signaling: Arc::new(Signaling::new(store.clone(), grants, secret, policy)),
            bus: Bus::default(),
            relay: relay.port,
            limits: Arc::new(Limits::new(config)),
            addresses: Arc::new(Addresses::new(config, https.as_ref().and_then(Https::name))),
            metrics: Metrics::new(),
            stopping,
        };
        let here = |listener: &TcpListener, address, what| {
            listener.local_addr().map_err(|source| StartError::Listen { address, what, source })
        };
        let open = here(&public, config.listen, "signaling")?;
        let url = https
            .as_ref()
            .map_or_else(|| format!("http://{}", dialable(open)), |https| https.url(config, dialable(open)));
        let ops = format!("http://{}", here(&private, config.ops, "the ops port")?);
        let page = match (https.as_ref().and_then(Https::install_page), install) {
            (Some(page), Some(listener)) => {
                let address = here(&listener, config.tls_install, "the install page")?;
                Some((page, listener, address))
            }
            _ => None,
        };
        let trust = https.as_ref().map_or(Trust::Plain, Https::trust);
        let page_port = page.as_ref().map(|(_, _, address)| address.port());
        let urls = ServerUrls {
            signaling: url.clone(),
            web: web.describe(),
            reach: reach::all(config, &url, open.port(), trust, page_port),
            door: url,
            media: relay.media,
            ops,
            install: page
                .as_ref()
                .map(|(page, _, address)| Install { address: *address, fingerprint: page.fingerprint() }),
        };
        let drain_time = config.drain_time();
        let mut server = Server { urls, store, relay: None, drain_time, stop, tasks: JoinSet::new() };
        let routes = http::router(&app, relay.door, web, config.web_origin.as_slice().into());
        match https {
            Some(https) => {
                server.serve_tls(public, https.doorman(&routes)?, config.max_connections);
                https.follow(&mut server.tasks, server.stop.subscribe());
            }
            None => {
                warn_of_plain_http(config);
                server.serve(public, routes, config.max_connections);
            }
        }
        if let Some((page, listener, address)) = page {
            server.serve(listener, page.router(open, address), config.max_connections);
        }
        server.serve(private, ops::router(&app, relay.ops), config.max_connections);
        let until = stopped(server.stop.subscribe());
        server.tasks.spawn(keep_clean(app, until));
        tracing::info!(signaling = %server.urls.signaling, media = %server.urls.media, "server runs");
        Ok(server)
    }
}

/// Beyond this machine plain HTTP serves no browser and protects no token.
fn warn_of_plain_http(config: &ServerConfig) {
    if !config.listen.ip().is_loopback() && !config.behind_proxy {
        tracing::warn!(
            listen = %config.listen,
            "plain HTTP beyond this machine: browsers on other devices cannot use it, and who is in the network can \
             meddle with requests. Use --tls local-ca at home, --acme DOMAIN for a domain, --tls-cert and --tls-key for a \
             certificate of yours, or --behind-proxy where a proxy ends TLS; for this machine alone --listen 127.0.0.1:9601"
        );
    }
}

/// Drops what is over, now and every hour.
async fn keep_clean(app: App, until: impl Future<Output = ()>) {
    let mut hours = interval(Duration::from_secs(3600));
    hours.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tokio::pin!(until);
    loop {
        tokio::select! {
            () = &mut until => return,
            _ = hours.tick() => match app.signaling.purge(SystemTime::now()).await {
                Ok(0) => {}
                Ok(rows) => tracing::info!(rows, "dropped what was over"),
                Err(error) => tracing::warn!(%error, "could not drop what is over"),
            },
        }
    }
}

fn relay_config(config: &ServerConfig, key: GrantKey) -> RelayConfig {
    RelayConfig {
        bind: config.media,
        door: None,
        ops: None,
        public_address: config.public_address.clone(),
        shards: config.shards,
        audience: RELAY_AUDIENCE.to_owned(),
        grant_keys: vec![key],
        max_viewers_per_room: config.max_viewers_per_room,
        max_sessions_per_device: config.max_sessions_per_device,
        drain_seconds: config.drain_seconds,
        limits: config.limits.clone(),
        ..RelayConfig::default()
    }
}

/// Makes an invite code in the data folder of a server, which may be running.
///
/// # Errors
/// [`StartError`]; no code is good then.
pub async fn make_invite_code(config: &ServerConfig, uses: u32, days: u32) -> Result<InviteCode, StartError> {
    make_data_dir(config)?;
    let store = open_store(config).await?;
    let mut random = [0; 20];
    getrandom::fill(&mut random).map_err(|_| StartError::NoRandomness)?;
    let made = InviteCode::make(&store, random, (uses, days), SystemTime::now()).await;
    store.close().await;
    made.map_err(|_| StartError::InviteCode)
}

fn make_data_dir(config: &ServerConfig) -> Result<(), StartError> {
    let path = &config.data_dir;
    make_private(path).map_err(|source| StartError::DataDir { path: path.clone(), source })
}

async fn open_store(config: &ServerConfig) -> Result<SqliteStore, StartError> {
    let path = config.data_dir.join(DATABASE);
    SqliteStore::open(&path).await.map_err(|source| StartError::Store { path, source })
}

async fn listen(address: SocketAddr, what: &'static str) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|source| StartError::Listen { address, what, source })
}

/// Makes the folder for this user alone; one that is there stays as it is.
fn make_private(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
}

/// An address that a client of this machine can dial: an unspecified one stands for loopback.
fn dialable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        std::net::IpAddr::V4(ip) if ip.is_unspecified() => std::net::Ipv4Addr::LOCALHOST.into(),
        std::net::IpAddr::V6(ip) if ip.is_unspecified() => std::net::Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

const DATABASE: &str = "signaling.sqlite";
const RELAY_AUDIENCE: &str = "latchkey";
const PATIENCE: Duration = Duration::from_secs(3);
