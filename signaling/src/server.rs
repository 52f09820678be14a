//! The server as a whole: starts store, relay, public port and ops port, and ends them again.

mod data;
mod prepared;
mod start_error;
mod urls;

use std::future::Future;
use std::time::Duration;

use axum::Router;
use latchkey_relay::port;
use latchkey_relay::{Relay, RelayConfig};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

pub use crate::server::data::make_invite_code;
pub use crate::server::start_error::StartError;
pub use crate::server::urls::{Install, ServerUrls};

use crate::config::ServerConfig;
use crate::relay_side::RelaySide;
use crate::server::prepared::Prepared;
use crate::store::sqlite::SqliteStore;
use crate::tls::handshake::Doorman;

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
        let relay = start(prepared.relay_config(&config)).await?;
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

const PATIENCE: Duration = Duration::from_secs(3);
