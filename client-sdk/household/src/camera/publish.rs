//! Begins to be a camera, and ends it.

use std::sync::Arc;

use latchkey_api::device_list::Role;
use latchkey_e2ee::checkpoint::{CheckpointError, CheckpointSigner};
use tokio::sync::{broadcast, mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::camera::SenderKeys;
use crate::camera::counters::{Sealing, SharedCounters};
use crate::camera::hold::Hold;
use crate::camera::keeper::Keeper;
use crate::camera::signed_sealer::SignedSealer;
use crate::event::{Event, Teller};
use crate::follower::FollowError;
use crate::home::{HomeError, SharedHome};
use crate::signaling::Signaling;
use crate::task::{Task, spawn};

/// A camera whose group is kept, until this is dropped.
pub struct Publishing {
    teller: Arc<Teller>,
    keys: watch::Receiver<Option<Arc<SenderKeys>>>,
    hold: watch::Receiver<Hold>,
    sealer: Option<SignedSealer>,
    over: watch::Receiver<Option<String>>,
    stop: CancellationToken,
    keeper: Option<Task>,
}

/// Why a device cannot be a camera.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// What the device keeps, and its group.
    #[error(transparent)]
    Follow(#[from] FollowError),
    /// The device is something else.
    #[error("this device is not a camera of its household: join as a camera on another device")]
    NotACamera,
    /// Its key.
    #[error("the camera's key cannot be used: {0}")]
    Key(#[from] CheckpointError),
}

impl From<HomeError> for PublishError {
    fn from(error: HomeError) -> Self {
        Self::Follow(error.into())
    }
}

impl Publishing {
    /// Restores the camera's group, or founds it, and keeps it equal to the household's list; goes on by itself when the
    /// server fails.
    ///
    /// What happens is told by `teller`. Fails with every variant of [`PublishError`] for what cannot be used as it is.
    pub async fn start(
        home: &SharedHome,
        signaling: &Signaling,
        teller: Arc<Teller>,
    ) -> Result<Self, PublishError> {
        let (keys_tx, keys) = watch::channel(None);
        let (hold_tx, hold) = watch::channel(Hold::default());
        let (ended_tx, ended) = mpsc::unbounded_channel();
        let counters = Arc::new(SharedCounters::default());
        let sealing = Sealing { counters: Arc::clone(&counters), ended };
        let (keeper, sealer) = {
            let mut held = home.lock().await;
            if held.role()? != Role::Camera {
                return Err(PublishError::NotACamera);
            }
            let signer = CheckpointSigner::new(held.identity())?;
            let (shared, calls, told) = (Arc::clone(home), signaling.clone(), Arc::clone(&teller));
            let mut keeper = Keeper::new(shared, &held, calls, told, keys_tx, hold_tx, sealing)?;
            keeper.begin_session(&mut held)?;
            (keeper, SignedSealer::new(signer, counters, ended_tx))
        };
        let stop = CancellationToken::new();
        let (over_tx, over) = watch::channel(None);
        let stopped = stop.clone();
        let keeper = spawn(async move {
            if let Some(reason) = keeper.run(stopped).await {
                over_tx.send_replace(Some(reason));
            }
        });
        Ok(Self { teller, keys, hold, sealer: Some(sealer), over, stop, keeper: Some(keeper) })
    }

    /// Returns the keys of the epoch in force: the very next frame after they change is sealed with them.
    pub fn keys(&self) -> watch::Receiver<Option<Arc<SenderKeys>>> {
        self.keys.clone()
    }

    /// Returns whether frames may be sealed now.
    pub fn hold(&self) -> watch::Receiver<Hold> {
        self.hold.clone()
    }

    /// Returns the sealer of this run. Once; then `None`.
    pub fn take_sealer(&mut self) -> Option<SignedSealer> {
        self.sealer.take()
    }

    /// Returns what happens from now on; a listener that is too slow misses the oldest.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.teller.listen()
    }

    /// Returns who tells it, for the steps of the connection that the caller makes.
    pub fn teller(&self) -> &Arc<Teller> {
        &self.teller
    }

    /// Waits until the camera is over and returns the sentence; `None` when it was stopped.
    pub fn over(&self) -> impl Future<Output = Option<String>> + use<> {
        let mut over = self.over.clone();
        async move {
            let reason = over.wait_for(Option::is_some).await.ok()?;
            reason.clone()
        }
    }

    /// Stops and waits until nothing more is done.
    pub async fn stop(mut self) {
        self.stop.cancel();
        if let Some(keeper) = self.keeper.take() {
            keeper.ended().await;
        }
    }
}

impl Drop for Publishing {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl std::fmt::Debug for Publishing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Publishing").finish_non_exhaustive()
    }
}
