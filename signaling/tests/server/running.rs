//! A server in this process on free ports, beside a relay that writes down what it is asked.

use std::path::Path;
use std::time::Duration;

use latchkey_api::household::HouseholdCreated;
use latchkey_signaling::{Server, ServerConfig};
use reqwest::StatusCode;
use tempfile::TempDir;

use crate::client::Client;
use crate::home::Home;
use crate::relay::NotedRelay;

/// How long anything may take before it counts as stuck.
pub(crate) const LIVENESS: Duration = Duration::from_secs(30);

/// The server, its folder, its relay and a client that is not signed in.
pub(crate) struct Running {
    pub(crate) server: Server,
    pub(crate) relay: NotedRelay,
    pub(crate) client: Client,
    folder: TempDir,
}

impl Running {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut ServerConfig)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = ServerConfig::loopback(folder.path());
        change(&mut config);
        let relay = NotedRelay::default();
        let server = Server::start_beside(config, relay.side()).await.unwrap();
        let client = Client::new(&server.urls().signaling);
        Self { server, relay, client, folder }
    }

    /// A registered household.
    pub(crate) async fn home(&self) -> Home {
        self.register(Home::new()).await
    }

    pub(crate) async fn register(&self, home: Home) -> Home {
        let answer = self.client.post("/v1/households", &home.registration()).await;
        assert_eq!(answer.ok::<HouseholdCreated>(StatusCode::CREATED).household, home.id);
        home
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }
}
