//! The sessions that the door let in, by the name in their URL, and for a minute how the ended ones ended.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dashmap::DashMap;

use crate::admission::crowd::Ticket;
use crate::registry::RoomLease;
use crate::shard::command::join::Role;
use crate::shard::end::{EndReason, SessionEnd};
use crate::shard::session_id::SessionId;

/// All sessions of the relay.
#[derive(Default)]
pub(crate) struct Sessions {
    running: DashMap<SessionId, Session>,
    ended: Mutex<Ended>,
}

/// One running session. Dropping it gives back its place in the crowd and its lease on the room.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) role: Role,
    pub(crate) lease: RoomLease,
    /// Held, never read: dropping it makes room.
    #[expect(dead_code, reason = "held for its drop")]
    pub(crate) ticket: Ticket,
    /// mid and media name of the section that carries the transport, for the answer to an ICE restart.
    pub(crate) transport_section: (String, String),
    /// Names of the codecs agreed on, for people: a publisher shown out is told of which media it is the talk.
    pub(crate) codecs: String,
    /// How often ICE was restarted, from 0; the session's entity tag.
    pub(crate) ice_generation: u32,
    /// Its viewer has said when it opened its first frame.
    pub(crate) has_picture: bool,
}

/// What is known of a session by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// It runs.
    Running(Running),
    /// It has ended less than a minute ago.
    Ended(SessionEnd),
}

/// What a request on a running session needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Running {
    pub(crate) role: Role,
    pub(crate) shard: usize,
    pub(crate) ice_generation: u32,
    pub(crate) transport_section: (String, String),
}

#[derive(Default)]
struct Ended {
    how: HashMap<SessionId, SessionEnd>,
    by_age: VecDeque<(Instant, SessionId)>,
}

/// How long the end of a session can be asked for.
pub(crate) const REMEMBERED: Duration = Duration::from_secs(60);

impl Sessions {
    /// Adds a session that a shard took in; the end of it may have come first.
    pub(crate) fn add(&self, id: SessionId, session: Session) {
        self.running.insert(id, session);
        if self.ended().how.contains_key(&id) {
            self.running.remove(&id);
        }
    }

    /// Notes that a session has ended.
    pub(crate) fn end(&self, mut end: SessionEnd, now: Instant) {
        let id = end.session;
        if end.reason == EndReason::NotSealed
            && let Some(session) = self.running.get(&id)
        {
            let what = end.detail.as_deref().unwrap_or("the media is not end-to-end encrypted");
            end.detail = Some(format!("{}: {what}", session.codecs));
        }
        let mut ended = self.ended();
        ended.forget(now);
        if ended.how.insert(id, end).is_none() {
            ended.by_age.push_back((now, id));
        }
        drop(ended);
        self.running.remove(&id);
    }

    /// What is known of `id`, or `None` for a name never given out or forgotten.
    pub(crate) fn find(&self, id: SessionId, now: Instant) -> Option<Known> {
        if let Some(session) = self.running.get(&id) {
            return Some(Known::Running(Running {
                role: session.role,
                shard: session.lease.shard(),
                ice_generation: session.ice_generation,
                transport_section: session.transport_section.clone(),
            }));
        }
        let mut ended = self.ended();
        ended.forget(now);
        ended.how.get(&id).cloned().map(Known::Ended)
    }

    /// Counts an ICE restart and returns the new generation, or `None` when the session has ended meanwhile.
    pub(crate) fn restarted(&self, id: SessionId) -> Option<u32> {
        let mut session = self.running.get_mut(&id)?;
        session.ice_generation += 1;
        Some(session.ice_generation)
    }

    /// Notes that the viewer has its picture; true for the first time that it says so.
    pub(crate) fn note_picture(&self, id: SessionId) -> bool {
        self.running
            .get_mut(&id)
            .is_some_and(|mut session| !std::mem::replace(&mut session.has_picture, true))
    }

    fn ended(&self) -> MutexGuard<'_, Ended> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ended {
    fn forget(&mut self, now: Instant) {
        while let Some((since, id)) = self.by_age.front().copied() {
            if now.saturating_duration_since(since) < REMEMBERED {
                break;
            }
            self.by_age.pop_front();
            self.how.remove(&id);
        }
    }
}
