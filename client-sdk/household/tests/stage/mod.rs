//! A server in this process, and devices whose state rests in memory.

#![allow(dead_code, unreachable_pub)]

use std::sync::Arc;
use std::time::Duration;

use latchkey_api::device_list::Role;
use latchkey_household::enrol::{Invitation, create, join};
use latchkey_household::home::{Home, SharedHome};
use latchkey_household::signaling::Signaling;
use latchkey_household::vault::Vault;
use latchkey_household::vault::memory::Memory;
use latchkey_signaling::{Server, ServerConfig};

/// A limit for what must happen at all; nothing is judged by its speed.
pub const LIMIT: Duration = Duration::from_secs(30);

pub struct Stage {
    pub server: Server,
    _dir: tempfile::TempDir,
}

/// A device that several at once work with.
#[derive(Clone)]
pub struct Device {
    pub home: SharedHome,
    pub signaling: Signaling,
}

impl Stage {
    pub async fn open() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = ServerConfig::loopback(dir.path().join("server"));
        Self { server: Server::start(config).await.unwrap(), _dir: dir }
    }

    pub fn url(&self) -> &str {
        &self.server.urls().signaling
    }

    /// The server's figures whose name begins like this, a line each; they need its ops port.
    pub async fn metrics(&self, name: &str) -> Vec<String> {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let page = client.get(format!("{}/metrics", self.server.urls().ops)).send().await.unwrap();
        let text = page.text().await.unwrap();
        text.lines().filter(|line| line.starts_with(name)).map(str::to_owned).collect()
    }

    pub async fn found(&self, name: &str) -> Device {
        let (home, phrase) = create(in_memory(), self.url(), name).await.unwrap();
        assert_eq!(phrase.words().split(' ').count(), 12);
        Device::of(home)
    }

    /// `admin` invites a device, which joins.
    pub async fn add(&self, admin: &Device, role: Role, name: &str) -> Device {
        let invitation = Invitation::new(&*admin.home.lock().await, role, name).unwrap();
        let code = invitation.code().reveal().parse().unwrap();
        let joining = join(in_memory(), &code, LIMIT);
        let (invited, joined) = tokio::join!(invitation.wait_shared(&admin.home), joining);
        let joined = joined.unwrap();
        assert_eq!(invited.unwrap().device, joined.device());
        Device::of(joined)
    }
}

impl Device {
    pub fn of(home: Home) -> Self {
        let signaling = home.signaling();
        Self { home: home.shared(), signaling }
    }
}

pub fn in_memory() -> Vault {
    Vault::fresh(Arc::new(Memory::default()))
}

/// Waits for what must come at all.
pub async fn in_time<T>(what: &str, work: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, work).await.unwrap_or_else(|_| panic!("{what} did not come about"))
}
