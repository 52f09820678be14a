//! What can fail before anything runs, and how a running server is made of it.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use latchkey_relay::port::stopped;
use latchkey_relay::{GrantKey, RelayConfig};
use latchkey_signaling_core::signaling::{Policy, Signaling};
use latchkey_wire::grant::GrantSigner;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::addresses::Addresses;
use crate::app::App;
use crate::bus::Bus;
use crate::config::{ServerConfig, Tls};
use crate::grant_key;
use crate::http;
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::ops;
use crate::relay_side::RelaySide;
use crate::server::Server;
use crate::server::data::{make_data_dir, open_store};
use crate::server::start_error::StartError;
use crate::server::urls::{Install, ServerUrls, dialable};
use crate::store::sqlite::SqliteStore;
use crate::tls::Https;
use crate::tls::reach::{self, Trust};
use crate::web::WebApp;

/// What can fail before anything runs.
pub(super) struct Prepared {
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
    pub(super) async fn new(config: &ServerConfig) -> Result<Self, StartError> {
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

    /// What the relay inside is to be: it takes the grants that this server signs.
    pub(super) fn relay_config(&self, config: &ServerConfig) -> RelayConfig {
        RelayConfig {
            bind: config.media,
            door: None,
            ops: None,
            public_address: config.public_address.clone(),
            shards: config.shards,
            audience: RELAY_AUDIENCE.to_owned(),
            grant_keys: vec![GrantKey {
                kid: self.grants.key_id().to_owned(),
                public: self.grants.public_key(),
            }],
            max_viewers_per_room: config.max_viewers_per_room,
            max_sessions_per_device: config.max_sessions_per_device,
            drain_seconds: config.drain_seconds,
            limits: config.limits.clone(),
            ..RelayConfig::default()
        }
    }

    pub(super) fn open(self, config: &ServerConfig, relay: RelaySide) -> Result<Server, StartError> {
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

async fn listen(address: SocketAddr, what: &'static str) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|source| StartError::Listen { address, what, source })
}

const RELAY_AUDIENCE: &str = "latchkey";
