//! One WebRTC client of the fleet on a UDP socket of its own: str0m, which shares no code with the relay's packet path.
//!
//! ```text
//!   socket ─▶ Receiver ─▶ Peer::take_in ─▶ PeerEvent (authentic RTP, with the kernel's arrival stamp)
//!   socket ◀─ SendArena ◀─ Outlet ◀─────── Peer::write, Peer::pass_time
//! ```
//! It drives nothing by itself: whoever owns it reads its socket, lets its time pass and sends what it hands out. Only
//! `mid` is offered as a header extension, so that packets of different servers have one size.

mod error;
mod event;
mod outlet;
mod suite;
#[cfg(test)]
mod tests;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant, SystemTime};

use latchkey_relay::batch::{Receiver, SendArena, Socket, SocketOptions};
use latchkey_wire::codec::Codec;
use str0m::change::{SdpAnswer, SdpPendingOffer};
use str0m::error::RtcError;
use str0m::media::{Direction, KeyframeRequestKind, MediaKind, Mid, Pt};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{Extension, ExtensionMap, RtpWrite};
use str0m::{Candidate, Event, IceConnectionState, Input, Output, Rtc, RtcConfig};

pub use crate::fleet::peer::error::PeerError;
pub use crate::fleet::peer::event::{Outgoing, PeerEvent};
pub use crate::fleet::peer::outlet::Outlet;
use crate::fleet::peer::outlet::PATIENCE;

/// Which way media goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From this client to the server.
    Publish,
    /// From the server to this client.
    View,
}

/// How a client is made.
#[derive(Clone, Copy, Debug)]
pub struct PeerOptions {
    /// Address to bind its socket to, and its only ICE candidate.
    pub local: IpAddr,
    /// Codec to offer: VP8 or H.264.
    pub codec: Codec,
    /// Whether datagrams that leave together may leave as one message (UDP_SEGMENT). A camera that hands its packets
    /// out one by one wants none of it.
    pub send_offload: bool,
}

impl Default for PeerOptions {
    fn default() -> Self {
        Self { local: Ipv4Addr::LOCALHOST.into(), codec: Codec::Vp8, send_offload: true }
    }
}

/// An offer that waits for its answer.
pub struct Offer {
    /// What to post at the door.
    pub sdp: String,
    pending: SdpPendingOffer,
}

/// A client with a socket of its own; the caller drives it.
pub struct Peer {
    rtc: Rtc,
    mid: Mid,
    way: Way,
    codec: Codec,
    socket: Socket,
    send_offload: bool,
    /// Its candidate: what ICE believes its address to be, also after the socket was changed.
    local: SocketAddr,
    payload_type: Option<Pt>,
    connected: bool,
    srtp: Option<&'static str>,
    due: Instant,
    nacks: u64,
}

impl Peer {
    /// Returns a client with its offer, to be posted to a door.
    ///
    /// # Errors
    /// [`PeerError::Socket`], or [`PeerError::Codec`].
    pub fn offer(way: Way, options: &PeerOptions) -> Result<(Self, Offer), PeerError> {
        let now = Instant::now();
        let socket = bind(options.local, options.send_offload)?;
        let local = socket.local_addr()?;
        let mut extensions = ExtensionMap::empty();
        extensions.set(1, Extension::RtpMid);
        let config = RtcConfig::new()
            .set_crypto_provider(suite::provider())
            .set_rtp_mode(true)
            .set_extension_map(extensions)
            .clear_codecs()
            .set_stats_interval(Some(TELLS_EVERY));
        let config = match options.codec {
            Codec::Vp8 => config.enable_vp8(true),
            Codec::H264 => config.enable_h264(true),
            other => return Err(PeerError::Codec(other)),
        };
        let mut rtc = config.build(now);
        let candidate = Candidate::host(local, "udp").map_err(RtcError::from)?;
        rtc.add_local_candidate(candidate);
        let direction = match way {
            Way::Publish => Direction::SendOnly,
            Way::View => Direction::RecvOnly,
        };
        let mut api = rtc.sdp_api();
        let mid = api.add_media(MediaKind::Video, direction, None, None, None);
        let (sdp, pending) = api.apply().expect("an offer with one section is never empty");
        let peer = Self {
            rtc,
            mid,
            way,
            codec: options.codec,
            socket,
            send_offload: options.send_offload,
            local,
            payload_type: None,
            connected: false,
            srtp: None,
            due: now,
            nacks: 0,
        };
        Ok((peer, Offer { sdp: sdp.to_sdp_string(), pending }))
    }

    /// Takes the door's answer.
    ///
    /// # Errors
    /// [`PeerError::Answer`] and [`PeerError::NoMedia`].
    pub fn accept(&mut self, offer: Offer, answer: &str) -> Result<(), PeerError> {
        let refused = |error: &dyn std::fmt::Display| PeerError::Answer(error.to_string());
        let answer = SdpAnswer::from_sdp_string(answer).map_err(|error| refused(&error))?;
        let taken = self.rtc.sdp_api().accept_answer(offer.pending, answer);
        taken.map_err(|error| refused(&error))?;
        let media = self.rtc.media(self.mid).ok_or(PeerError::NoMedia)?;
        self.payload_type = Some(*media.remote_pts().first().ok_or(PeerError::NoMedia)?);
        self.due = Instant::now();
        Ok(())
    }

    /// Returns its socket, for polling and for receiving from it.
    #[must_use]
    pub fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Returns the codec that was offered.
    #[must_use]
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// Returns the payload type of first transmissions once the answer was taken.
    #[must_use]
    pub fn payload_type(&self) -> Option<u8> {
        self.payload_type.map(|agreed| *agreed)
    }

    /// Returns whether ICE and DTLS are done.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.connected
    }

    /// Returns the SRTP suite that it and the server agreed on, by its registered name; none before DTLS is done.
    #[must_use]
    pub fn srtp(&self) -> Option<&'static str> {
        self.srtp
    }

    /// Returns whether it still lives: a closed client does nothing more.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.rtc.is_alive()
    }

    /// Returns when its time wants to pass again, see [`Peer::pass_time`].
    #[must_use]
    pub fn due(&self) -> Instant {
        self.due
    }

    /// Takes what the socket holds, answers, and gives the answers to the kernel.
    ///
    /// # Errors
    /// [`PeerError::Socket`] and [`PeerError::Engine`].
    pub fn receive(
        &mut self,
        receiver: &mut Receiver,
        arena: &mut SendArena,
        on: &mut impl FnMut(PeerEvent),
    ) -> Result<(), PeerError> {
        loop {
            let messages = receiver.receive(&self.socket)?;
            for datagram in receiver.datagrams() {
                let arrival = datagram.received.unwrap_or_else(SystemTime::now);
                self.take_in(datagram.bytes, datagram.route.remote, arrival, arena, on)?;
            }
            if messages < Receiver::SLOTS {
                self.send(arena);
                return Ok(());
            }
        }
    }

    /// Takes one datagram that came from `source` at `arrival`. What is no STUN, DTLS or SRTP is left out.
    ///
    /// # Errors
    /// [`PeerError::Engine`].
    pub fn take_in(
        &mut self,
        datagram: &[u8],
        source: SocketAddr,
        arrival: SystemTime,
        out: &mut impl Outlet,
        on: &mut impl FnMut(PeerEvent),
    ) -> Result<(), PeerError> {
        let Ok(contents) = datagram.try_into() else { return Ok(()) };
        let receive = Receive { proto: Protocol::Udp, source, destination: self.local, contents };
        self.rtc.handle_input(Input::Receive(Instant::now(), receive))?;
        self.drain(arrival, out, on)
    }

    /// Lets its time pass where it is due and hands out what it wants to send.
    ///
    /// # Errors
    /// [`PeerError::Engine`].
    pub fn pass_time(
        &mut self,
        now: Instant,
        out: &mut impl Outlet,
        on: &mut impl FnMut(PeerEvent),
    ) -> Result<(), PeerError> {
        if now < self.due {
            return Ok(());
        }
        self.rtc.handle_input(Input::Timeout(now))?;
        self.drain(SystemTime::UNIX_EPOCH, out, on)
    }

    /// Queues one packet; [`Peer::seal`] hands it out.
    ///
    /// # Errors
    /// [`PeerError::NotSending`].
    pub fn write(&mut self, packet: Outgoing<'_>) -> Result<(), PeerError> {
        let payload_type = self.payload_type.filter(|_| self.way == Way::Publish);
        let payload_type = payload_type.ok_or(PeerError::NotSending)?;
        let sequence = packet.sequence.into();
        let rtp = RtpWrite::new(payload_type, sequence, packet.timestamp, Instant::now(), packet.payload);
        let mut api = self.rtc.direct_api();
        let stream = api.stream_tx_by_mid(self.mid, None).ok_or(PeerError::NotSending)?;
        stream.write_rtp(rtp.marker(packet.marker).nackable(true));
        Ok(())
    }

    /// Seals what was written and hands it out; it has not left yet, see [`Peer::send`].
    ///
    /// # Errors
    /// [`PeerError::Engine`].
    pub fn seal(&mut self, out: &mut impl Outlet, on: &mut impl FnMut(PeerEvent)) -> Result<(), PeerError> {
        self.rtc.handle_input(Input::Timeout(Instant::now()))?;
        self.drain(SystemTime::UNIX_EPOCH, out, on)
    }

    /// Gives to the kernel what was handed out into `arena`.
    pub fn send(&self, arena: &mut SendArena) {
        if !arena.is_empty() {
            arena.flush(&self.socket, PATIENCE);
        }
    }

    /// Asks for a key frame; nothing happens before the first packet came.
    pub fn ask_for_key_frame(&mut self) -> bool {
        let mut api = self.rtc.direct_api();
        let Some(stream) = api.stream_rx_by_mid(self.mid, None) else { return false };
        stream.request_keyframe(KeyframeRequestKind::Pli);
        self.due = Instant::now();
        true
    }

    /// Goes on from another port of its address, as a phone does that changes networks: the server hears of it by the
    /// client's next connectivity check, which is handed out at once.
    ///
    /// # Errors
    /// [`PeerError::Socket`], then it goes on from the old one; or [`PeerError::Engine`].
    pub fn move_address(&mut self, out: &mut impl Outlet) -> Result<(), PeerError> {
        let socket = bind(self.local.ip(), self.send_offload)?;
        let host = |address| Candidate::host(address, "udp").map_err(RtcError::from);
        let (old, new) = (host(self.local)?, host(socket.local_addr()?)?);
        (self.local, self.socket) = (socket.local_addr()?, socket);
        self.rtc.add_local_candidate(new);
        self.rtc.direct_api().invalidate_candidate(&old);
        self.rtc.handle_input(Input::Timeout(Instant::now()))?;
        self.drain(SystemTime::UNIX_EPOCH, out, &mut |_| {})
    }

    /// Says goodbye: what it wants to send is handed out, and it lives no more.
    pub fn close(&mut self, out: &mut impl Outlet) {
        // A client that cannot close has nobody to say goodbye to.
        let _ = self.rtc.close();
        let _ = self.drain(SystemTime::UNIX_EPOCH, out, &mut |_| {});
        self.rtc.disconnect();
    }

    fn drain(
        &mut self,
        arrival: SystemTime,
        out: &mut impl Outlet,
        on: &mut impl FnMut(PeerEvent),
    ) -> Result<(), PeerError> {
        loop {
            match self.rtc.poll_output()? {
                Output::Timeout(due) => {
                    self.due = due;
                    if self.srtp.is_none() {
                        self.srtp = suite::asked();
                    }
                    return Ok(());
                }
                Output::Transmit(transmit) => {
                    out.send(&self.socket, transmit.destination, &transmit.contents);
                }
                Output::Event(Event::RtpPacket(packet)) => on(PeerEvent::Packet(packet, arrival)),
                Output::Event(event) => self.tell(event, on),
            }
        }
    }

    fn tell(&mut self, event: Event, on: &mut impl FnMut(PeerEvent)) {
        match event {
            Event::Connected => {
                self.connected = true;
                on(PeerEvent::Connected);
            }
            Event::IceConnectionStateChange(IceConnectionState::Disconnected) => {
                on(PeerEvent::Disconnected);
            }
            Event::IceConnectionStateChange(
                IceConnectionState::Connected | IceConnectionState::Completed,
            ) if self.connected => on(PeerEvent::Reconnected),
            Event::Closed => on(PeerEvent::Closed),
            Event::KeyframeRequest(_) => on(PeerEvent::KeyFrameWanted),
            Event::MediaIngressStats(stats) if self.way == Way::View => self.count_nacks(stats.nacks, on),
            Event::MediaEgressStats(stats) if self.way == Way::Publish => self.count_nacks(stats.nacks, on),
            _ => {}
        }
    }

    fn count_nacks(&mut self, total: u64, on: &mut impl FnMut(PeerEvent)) {
        let more = total.saturating_sub(self.nacks);
        self.nacks = total;
        if more > 0 {
            on(PeerEvent::Nacks(more));
        }
    }
}

impl std::fmt::Debug for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Peer")
            .field("way", &self.way)
            .field("codec", &self.codec)
            .field("local", &self.local)
            .field("connected", &self.connected)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Offer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Offer").field("sdp_bytes", &self.sdp.len()).finish_non_exhaustive()
    }
}

fn bind(local: IpAddr, send_offload: bool) -> io::Result<Socket> {
    let options = SocketOptions { send_offload, ..SocketOptions::default() };
    Socket::bind((local, 0).into(), &options)
}

/// How often the engine tells its counts of NACKs.
const TELLS_EVERY: Duration = Duration::from_secs(1);
