//! What the relay can be told: one flat struct, read from flags, environment, a TOML file and defaults.

pub(crate) mod limits;
pub mod sources;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::config::limits::SessionLimits;
use crate::srtp::SrtpProfile;

/// Everything a relay can be told. The default runs on one machine with free choice of ports left to the
/// operator; a relay in a test or inside `latchkey-server` fills it in by hand.
///
/// In the file the names are those of the fields; as flags they are `--like-this`, in the environment
/// `LATCHKEY_RELAY_LIKE_THIS`, also those of the table `[limits]`. `relay.example.toml` lists all of them with their defaults.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RelayConfig {
    /// UDP address for media (STUN, DTLS and SRTP share it). Port 0 takes a free one.
    pub bind: SocketAddr,
    /// TCP address of the door (WHIP and WHEP). `None` opens none: the host merges `Relay::door_router`.
    #[serde(with = "off_or_address")]
    pub door: Option<SocketAddr>,
    /// TCP address of the private ops port (metrics, health, cut, drain). `None` opens none. Whoever reaches
    /// it can cut viewers off: keep it on loopback or behind a firewall.
    #[serde(with = "off_or_address")]
    pub ops: Option<SocketAddr>,
    /// Addresses that answers name as host candidates. Empty: those of this machine.
    pub public_address: Vec<PublicAddress>,
    /// Media threads, each with a socket of its own on the port. 0: one for each core.
    pub shards: usize,
    /// SRTP profiles that may be agreed on, best first. One that is left out is refused, and so are clients that know no other.
    pub srtp_profiles: Vec<SrtpProfile>,
    /// Name of this relay (or its cluster); grants must carry it as `aud`.
    pub audience: String,
    /// Public keys whose grants open the door, `kid:base64url`.
    pub grant_keys: Vec<GrantKey>,
    /// Files with more of them: one `kid:base64url` on each line, `#` starts a comment.
    pub grant_key_files: Vec<PathBuf>,
    /// Rooms that may exist at once.
    pub max_rooms: usize,
    /// Sessions (publishers and viewers together) that may exist at once.
    pub max_sessions: usize,
    /// Viewers that one room may have at once.
    pub max_viewers_per_room: usize,
    /// Sessions that one device may hold at once, over all rooms.
    pub max_sessions_per_device: usize,
    /// TCP connections at once on each port, at least one; who comes after waits.
    pub max_connections: usize,
    /// Longest SDP that the door reads, in bytes.
    pub max_sdp_bytes: usize,
    /// Seconds that a drain waits for sessions to leave before they are ended.
    pub drain_seconds: u64,
    /// What is logged, in the syntax of `RUST_LOG`. Only the binary reads it.
    pub log: String,
    /// Log one JSON object on each line. Only the binary reads it.
    pub json: bool,
    /// What one session may send, and how long a packet may be held.
    pub limits: SessionLimits,
}

impl Default for RelayConfig {
    fn default() -> Self {
        let everywhere = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
        Self {
            bind: SocketAddr::new(everywhere, 9602),
            door: Some(SocketAddr::new(everywhere, 9601)),
            ops: Some(SocketAddr::new(here, 9600)),
            public_address: Vec::new(),
            shards: 0,
            srtp_profiles: vec![SrtpProfile::Aes128Gcm, SrtpProfile::Aes128CmSha1],
            audience: "latchkey".to_owned(),
            grant_keys: Vec::new(),
            grant_key_files: Vec::new(),
            max_rooms: 10_000,
            max_sessions: 20_000,
            max_viewers_per_room: 1_000,
            max_sessions_per_device: 32,
            max_connections: 10_000,
            max_sdp_bytes: 64 * 1024,
            drain_seconds: 10,
            log: "info".to_owned(),
            json: false,
            limits: SessionLimits::default(),
        }
    }
}

impl RelayConfig {
    /// A relay for tests and for one machine: everything on loopback, every port a free one, one shard.
    #[must_use]
    pub fn loopback() -> Self {
        let any_port = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
        Self { bind: any_port, door: Some(any_port), ops: Some(any_port), shards: 1, ..Self::default() }
    }

    /// How long a drain waits for sessions to leave by themselves.
    #[must_use]
    pub fn drain_time(&self) -> Duration {
        Duration::from_secs(self.drain_seconds)
    }
}

/// One address that answers name as a host candidate.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PublicAddress {
    /// This address, with the port of the media socket.
    Fixed(IpAddr),
    /// This address and port: for a port forward that changes the port.
    FixedPort(SocketAddr),
    /// Whatever the STUN server at `host:port` says that it sees.
    Stun(String),
}

impl FromStr for PublicAddress {
    type Err = PublicAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(server) = text.strip_prefix("stun:") {
            let (host, port) = server.rsplit_once(':').ok_or(PublicAddressError::StunWithoutPort)?;
            if host.is_empty() || port.parse::<u16>().is_err() {
                return Err(PublicAddressError::StunWithoutPort);
            }
            return Ok(Self::Stun(server.to_owned()));
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::Fixed(address));
        }
        text.parse::<SocketAddr>().map(Self::FixedPort).map_err(|_| PublicAddressError::NotAnAddress)
    }
}

impl fmt::Display for PublicAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(address) => write!(f, "{address}"),
            Self::FixedPort(address) => write!(f, "{address}"),
            Self::Stun(server) => write!(f, "stun:{server}"),
        }
    }
}

/// Why a text is no public address. The operator's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublicAddressError {
    /// Neither an address nor an address with a port.
    #[error("write an address like 203.0.113.7 or 2001:db8::7, or stun:host:port")]
    NotAnAddress,
    /// `stun:` without a host and a port.
    #[error("write stun:host:port, for example stun:stun.example.org:3478")]
    StunWithoutPort,
}

/// A public key whose grants this relay believes, with the `kid` that grants name it by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantKey {
    /// Name of the key: the `kid` in the header of a grant.
    pub kid: String,
    /// The Ed25519 public key.
    pub public: [u8; 32],
}

impl FromStr for GrantKey {
    type Err = GrantKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (kid, key) = text.trim().rsplit_once(':').ok_or(GrantKeyError::Shape)?;
        if kid.is_empty() {
            return Err(GrantKeyError::Shape);
        }
        let bytes = URL_SAFE_NO_PAD.decode(key).map_err(|_| GrantKeyError::Key)?;
        let public = bytes.try_into().map_err(|_| GrantKeyError::Key)?;
        Ok(Self { kid: kid.to_owned(), public })
    }
}

impl fmt::Display for GrantKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kid, URL_SAFE_NO_PAD.encode(self.public))
    }
}

/// Why a text is no grant key. The operator's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GrantKeyError {
    /// No `kid:` in front of the key.
    #[error("write a grant key as kid:key, the key in base64url")]
    Shape,
    /// The key is not 32 bytes of base64url.
    #[error("the key after kid: must be the 32 bytes of an Ed25519 public key in base64url without padding")]
    Key,
}

/// Serde by `Display` and `FromStr`: in the file an address or a key is a string, as on the command line.
macro_rules! serde_as_text {
    ($($type:ty),+) => {$(
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )+};
}

serde_as_text!(PublicAddress, GrantKey, SrtpProfile);

/// `"off"` stands for `None`, so that a file or flag can close a port that is open by default.
pub(crate) mod off_or_address {
    use super::{Deserialize, Deserializer, Serializer, SocketAddr};

    #[allow(clippy::ref_option, reason = "serde calls it with a reference to the field")]
    pub(crate) fn serialize<S: Serializer>(
        value: &Option<SocketAddr>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(address) => serializer.collect_str(address),
            None => serializer.serialize_str("off"),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<SocketAddr>, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "off" {
            return Ok(None);
        }
        text.parse()
            .map(Some)
            .map_err(|_| serde::de::Error::custom("write address:port, for example 127.0.0.1:9600, or off"))
    }
}
