//! A camera: takes frames from a source, seals each once, and sends them to whoever is in its group.
//!
//! Three tasks share nothing but three channels. The *keeper* (`latchkey_household::camera`) holds the device's state and
//! follows the group; the *link* keeps a relay connection; the *media* task seals and sends. A frame that comes while
//! there is no connection is dropped unsealed; there is no way for one to leave in clear.

mod feed;
mod link;
mod media;
mod track;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use latchkey_api::device_list::Role;
use latchkey_api::id::DeviceId;
use latchkey_e2ee::checkpoint::CheckpointError;
use latchkey_e2ee::group::GroupError;
use latchkey_household::camera::publish::{PublishError, Publishing};
use latchkey_household::event::{Event, Teller};
use latchkey_household::follower::FollowError;
use latchkey_household::observer::FrameObserver;
use latchkey_household::stats::CameraStats;
use latchkey_household::story::{Step, Story};
use latchkey_wire::codec::Codec;
use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::camera::link::{Link, LinkCounters};
use crate::camera::media::Media;
use crate::home::{self, HomeError};
use crate::source::error::SourceError;
use crate::source::spec::{SourceOptions, SourceSpec};
use crate::source::{self, SourceInfo};

/// What a camera is started with.
pub struct CameraConfig {
    /// Folder of the device, which must be a camera of a household.
    pub home: PathBuf,
    /// Where its frames come from.
    pub source: SourceSpec,
    /// How they are read.
    pub source_options: SourceOptions,
    /// Sees every wire frame as it is sealed.
    pub observer: Option<Arc<dyn FrameObserver>>,
}

impl CameraConfig {
    /// A camera in `home` that sends `source`, read in the usual way.
    pub fn new(home: impl Into<PathBuf>, source: SourceSpec) -> Self {
        Self { home: home.into(), source, source_options: SourceOptions::default(), observer: None }
    }
}

/// Starts cameras.
#[derive(Debug)]
pub struct Camera;

/// A running camera. It stops when this is dropped; [`CameraHandle::stop`] also waits until it has.
pub struct CameraHandle {
    device: DeviceId,
    info: SourceInfo,
    teller: Arc<Teller>,
    stats: SharedStats,
    stop: CancellationToken,
    ended: watch::Receiver<Option<String>>,
    tasks: Vec<JoinHandle<()>>,
}

/// Why a camera cannot start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CameraError {
    /// What the device keeps.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// What it should send.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The device is something else.
    #[error(
        "this device is not a camera of its household: invite one with `latchkey invite --role camera` and join in another --home"
    )]
    NotACamera,
    /// Its group.
    #[error("the camera's group cannot be used: {0}")]
    Group(#[from] GroupError),
    /// Its key.
    #[error("the camera's key cannot be used: {0}")]
    Key(#[from] CheckpointError),
}

impl From<PublishError> for CameraError {
    fn from(error: PublishError) -> Self {
        match error {
            PublishError::Follow(FollowError::Group(error)) => Self::Group(error),
            PublishError::Follow(FollowError::Home(error)) => Self::Home(error),
            PublishError::Key(error) => Self::Key(error),
            _ => Self::NotACamera,
        }
    }
}

pub(crate) type SharedStats = Arc<Mutex<CameraStats>>;

impl Camera {
    /// Opens device and source and begins to send; goes on by itself when server, relay or source fail.
    ///
    /// Fails with [`CameraError::Home`], [`CameraError::NotACamera`], [`CameraError::Source`] for what cannot
    /// be used as it is, and [`CameraError::Group`]. An unreachable server is no error: it is tried again.
    pub async fn start(config: CameraConfig) -> Result<CameraHandle, CameraError> {
        let home = home::open(&config.home)?;
        if home.role()? != Role::Camera {
            return Err(CameraError::NotACamera);
        }
        let source = source::open(&config.source, &config.source_options).await?;
        let info = source.info().clone();
        let codecs: Vec<Codec> = info.video.map(|video| video.codec).into_iter().chain(info.audio).collect();

        let device = home.device();
        let signaling = home.signaling();
        let home = home.shared();
        let teller = Arc::new(Teller::new());
        let stats = SharedStats::default();
        let stop = CancellationToken::new();
        let (ended_tx, ended) = watch::channel(None);
        let ended_tx = Arc::new(ended_tx);
        let (line_tx, line) = watch::channel(None);
        let counters = Arc::new(LinkCounters::default());

        let mut keeping = Publishing::start(&home, &signaling, Arc::clone(&teller)).await?;
        let sealer = keeping.take_sealer().expect("it was not taken before");
        let link = Link {
            signaling,
            camera: device,
            codecs,
            teller: Arc::clone(&teller),
            counters: Arc::clone(&counters),
            stop: stop.clone(),
        };
        let media = Media::new(
            source,
            config,
            media::Channels { keys: keeping.keys(), hold: keeping.hold(), line },
            sealer,
            Arc::clone(&teller),
            Arc::clone(&stats),
            counters,
        );
        let tasks = vec![
            tokio::spawn(end_with(keep(keeping, stop.clone()), stop.clone(), Arc::clone(&ended_tx))),
            tokio::spawn(end_with(media.run(stop.clone()), stop.clone(), ended_tx)),
            tokio::spawn(link.run(line_tx)),
        ];
        Ok(CameraHandle { device, info, teller, stats, stop, ended, tasks })
    }
}

/// Keeps the group until stopped; returns why when the camera is over.
async fn keep(keeping: Publishing, stop: CancellationToken) -> Option<String> {
    let over = tokio::select! {
        over = keeping.over() => over,
        () = stop.cancelled() => None,
    };
    keeping.stop().await;
    over
}

/// Runs a task to its end; when it ends for a reason, everything ends for that reason.
async fn end_with(
    task: impl Future<Output = Option<String>>,
    stop: CancellationToken,
    ended: Arc<watch::Sender<Option<String>>>,
) {
    if let Some(reason) = task.await {
        ended.send_if_modified(|ended| {
            let first = ended.is_none();
            if first {
                *ended = Some(reason);
            }
            first
        });
        stop.cancel();
    }
}

impl CameraHandle {
    /// Returns the camera's id.
    pub fn device(&self) -> DeviceId {
        self.device
    }

    /// Returns what the source gives.
    pub fn source(&self) -> &SourceInfo {
        &self.info
    }

    /// Returns the figures as they are now.
    pub fn stats(&self) -> CameraStats {
        self.stats.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the connection story as it is now.
    pub fn story(&self) -> Story {
        self.teller.story()
    }

    /// Returns what happens from now on; a listener that is too slow misses the oldest.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.teller.listen()
    }

    /// Waits until a frame was sent, at most `limit`; returns whether it was.
    pub async fn wait_sending(&self, limit: Duration) -> bool {
        latchkey_household::event::wait_for_step(&self.teller, Step::FirstFrame, limit).await
    }

    /// Waits until the camera ends by itself and returns why: it was removed, or its source is over.
    pub async fn wait(&self) -> String {
        let mut ended = self.ended.clone();
        match ended.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or_default(),
            Err(_) => "stopped".to_owned(),
        }
    }

    /// Stops and waits until the relay is told and the device's folder is free again.
    pub async fn stop(mut self) {
        self.stop.cancel();
        for task in self.tasks.drain(..) {
            // A task that panicked has ended too.
            let _ = task.await;
        }
    }
}

impl Drop for CameraHandle {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl std::fmt::Debug for CameraHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CameraHandle").field("device", &self.device).finish_non_exhaustive()
    }
}
