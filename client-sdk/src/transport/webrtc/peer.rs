//! One peer connection towards a relay: sockets, ICE pace, offer, answer, state.

use std::net::{SocketAddr, ToSocketAddrs, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rtc::ice::mdns::MulticastDnsMode;
use rtc::peer_connection::configuration::interceptor_registry::{
    Registry, Slot, configure_rtcp_reports, configure_twcc_receiver_only, configure_twcc_sender_only,
};
use rtc::peer_connection::configuration::media_engine::MediaEngine;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use url::Url;
use webrtc::media_stream::track_remote::TrackRemote;
use webrtc::peer_connection::{
    PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCIceConnectionState,
    RTCIceGatheringState, RTCPeerConnectionState, RTCSessionDescription, SettingEngineBuilder,
};

use crate::transport::webrtc::feedback::{self, KeyFrameRequests};
use crate::transport::webrtc::nack_answers::NackAnswers;
use crate::transport::webrtc::nack_requests::NackRequests;
use crate::transport::webrtc::runtime::BreathingRuntime;
use crate::transport::{LinkEvent, TransportError};

/// Which way media goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Send,
    Receive,
}

/// A peer connection and what its callbacks feed.
pub(super) struct Peer {
    pub(super) connection: Arc<dyn PeerConnection>,
    gathered: watch::Receiver<bool>,
}

/// Where callbacks of a connection go.
pub(super) struct Callbacks {
    /// State changes, read by the owner of the connection.
    pub(super) events: mpsc::UnboundedSender<LinkEvent>,
    /// Tracks the relay sends; `None` at a publisher.
    pub(super) tracks: Option<mpsc::UnboundedSender<Arc<dyn TrackRemote>>>,
}

impl Peer {
    /// Builds a connection whose sockets can reach the relay behind `door`.
    pub(super) async fn new(
        door: &Url,
        mut engine: MediaEngine,
        direction: Direction,
        callbacks: Callbacks,
    ) -> Result<Self, TransportError> {
        let registry = interceptors(&mut engine, direction, random()?)?;
        let (gathered_tx, gathered) = watch::channel(false);
        let settings = SettingEngineBuilder::new()
            .with_ice_connection_attempts(Some(CHECK_INTERVAL), Some(CHECK_ATTEMPTS))
            .with_ice_timeouts(Some(DISCONNECTED_AFTER), Some(FAILED_AFTER), Some(KEEP_ALIVE_INTERVAL))
            .with_host_acceptance_min_wait(None)
            .with_multicast_dns_mode(MulticastDnsMode::Disabled)
            .with_include_loopback_candidate(true)
            .build();
        let addresses = local_addresses(door).await;
        if addresses.is_empty() {
            return Err(TransportError::NoSocket("no network address leads to the relay".to_owned()));
        }
        let connection = PeerConnectionBuilder::new()
            .with_media_engine(engine)
            .with_interceptor_registry(registry)
            .with_setting_engine(settings)
            .with_handler(Arc::new(Handler { gathered: gathered_tx, callbacks }))
            .with_runtime(Arc::new(BreathingRuntime))
            .with_udp_addrs(addresses)
            .build()
            .await
            .map_err(|error| TransportError::NoSocket(error.to_string()))?;
        Ok(Self { connection: Arc::new(connection), gathered })
    }

    /// Returns the SDP offer with all host candidates in it.
    pub(super) async fn offer(&self) -> Result<String, TransportError> {
        let offer = self.connection.create_offer(None).await?;
        self.connection.set_local_description(offer).await?;
        self.wait_gathered().await?;
        let description = self.connection.local_description().await.ok_or(TransportError::Closed)?;
        Ok(description.sdp)
    }

    /// Waits until all local addresses are in the local description.
    pub(super) async fn wait_gathered(&self) -> Result<(), TransportError> {
        let mut gathered = self.gathered.clone();
        timeout(GATHERING_LIMIT, gathered.wait_for(|done| *done))
            .await
            .map_err(|_| TransportError::Timeout {
                step: "gathering local addresses",
                seconds: GATHERING_LIMIT.as_secs(),
            })?
            .map(drop)
            .map_err(|_| TransportError::Closed)
    }

    /// Applies the relay's answer; checks start at once.
    pub(super) async fn accept(&self, answer: String) -> Result<(), TransportError> {
        let answer = RTCSessionDescription::answer(answer)
            .map_err(|error| TransportError::BadAnswer(error.to_string()))?;
        self.connection
            .set_remote_description(answer)
            .await
            .map_err(|error| TransportError::BadAnswer(error.to_string()))
    }

    /// Closes the sockets.
    pub(super) async fn close(&self) {
        if let Err(error) = self.connection.close().await {
            tracing::debug!(reason = %error, "closing a peer connection");
        }
    }
}

impl From<webrtc::error::Error> for TransportError {
    fn from(error: webrtc::error::Error) -> Self {
        Self::Setup(error.to_string())
    }
}

fn interceptors(
    engine: &mut MediaEngine,
    direction: Direction,
    random: u32,
) -> webrtc::error::Result<Registry> {
    let registry = configure_rtcp_reports(Registry::new());
    match direction {
        Direction::Send => Ok(configure_twcc_sender_only(registry, engine)?
            // The lower half, so that SRTP does not begin beside a wrap (RFC 3711 section 3.3.1).
            .with(Slot::NackResponder, NackAnswers::new(random as u16 >> 1))
            .with(Slot::from(feedback::SLOT), KeyFrameRequests::default())),
        Direction::Receive => Ok(configure_twcc_receiver_only(registry, engine)?
            .with(Slot::NackGenerator, NackRequests::new(random))),
    }
}

/// Returns a random number that is not zero, such as an SSRC.
pub(super) fn random() -> Result<u32, TransportError> {
    let mut bytes = [0; 4];
    getrandom::fill(&mut bytes).map_err(|error| TransportError::Setup(error.to_string()))?;
    Ok(u32::from_be_bytes(bytes).max(1))
}

/// Returns the local addresses worth a candidate: for each family, the one that the system would use
/// towards the door's host, and the one it would use towards the world.
///
/// A connected UDP socket sends nothing, it only asks the routing table. So loopback is offered
/// exactly when the relay is on loopback, and IPv6 exactly where there is a route.
async fn local_addresses(door: &Url) -> Vec<SocketAddr> {
    let host = door.host_str().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let port = door.port_or_known_default().unwrap_or(443);
    let mut targets: Vec<SocketAddr> = tokio::task::spawn_blocking(move || {
        (host.as_str(), port).to_socket_addrs().map(Iterator::collect).unwrap_or_default()
    })
    .await
    .unwrap_or_default();
    targets.extend(WORLD.iter().filter_map(|target| target.parse::<SocketAddr>().ok()));

    let mut found: Vec<SocketAddr> = Vec::new();
    for target in targets {
        let any = if target.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let source = UdpSocket::bind(any).and_then(|socket| {
            socket.connect(target)?;
            socket.local_addr()
        });
        if let Ok(source) = source {
            let source = SocketAddr::new(source.ip(), 0);
            if !source.ip().is_unspecified() && !found.contains(&source) {
                found.push(source);
            }
        }
    }
    found
}

struct Handler {
    gathered: watch::Sender<bool>,
    callbacks: Callbacks,
}

impl Handler {
    fn tell(&self, event: LinkEvent) {
        // The owner may be gone already: then nobody needs to know.
        let _ = self.callbacks.events.send(event);
    }
}

#[async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        if state == RTCIceGatheringState::Complete {
            let _ = self.gathered.send(true);
        }
    }

    async fn on_ice_connection_state_change(&self, state: RTCIceConnectionState) {
        match state {
            RTCIceConnectionState::Connected => self.tell(LinkEvent::PathFound),
            RTCIceConnectionState::Disconnected => self.tell(LinkEvent::Interrupted),
            RTCIceConnectionState::Failed | RTCIceConnectionState::Closed => {
                self.tell(LinkEvent::Closed);
            }
            _ => {}
        }
    }

    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        match state {
            RTCPeerConnectionState::Connected => self.tell(LinkEvent::Secured),
            RTCPeerConnectionState::Failed | RTCPeerConnectionState::Closed => {
                self.tell(LinkEvent::Closed);
            }
            _ => {}
        }
    }

    async fn on_track(&self, track: Arc<dyn TrackRemote>) {
        if let Some(tracks) = &self.callbacks.tracks {
            let _ = tracks.send(track);
        }
    }
}

/// Documentation addresses (RFC 5737, RFC 3849): never reached, only routed towards.
const WORLD: [&str; 2] = ["192.0.2.1:9", "[2001:db8::1]:9"];
/// Time between connectivity checks. The crate's 200 ms costs a join 400 ms on loopback.
const CHECK_INTERVAL: Duration = Duration::from_millis(20);
/// Checks per pair before it is given up: 8 s at the interval above.
const CHECK_ATTEMPTS: u16 = 400;
/// Silence after which the path counts as interrupted.
const DISCONNECTED_AFTER: Duration = Duration::from_secs(2);
/// Further silence after which the connection is given up.
const FAILED_AFTER: Duration = Duration::from_secs(4);
/// Time between consent checks.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_millis(500);
/// Limit for listing local addresses.
const GATHERING_LIMIT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn a_relay_on_loopback_is_met_on_loopback() {
        let door = Url::parse("http://127.0.0.1:9/whip/x").unwrap();
        let found = local_addresses(&door).await;
        assert!(found.contains(&"127.0.0.1:0".parse().unwrap()), "{found:?}");
        assert!(found.iter().all(|address| !address.ip().is_unspecified()));
    }

    #[tokio::test]
    async fn an_ipv6_literal_is_understood() {
        let door = Url::parse("http://[::1]:9/whip/x").unwrap();
        let found = local_addresses(&door).await;
        // A machine without IPv6 has no such address; one with it must offer it.
        if UdpSocket::bind("[::1]:0").is_ok() {
            assert!(found.contains(&"[::1]:0".parse().unwrap()), "{found:?}");
        }
    }
}
