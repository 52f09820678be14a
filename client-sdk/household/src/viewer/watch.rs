//! Begins to watch a camera, and ends it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use latchkey_api::device_list::{Right, Role};
use latchkey_api::id::DeviceId;
use tokio::sync::{broadcast, mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::clock::unix_seconds;
use crate::event::{Event, Teller};
use crate::follower::FollowError;
use crate::home::{HomeError, SharedHome};
use crate::signaling::Signaling;
use crate::story::Story;
use crate::task::{Task, spawn};
use crate::viewer::keeper::{Keeper, Parts};
use crate::viewer::news::News;

/// A camera that is watched, until this is dropped; [`Watching::stop`] also says goodbye.
pub struct Watching {
    camera: DeviceId,
    teller: Arc<Teller>,
    packets: Arc<AtomicU64>,
    news: Option<mpsc::UnboundedReceiver<News>>,
    removed: watch::Receiver<Option<String>>,
    stop: CancellationToken,
    keeper: Option<Task>,
}

/// Why a camera cannot be watched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WatchError {
    /// What the device keeps, and its group.
    #[error(transparent)]
    Follow(#[from] FollowError),
    /// Cameras watch nobody.
    #[error("this device is a camera: a camera cannot watch; join as a viewer on another device")]
    IsACamera,
    /// The list does not give this device the right to see the camera.
    #[error("the household's list does not let this device see that camera: ask an admin")]
    NotAllowed,
    /// It is watched already.
    #[error("this device watches that camera already: end that first")]
    Already,
}

impl From<HomeError> for WatchError {
    fn from(error: HomeError) -> Self {
        Self::Follow(error.into())
    }
}

impl Watching {
    /// Follows the group of `camera` and asks it whether its frames are fresh; goes on by itself when the server fails.
    ///
    /// What happens is told by `teller`. Fails with every variant of [`WatchError`] for what cannot be used as it is.
    pub async fn start(
        home: &SharedHome,
        signaling: &Signaling,
        camera: DeviceId,
        teller: Arc<Teller>,
    ) -> Result<Self, WatchError> {
        let (news_tx, news) = mpsc::unbounded_channel();
        let packets = Arc::new(AtomicU64::new(0));
        let keeper = {
            let held = home.lock().await;
            if held.role()? == Role::Camera {
                return Err(WatchError::IsACamera);
            }
            if !held.list()?.may(held.device(), Right::See, camera, unix_seconds()) {
                return Err(WatchError::NotAllowed);
            }
            let following = held.follow(camera).ok_or(WatchError::Already)?;
            let parts = Parts {
                home: Arc::clone(home),
                signaling: signaling.clone(),
                camera,
                teller: Arc::clone(&teller),
                news: news_tx,
                packets: Arc::clone(&packets),
            };
            Keeper::new(parts, &held, following)?
        };
        let stop = CancellationToken::new();
        let (removed_tx, removed) = watch::channel(None);
        let stopped = stop.clone();
        let keeper = spawn(async move {
            if let Some(reason) = keeper.run(stopped).await {
                removed_tx.send_replace(Some(reason));
            }
        });
        Ok(Self { camera, teller, packets, news: Some(news), removed, stop, keeper: Some(keeper) })
    }

    /// Returns the camera.
    pub fn camera(&self) -> DeviceId {
        self.camera
    }

    /// Returns the news for whatever opens the frames: keys, ends of epochs, answers. Once; then `None`.
    pub fn take_news(&mut self) -> Option<mpsc::UnboundedReceiver<News>> {
        self.news.take()
    }

    /// Tells how many packets have come from the relay since the start: a camera that sends and does not answer is an
    /// alarm, a camera that does neither is off.
    pub fn packets_came(&self, since_the_start: u64) {
        self.packets.store(since_the_start, Ordering::Relaxed);
    }

    /// Returns the count of packets itself, for whoever counts on another thread.
    pub fn packets(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.packets)
    }

    /// Returns what happens from now on; a listener that is too slow misses the oldest.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.teller.listen()
    }

    /// Returns who tells it, for the steps of the connection that the caller makes.
    pub fn teller(&self) -> &Arc<Teller> {
        &self.teller
    }

    /// Returns the connection story as it is now.
    pub fn story(&self) -> Story {
        self.teller.story()
    }

    /// Waits until this device or the camera is removed and returns the sentence; `None` when it was stopped.
    pub fn removed(&self) -> impl Future<Output = Option<String>> + use<> {
        let mut removed = self.removed.clone();
        async move {
            let reason = removed.wait_for(Option::is_some).await.ok()?;
            reason.clone()
        }
    }

    /// Says goodbye and waits until nothing more is done.
    pub async fn stop(mut self) {
        self.stop.cancel();
        if let Some(keeper) = self.keeper.take() {
            keeper.ended().await;
        }
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl std::fmt::Debug for Watching {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watching").field("camera", &self.camera).finish_non_exhaustive()
    }
}
