//! Running watches and cameras by their numbers.

use std::sync::Arc;

use latchkey_api::id::DeviceId;
use latchkey_api::session::SessionScope;
use latchkey_household::clock::Instant;
use latchkey_household::event::Teller;
use latchkey_household::story::Step as StoryStep;
use latchkey_household::task::{Task, spawn};

use crate::device::{CameraSession, Device, WatchSession};
use crate::face::session::{Door, TellStep};
use crate::face::{Fault, Nothing};
use crate::host::Host;
use crate::told;

/// One of both.
#[derive(Clone)]
pub(super) enum Session {
    Watch(Arc<WatchSession>),
    Camera(Arc<CameraSession>),
}

impl Session {
    fn teller(&self) -> &Arc<Teller> {
        match self {
            Self::Watch(watch) => watch.teller(),
            Self::Camera(camera) => camera.teller(),
        }
    }

    fn door(&self) -> (DeviceId, SessionScope) {
        match self {
            Self::Watch(watch) => (watch.camera(), SessionScope::View),
            Self::Camera(camera) => (camera.camera(), SessionScope::Publish),
        }
    }

    fn end(&self) {
        match self {
            Self::Watch(watch) => watch.end(),
            Self::Camera(camera) => camera.end(),
        }
    }

    fn tick(&self, now: Instant) {
        match self {
            Self::Watch(watch) => watch.tick(now),
            Self::Camera(camera) => camera.tick(now),
        }
    }
}

/// Tasks of a session, which end when this is dropped.
pub(super) struct Tasks(pub(super) Vec<Task>);

impl Drop for Tasks {
    fn drop(&mut self) {
        self.0.iter().for_each(Task::abort);
    }
}

/// Passes on what a session tells.
pub(super) fn pass_on(number: u32, teller: &Teller, host: Arc<dyn Host>) -> Task {
    let mut events = teller.listen();
    spawn(async move {
        loop {
            match events.recv().await {
                Ok(event) => {
                    if let Some(event) = told::event(number, event) {
                        host.tell(event);
                    }
                }
                Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => {}
                Err(tokio::sync::broadcast::error::RecvError::Closed) => return,
            }
        }
    })
}

impl Device {
    /// The watch of this number, for its frames.
    pub fn watch_session(&self, number: u32) -> Option<Arc<WatchSession>> {
        match self.state().sessions.get(&number)? {
            Session::Watch(watch) => Some(Arc::clone(watch)),
            Session::Camera(_) => None,
        }
    }

    /// The camera of this number, for its frames.
    pub fn camera_session(&self, number: u32) -> Option<Arc<CameraSession>> {
        match self.state().sessions.get(&number)? {
            Session::Camera(camera) => Some(Arc::clone(camera)),
            Session::Watch(_) => None,
        }
    }

    /// Tells the figures of the last second. To be called about once a second.
    pub fn tick(&self) {
        let sessions: Vec<Session> = self.state().sessions.values().cloned().collect();
        let now = Instant::now();
        sessions.iter().for_each(|session| session.tick(now));
    }

    pub(super) fn next_number(&self) -> u32 {
        let mut state = self.state();
        state.last_session += 1;
        state.last_session
    }

    pub(super) fn keep_session(&self, number: u32, session: Session) {
        self.state().sessions.insert(number, session);
    }

    pub(super) async fn door(&self, number: u32) -> Result<Door, Fault> {
        let (member, session) = (self.member()?, self.session(number)?);
        let (camera, scope) = session.door();
        let opened = match member.signaling.open_session(camera, scope).await {
            Ok(opened) => opened,
            Err(error) => {
                session.teller().trying(StoryStep::Relay, &error.to_string());
                return Err(error.into());
            }
        };
        session.teller().done(StoryStep::Signalling);
        if let Session::Watch(watch) = &session {
            watch.new_connection(Instant::now());
        }
        let url = match scope {
            SessionScope::Publish => opened.relay.whip_url,
            SessionScope::View => opened.relay.whep_url,
        };
        let url = url.ok_or_else(|| Fault::new("server", "the server names no relay address"))?;
        Ok(Door { url, grant: opened.grant })
    }

    pub(super) fn tell_step(&self, ask: &TellStep) -> Result<Nothing, Fault> {
        let session = self.session(ask.session)?;
        let (teller, step) = (session.teller(), ask.step.into());
        match &ask.reason {
            None => {
                teller.done(step);
            }
            Some(reason) if teller.story().done_after(step).is_some() => teller.again_from(step, reason),
            Some(reason) => teller.trying(step, reason),
        }
        Ok(Nothing {})
    }

    pub(super) fn end_session(&self, number: u32) -> Nothing {
        let session = self.state().sessions.remove(&number);
        if let Some(session) = session {
            session.end();
        }
        Nothing {}
    }

    pub(super) fn end_all_sessions(&self) {
        let sessions = std::mem::take(&mut self.state().sessions);
        sessions.values().for_each(Session::end);
    }

    fn session(&self, number: u32) -> Result<Session, Fault> {
        self.state().sessions.get(&number).cloned().ok_or_else(Fault::no_session)
    }
}
