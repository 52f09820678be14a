//! A WebRTC client of another make (str0m) on a socket of its own, joined to a shard without HTTP.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant, SystemTime};

use latchkey_relay::shard::command::handle::ShardHandle;
use latchkey_relay::shard::command::join::{
    ExtensionMap, Feedback, JoinError, JoinRequest, MediaLeg, OfferedLayer, RemoteParams, Role,
};
use latchkey_relay::shard::session_id::SessionId;
use latchkey_relay::shard::{Shards, ShardsConfig};
use latchkey_relay::transport::fingerprint::Fingerprint;
use latchkey_wire::codec::Codec;
use latchkey_wire::codec::MediaKind;
use latchkey_wire::id::{DeviceHandle, RoomId};
use str0m::ice::IceCreds;
use str0m::media::{KeyframeRequestKind, Mid};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{RtpWrite, Ssrc};
use str0m::{Candidate, Event, IceConnectionState, Input, Output, Rtc, RtcConfig};

use crate::pauses;

/// Longest that anything here is waited for.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// One client.
pub(crate) struct Client {
    pub(crate) rtc: Rtc,
    pub(crate) socket: UdpSocket,
    /// Where str0m believes to be; stays when the socket changes, as behind a NAT.
    local: SocketAddr,
    relay: SocketAddr,
    pub(crate) session: SessionId,
    relay_ufrag: String,
    pub(crate) ssrc: Ssrc,
    /// A publisher's simulcast layers; one for a single stream.
    pub(crate) layers: Vec<Ssrc>,
    pub(crate) received: Vec<Received>,
    pub(crate) key_frames_wanted: usize,
    pub(crate) connected: bool,
    pub(crate) over: bool,
}

/// One received packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Received {
    pub(crate) sequence: u64,
    pub(crate) marker: bool,
    pub(crate) timestamp: u32,
    pub(crate) payload: Vec<u8>,
}

/// How a client joins; see [`Join::new`].
pub(crate) struct Join {
    pub(crate) room: RoomId,
    pub(crate) device: DeviceHandle,
    pub(crate) role: Role,
    pub(crate) granted_at: SystemTime,
    pub(crate) fingerprint: Option<Fingerprint>,
    pub(crate) codec: Codec,
    pub(crate) session: Duration,
    /// Where the client finds the relay, when that is not simply its address.
    pub(crate) relay: Option<IpAddr>,
    /// Simulcast layers of a publisher that can pause them; 0 for a single stream.
    pub(crate) layers: u32,
    /// What a viewer wishes at most.
    pub(crate) most_bits_per_second: Option<u64>,
}

impl Join {
    pub(crate) fn new(role: Role, device: u8) -> Self {
        Self {
            room: RoomId::new([1; 16]),
            device: DeviceHandle::new([device; 16]),
            role,
            granted_at: SystemTime::now(),
            fingerprint: None,
            codec: Codec::Vp8,
            session: Duration::from_secs(3600),
            relay: None,
            layers: 0,
            most_bits_per_second: None,
        }
    }
}

/// A relay's data plane on loopback.
pub(crate) fn start(change: impl FnOnce(&mut ShardsConfig)) -> Shards {
    let mut config = ShardsConfig::default();
    config.bind = SocketAddr::from(([127, 0, 0, 1], 0));
    change(&mut config);
    Shards::start(config).unwrap()
}

/// Waits for an answer of a shard.
pub(crate) fn ask<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

impl Client {
    pub(crate) fn join(shards: &Shards, handle: &ShardHandle, join: &Join) -> Result<Self, JoinError> {
        Self::join_from(shards, handle, handle, join)
    }

    /// Joins on the shard `handle` a room that has its publisher on the shard `home`.
    pub(crate) fn join_from(
        shards: &Shards,
        handle: &ShardHandle,
        home: &ShardHandle,
        join: &Join,
    ) -> Result<Self, JoinError> {
        let mut relay = shards.local_addr();
        relay.set_ip(join.relay.unwrap_or(relay.ip()));
        let socket = UdpSocket::bind((relay.ip(), 0)).unwrap();
        socket.set_nonblocking(true).unwrap();
        let local = socket.local_addr().unwrap();
        let config = RtcConfig::new().set_rtp_mode(true).set_crypto_provider(pauses::provider());
        let mut rtc = config.build(Instant::now());
        rtc.add_local_candidate(Candidate::host(local, "udp").unwrap());
        let kind = join.codec.kind();
        let direct = &mut rtc.direct_api();
        let creds = direct.local_ice_credentials();
        let own = direct.local_dtls_fingerprint().bytes.clone();
        let offered = Fingerprint(own.try_into().unwrap());
        let ssrc: Ssrc = (0x1000_0000 | u32::from(local.port())).into();
        let rtx: Ssrc = (0x2000_0000 | u32::from(local.port())).into();
        let mid: Mid = "m0".into();
        direct.declare_media(
            mid,
            if kind == MediaKind::Video {
                str0m::media::MediaKind::Video
            } else {
                str0m::media::MediaKind::Audio
            },
        );
        let ssrcs = |layer: u32| (Ssrc::from(*ssrc + (layer << 16)), Ssrc::from(*rtx + (layer << 16)));
        let layers: Vec<_> = (0..join.layers.max(1)).map(ssrcs).collect();
        let layer =
            |&(ssrc, rtx): &(Ssrc, Ssrc)| OfferedLayer { rid: None, ssrc: Some(*ssrc), rtx_ssrc: Some(*rtx) };
        match join.role {
            // str0m finds its streams by these names.
            Role::Publish => layers.iter().zip(["l", "m", "h"]).for_each(|(&(ssrc, rtx), rid)| {
                let rid = (join.layers > 0).then(|| rid.into());
                direct.declare_stream_tx(ssrc, Some(rtx), mid, rid);
            }),
            Role::View => drop(direct.expect_stream_rx(ssrc, Some(rtx), mid, None)),
        }
        let publishes = join.role == Role::Publish;
        let leg = MediaLeg {
            mid: "m0".to_owned(),
            kind,
            codec: Some(join.codec),
            payload_type: payload_type(join.codec),
            rtx_payload_type: (kind == MediaKind::Video).then_some(payload_type(join.codec) + 1),
            extensions: ExtensionMap { mid: Some(4), ..ExtensionMap::default() },
            remote_ssrc: publishes.then_some(*ssrc),
            remote_rtx_ssrc: publishes.then_some(*rtx),
            local_ssrc: if publishes { 77 } else { *ssrc },
            local_rtx_ssrc: if publishes { 78 } else { *rtx },
            feedback: Feedback { nack: true, pli: true, transport_cc: false, pause: join.layers > 0 },
            layers: layers.iter().filter(|_| join.layers > 0).map(layer).collect(),
            most_bits_per_second: join.most_bits_per_second,
        };
        let request = JoinRequest {
            room: join.room,
            device: join.device,
            role: join.role,
            granted_at: join.granted_at,
            session_expires: SystemTime::now() + join.session,
            remote: RemoteParams {
                ufrag: creds.ufrag,
                pwd: creds.pass,
                fingerprint: join.fingerprint.unwrap_or(offered),
                candidates: vec![local],
            },
            extmap_allow_mixed: true,
            media: vec![leg],
        };
        let accepted = ask(handle.join_from(home, request))?;
        let relay_ufrag = accepted.ufrag.clone();
        let direct = &mut rtc.direct_api();
        direct.set_remote_ice_credentials(IceCreds { ufrag: accepted.ufrag, pass: accepted.pwd });
        direct.set_remote_fingerprint(str0m::crypto::Fingerprint {
            hash_func: "sha-256".to_owned(),
            bytes: shards.fingerprint().0.to_vec(),
        });
        direct.set_ice_controlling(true);
        direct.start_dtls(true).unwrap();
        rtc.add_remote_candidate(Candidate::host(relay, "udp").unwrap());
        Ok(Self {
            rtc,
            socket,
            local,
            relay,
            session: accepted.session,
            relay_ufrag,
            ssrc,
            layers: layers.into_iter().map(|(ssrc, _)| ssrc).collect(),
            received: Vec::new(),
            key_frames_wanted: 0,
            connected: false,
            over: false,
        })
    }

    /// Moves to another port without telling ICE, as a NAT does.
    pub(crate) fn rebind(&mut self) {
        self.socket = UdpSocket::bind((self.local.ip(), 0)).unwrap();
        self.socket.set_nonblocking(true).unwrap();
    }

    /// Sends what a frame was cut into, the marker on the last.
    pub(crate) fn send(&mut self, packets: &[Packet]) {
        self.send_layer(0, packets);
    }

    /// As [`send`](Self::send), on one of its layers.
    pub(crate) fn send_layer(&mut self, layer: usize, packets: &[Packet]) {
        let (now, ssrc) = (Instant::now(), self.layers[layer]);
        for packet in packets {
            let pt = packet.payload_type.into();
            let write =
                RtpWrite::new(pt, packet.sequence.into(), packet.timestamp, now, packet.payload.clone())
                    .marker(packet.marker)
                    .nackable(true);
            self.rtc.direct_api().stream_tx(&ssrc).unwrap().write_rtp(write);
            // str0m hands written packets out only after a look at the clock.
            self.step();
        }
    }

    /// Does what can be done now without waiting.
    pub(crate) fn step(&mut self) {
        let mut buffer = [0; 2048];
        loop {
            let now = Instant::now();
            if self.rtc.is_alive() && self.rtc.handle_input(Input::Timeout(now)).is_err() {
                self.over = true;
            }
            self.drain();
            match self.socket.recv_from(&mut buffer) {
                Ok((len, source)) => {
                    let Ok(contents) = (&buffer[..len]).try_into() else { continue };
                    let receive = Receive { proto: Protocol::Udp, source, destination: self.local, contents };
                    let input = Input::Receive(now, receive);
                    if self.rtc.is_alive()
                        && self.rtc.accepts(&input)
                        && self.rtc.handle_input(input).is_err()
                    {
                        self.over = true;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                // An ICMP answer to an earlier datagram.
                Err(_) => {}
            }
        }
        self.drain();
    }

    fn drain(&mut self) {
        while self.rtc.is_alive() {
            match self.rtc.poll_output() {
                Ok(Output::Timeout(_)) => return,
                Ok(Output::Transmit(transmit)) => {
                    let _ = self.socket.send_to(&transmit.contents, transmit.destination);
                }
                Ok(Output::Event(event)) => self.note(event),
                Err(_) => self.over = true,
            }
        }
        self.over = true;
    }

    fn note(&mut self, event: Event) {
        match event {
            Event::Connected => self.connected = true,
            Event::IceConnectionStateChange(IceConnectionState::Disconnected) => self.over = true,
            Event::RtpPacket(packet) => self.received.push(Received {
                sequence: *packet.seq_no,
                marker: packet.header.marker,
                timestamp: packet.header.timestamp,
                payload: packet.payload.to_vec(),
            }),
            Event::KeyframeRequest(request) if request.kind == KeyframeRequestKind::Pli => {
                self.key_frames_wanted += 1;
            }
            _ => {}
        }
    }

    /// The relay's user fragment for this client.
    /// Asks for a key frame (PLI).
    pub(crate) fn want_key_frame(&mut self) {
        let ssrc = self.ssrc;
        self.rtc.direct_api().stream_rx(&ssrc).unwrap().request_keyframe(KeyframeRequestKind::Pli);
    }

    pub(crate) fn relay_ufrag(&self) -> &str {
        &self.relay_ufrag
    }

    pub(crate) fn relay(&self) -> SocketAddr {
        self.relay
    }
}

/// Steps all clients until `done` says so; `false` after [`LIMIT`].
pub(crate) fn run(clients: &mut [&mut Client], mut done: impl FnMut(&mut [&mut Client]) -> bool) -> bool {
    let until = Instant::now() + LIMIT;
    while Instant::now() < until {
        clients.iter_mut().for_each(|client| client.step());
        if done(clients) {
            return true;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    false
}

/// Steps all clients for a while.
pub(crate) fn run_for(clients: &mut [&mut Client], time: Duration) {
    let until = Instant::now() + time;
    run(clients, |_| Instant::now() >= until);
}

/// One RTP packet to publish.
#[derive(Clone, Debug)]
pub(crate) struct Packet {
    pub(crate) payload_type: u8,
    pub(crate) sequence: u64,
    pub(crate) timestamp: u32,
    pub(crate) marker: bool,
    pub(crate) payload: Vec<u8>,
}

/// str0m's payload types.
pub(crate) fn payload_type(codec: Codec) -> u8 {
    match codec {
        Codec::Opus => 111,
        _ => 96,
    }
}
