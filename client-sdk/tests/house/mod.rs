//! A server in this process, and folders for the devices of one household.

#![allow(dead_code, unreachable_pub)]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use latchkey::home;
use latchkey::household::{self, Invitation};
use latchkey_api::device_list::{DeviceList, Reason, Role, Signer};
use latchkey_signaling::{Registration, Server, ServerConfig, Tls, make_invite_code};

/// A limit for what must happen at all; nothing is judged by its speed.
pub const LIMIT: Duration = Duration::from_secs(30);

/// The clip to send: `LATCHKEY_CLIP`, or the doorbell.
pub fn clip() -> PathBuf {
    match std::env::var_os("LATCHKEY_CLIP") {
        Some(path) => path.into(),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../loadtest/clips/doorbell.mp4"),
    }
}

/// Waits until `done`, and prints how long it took.
pub async fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < LIMIT, "{what} did not come about");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    println!("{what}: after {} ms", began.elapsed().as_millis());
}

pub struct House {
    server: Option<Server>,
    url: String,
    media: Option<SocketAddr>,
    dir: tempfile::TempDir,
}

impl House {
    pub async fn open() -> Self {
        Self::open_on("127.0.0.1:0".parse().unwrap()).await
    }

    /// A server whose doors are all at this address, each on a free port.
    pub async fn open_on(address: SocketAddr) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut config = ServerConfig::loopback(dir.path().join("server"));
        (config.listen, config.media, config.ops) = (address, address, address);
        let server = Server::start(config).await.unwrap();
        let url = server.urls().signaling.clone();
        Self { server: Some(server), url, media: None, dir }
    }

    /// A server that speaks HTTPS by a CA of its own, which this process trusts from now on; and the CA's file. `change` may
    /// say more.
    pub async fn open_over_https(change: impl FnOnce(&mut ServerConfig)) -> (Self, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let mut config = ServerConfig::loopback(dir.path().join("server"));
        config.tls = Tls::LocalCa;
        change(&mut config);
        let server = Server::start(config).await.unwrap();
        let ca = dir.path().join("server/household-ca/ca.crt");
        latchkey::trust::trust_also(&ca).unwrap();
        let url = server.urls().signaling.clone();
        (Self { server: Some(server), url, media: None, dir }, ca)
    }

    /// A server that founds households for a code only, and a code that is good once.
    pub async fn open_for_a_code() -> (Self, String) {
        let dir = tempfile::tempdir().unwrap();
        let mut config = ServerConfig::loopback(dir.path().join("server"));
        config.registration = Registration::Invite;
        let code = make_invite_code(&config, 1, 7).await.unwrap().text().to_string();
        let server = Server::start(config).await.unwrap();
        let url = server.urls().signaling.clone();
        (Self { server: Some(server), url, media: None, dir }, code)
    }

    /// Ends the server; [`Self::restart_server`] starts another.
    pub async fn pause_server(&mut self) {
        let old = self.server.take().unwrap();
        self.media = Some(old.urls().media);
        old.shutdown().await;
    }

    /// Ends the server, unless it has ended, and starts another on the same data and the same ports.
    pub async fn restart_server(&mut self) {
        if self.server.is_some() {
            self.pause_server().await;
        }
        let mut config = ServerConfig::loopback(self.dir.path().join("server"));
        config.listen =
            self.url.trim_start_matches("http://").trim_end_matches('/').parse::<SocketAddr>().unwrap();
        config.media = self.media.unwrap();
        // A test beside this one may have been given a port of these for a moment.
        let began = Instant::now();
        self.server = Some(loop {
            match Server::start(config.clone()).await {
                Ok(server) => break server,
                Err(error) => assert!(began.elapsed() < LIMIT, "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        });
    }

    pub async fn close(mut self) {
        if let Some(server) = self.server.take() {
            server.shutdown().await;
        }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// A series of the server's metrics, if it is there.
    pub async fn metric(&self, series: &str) -> Option<f64> {
        let ops = &self.server.as_ref()?.urls().ops;
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let text = client.get(format!("{ops}/metrics")).send().await.unwrap().text().await.unwrap();
        text.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
    }

    pub fn home(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub async fn found(&self, name: &str) {
        let (home, phrase) = household::create(&self.home(name), &self.url, name).await.unwrap();
        assert_eq!(phrase.words().split(' ').count(), 12);
        assert_eq!(home.role().unwrap(), Role::Admin);
    }

    /// `admin` invites a device, which joins under the same name.
    pub async fn add(&self, admin: &str, role: Role, name: &str) {
        let mut admin = home::open(&self.home(admin)).unwrap();
        let invitation = Invitation::new(&admin, role, name).unwrap();
        let code = invitation.code().reveal().parse().unwrap();
        let home = self.home(name);
        let joining = household::join(&home, &code, LIMIT);
        let (invited, joined) = tokio::join!(invitation.wait(&mut admin), joining);
        let joined = joined.unwrap();
        assert_eq!(invited.unwrap().device, joined.device());
        assert_eq!(joined.role().unwrap(), role);
        assert_eq!(joined.label(joined.entry().unwrap()), name);
    }

    /// `admin` signs the list without the device that is called `name`.
    pub async fn remove(&self, admin: &str, name: &str) {
        let mut admin = home::open(&self.home(admin)).unwrap();
        let signaling = admin.signaling();
        admin.refresh(&signaling).await.unwrap();
        let head = admin.chain().head().unwrap();
        let device = head.list().devices.iter().find(|entry| admin.label(entry) == name).unwrap().device;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let list = DeviceList::after(head, Signer::Device(admin.device()), now, Reason::Removed);
        let list = admin.identity().sign_list(list.without(device).unwrap());
        signaling.post_list(list.as_bytes().to_vec()).await.unwrap();
    }
}
