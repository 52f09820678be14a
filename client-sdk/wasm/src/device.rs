//! The device that this browser is: takes the page's calls, and tells what happens by itself.

mod admitting;
mod beginning;
mod camera;
mod members;
mod sessions;
mod steward;
mod watch;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use latchkey_household::enrol::Founding;
use latchkey_household::home::{Home, SharedHome};
use latchkey_household::signaling::Signaling;
use latchkey_household::task::Task;
use latchkey_household::vault::{Rest, Vault};

pub use self::camera::CameraSession;
pub use self::watch::WatchSession;

use self::admitting::Meeting;
use self::beginning::Arriving;
use self::sessions::Session;
use self::steward::Steward;
use crate::face::{Fault, Nothing, Reply, Request};
use crate::host::Host;

/// One device, in one worker. Cheap to copy: all copies are the same device.
#[derive(Clone)]
pub struct Device {
    host: Arc<dyn Host>,
    rest: Arc<dyn Rest>,
    state: Arc<Mutex<State>>,
}

/// What is under way.
#[derive(Default)]
struct State {
    member: Option<Member>,
    steward: Option<Steward>,
    founding: Option<Founding>,
    arriving: Option<Arriving>,
    inviting: Option<Task>,
    meeting: Option<Meeting>,
    /// Counts what was given up, so that what is still on its way notices.
    given_up: u32,
    sessions: BTreeMap<u32, Session>,
    last_session: u32,
}

/// A device that belongs to a household.
#[derive(Clone)]
struct Member {
    home: SharedHome,
    signaling: Signaling,
}

impl Device {
    /// The device whose records were `stored`, or one that belongs to no household.
    ///
    /// # Errors
    /// A [`Fault`] when what was stored cannot be used.
    pub fn new(host: Arc<dyn Host>, rest: Arc<dyn Rest>, stored: Option<&[u8]>) -> Result<Self, Fault> {
        let device = Self { host, rest, state: Arc::default() };
        if let Some(stored) = stored {
            let vault = Vault::from_bytes(stored, Arc::clone(&device.rest))
                .map_err(|error| Fault::new("storage", error))?;
            device.take_up(Home::load(vault)?);
        }
        Ok(device)
    }

    /// Does what the page asks.
    ///
    /// # Errors
    /// A [`Fault`] for whatever kept it from being done.
    pub async fn call(&self, request: Request) -> Result<Reply, Fault> {
        Ok(match request {
            Request::Open(_) => Reply::Open(self.standing().await),
            Request::PrepareHousehold(ask) => Reply::PrepareHousehold(self.prepare_household(&ask)?),
            Request::Found(ask) => Reply::Found(self.found(ask).await?),
            Request::Join(ask) => Reply::Join(self.join(&ask).await?),
            Request::Arrive(ask) => Reply::Arrive(self.arrive(ask).await?),
            Request::DigitsFit(ask) => Reply::DigitsFit(self.digits_fit(ask.fit)?),
            Request::Recover(ask) => Reply::Recover(self.recover(&ask).await?),
            Request::Cancel(_) => Reply::Cancel(self.cancel()),
            Request::Invite(ask) => Reply::Invite(self.invite(&ask).await?),
            Request::LetIn(ask) => Reply::LetIn(self.let_in(&ask).await?),
            Request::TypeDigits(ask) => Reply::TypeDigits(self.type_digits(&ask.digits)?),
            Request::Confirm(_) => Reply::Confirm(self.confirm().await?),
            Request::Admit(_) => Reply::Admit(self.admit().await?),
            Request::Devices(_) => Reply::Devices(self.devices().await?),
            Request::Remove(ask) => Reply::Remove(self.remove(&ask.device).await?),
            Request::Rename(ask) => Reply::Rename(self.rename(&ask).await?),
            Request::Change(ask) => Reply::Change(self.change(&ask).await?),
            Request::RenewCamera(ask) => Reply::RenewCamera(self.renew_camera(&ask.device).await?),
            Request::SafetyNumber(_) => Reply::SafetyNumber(self.safety_number().await?),
            Request::Cameras(_) => Reply::Cameras(self.cameras().await?),
            Request::Forget(_) => Reply::Forget(self.forget()),
            Request::Watch(ask) => Reply::Watch(self.watch(&ask.camera).await?),
            Request::Door(ask) => Reply::Door(self.door(ask.session).await?),
            Request::TellStep(ask) => Reply::TellStep(self.tell_step(&ask)?),
            Request::Unwatch(ask) => Reply::Unwatch(self.end_session(ask.session)),
            Request::Publish(_) => Reply::Publish(self.publish().await?),
            Request::Unpublish(ask) => Reply::Unpublish(self.end_session(ask.session)),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn member(&self) -> Result<Member, Fault> {
        self.state().member.clone().ok_or_else(Fault::nobody)
    }

    /// From now on this is a device of a household, and follows its list.
    fn take_up(&self, home: Home) {
        let member = Member { signaling: home.signaling(), home: home.shared() };
        let steward = Steward::begin(member.clone(), Arc::clone(&self.host));
        let mut state = self.state();
        state.member = Some(member);
        state.steward = Some(steward);
    }

    /// An empty vault for a device that begins; it must belong to no household yet.
    fn fresh(&self) -> Result<Vault, Fault> {
        if self.state().member.is_some() {
            return Err(Fault::member());
        }
        Ok(Vault::fresh(Arc::clone(&self.rest)))
    }

    fn cancel(&self) -> Nothing {
        let mut state = self.state();
        state.given_up += 1;
        state.founding = None;
        state.meeting = None;
        if let Some(arriving) = state.arriving.take() {
            arriving.give_up();
        }
        if let Some(inviting) = state.inviting.take() {
            inviting.abort();
        }
        Nothing {}
    }
}

impl std::fmt::Debug for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Device").finish_non_exhaustive()
    }
}
