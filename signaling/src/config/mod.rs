//! What the server can be told: one flat struct, read from flags, environment, a TOML file and defaults.

pub(crate) mod arguments;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use latchkey_relay::{PublicAddress, SessionLimits};
use latchkey_signaling_core::signaling;
use serde::{Deserialize, Serialize};

/// Everything a server can be told.
///
/// In the file the names are those of the fields; as flags they are `--like-this`, in the environment
/// `LATCHKEY_SERVER_LIKE_THIS`, also those of the table `[limits]`. `server.example.toml` lists all of them with their defaults.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerConfig {
    /// Folder for the database and the grant signing key; made when it is not there.
    pub data_dir: PathBuf,
    /// TCP address of signaling and of the relay's door, one port for both. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// UDP address for media (STUN, DTLS and SRTP share it). Port 0 takes a free one.
    pub media: SocketAddr,
    /// TCP address of the private ops port (metrics, health, cut, drain). Keep it on loopback.
    pub ops: SocketAddr,
    /// Addresses that the relay's answers name. Empty: those of this machine.
    pub public_address: Vec<PublicAddress>,
    /// URL under which clients reach the server, such as `https://cam.example.org`. Empty: what they dialled, which
    /// then must be loopback or a name or address of a private network.
    pub public_url: String,
    /// Folder of the web app. Empty: `web` beside the binary, `target/web`, or none; `off` serves none.
    pub web_dir: PathBuf,
    /// Origins of other hosts whose pages may use the API, such as `https://app.example.org`.
    pub web_origin: Vec<String>,
    /// A reverse proxy stands in front: believe its `X-Forwarded-For` and `X-Forwarded-Proto`.
    pub behind_proxy: bool,
    /// Where the certificate for HTTPS comes from.
    pub tls: Tls,
    /// PEM file with a certificate and its chain, read again when it changes. Empty: none is given.
    pub tls_cert: PathBuf,
    /// PEM file with the key of `tls_cert`.
    pub tls_key: PathBuf,
    /// More names and addresses for the certificates of the household CA; those of this machine are in them anyway.
    pub tls_names: Vec<String>,
    /// TCP address of the page, over plain HTTP, that helps devices trust the household CA. Only with it. Port 0 takes
    /// a free one.
    pub tls_install: SocketAddr,
    /// Domains to get a certificate for by ACME (RFC 8555). Empty: none.
    pub acme: Vec<String>,
    /// Where the ACME CA writes to when something is wrong; may be empty.
    pub acme_email: String,
    /// Directory URL of the ACME CA.
    pub acme_directory: String,
    /// PEM file with the certificate that the ACME CA's own HTTPS is checked by. Empty: what this system trusts.
    pub acme_ca: PathBuf,
    /// Media threads. 0: one for each core.
    pub shards: usize,
    /// Viewers that one camera may have at once.
    pub max_viewers_per_room: usize,
    /// Views and publications that one device may have at once, in all its windows.
    pub max_sessions_per_device: usize,
    /// Hours that a view or publication may last before the client asks for a new grant.
    pub max_session_hours: u64,
    /// Days that MLS messages are kept for devices that sleep.
    pub keep_messages_days: u64,
    /// Who may register a household.
    pub registration: Registration,
    /// Households that may register in all.
    pub max_households: u64,
    /// TCP connections at once on each port; who comes after waits.
    pub max_connections: usize,
    /// Requests that one address may make in a second, all routes together.
    pub address_rate: f64,
    /// Requests that one address may make at once after a rest.
    pub address_burst: u32,
    /// The same for routes that need no sign-in (challenges, sign-ins, mailboxes).
    pub open_rate: f64,
    /// The same for routes that need no sign-in.
    pub open_burst: u32,
    /// Households that one address may register in an hour.
    pub household_rate: f64,
    /// Households that one address may register at once.
    pub household_burst: u32,
    /// Requests that one signed-in device may make in a second.
    pub device_rate: f64,
    /// Requests that one signed-in device may make at once after a rest. One that begins to follow a camera's group makes a
    /// dozen, and as many again when somebody joins: it may do both with some twenty cameras at once.
    pub device_burst: u32,
    /// Proposals and application messages that one signed-in device may post in a second.
    pub message_rate: f64,
    /// Proposals and application messages that one signed-in device may post at once after a rest.
    pub message_burst: u32,
    /// Seconds that SIGTERM waits for sessions to leave before they are ended.
    pub drain_seconds: u64,
    /// What is logged, in the syntax of `RUST_LOG`. Only the binary reads it.
    pub log: String,
    /// Log one JSON object on each line. Only the binary reads it.
    pub json: bool,
    /// What one session of the relay may send, and how long a packet may be held.
    pub limits: SessionLimits,
}

/// Who may register a household.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Registration {
    /// Everyone who reaches the server.
    Open,
    /// Who brings a code that `latchkey-server invite-code` printed.
    Invite,
}

/// Where the certificate for HTTPS comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Tls {
    /// From `tls_cert` or `acme` where one of them is given; without them plain HTTP.
    Auto,
    /// Plain HTTP, whatever else is given.
    Off,
    /// From a CA of this household, made once by the server; devices learn to trust it on the install page.
    LocalCa,
}

impl From<Registration> for signaling::Registration {
    fn from(registration: Registration) -> Self {
        match registration {
            Registration::Open => Self::Open,
            Registration::Invite => Self::Invite,
        }
    }
}

impl Default for ServerConfig {
    fn default() -> Self {
        let everywhere = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
        Self {
            data_dir: PathBuf::from("latchkey-data"),
            listen: SocketAddr::new(everywhere, 9601),
            media: SocketAddr::new(everywhere, 9602),
            ops: SocketAddr::new(here, 9600),
            public_address: Vec::new(),
            public_url: String::new(),
            web_dir: PathBuf::new(),
            web_origin: Vec::new(),
            behind_proxy: false,
            tls: Tls::Auto,
            tls_cert: PathBuf::new(),
            tls_key: PathBuf::new(),
            tls_names: Vec::new(),
            tls_install: SocketAddr::new(everywhere, 9603),
            acme: Vec::new(),
            acme_email: String::new(),
            acme_directory: "https://acme-v02.api.letsencrypt.org/directory".to_owned(),
            acme_ca: PathBuf::new(),
            shards: 0,
            max_viewers_per_room: 1_000,
            max_sessions_per_device: 32,
            max_session_hours: 24,
            keep_messages_days: 90,
            registration: Registration::Open,
            max_households: 10_000,
            max_connections: 10_000,
            address_rate: 100.0,
            address_burst: 1_000,
            open_rate: 20.0,
            open_burst: 400,
            household_rate: 60.0,
            household_burst: 20,
            device_rate: 20.0,
            device_burst: 600,
            message_rate: 2.0,
            message_burst: 240,
            drain_seconds: 2,
            log: "info".to_owned(),
            json: false,
            limits: SessionLimits::default(),
        }
    }
}

impl ServerConfig {
    /// A server for tests and demos: everything on loopback, every port a free one, one shard, data in `data_dir`, and
    /// no web app.
    #[must_use]
    pub fn loopback(data_dir: impl Into<PathBuf>) -> Self {
        let any_port = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
        Self {
            data_dir: data_dir.into(),
            listen: any_port,
            media: any_port,
            ops: any_port,
            tls_install: any_port,
            web_dir: PathBuf::from("off"),
            shards: 1,
            ..Self::default()
        }
    }

    /// How long a drain waits for sessions to leave by themselves.
    #[must_use]
    pub fn drain_time(&self) -> Duration {
        Duration::from_secs(self.drain_seconds)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_example_file_says_the_defaults() {
        let text = include_str!("../../server.example.toml");
        assert_eq!(toml::from_str::<ServerConfig>(text).unwrap(), ServerConfig::default());
        let defaults: toml::Table = toml::from_str(&ServerConfig::default().to_toml()).unwrap();
        let limits = defaults["limits"].as_table().unwrap();
        for key in defaults.keys().filter(|key| *key != "limits").chain(limits.keys()) {
            assert!(text.lines().any(|line| line.starts_with(&format!("{key} = "))), "{key} is missing");
        }
    }
}
