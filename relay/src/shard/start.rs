//! Starting and stopping the shard threads of a relay.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use latchkey_relay_core::config::RoomConfig;

use crate::shard::command::{Fingerprint, ShardHandle};
use crate::srtp::SrtpProfile;
use crate::transport::certificate::Certificate;

/// What the data plane is started with.
#[non_exhaustive]
pub struct ShardsConfig {
    /// The one UDP address of the relay; port 0 takes a free one. `[::]` serves IPv4 too.
    pub bind: SocketAddr,
    /// Number of threads, 1 to [`MAX_SHARDS`]. Each has its own socket on the same port.
    pub shards: usize,
    /// DTLS certificate; a fresh self-signed P-256 one when `None`.
    pub certificate: Option<Certificate>,
    /// SRTP profiles that DTLS may agree on, best first.
    pub srtp_profiles: Vec<SrtpProfile>,
    /// What one peer and one shard may use.
    pub limits: Limits,
    /// Limits and paces of each room.
    pub room: RoomConfig,
    /// Sees every opened inbound RTP packet (SRTP removed; the frames in it stay sealed). For tests.
    #[cfg(feature = "test-tap")]
    pub tap: Option<Tap>,
}

/// Sees every opened inbound RTP packet of all shards.
#[cfg(feature = "test-tap")]
pub type Tap = Arc<dyn Fn(&[u8]) + Send + Sync>;

/// Most shards that can share one port: the first character of a ufrag names the shard.
pub const MAX_SHARDS: usize = 62;

/// Bounds on what peers may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Sessions of one shard.
    pub sessions_per_shard: usize,
    /// RTP packets per second of one publisher, all its tracks together; as many again may come in a burst.
    pub publisher_packets_per_second: u32,
    /// RTP bytes per second of one publisher; as many again may come in a burst.
    pub publisher_bytes_per_second: u32,
    /// STUN, DTLS and RTCP packets per second of one peer; as many again may come in a burst.
    pub control_packets_per_second: u32,
    /// How long a peer may take for its first authenticated check and its DTLS handshake.
    pub connect_timeout: Duration,
    /// How long a connected peer may be silent on STUN (RFC 7675 section 5.1).
    pub consent_timeout: Duration,
    /// How long viewers wait for a publisher that is gone.
    pub publisher_grace: Duration,
    /// Bytes asked of the kernel for each socket's receive and send buffer.
    pub socket_buffer_bytes: usize,
}

/// The running shards. Dropping it stops them; [`Shards::stop`] does so and waits.
pub struct Shards {
    handles: Vec<ShardHandle>,
    threads: Vec<std::thread::JoinHandle<()>>,
    local_addr: SocketAddr,
    fingerprint: Fingerprint,
}

/// Why the shards could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Caller: the number of shards is 0 or above [`MAX_SHARDS`].
    #[error("{0} shards: 1 to 62 can share one port")]
    Shards(usize),
    /// Caller: no SRTP profile is allowed.
    #[error("no SRTP profile is allowed")]
    NoProfile,
    /// Caller or system: the UDP address cannot be used.
    #[error("cannot open UDP {address}: {source}")]
    Socket {
        /// What should have been bound.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// System: no DTLS certificate could be made, or the given one cannot be used.
    #[error("DTLS certificate: {0}")]
    Certificate(String),
    /// System: a thread could not be started.
    #[error("cannot start a shard thread: {0}")]
    Thread(io::Error),
}

impl Default for ShardsConfig {
    fn default() -> Self {
        Self {
            bind: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            shards: 1,
            certificate: None,
            srtp_profiles: vec![SrtpProfile::Aes128Gcm, SrtpProfile::Aes128CmSha1],
            limits: Limits::default(),
            room: RoomConfig::default(),
            #[cfg(feature = "test-tap")]
            tap: None,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sessions_per_shard: 10_000,
            publisher_packets_per_second: 10_000,
            publisher_bytes_per_second: 12_500_000,
            control_packets_per_second: 500,
            connect_timeout: Duration::from_secs(20),
            consent_timeout: Duration::from_secs(25),
            publisher_grace: Duration::from_secs(30),
            socket_buffer_bytes: 8 << 20,
        }
    }
}

impl fmt::Debug for ShardsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShardsConfig")
            .field("bind", &self.bind)
            .field("shards", &self.shards)
            .field("srtp_profiles", &self.srtp_profiles)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Shards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shards").field("local_addr", &self.local_addr).field("shards", &self.handles.len()).finish_non_exhaustive()
    }
}

impl Shards {
    /// The UDP address that was taken, the same for all shards.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// The relay's DTLS fingerprint, for every answer.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// One handle per shard. All viewers of a room must go to the shard that has its publisher.
    pub fn handles(&self) -> &[ShardHandle] {
        &self.handles
    }
}
