//! How the control plane asks a shard: each method is one command and its answer.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::SystemTime;

use latchkey_wire::id::{DeviceHandle, RoomId};
use tokio::sync::oneshot;

use crate::batch::Waker;
use crate::shard::command::join::{JoinAccepted, JoinError, JoinRequest, Role};
use crate::shard::command::{Command, CommandError, Home, PublishedTrack};
use crate::shard::counters::ShardCounters;
use crate::shard::session_id::SessionId;
use crate::shard::traffic::RoomFigures;
use crate::transport::ice::credentials::Credentials;

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
