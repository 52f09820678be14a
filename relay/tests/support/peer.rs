//! A WebRTC client of another make (str0m) that comes in by WHIP or WHEP, on a socket of its own.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use latchkey_wire::codec::{Codec, MediaKind};
use latchkey_wire::grant::Scope;
use str0m::bwe::{Bitrate, BweKind};
use str0m::change::{SdpAnswer, SdpPendingOffer};
use str0m::media::{Direction, Mid, Rid, Simulcast, SimulcastLayer};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{Extension, ExtensionValues, RtpWrite};
use str0m::{Candidate, Event, Input, Output, Rtc, RtcConfig};
use str0m_netem::{Input as NetemInput, Netem, Output as NetemOutput, WithLen};

use crate::support::descriptor::{DESCRIPTOR_ID, DESCRIPTOR_URI, Descriptor, DescriptorExtension};
use crate::support::{House, LIMIT, ROOM, Session};

/// One client with one video and one audio section.
pub struct Peer {
    rtc: Rtc,
    socket: UdpSocket,
    mids: HashMap<MediaKind, Mid>,
    /// What the answer chose for each kind: codec name and payload type.
    pub chosen: HashMap<MediaKind, (Codec, u8)>,
    sequence: HashMap<(MediaKind, Option<&'static str>), u64>,
    pub connected: bool,
    pub connected_at: Option<Instant>,
    pub packets: Vec<Packet>,
    /// A narrow place between the relay and this client: what comes goes through it.
    pub bottleneck: Option<Netem<Datagram>>,
    /// What the client itself believes that its uplink carries, in bits per second.
    pub estimate: Option<u64>,
    /// Key frames that the relay asked of it.
    pub key_frames_wanted: usize,
    /// The round trip that it measured as a receiver.
    pub round_trip: Option<Duration>,
}

/// What a client offers.
#[derive(Clone, Copy, Debug)]
pub struct Offer<'a> {
    pub scope: Scope,
    /// It estimates its own uplink, beginning at so many bits per second.
    pub estimate: Option<u64>,
    /// A publisher's video comes in layers of these names.
    pub rids: &'a [&'a str],
    /// Its video has the Dependency Descriptor.
    pub descriptor: bool,
}

impl Offer<'_> {
    /// One stream of each kind, with nothing more.
    pub fn plain(scope: Scope) -> Self {
        Self { scope, estimate: None, rids: &[], descriptor: false }
    }
}

/// A datagram on its way to a client.
#[derive(Clone, Debug)]
pub struct Datagram {
    bytes: Vec<u8>,
    source: SocketAddr,
}

impl WithLen for Datagram {
    fn len(&self) -> usize {
        self.bytes.len()
    }
}

/// One packet that came.
#[derive(Clone, Debug)]
pub struct Packet {
    pub kind: MediaKind,
    pub sequence: u64,
    pub timestamp: u32,
    pub marker: bool,
    pub payload: Vec<u8>,
    /// The Dependency Descriptor, when it was negotiated and sent.
    pub descriptor: Option<Vec<u8>>,
    pub at: Instant,
}

impl Peer {
    /// Offers `codecs`, joins the house's room and applies the answer.
    pub async fn join(house: &House, scope: Scope, codecs: &[Codec]) -> (Self, Session) {
        Self::join_with(house, Offer::plain(scope), codecs).await
    }

    /// As [`join`](Self::join), with an estimator of its own uplink that begins at so many bits per second.
    pub async fn join_from(
        house: &House,
        (scope, estimate): (Scope, Option<u64>),
        codecs: &[Codec],
    ) -> (Self, Session) {
        Self::join_with(house, Offer { estimate, ..Offer::plain(scope) }, codecs).await
    }

    /// A publisher whose video comes in layers of these names.
    pub async fn join_with_layers(house: &House, codec: Codec, rids: &[&str]) -> (Self, Session) {
        Self::join_with(house, Offer { rids, ..Offer::plain(Scope::Publish) }, &[codec]).await
    }

    /// As [`join`](Self::join), with an offer of any kind.
    pub async fn join_with(house: &House, wish: Offer<'_>, codecs: &[Codec]) -> (Self, Session) {
        let (mut peer, offer, pending) = Self::offer(house.relay.candidates()[0], wish, codecs);
        let (path, grant) = match wish.scope {
            Scope::Publish => (format!("/whip/{ROOM}"), house.publish_grant()),
            _ => (format!("/whep/{ROOM}"), house.view_grant()),
        };
        let session = Session::of(house, house.join(&path, &grant, &offer).await).await;
        peer.accept(pending, &session.answer);
        (peer, session)
    }

    fn offer(relay: SocketAddr, wish: Offer<'_>, codecs: &[Codec]) -> (Self, String, SdpPendingOffer) {
        let Offer { scope, estimate, rids, descriptor } = wish;
        let socket = UdpSocket::bind((relay.ip(), 0)).unwrap();
        socket.set_nonblocking(true).unwrap();
        let has = |codec| codecs.contains(&codec);
        let mut config = RtcConfig::new();
        if descriptor {
            config = config.set_extension(
                DESCRIPTOR_ID,
                Extension::with_serializer(DESCRIPTOR_URI, DescriptorExtension),
            );
        }
        let mut rtc = config
            .clear_codecs()
            .enable_h264(has(Codec::H264))
            .enable_vp8(has(Codec::Vp8))
            .enable_vp9(has(Codec::Vp9))
            .enable_av1(has(Codec::Av1))
            .enable_opus(has(Codec::Opus), false)
            .set_rtp_mode(true)
            .set_stats_interval(Some(Duration::from_secs(1)))
            .enable_bwe(estimate.map(Bitrate::bps))
            .build(Instant::now());
        rtc.add_local_candidate(Candidate::host(socket.local_addr().unwrap(), "udp").unwrap());
        let direction = if scope == Scope::Publish { Direction::SendOnly } else { Direction::RecvOnly };
        let mut api = rtc.sdp_api();
        let mut mids = HashMap::new();
        for (kind, media) in [
            (MediaKind::Video, str0m::media::MediaKind::Video),
            (MediaKind::Audio, str0m::media::MediaKind::Audio),
        ] {
            if codecs.iter().any(|codec| codec.kind() == kind) {
                let layers = rids.iter().map(|rid| SimulcastLayer::new(rid)).collect();
                let layers = Simulcast { send: layers, recv: Vec::new() };
                let simulcast = (kind == MediaKind::Video && !rids.is_empty()).then_some(layers);
                mids.insert(kind, api.add_media(media, direction, None, None, simulcast));
            }
        }
        let (offer, pending) = api.apply().unwrap();
        let peer = Self {
            rtc,
            socket,
            mids,
            chosen: HashMap::new(),
            sequence: HashMap::new(),
            connected: false,
            connected_at: None,
            packets: Vec::new(),
            bottleneck: None,
            estimate: None,
            key_frames_wanted: 0,
            round_trip: None,
        };
        (peer, offer.to_sdp_string(), pending)
    }

    fn accept(&mut self, pending: SdpPendingOffer, answer: &str) {
        for section in answer.split("\r\nm=").skip(1) {
            let map = section.lines().find_map(|line| line.strip_prefix("a=rtpmap:")).unwrap();
            let (payload_type, name) = map.split_once(' ').unwrap();
            let codec = Codec::from_sdp_name(name.split('/').next().unwrap()).unwrap();
            self.chosen.insert(codec.kind(), (codec, payload_type.parse().unwrap()));
        }
        self.rtc.sdp_api().accept_answer(pending, SdpAnswer::from_sdp_string(answer).unwrap()).unwrap();
    }

    /// Sends the payloads of one frame, the marker on the last.
    pub fn send(&mut self, kind: MediaKind, timestamp: u32, payloads: &[Vec<u8>]) {
        self.send_layer((kind, None), timestamp, payloads);
    }

    /// As [`send`](Self::send), on the layer of this name.
    pub fn send_layer(
        &mut self,
        (kind, rid): (MediaKind, Option<&'static str>),
        timestamp: u32,
        payloads: &[Vec<u8>],
    ) {
        let count = payloads.len();
        for (index, payload) in payloads.iter().enumerate() {
            self.write((kind, rid), timestamp, index + 1 == count, (payload, None));
        }
    }

    /// Sends the payloads of one video frame, each with its Dependency Descriptor.
    pub fn send_described(&mut self, timestamp: u32, packets: &[(Vec<u8>, Vec<u8>)]) {
        let count = packets.len();
        for (index, (payload, descriptor)) in packets.iter().enumerate() {
            let with = (payload.as_slice(), Some(descriptor.as_slice()));
            self.write((MediaKind::Video, None), timestamp, index + 1 == count, with);
        }
    }

    fn write(
        &mut self,
        (kind, rid): (MediaKind, Option<&'static str>),
        timestamp: u32,
        marker: bool,
        (payload, descriptor): (&[u8], Option<&[u8]>),
    ) {
        let (_, payload_type) = self.chosen[&kind];
        let mid = self.mids[&kind];
        let next = self.sequence.entry((kind, rid)).or_insert(1_000);
        *next += 1;
        let mut values = ExtensionValues::default();
        if let Some(descriptor) = descriptor {
            values.user_values.set(Descriptor(descriptor.to_vec()));
        }
        let now = Instant::now();
        let write = RtpWrite::new(payload_type.into(), (*next).into(), timestamp, now, payload.to_vec());
        let write = write.marker(marker).nackable(kind == MediaKind::Video).ext_vals(values);
        self.rtc.direct_api().stream_tx_by_mid(mid, rid.map(Rid::from)).unwrap().write_rtp(write);
        // str0m hands written packets out only after a look at the clock.
        self.step();
    }

    /// Does what can be done now without waiting.
    pub fn step(&mut self) {
        let mut buffer = [0; 2048];
        let destination = self.socket.local_addr().unwrap();
        // Before the clock is told that it is later.
        self.let_through(destination);
        self.tick();
        loop {
            match self.socket.recv_from(&mut buffer) {
                Ok((len, source)) => match &mut self.bottleneck {
                    None => self.take(&buffer[..len], source, (destination, Instant::now())),
                    Some(narrow) => {
                        let datagram = Datagram { bytes: buffer[..len].to_vec(), source };
                        narrow.handle_input(NetemInput::Packet(Instant::now(), datagram));
                    }
                },
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                // An ICMP answer to an earlier datagram.
                Err(_) => {}
            }
        }
        self.tick();
    }

    /// Takes what has passed the narrow place by now, each when it did: a busy machine must not make it look wider.
    fn let_through(&mut self, destination: SocketAddr) {
        let Some(mut narrow) = self.bottleneck.take() else { return };
        let now = Instant::now();
        while !narrow.is_empty() && narrow.poll_timeout() <= now {
            let at = narrow.poll_timeout();
            narrow.handle_input(NetemInput::Timeout(at));
            while let Some(NetemOutput::Packet(datagram)) = narrow.poll_output() {
                self.take(&datagram.bytes, datagram.source, (destination, at));
            }
        }
        self.bottleneck = Some(narrow);
    }

    fn take(&mut self, bytes: &[u8], source: SocketAddr, (destination, at): (SocketAddr, Instant)) {
        let Ok(contents) = bytes.try_into() else { return };
        let input = Input::Receive(at, Receive { proto: Protocol::Udp, source, destination, contents });
        if self.rtc.is_alive() && self.rtc.accepts(&input) {
            let _ = self.rtc.handle_input(input);
            self.drain();
        }
    }

    fn tick(&mut self) {
        if self.rtc.is_alive() {
            let _ = self.rtc.handle_input(Input::Timeout(Instant::now()));
            self.drain();
        }
    }

    fn drain(&mut self) {
        while self.rtc.is_alive() {
            match self.rtc.poll_output() {
                Ok(Output::Transmit(transmit)) => {
                    let _ = self.socket.send_to(&transmit.contents, transmit.destination);
                }
                Ok(Output::Event(event)) => self.note(event),
                Ok(Output::Timeout(_)) | Err(_) => return,
            }
        }
    }

    fn note(&mut self, event: Event) {
        match event {
            Event::Connected => (self.connected, self.connected_at) = (true, Some(Instant::now())),
            Event::EgressBitrateEstimate(BweKind::Twcc { estimate, .. }) => {
                self.estimate = Some(estimate.as_u64());
            }
            Event::RtpPacket(packet) => {
                let payload_type = *packet.header.payload_type;
                let kind =
                    self.chosen.iter().find(|(_, chosen)| chosen.1 == payload_type).map(|(kind, _)| *kind);
                self.packets.push(Packet {
                    kind: kind.expect("the relay sends what it answered"),
                    sequence: *packet.seq_no,
                    timestamp: packet.header.timestamp,
                    marker: packet.header.marker,
                    payload: packet.payload.to_vec(),
                    descriptor: packet
                        .header
                        .ext_vals
                        .user_values
                        .get()
                        .map(|Descriptor(bytes)| bytes.clone()),
                    at: Instant::now(),
                });
            }
            Event::KeyframeRequest(_) => self.key_frames_wanted += 1,
            Event::MediaIngressStats(stats) => self.round_trip = stats.rtt.or(self.round_trip),
            _ => {}
        }
    }
}

/// Steps all peers until `done` says so, and gives other tasks their turn; panics after the limit.
pub async fn run(peers: &mut [&mut Peer], what: &str, mut done: impl FnMut(&mut [&mut Peer]) -> bool) {
    let until = Instant::now() + LIMIT;
    loop {
        peers.iter_mut().for_each(|peer| peer.step());
        if done(peers) {
            return;
        }
        assert!(Instant::now() < until, "{what}: not within {} s", LIMIT.as_secs());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
