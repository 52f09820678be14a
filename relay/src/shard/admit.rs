//! Who may come in: publishers, viewers, and what their media sections mean to the room.

use std::time::{Duration, Instant, SystemTime};

use latchkey_relay_core::{Mid, Origin, RtxParams, SubscriptionParams, TrackId, TrackParams};
use latchkey_wire::codec::Codec;
use latchkey_wire::extension::{ExtensionKind, ExtensionMap as WireMap};
use latchkey_wire::id::{DeviceHandle, RoomId};
use zeroize::Zeroizing;

use crate::shard::command::Home;
use crate::shard::command::join::{
    ExtensionMap, JoinAccepted, JoinError, JoinRequest, MediaLeg, OfferedLayer, Role,
};
use crate::shard::counters::events::Event;
use crate::shard::end::EndReason;
use crate::shard::peer::{Admitted, Leg, Peer};
use crate::shard::rooms::LiveRoom;
use crate::shard::session_id::SessionId;
use crate::shard::worker::Worker;
use crate::transport::dtls::Dtls;
use crate::transport::ice::IceLite;
use crate::transport::ice::credentials::Credentials;

impl Worker {
    /// Lets a peer in whose grant was verified.
    pub(super) fn join(
        &mut self,
        request: JoinRequest,
        home: Option<&Home>,
        now: Instant,
    ) -> Result<JoinAccepted, JoinError> {
        if self.draining {
            return Err(JoinError::Draining);
        }
        let left =
            request.session_expires.duration_since(SystemTime::now()).map_err(|_| JoinError::Expired)?;
        if self.is_cut(&request) {
            return Err(JoinError::CutOff);
        }
        if self.peers.len() >= self.setup.limits.sessions_per_shard {
            return Err(JoinError::Full);
        }
        let session = SessionId::random().map_err(|_| JoinError::Unavailable)?;
        let local = Credentials::random(self.index).map_err(|_| JoinError::Unavailable)?;
        let remote = Credentials { ufrag: request.remote.ufrag, pwd: Zeroizing::new(request.remote.pwd) };
        let (room, media) = match request.role {
            Role::Publish => self.admit_publisher(request.room, request.device, request.media, now)?,
            Role::View => self.admit_viewer(request.room, request.media, home, now)?,
        };
        let admitted = Admitted {
            session,
            device: request.device,
            role: request.role,
            room,
            granted_at: request.granted_at,
            expires: now + left.min(LONGEST_SESSION),
            media,
            ice: IceLite::new(local.clone(), remote),
            dtls: Dtls::new(self.setup.identity.clone(), request.remote.fingerprint),
        };
        let key = self.peers.insert(Peer::new(admitted, &self.setup.limits, now));
        self.by_session.insert(session, key);
        self.by_ufrag.insert(local.ufrag.clone(), key);
        self.connecting += 1;
        if request.role == Role::Publish {
            self.publishers += 1;
        }
        if let Some(live) = self.rooms.at(room) {
            live.members += 1;
            if request.role == Role::Publish {
                live.publisher = Some(key);
            }
        }
        self.outbox.tally.add(Event::SessionOpened, 1);
        self.tell_home(room);
        if request.role == Role::Publish {
            self.tell_branches_of_tracks(room);
        }
        self.arm_peer(key);
        self.arm_room(room);
        tracing::info!(?session, room = ?request.room, device = ?request.device, role = ?request.role, "session opened");
        Ok(JoinAccepted { session, ufrag: local.ufrag, pwd: local.pwd.to_string() })
    }

    fn admit_publisher(
        &mut self,
        id: RoomId,
        device: DeviceHandle,
        media: Vec<MediaLeg>,
        now: Instant,
    ) -> Result<(u32, Vec<Leg>), JoinError> {
        let mut kinds = Vec::new();
        for leg in media.iter().filter(|leg| leg.codec.is_some()) {
            if kinds.contains(&leg.kind) {
                return Err(JoinError::Unusable("more than one media section of a kind"));
            }
            kinds.push(leg.kind);
        }
        if kinds.is_empty() {
            return Err(JoinError::NoCommonMedia);
        }
        self.give_up_branch(id, now);
        let place = self.rooms.find_or_insert(id, &self.setup.room_config, now);
        let former = self.rooms.at(place).and_then(|live| live.publisher);
        if let Some(former) = former {
            if self.peers.get(former).is_some_and(|peer| peer.device != device) {
                return Err(JoinError::RoomTaken);
            }
            self.end(former, EndReason::Replaced, now);
        }
        // Ending it may have removed an empty room.
        let place = self.rooms.find_or_insert(id, &self.setup.room_config, now);
        let live = self.rooms.at(place).expect("a room that was just found");
        let mut changed = Vec::new();
        for track in live.room.tracks().collect::<Vec<_>>() {
            let goes_on = live
                .room
                .track(track)
                .is_some_and(|old| media.iter().any(|leg| leg.codec == Some(old.codec)));
            if !goes_on {
                changed.push(track);
                live.room.unpublish(track);
            }
        }
        let mut legs = Vec::with_capacity(media.len());
        for params in media {
            let track = match params.codec {
                Some(codec) => {
                    let offered = track_params(&params, codec);
                    Some(match live.track_with(codec) {
                        Some(track) => {
                            live.room.replace(track, offered).map_err(|_| JoinError::Unavailable)?;
                            track
                        }
                        None => live.room.publish(offered, now).map_err(|_| JoinError::Full)?,
                    })
                }
                None => None,
            };
            let layers = match track {
                Some(track) => live.publish_layers(track, &params, now)?,
                None => Vec::new(),
            };
            legs.push(Leg { params, track, layers });
        }
        if !changed.is_empty() {
            self.end_viewers_of(place, &changed, now);
        }
        Ok((place, legs))
    }

    fn admit_viewer(
        &mut self,
        id: RoomId,
        media: Vec<MediaLeg>,
        home: Option<&Home>,
        now: Instant,
    ) -> Result<(u32, Vec<Leg>), JoinError> {
        let place = match home {
            Some(home) => self.find_or_open_branch(id, home, now),
            None => self.rooms.find(&id).ok_or(JoinError::NoPublisher)?,
        };
        let admitted = self.admit_viewer_to(place, media);
        if admitted.is_err() && self.rooms.at(place).is_some_and(|live| live.is_deserted()) {
            self.rooms.remove(place);
        }
        admitted
    }

    fn admit_viewer_to(&mut self, place: u32, media: Vec<MediaLeg>) -> Result<(u32, Vec<Leg>), JoinError> {
        let live = self.rooms.at(place).filter(|live| live.is_live()).ok_or(JoinError::NoPublisher)?;
        let mut legs = Vec::with_capacity(media.len());
        for params in media {
            let track = params.codec.and_then(|codec| live.track_with(codec));
            if track.is_some() && Mid::new(&params.mid).is_none() {
                return Err(JoinError::Unusable("a mid longer than 16 bytes"));
            }
            legs.push(Leg { params, track, layers: Vec::new() });
        }
        if legs.iter().all(|leg| leg.track.is_none()) {
            return Err(JoinError::NoCommonMedia);
        }
        // The publisher is one of the members.
        if live.members > self.setup.room_config.subscribers {
            return Err(JoinError::Full);
        }
        Ok((place, legs))
    }

    fn is_cut(&self, request: &JoinRequest) -> bool {
        self.cuts
            .get(&(request.room, request.device))
            .is_some_and(|(before, _)| request.granted_at <= *before)
    }

    pub(super) fn end_viewers_of(&mut self, place: u32, tracks: &[TrackId], now: Instant) {
        let concerned: Vec<_> = self
            .peers
            .iter()
            .filter(|(_, peer)| peer.room == place && peer.role == Role::View)
            .filter(|(_, peer)| {
                peer.media.iter().any(|leg| leg.track.is_some_and(|track| tracks.contains(&track)))
            })
            .map(|(key, _)| key)
            .collect();
        for key in concerned {
            self.end(key, EndReason::MediaChanged, now);
        }
    }
}

/// The leg's track, or its first simulcast layer.
fn track_params(leg: &MediaLeg, codec: Codec) -> TrackParams {
    let single = TrackParams {
        codec,
        payload_type: leg.payload_type,
        rtx_payload_type: leg.rtx_payload_type,
        ssrc: leg.remote_ssrc,
        rtx_ssrc: None,
        extensions: wire_map(&leg.extensions),
        nack: leg.feedback.nack,
        first: None,
        rid: None,
        pause: leg.feedback.pause,
    };
    leg.layers.first().map_or(single, |layer| layer_params(single, layer))
}

fn layer_params(track: TrackParams, layer: &OfferedLayer) -> TrackParams {
    TrackParams { ssrc: layer.ssrc, rtx_ssrc: layer.rtx_ssrc, rid: layer.rid, ..track }
}

impl LiveRoom {
    /// Publishes what a leg has besides its first simulcast layer, in the place of what its predecessor had.
    fn publish_layers(
        &mut self,
        first: TrackId,
        leg: &MediaLeg,
        now: Instant,
    ) -> Result<Vec<TrackId>, JoinError> {
        let Some(track) = self.room.track(first).copied() else { return Ok(Vec::new()) };
        let room = &mut self.room;
        let further = |id: &TrackId| room.track(*id).is_some_and(|params| params.first == Some(first));
        let mut former: Vec<TrackId> = room.tracks().filter(further).collect();
        let mut layers = Vec::new();
        for layer in leg.layers.iter().skip(1) {
            let params = TrackParams { first: Some(first), ..layer_params(track, layer) };
            if former.is_empty() {
                layers.push(room.publish(params, now).map_err(|_| JoinError::Full)?);
            } else {
                let id = former.remove(0);
                room.replace(id, params).map_err(|_| JoinError::Unavailable)?;
                layers.push(id);
            }
        }
        former.into_iter().for_each(|id| room.unpublish(id));
        Ok(layers)
    }
}

pub(super) fn subscription_params(leg: &MediaLeg) -> Option<SubscriptionParams> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).ok()?;
    Some(SubscriptionParams {
        ssrc: leg.local_ssrc,
        payload_type: leg.payload_type,
        rtx: leg.rtx_payload_type.map(|payload_type| RtxParams { ssrc: leg.local_rtx_ssrc, payload_type }),
        mid: Mid::new(&leg.mid)?,
        extensions: wire_map(&leg.extensions),
        origin: Origin {
            sequence: u16::from_be_bytes([random[0], random[1]]),
            rtx_sequence: u16::from_be_bytes([random[2], random[3]]),
            timestamp: u32::from_be_bytes([random[4], random[5], random[6], random[7]]),
        },
        most_bits_per_second: leg.most_bits_per_second,
    })
}

fn wire_map(map: &ExtensionMap) -> WireMap {
    let mut wire = WireMap::new();
    let entries = [
        (ExtensionKind::Mid, map.mid),
        (ExtensionKind::Rid, map.rid),
        (ExtensionKind::RepairedRid, map.repaired_rid),
        (ExtensionKind::AbsCaptureTime, map.abs_capture_time),
        (ExtensionKind::DependencyDescriptor, map.dependency_descriptor),
        (ExtensionKind::TransportCc, map.transport_cc),
        (ExtensionKind::PlayoutDelay, map.playout_delay),
    ];
    for (kind, id) in entries {
        if let Some(id) = id {
            // An id that is taken or reserved leaves the extension out, as if it had not been negotiated.
            let _ = wire.insert(kind, id);
        }
    }
    wire
}

/// Deadlines far away are shortened, because adding them to the clock could overflow.
const LONGEST_SESSION: Duration = Duration::from_secs(30 * 24 * 3600);
