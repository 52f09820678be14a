//! Asks a server as often as it allows: who is told to wait waits, and the others behind it.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use latchkey::signaling::SignalingError;
use latchkey_api::problem::ProblemCode;
use tokio::sync::{RwLock, mpsc};

use crate::crew::Progress;
use crate::crew::error::{CrewError, asked_to_wait};

/// What the server limits by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::crew) enum Limited {
    /// Registering a household: by the hour.
    Register,
    /// All else: by the second.
    Request,
}

/// The manners of a crew that stands behind one address.
#[derive(Default)]
pub(in crate::crew) struct Patience {
    /// Held by the one that was refused and tries again; who comes meanwhile waits for it.
    register: RwLock<()>,
    request: RwLock<()>,
    told: Mutex<Option<mpsc::UnboundedSender<Progress>>>,
}

impl Patience {
    /// From now on every wait is told here.
    pub(in crate::crew) fn tell(&self, listener: Option<mpsc::UnboundedSender<Progress>>) {
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = listener;
    }

    /// Asks, and asks again after the time that the server names; returns the reply and how long it was waited for.
    pub(in crate::crew) async fn ask<T, Asked>(
        &self,
        limited: Limited,
        doing: &'static str,
        ask: impl Fn() -> Asked,
    ) -> Result<(T, Duration), CrewError>
    where
        Asked: Future<Output = Result<T, SignalingError>>,
    {
        let gate = match limited {
            Limited::Register => &self.register,
            Limited::Request => &self.request,
        };
        let began = Instant::now();
        drop(gate.read().await);
        let asked = Instant::now();
        match ask().await {
            Err(error) if asked_to_wait(&error).is_some() => {}
            Err(error) => return Err(CrewError::of(doing, error)),
            Ok(reply) => return Ok((reply, asked - began)),
        }
        let _alone = gate.write().await;
        let mut busy = 0;
        loop {
            let asked = Instant::now();
            let error = match ask().await {
                Ok(reply) => return Ok((reply, asked - began)),
                Err(error) => error,
            };
            busy += u32::from(error.code() != Some(ProblemCode::RateLimited));
            match asked_to_wait(&error) {
                Some(wait) if busy < BUSY_TRIES => {
                    self.say(Progress::Waiting { doing, wait });
                    tokio::time::sleep(wait).await;
                }
                _ => return Err(CrewError::of(doing, error)),
            }
        }
    }

    fn say(&self, progress: Progress) {
        if let Some(told) = &*self.told.lock().unwrap_or_else(PoisonError::into_inner) {
            // Nobody listening means that founding was given up.
            let _ = told.send(progress);
        }
    }
}

/// How often a server that says nothing but that it is busy is asked again; one with rates is asked until it agrees.
const BUSY_TRIES: u32 = 10;
