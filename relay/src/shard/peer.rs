//! One peer on a shard, and the table of all of them.

use std::time::{Duration, Instant, SystemTime};

use latchkey_relay_core::bandwidth::Arrivals;
use latchkey_relay_core::{Allowance, Exceeded, SubscriberId, TrackId};
use latchkey_wire::codec::MediaKind;
use latchkey_wire::id::DeviceHandle;
use latchkey_wire::rtcp;
use latchkey_wire::rtp::RtpView;

use crate::batch::Route;
use crate::shard::command::join::{MediaLeg, Role};
use crate::shard::end::EndReason;
use crate::shard::limits::Limits;
use crate::shard::session_id::SessionId;
use crate::shard::timers::Armed;
use crate::srtp::{ControlOpener, ControlSealer, Opener, Sealer};
use crate::transport::dtls::{Dtls, Keys};
use crate::transport::ice::IceLite;

/// Names a peer; never given out twice on a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct PeerKey {
    index: u32,
    generation: u32,
}

/// One session.
pub(super) struct Peer {
    // What every forwarded packet needs comes first.
    /// Where media goes; `None` until ICE nominated an address.
    pub(super) route: Option<Route>,
    /// `None` until DTLS is done.
    pub(super) srtp: Option<Srtp>,

    pub(super) session: SessionId,
    pub(super) device: DeviceHandle,
    pub(super) role: Role,
    /// Place of its room.
    pub(super) room: u32,
    pub(super) granted_at: SystemTime,
    pub(super) media: Vec<Leg>,
    pub(super) ice: IceLite,
    pub(super) dtls: Dtls,
    pub(super) joined: Instant,
    pub(super) expires: Instant,
    /// The room knows this viewer.
    pub(super) subscribed: bool,
    /// Media went out to this viewer.
    pub(super) viewing: bool,
    pub(super) armed: Armed,
    /// When a publisher's packets came, if it wants to know.
    pub(super) transport_wide: Option<TransportWide>,
    media_allowed: Allowance,
    control_allowed: Allowance,
    /// Its own, because anyone who forges the peer's address could use it up.
    dtls_allowed: Allowance,
    /// Packets dropped because it sent more than it may.
    pub(super) over_limit: u64,
}

/// What a publisher is told about all its packets (draft-holmer-rmcat-transport-wide-cc-extensions-01).
pub(super) struct TransportWide {
    /// Id of the header extension with the numbers; one for all sections of a bundle.
    extension: u8,
    arrivals: Arrivals,
    reporter: u32,
    /// One that the publisher sends with: senders pass over feedback about others.
    media_ssrc: u32,
}

/// A media section and the room's track for it.
pub(super) struct Leg {
    pub(super) params: MediaLeg,
    pub(super) track: Option<TrackId>,
    /// Publisher: tracks of its further simulcast layers.
    pub(super) layers: Vec<TrackId>,
}

impl Leg {
    /// Its tracks in the room.
    pub(super) fn tracks(&self) -> impl Iterator<Item = TrackId> + '_ {
        self.track.into_iter().chain(self.layers.iter().copied())
    }
}

/// Keys of one peer. The sealer is the only owner of outgoing RTP, the control sealer of outgoing RTCP.
pub(super) struct Srtp {
    pub(super) sealer: Sealer,
    pub(super) control_sealer: ControlSealer,
    /// Viewers send no RTP, so they have none.
    pub(super) opener: Option<Opener>,
    pub(super) control_opener: ControlOpener,
}

impl Peer {
    pub(super) fn new(admitted: Admitted, limits: &Limits, now: Instant) -> Self {
        let transport_wide = match admitted.role {
            Role::Publish => TransportWide::for_legs(&admitted.media),
            Role::View => None,
        };
        let control = Allowance::new(limits.control_packets_per_second, limits.control_bytes_per_second);
        Self {
            route: None,
            srtp: None,
            session: admitted.session,
            device: admitted.device,
            role: admitted.role,
            room: admitted.room,
            granted_at: admitted.granted_at,
            media: admitted.media,
            ice: admitted.ice,
            dtls: admitted.dtls,
            joined: now,
            expires: admitted.expires,
            subscribed: false,
            viewing: false,
            armed: Armed::default(),
            transport_wide,
            media_allowed: Allowance::new(
                limits.publisher_packets_per_second,
                limits.publisher_bytes_per_second,
            ),
            control_allowed: control,
            dtls_allowed: control,
            over_limit: 0,
        }
    }

    /// Installs the keys that DTLS agreed on.
    pub(super) fn key(&mut self, keys: &Keys) {
        self.srtp = Some(Srtp {
            sealer: Sealer::new(&keys.send),
            control_sealer: ControlSealer::new(&keys.send),
            opener: (self.role == Role::Publish).then(|| Opener::new(&keys.receive)),
            control_opener: ControlOpener::new(&keys.receive),
        });
    }

    /// What the publisher may still send. Take from it for authentic packets only: forged ones must not use it up.
    pub(super) fn media(&mut self) -> &mut Allowance {
        &mut self.media_allowed
    }

    /// Takes one more DTLS datagram of this size.
    pub(super) fn take_dtls(&mut self, bytes: usize, now: Instant) -> Result<(), Exceeded> {
        self.dtls_allowed.take(bytes, now)
    }

    /// Takes one more STUN or RTCP packet of this size, once it is proven to be the peer's.
    pub(super) fn take_control(&mut self, bytes: usize, now: Instant) -> Result<(), Exceeded> {
        self.control_allowed.take(bytes, now)
    }

    /// Counts a packet beyond the limits; true for the session's first.
    pub(super) fn exceeds(&mut self) -> bool {
        self.over_limit += 1;
        self.over_limit == 1
    }

    /// When the peer's state must be looked at next.
    pub(super) fn deadline(&self, limits: &Limits) -> Instant {
        let alive = match (self.ice.last_check(), &self.srtp) {
            (Some(check), Some(_)) => check + limits.consent_timeout,
            _ => self.joined + limits.connect_timeout,
        };
        alive.min(self.expires).min(self.dtls.poll_timeout().unwrap_or(self.expires))
    }

    /// Why the peer has been silent for too long, if it has.
    pub(super) fn silent_for(&self, limits: &Limits, now: Instant) -> Option<EndReason> {
        match (self.ice.last_check(), &self.srtp) {
            (Some(check), Some(_)) => {
                (now >= check + limits.consent_timeout).then_some(EndReason::ConsentExpired)
            }
            (check, _) if now >= self.joined + limits.connect_timeout => {
                Some(if check.is_some() { EndReason::DtlsFailed } else { EndReason::IceFailed })
            }
            _ => None,
        }
    }

    /// What the payload type means on this publisher.
    pub(super) fn kind_of(&self, payload_type: u8) -> Option<MediaKind> {
        let leg = self.media.iter().find(|leg| {
            leg.params.codec.is_some()
                && (leg.params.payload_type == payload_type
                    || leg.params.rtx_payload_type == Some(payload_type))
        })?;
        Some(leg.params.kind)
    }

    /// The SSRC that reports about a track come from.
    pub(super) fn reporter(&self, track: TrackId) -> Option<u32> {
        self.media
            .iter()
            .find(|leg| leg.tracks().any(|of_leg| of_leg == track))
            .map(|leg| leg.params.local_ssrc)
    }
}

impl TransportWide {
    fn for_legs(legs: &[Leg]) -> Option<Self> {
        let leg = legs.iter().map(|leg| &leg.params).find(|leg| leg.feedback.transport_cc)?;
        let (extension, media_ssrc) = (leg.extensions.transport_cc?, leg.remote_ssrc.unwrap_or(0));
        Some(Self { extension, arrivals: Arrivals::new(), reporter: leg.local_ssrc, media_ssrc })
    }

    /// Notes an opened packet that came at `received`. Returns when feedback is due, if this packet is the first to tell of.
    #[inline]
    pub(super) fn note(
        &mut self,
        packet: &[u8],
        received: Option<SystemTime>,
        now: Instant,
    ) -> Option<Instant> {
        let view = RtpView::parse(packet).ok()?;
        let number = view.extension()?.find(self.extension)?.first_chunk::<2>()?;
        let received = received.unwrap_or_else(SystemTime::now);
        let at = received.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let before = self.arrivals.due();
        self.arrivals.arrived(u16::from_be_bytes(*number), at, now);
        self.media_ssrc = view.ssrc();
        self.arrivals.due().filter(|_| before.is_none())
    }

    /// When [`write`](Self::write) has something to say.
    pub(super) fn due(&self) -> Option<Instant> {
        self.arrivals.due()
    }

    /// Appends one compound packet; false when there is no more to say.
    pub(super) fn write(&mut self, cname: &str, out: &mut Vec<u8>) -> bool {
        if self.arrivals.due().is_none() {
            return false;
        }
        // Not everyone takes feedback alone (RFC 5506).
        rtcp::write_receiver_report(self.reporter, &[], cname, out);
        self.arrivals.write(self.reporter, self.media_ssrc, out)
    }
}

/// What a new peer is made of.
pub(super) struct Admitted {
    pub(super) session: SessionId,
    pub(super) device: DeviceHandle,
    pub(super) role: Role,
    pub(super) room: u32,
    pub(super) granted_at: SystemTime,
    pub(super) expires: Instant,
    pub(super) media: Vec<Leg>,
    pub(super) ice: IceLite,
    pub(super) dtls: Dtls,
}

impl PeerKey {
    /// The name under which a room knows this viewer.
    pub(super) fn subscriber(self) -> SubscriberId {
        SubscriberId(u64::from(self.generation) << 32 | u64::from(self.index))
    }

    pub(super) fn of(subscriber: SubscriberId) -> Self {
        Self { index: subscriber.0 as u32, generation: (subscriber.0 >> 32) as u32 }
    }

    /// Its place, for timers: another peer may have it later.
    pub(super) fn index(self) -> u32 {
        self.index
    }
}

/// All peers of a shard.
#[derive(Default)]
pub(super) struct Peers {
    places: Vec<Place>,
    free: Vec<u32>,
}

struct Place {
    generation: u32,
    peer: Option<Box<Peer>>,
}

impl Peers {
    pub(super) fn insert(&mut self, peer: Peer) -> PeerKey {
        let index = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place { generation: 0, peer: None });
            (self.places.len() - 1) as u32
        });
        let place = &mut self.places[index as usize];
        place.peer = Some(Box::new(peer));
        PeerKey { index, generation: place.generation }
    }

    pub(super) fn remove(&mut self, key: PeerKey) -> Option<Box<Peer>> {
        let place =
            self.places.get_mut(key.index as usize).filter(|place| place.generation == key.generation)?;
        let peer = place.peer.take()?;
        place.generation = place.generation.wrapping_add(1);
        self.free.push(key.index);
        Some(peer)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, key: PeerKey) -> Option<&mut Peer> {
        let place = self.places.get_mut(key.index as usize)?;
        if place.generation != key.generation {
            return None;
        }
        place.peer.as_deref_mut()
    }

    pub(super) fn get(&self, key: PeerKey) -> Option<&Peer> {
        let place = self.places.get(key.index as usize)?;
        if place.generation != key.generation {
            return None;
        }
        place.peer.as_deref()
    }

    /// The peer that has a place now.
    pub(super) fn at(&self, index: u32) -> Option<PeerKey> {
        let place = self.places.get(index as usize)?;
        place.peer.as_ref().map(|_| PeerKey { index, generation: place.generation })
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (PeerKey, &Peer)> {
        self.places.iter().enumerate().filter_map(|(index, place)| {
            let peer = place.peer.as_deref()?;
            Some((PeerKey { index: index as u32, generation: place.generation }, peer))
        })
    }

    pub(super) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }
}
