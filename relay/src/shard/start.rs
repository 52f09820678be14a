//! Starting and stopping the shard threads of a relay.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc::TrySendError;
use std::time::Duration;

use latchkey_relay_core::RoomConfig;
use tokio::sync::mpsc;

use crate::batch::{Socket, SocketOptions, Waker};
use crate::shard::command::Command;
use crate::shard::command::handle::ShardHandle;
use crate::shard::cores;
use crate::shard::end::SessionEnd;
use crate::shard::limits::Limits;
use crate::shard::neighbours;
#[cfg(feature = "test-tap")]
use crate::shard::tap::{Meddler, Tap};
use crate::shard::worker::{Setup, Worker};
use crate::srtp::SrtpProfile;
use crate::transport::certificate::{Certificate, CertificateError};
use crate::transport::dtls::Identity;
use crate::transport::fingerprint::Fingerprint;

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
    /// Is told of every session's end, after nothing is sent to the peer any more.
    pub ends: Option<mpsc::UnboundedSender<SessionEnd>>,
    /// Sees every opened inbound RTP packet (SRTP removed; the frames in it stay sealed). For tests.
    #[cfg(feature = "test-tap")]
    pub tap: Option<Tap>,
    /// Stands between the opened packets and their rooms. For tests.
    #[cfg(feature = "test-tap")]
    pub meddler: Option<Meddler>,
}

/// Most shards that can share one port: the first character of a ufrag names the shard.
pub const MAX_SHARDS: usize = 62;

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
            ends: None,
            #[cfg(feature = "test-tap")]
            tap: None,
            #[cfg(feature = "test-tap")]
            meddler: None,
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
        f.debug_struct("Shards")
            .field("local_addr", &self.local_addr)
            .field("shards", &self.handles.len())
            .finish_non_exhaustive()
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

    /// Opens the sockets, makes the certificate and starts the threads.
    ///
    /// # Errors
    /// See [`StartError`]; nothing runs then.
    pub fn start(config: ShardsConfig) -> Result<Self, StartError> {
        if config.shards == 0 || config.shards > MAX_SHARDS {
            return Err(StartError::Shards(config.shards));
        }
        if config.srtp_profiles.is_empty() {
            return Err(StartError::NoProfile);
        }
        let sockets = open_sockets(&config)?;
        let certificate = match config.certificate {
            Some(certificate) => certificate,
            None => Certificate::generate()?,
        };
        let identity = Identity::new(&certificate, &config.srtp_profiles)?;
        let local_addr =
            sockets[0].local_addr().map_err(|source| StartError::Socket { address: config.bind, source })?;
        let wakers = sockets
            .iter()
            .map(|_| Waker::new())
            .collect::<io::Result<Vec<_>>>()
            .map_err(StartError::Thread)?;
        let cname = random_cname().map_err(|_| StartError::Thread(io::Error::other("no randomness")))?;
        let mut shards = Self {
            handles: Vec::new(),
            threads: Vec::new(),
            local_addr,
            fingerprint: certificate.fingerprint(),
        };
        let setup = Setup {
            limits: config.limits,
            room_config: config.room,
            identity,
            cname,
            ends: config.ends,
            #[cfg(feature = "test-tap")]
            tap: config.tap,
            #[cfg(feature = "test-tap")]
            meddler: config.meddler,
        };
        if !sockets.iter().all(Socket::sends_trains) {
            tracing::warn!(
                "this kernel has no UDP segmentation offload: every packet is sent by itself, at about three times the cost"
            );
        }
        let parts = sockets.into_iter().zip(neighbours::connect(&wakers)).zip(wakers);
        for (index, ((socket, neighbours), waker)) in parts.enumerate() {
            let (receive, send) = socket.buffer_sizes();
            tracing::info!(shard = index, address = %local_addr, gso = socket.sends_trains(), receive, send, "shard starts");
            let (worker, handle) = Worker::new(index, setup.clone(), socket, neighbours, waker);
            // An error here drops `shards`, which stops those that run.
            let thread = std::thread::Builder::new()
                .name(format!("shard-{index}"))
                .stack_size(STACK)
                .spawn(move || {
                    cores::keep_to_part(index, config.shards);
                    worker.run();
                })
                .map_err(StartError::Thread)?;
            shards.threads.push(thread);
            shards.handles.push(handle);
        }
        Ok(shards)
    }

    /// Ends all sessions (each peer is told) and all threads. Blocks for some milliseconds.
    pub fn stop(mut self) {
        self.end();
    }

    /// One handle per shard. Viewers on another shard than their room's publisher join with
    /// [`ShardHandle::join_from`].
    pub fn handles(&self) -> &[ShardHandle] {
        &self.handles
    }
}

impl Shards {
    fn end(&mut self) {
        for handle in &self.handles {
            while let Err(TrySendError::Full(_)) = handle.send(Command::Stop) {
                // A busy shard empties its queue within a loop.
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a shard thread had panicked");
            }
        }
    }
}

impl Drop for Shards {
    fn drop(&mut self) {
        self.end();
    }
}

impl From<CertificateError> for StartError {
    fn from(error: CertificateError) -> Self {
        Self::Certificate(error.to_string())
    }
}

/// One socket per shard; all on the port that the first one got.
fn open_sockets(config: &ShardsConfig) -> Result<Vec<Socket>, StartError> {
    let options = SocketOptions {
        share_port: config.shards > 1,
        receive_buffer: config.limits.socket_buffer_bytes,
        send_buffer: config.limits.socket_buffer_bytes,
        ..SocketOptions::default()
    };
    let mut address = config.bind;
    let mut sockets = Vec::with_capacity(config.shards);
    for _ in 0..config.shards {
        let socket = Socket::bind(address, &options)
            .and_then(|socket| {
                address.set_port(socket.local_addr()?.port());
                Ok(socket)
            })
            .map_err(|source| StartError::Socket { address, source })?;
        sockets.push(socket);
    }
    Ok(sockets)
}

/// A name that says nothing about the machine (RFC 7022 section 4.2).
fn random_cname() -> Result<String, getrandom::Error> {
    let mut random = [0; 12];
    getrandom::fill(&mut random)?;
    Ok(random.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The DTLS parser recurses over fragments; `transport::dtls` bounds them far below this.
const STACK: usize = 8 << 20;
