//! The seam between the control plane (HTTP) and a shard thread: what may be asked, and what comes back.
//!
//! Everything here is asked at join, leave or by an operator, never per packet. A request travels over a bounded
//! channel and wakes the shard by an eventfd; the answer comes back on a oneshot channel.

pub mod handle;
pub mod join;

use std::net::SocketAddr;
use std::time::SystemTime;

use latchkey_relay_core::{TrackId, TrackParams};
use latchkey_wire::codec::{Codec, MediaKind};
use latchkey_wire::id::{DeviceHandle, RoomId};
use tokio::sync::oneshot;

use crate::shard::command::join::{JoinAccepted, JoinError, JoinRequest};
use crate::shard::end::EndReason;
use crate::shard::session_id::SessionId;
use crate::shard::traffic::RoomFigures;
use crate::transport::ice::credentials::Credentials;

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
