//! The seam between the control plane (HTTP) and a shard thread: what may be asked, and what comes back.
//!
//! Everything here is asked at join, leave or by an operator, never per packet. A request travels over a bounded
//! channel and wakes the shard by an eventfd; the answer comes back on a oneshot channel.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::SystemTime;

use latchkey_relay_core::{TrackId, TrackParams};
use latchkey_wire::codec::Codec;
pub use latchkey_wire::codec::MediaKind;
use latchkey_wire::id::{DeviceHandle, RoomId};
use tokio::sync::oneshot;

use crate::batch::Waker;
pub use crate::sdp::simulcast::OfferedLayer;
use crate::shard::counters::ShardCounters;
use crate::shard::end::EndReason;
use crate::shard::session_id::SessionId;
use crate::shard::traffic::RoomFigures;
use crate::transport::fingerprint::Fingerprint;
use crate::transport::ice::Credentials;

/// One peer asks to publish into, or to view, a room. The grant has already been verified by the caller.
#[derive(Clone, Debug)]
pub struct JoinRequest {
    /// The room that the grant names.
    pub room: RoomId,
    /// The grant's subject: which device this is, opaque to the relay.
    pub device: DeviceHandle,
    /// What the peer will do.
    pub role: Role,
    /// The grant's `iat`; compared with cuts that forbid older grants.
    pub granted_at: SystemTime,
    /// The grant's `session_exp`; the leg ends then at the latest.
    pub session_expires: SystemTime,
    /// The peer's ICE and DTLS parameters from its offer.
    pub remote: RemoteParams,
    /// One- and two-byte header extensions may be mixed towards this peer (`a=extmap-allow-mixed`).
    pub extmap_allow_mixed: bool,
    /// The negotiated media sections, in the order of the offer.
    pub media: Vec<MediaLeg>,
}

/// What a peer does in its room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Sends media; one per room.
    Publish,
    /// Receives the room's media.
    View,
}

/// The peer's side of the transport, as its offer says.
#[derive(Clone)]
pub struct RemoteParams {
    /// `a=ice-ufrag`.
    pub ufrag: String,
    /// `a=ice-pwd`; never logged.
    pub pwd: String,
    /// `a=fingerprint:sha-256`.
    pub fingerprint: Fingerprint,
    /// UDP candidates of the offer. Informative: an address counts only once it passed an authenticated check.
    pub candidates: Vec<SocketAddr>,
}

/// One negotiated media section of one peer.
///
/// For a publisher `codec` and `payload_type` are what it will send; for a viewer what the relay will send to it.
#[derive(Clone, Debug)]
pub struct MediaLeg {
    /// `a=mid`, at most 16 bytes.
    pub mid: String,
    /// Audio or video.
    pub kind: MediaKind,
    /// The one codec chosen for this section; `None` when it was refused (port 0), which keeps indices aligned.
    pub codec: Option<Codec>,
    /// Payload type of the codec on this leg.
    pub payload_type: u8,
    /// Payload type of RTX (RFC 4588) for it, when negotiated.
    pub rtx_payload_type: Option<u8>,
    /// Negotiated header extension ids.
    pub extensions: ExtensionMap,
    /// Publisher: SSRC of `a=ssrc`, when the offer names one; otherwise it is learnt by mid or payload type.
    pub remote_ssrc: Option<u32>,
    /// Publisher: its RTX SSRC, when the offer names one.
    pub remote_rtx_ssrc: Option<u32>,
    /// SSRC that the relay sends with on this leg (for a publisher: of its receiver reports).
    pub local_ssrc: u32,
    /// RTX SSRC that the relay sends with on this leg; unused without `rtx_payload_type`.
    pub local_rtx_ssrc: u32,
    /// Negotiated RTCP feedback.
    pub feedback: Feedback,
    /// Publisher: its simulcast layers in the order of the offer; none for a single stream.
    pub layers: Vec<OfferedLayer>,
    /// Viewer: bits a second that it wishes at most.
    pub most_bits_per_second: Option<u64>,
}

/// Header extension ids (1..=14 one-byte, up to 255 two-byte) negotiated on one media section.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExtensionMap {
    /// `urn:ietf:params:rtp-hdrext:sdes:mid`
    pub mid: Option<u8>,
    /// `urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id`
    pub rid: Option<u8>,
    /// `urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id`
    pub repaired_rid: Option<u8>,
    /// `http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time`
    pub abs_capture_time: Option<u8>,
    /// The AV1 RTP specification's dependency descriptor.
    pub dependency_descriptor: Option<u8>,
    /// `draft-holmer-rmcat-transport-wide-cc-extensions-01`
    pub transport_cc: Option<u8>,
    /// `http://www.webrtc.org/experiments/rtp-hdrext/playout-delay`
    pub playout_delay: Option<u8>,
    /// `http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time`
    pub abs_send_time: Option<u8>,
}

/// RTCP feedback negotiated for the chosen payload type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Feedback {
    /// `nack`
    pub nack: bool,
    /// `nack pli`
    pub pli: bool,
    /// `transport-cc`
    pub transport_cc: bool,
    /// `ccm pause` (RFC 7728)
    pub pause: bool,
}

/// What the caller needs for the SDP answer. Fingerprint and candidates are the same for the whole relay.
#[derive(Clone)]
pub struct JoinAccepted {
    /// Names the session in later commands.
    pub session: SessionId,
    /// The relay's `a=ice-ufrag` for this peer; its first character names the shard.
    pub ufrag: String,
    /// The relay's `a=ice-pwd` for this peer; never logged.
    pub pwd: String,
}

/// Why a join was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// Caller (viewer): nobody publishes into the room now; worth a retry.
    #[error("nobody publishes into this room")]
    NoPublisher,
    /// Caller (publisher): another device publishes into the room.
    #[error("another device publishes into this room")]
    RoomTaken,
    /// Caller: no media section fits what the room carries.
    #[error("no offered media section fits this room")]
    NoCommonMedia,
    /// Caller: the device was cut off after this grant was issued.
    #[error("the device was cut off after this grant was issued")]
    CutOff,
    /// Caller: the session would already be over.
    #[error("the granted session is over")]
    Expired,
    /// Caller: a parameter cannot be used (named in the text).
    #[error("unusable parameter: {0}")]
    Unusable(&'static str),
    /// Us: the room or the shard is full.
    #[error("the relay is full")]
    Full,
    /// Us: the relay is draining and takes nobody new.
    #[error("the relay is draining")]
    Draining,
    /// Us: the shard's command queue is full or its thread has ended.
    #[error("the shard does not answer")]
    Unavailable,
}

/// Why a command on an existing session or room failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// Caller: no such session on this shard.
    #[error("no such session")]
    UnknownSession,
    /// Caller: the session is over; kept for a minute so that a client can learn why.
    #[error("the session is over: {0}")]
    Ended(EndReason),
    /// Us: the shard's command queue is full or its thread has ended.
    #[error("the shard does not answer")]
    Unavailable,
}

/// One track that a room's publisher sends now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublishedTrack {
    /// Audio or video.
    pub kind: MediaKind,
    /// Its codec.
    pub codec: Codec,
}

/// What a shard may be asked.
pub(crate) enum Command {
    Join {
        request: Box<JoinRequest>,
        /// Where a viewer's room has its publisher, when that is another shard.
        home: Option<Home>,
        reply: oneshot::Sender<Result<JoinAccepted, JoinError>>,
    },
    Leave {
        session: SessionId,
        reply: oneshot::Sender<Result<(), CommandError>>,
    },
    AddCandidates {
        session: SessionId,
        candidates: Vec<SocketAddr>,
        reply: oneshot::Sender<Result<(), CommandError>>,
    },
    IceRestart {
        session: SessionId,
        ufrag: String,
        pwd: String,
        reply: oneshot::Sender<Result<JoinAccepted, CommandError>>,
    },
    Cut {
        room: RoomId,
        device: DeviceHandle,
        issued_before: SystemTime,
        reply: oneshot::Sender<usize>,
    },
    TracksOf {
        room: RoomId,
        reply: oneshot::Sender<Option<Vec<PublishedTrack>>>,
    },
    Outline {
        room: RoomId,
        reply: oneshot::Sender<Option<Vec<(TrackId, TrackParams)>>>,
    },
    Rooms {
        reply: oneshot::Sender<Vec<RoomFigures>>,
    },
    OpenProbe {
        reply: oneshot::Sender<Option<Credentials>>,
    },
    Drain,
    Stop,
}

/// The shard that has a room's publisher, and what that sends.
pub(crate) struct Home {
    pub(crate) shard: usize,
    pub(crate) tracks: Vec<(TrackId, TrackParams)>,
}

/// Asks one shard. Cheap to clone; every method may be called from any task.
#[derive(Clone)]
pub struct ShardHandle {
    pub(crate) index: usize,
    pub(crate) commands: SyncSender<Command>,
    pub(crate) waker: Waker,
    pub(crate) counters: Arc<ShardCounters>,
}

impl ShardHandle {
    /// Which shard this is, from 0.
    pub fn index(&self) -> usize {
        self.index
    }

    /// Counters that the shard publishes about once per loop.
    pub fn counters(&self) -> &ShardCounters {
        &self.counters
    }

    /// Takes a peer in. Answers once its transport waits for the first STUN check.
    ///
    /// # Errors
    /// See [`JoinError`]; nothing has changed then.
    pub async fn join(&self, request: JoinRequest) -> Result<JoinAccepted, JoinError> {
        self.join_with(request, None).await
    }

    /// Takes a viewer in whose room has its publisher on the shard `home`. The packets are handed over once, however many
    /// viewers there are.
    ///
    /// # Errors
    /// See [`JoinError`]; nothing has changed then.
    pub async fn join_from(&self, home: &Self, request: JoinRequest) -> Result<JoinAccepted, JoinError> {
        if home.index == self.index || request.role == Role::Publish {
            return self.join(request).await;
        }
        let (reply, answer) = oneshot::channel();
        let outline = home.ask(Command::Outline { room: request.room, reply }, answer).await;
        let tracks = outline.map_err(|_| JoinError::Unavailable)?.ok_or(JoinError::NoPublisher)?;
        self.join_with(request, Some(Home { shard: home.index, tracks })).await
    }

    async fn join_with(&self, request: JoinRequest, home: Option<Home>) -> Result<JoinAccepted, JoinError> {
        let (reply, answer) = oneshot::channel();
        let command = Command::Join { request: Box::new(request), home, reply };
        self.send(command).map_err(|_| JoinError::Unavailable)?;
        answer.await.unwrap_or(Err(JoinError::Unavailable))
    }

    /// Ends a session at once (HTTP `DELETE`).
    ///
    /// # Errors
    /// [`CommandError::UnknownSession`] when it is over already.
    pub async fn leave(&self, session: SessionId) -> Result<(), CommandError> {
        let (reply, answer) = oneshot::channel();
        self.ask(Command::Leave { session, reply }, answer).await?
    }

    /// Adds trickled candidates (HTTP `PATCH`). They are hints only, so too many are ignored.
    ///
    /// # Errors
    /// [`CommandError::UnknownSession`] when the session is over.
    pub async fn add_candidates(
        &self,
        session: SessionId,
        candidates: Vec<SocketAddr>,
    ) -> Result<(), CommandError> {
        let (reply, answer) = oneshot::channel();
        self.ask(Command::AddCandidates { session, candidates, reply }, answer).await?
    }

    /// Restarts ICE with the peer's new credentials; the answer carries the relay's new ones. Media keeps flowing to the
    /// old address until a check under the new credentials succeeds.
    ///
    /// # Errors
    /// [`CommandError::UnknownSession`] when the session is over.
    pub async fn ice_restart(
        &self,
        session: SessionId,
        ufrag: String,
        pwd: String,
    ) -> Result<JoinAccepted, CommandError> {
        let (reply, answer) = oneshot::channel();
        self.ask(Command::IceRestart { session, ufrag, pwd, reply }, answer).await?
    }

    /// Ends every leg of `device` in `room` at once and, for the next 120 s, refuses its grants issued before `issued_before`.
    /// Answers with the number of legs ended.
    ///
    /// # Errors
    /// [`CommandError::Unavailable`]
    pub async fn cut(
        &self,
        room: RoomId,
        device: DeviceHandle,
        issued_before: SystemTime,
    ) -> Result<usize, CommandError> {
        let (reply, answer) = oneshot::channel();
        self.ask(Command::Cut { room, device, issued_before, reply }, answer).await
    }

    /// What the room's publisher sends, or `None` when nobody publishes there. A publisher counts from its join on.
    ///
    /// # Errors
    /// [`CommandError::Unavailable`]
    pub async fn tracks_of(&self, room: RoomId) -> Result<Option<Vec<PublishedTrack>>, CommandError> {
        let (reply, answer) = oneshot::channel();
        self.ask(Command::TracksOf { room, reply }, answer).await
    }

    /// Every room of the shard with what it has done so far, in no order.
    ///
    /// # Errors
    /// [`CommandError::Unavailable`]
    pub async fn rooms(&self) -> Result<Vec<RoomFigures>, CommandError> {
        let (reply, answer) = oneshot::channel();
        self.ask(Command::Rooms { reply }, answer).await
    }

    /// Credentials that answer a STUN check a few times within half a minute; `None` when too many wait already.
    ///
    /// # Errors
    /// [`CommandError::Unavailable`]
    pub(crate) async fn open_probe(&self) -> Result<Option<Credentials>, CommandError> {
        let (reply, answer) = oneshot::channel();
        self.ask(Command::OpenProbe { reply }, answer).await
    }

    /// Takes nobody new from now on; present sessions go on.
    pub fn drain(&self) {
        // A full queue means a busy shard, an ended thread means nothing to drain: the caller repeats or stops.
        let _ = self.send(Command::Drain);
    }

    async fn ask<T>(&self, command: Command, answer: oneshot::Receiver<T>) -> Result<T, CommandError> {
        self.send(command).map_err(|_| CommandError::Unavailable)?;
        answer.await.map_err(|_| CommandError::Unavailable)
    }

    pub(crate) fn send(&self, command: Command) -> Result<(), TrySendError<Command>> {
        self.commands.try_send(command)?;
        self.waker.wake();
        Ok(())
    }
}

impl fmt::Debug for ShardHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShardHandle").field("index", &self.index).finish_non_exhaustive()
    }
}

impl fmt::Debug for RemoteParams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteParams")
            .field("fingerprint", &self.fingerprint)
            .field("candidates", &self.candidates.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for JoinAccepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinAccepted").field("session", &self.session).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn secrets_stay_out_of_debug_output() {
        let params = RemoteParams {
            ufrag: "fragfrag".into(),
            pwd: "correcthorsebattery".into(),
            fingerprint: Fingerprint([7; 32]),
            candidates: Vec::new(),
        };
        let shown = format!("{params:?}");
        assert!(!shown.contains("correcthorse") && !shown.contains("fragfrag"), "{shown}");
    }
}
