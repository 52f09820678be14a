//! One WebRTC client of the driver: str0m, an implementation that shares no code with the relay's packet path.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context as _;
use latchkey_relay::batch::{Receiver, Route, SendArena, Socket, SocketOptions};
use str0m::change::{SdpAnswer, SdpPendingOffer};
use str0m::media::{Direction, MediaKind, Mid};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{Extension, ExtensionMap, RtpPacket};
use str0m::{Candidate, Event, Input, Output, Rtc, RtcConfig};

/// A client with a socket of its own; the caller drives it.
pub(crate) struct Peer {
    /// The client itself.
    pub(crate) rtc: Rtc,
    /// Its one video section.
    pub(crate) mid: Mid,
    /// Its socket, for polling.
    pub(crate) socket: Socket,
    /// When the other side asked for a key frame.
    pub(crate) key_frames_asked: Vec<Instant>,
    local: SocketAddr,
    connected: bool,
    due: Instant,
    arrival: SystemTime,
}

impl Peer {
    /// Returns a client with its offer, to be posted to a door.
    pub(crate) fn offer(direction: Direction) -> anyhow::Result<(Self, String, SdpPendingOffer)> {
        let now = Instant::now();
        // A camera hands its datagrams out one by one, so nothing may keep them together on their way to the relay.
        let options =
            SocketOptions { send_offload: direction != Direction::SendOnly, ..SocketOptions::default() };
        let socket = Socket::bind((Ipv4Addr::LOCALHOST, 0).into(), &options)?;
        let local = socket.local_addr()?;
        let mut extensions = ExtensionMap::empty();
        extensions.set(1, Extension::RtpMid);
        let config = RtcConfig::new()
            .set_rtp_mode(true)
            .set_extension_map(extensions)
            .clear_codecs()
            .enable_vp8(true)
            .set_stats_interval(None);
        let mut rtc = config.build(now);
        rtc.add_local_candidate(Candidate::host(local, "udp")?);
        let mut api = rtc.sdp_api();
        let mid = api.add_media(MediaKind::Video, direction, None, None, None);
        let (offer, pending) = api.apply().context("an offer with one section is never empty")?;
        let peer = Self {
            rtc,
            mid,
            socket,
            key_frames_asked: Vec::new(),
            local,
            connected: false,
            due: now,
            arrival: SystemTime::UNIX_EPOCH,
        };
        Ok((peer, offer.to_sdp_string(), pending))
    }

    /// Takes the door's answer.
    pub(crate) fn accept(&mut self, pending: SdpPendingOffer, answer: &str) -> anyhow::Result<()> {
        let answer = SdpAnswer::from_sdp_string(answer).context("the door's answer is SDP")?;
        self.rtc.sdp_api().accept_answer(pending, answer).context("the door's answer fits the offer")?;
        Ok(())
    }

    /// Returns whether ICE and DTLS are done.
    pub(crate) fn is_connected(&self) -> bool {
        self.connected
    }

    /// Returns when the client wants to be driven again.
    pub(crate) fn due(&self) -> Instant {
        self.due
    }

    /// Returns the payload type that was agreed for VP8.
    pub(crate) fn payload_type(&self) -> anyhow::Result<str0m::media::Pt> {
        let media = self.rtc.media(self.mid).context("the section exists")?;
        let agreed = media.remote_pts().first().context("the answer names a payload type")?;
        Ok(*agreed)
    }

    /// Takes what the socket holds and answers; each authenticated RTP packet goes to `on_packet`, with the moment at which
    /// the kernel had it for this socket.
    pub(crate) fn receive(
        &mut self,
        receiver: &mut Receiver,
        arena: &mut SendArena,
        on_packet: &mut impl FnMut(&RtpPacket, SystemTime),
    ) -> anyhow::Result<()> {
        loop {
            let messages = receiver.receive(&self.socket)?;
            for datagram in receiver.datagrams() {
                let Ok(contents) = (&*datagram.bytes).try_into() else { continue };
                let source = datagram.route.remote;
                self.arrival = datagram.received.unwrap_or_else(SystemTime::now);
                let receive = Receive { proto: Protocol::Udp, source, destination: self.local, contents };
                self.rtc.handle_input(Input::Receive(Instant::now(), receive))?;
                self.drain(arena, on_packet)?;
            }
            if messages < Receiver::SLOTS {
                break;
            }
        }
        arena.flush(&self.socket, PATIENCE);
        Ok(())
    }

    /// Lets the client's time pass and sends what it wants to send.
    pub(crate) fn drive(
        &mut self,
        arena: &mut SendArena,
        on_packet: &mut impl FnMut(&RtpPacket, SystemTime),
    ) -> anyhow::Result<()> {
        if Instant::now() >= self.due {
            self.rtc.handle_input(Input::Timeout(Instant::now()))?;
        }
        self.drain(arena, on_packet)?;
        arena.flush(&self.socket, PATIENCE);
        Ok(())
    }

    /// Seals what was written, calls `on_ready`, and only then sends it.
    pub(crate) fn send_written(
        &mut self,
        arena: &mut SendArena,
        on_ready: impl FnOnce(),
    ) -> anyhow::Result<()> {
        self.rtc.handle_input(Input::Timeout(Instant::now()))?;
        self.drain(arena, &mut |_, _| {})?;
        on_ready();
        arena.flush(&self.socket, PATIENCE);
        Ok(())
    }

    fn drain(
        &mut self,
        arena: &mut SendArena,
        on_packet: &mut impl FnMut(&RtpPacket, SystemTime),
    ) -> anyhow::Result<()> {
        loop {
            match self.rtc.poll_output()? {
                Output::Timeout(due) => {
                    self.due = due;
                    return Ok(());
                }
                Output::Transmit(transmit) => {
                    let route = Route { remote: transmit.destination, local: None };
                    if arena.is_full() {
                        arena.flush(&self.socket, PATIENCE);
                    }
                    if let Some(room) = arena.reserve(&route, transmit.contents.len()) {
                        room.copy_from_slice(&transmit.contents);
                    }
                }
                Output::Event(Event::Connected) => self.connected = true,
                Output::Event(Event::KeyframeRequest(_)) => self.key_frames_asked.push(Instant::now()),
                Output::Event(Event::RtpPacket(packet)) => on_packet(&packet, self.arrival),
                Output::Event(_) => {}
            }
        }
    }
}

/// How long a flush may wait for room in the send buffer.
const PATIENCE: Duration = Duration::from_millis(20);
