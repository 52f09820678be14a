//! A viewer: joins the camera's group, opens its frames, and hands them on.
//!
//! Three tasks, as in the camera: the *keeper* (`latchkey_household::viewer`) holds the device's state and follows the group; the *link*
//! keeps a relay connection; the *media* task puts frames together and opens them. What opens is authentic,
//! complete and in order, and decoding can start with the first frame that is handed on.

mod link;
mod media;
mod output;
mod track;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use latchkey_api::device_list::{Right, Role};
use latchkey_api::id::DeviceId;
use latchkey_e2ee::group::GroupError;
use latchkey_household::clock::unix_seconds;
use latchkey_household::event::{Event, Teller};
use latchkey_household::follower::FollowError;
use latchkey_household::observer::FrameObserver;
use latchkey_household::stats::ViewerStats;
use latchkey_household::story::{Step, Story};
use latchkey_household::viewer::watch::{WatchError, Watching};
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::frame::MediaFrame;
use crate::home::{self, HomeError};
use crate::sink::{SinkError, Target};
use crate::viewer::link::{Link, LinkCounters};
use crate::viewer::media::Media;
use crate::viewer::output::Output;

/// What a viewer is started with.
pub struct ViewerConfig {
    /// Folder of the device, which must be a viewer or admin of a household.
    pub home: PathBuf,
    /// Name or id of the camera.
    pub camera: String,
    /// Where to write: the picture goes to the first that takes it, the sound to one named `.ogg` or `.opus`.
    pub targets: Vec<Target>,
    /// Takes each opened frame; when it is full, frames pass it by.
    pub frames: Option<mpsc::Sender<OpenedFrame>>,
    /// Ends after this many opened video frames.
    pub stop_after: Option<u64>,
    /// Sees every wire frame as it comes.
    pub observer: Option<Arc<dyn FrameObserver>>,
}

impl ViewerConfig {
    /// A viewer in `home` that watches `camera` and writes nothing.
    pub fn new(home: impl Into<PathBuf>, camera: impl Into<String>) -> Self {
        Self {
            home: home.into(),
            camera: camera.into(),
            targets: Vec::new(),
            frames: None,
            stop_after: None,
            observer: None,
        }
    }
}

/// A frame as the camera sealed it.
#[derive(Clone, Debug)]
pub struct OpenedFrame {
    /// The frame. Its time counts from the first opened frame of the track.
    pub frame: MediaFrame,
    /// When it was captured, by the camera's clock.
    pub captured: SystemTime,
    /// The MLS epoch it was sealed in.
    pub epoch: u64,
    /// The camera's answer to this device's question proves that it is of now. False until the camera has
    /// answered, and while frames are held back on their way.
    pub live: bool,
}

/// Starts viewers.
#[derive(Debug)]
pub struct Viewer;

/// A running viewer. It stops when this is dropped; [`ViewerHandle::stop`] also waits until it has.
pub struct ViewerHandle {
    camera: DeviceId,
    teller: Arc<Teller>,
    stats: SharedStats,
    stop: CancellationToken,
    ended: watch::Receiver<Option<Ended>>,
    tasks: Vec<JoinHandle<()>>,
}

/// Why a viewer ended by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ended {
    /// As many frames as asked for were opened.
    Enough,
    /// The program that reads the output has gone.
    ReaderGone,
    /// The output cannot be written.
    Output(SinkError),
    /// This device, or the camera, was removed from the household.
    Removed(String),
}

/// Why a viewer cannot start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ViewerError {
    /// What the device keeps.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// Cameras watch nobody.
    #[error("this device is a camera: a camera cannot watch; join as a viewer in another --home")]
    IsACamera,
    /// The list does not give this device the right to see the camera.
    #[error("the household's list does not let this device see that camera: ask an admin")]
    NotAllowed,
    /// What it should write to.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// Its group.
    #[error("the stored group cannot be used: {0}")]
    Group(#[from] GroupError),
}

impl From<WatchError> for ViewerError {
    fn from(error: WatchError) -> Self {
        match error {
            WatchError::Follow(FollowError::Home(error)) => Self::Home(error),
            WatchError::Follow(FollowError::Group(error)) => Self::Group(error),
            WatchError::IsACamera => Self::IsACamera,
            _ => Self::NotAllowed,
        }
    }
}

pub(crate) type SharedStats = Arc<Mutex<ViewerStats>>;

impl Viewer {
    /// Opens the device and begins to watch; goes on by itself when server, relay or camera fail.
    ///
    /// The household's list is read anew first, where the server answers, so that a camera added a moment
    /// ago is found. Fails with every variant of [`ViewerError`] for what cannot be used as it is.
    pub async fn start(config: ViewerConfig) -> Result<ViewerHandle, ViewerError> {
        let mut home = home::open(&config.home)?;
        let signaling = home.signaling();
        let teller = Arc::new(Teller::new());
        match home.refresh(&signaling).await {
            Ok(_) => {
                teller.done(Step::Signalling);
            }
            Err(HomeError::Signaling(error)) => teller.trying(Step::Signalling, &error.to_string()),
            Err(error) => return Err(error.into()),
        }
        if home.role()? == Role::Camera {
            return Err(ViewerError::IsACamera);
        }
        let camera = home.find_camera(&config.camera)?;
        if !home.list()?.may(home.device(), Right::See, camera, unix_seconds()) {
            return Err(ViewerError::NotAllowed);
        }

        let stats = SharedStats::default();
        let stop = CancellationToken::new();
        let (ended_tx, ended) = watch::channel(None);
        let ender = Ender { ended: Arc::new(ended_tx), stop: stop.clone() };
        let (line_tx, line) = watch::channel(None);
        let (arrivals_tx, arrivals) = mpsc::channel(ARRIVAL_QUEUE);
        let counters = Arc::new(LinkCounters::default());
        let output = Output::open(config.targets, ender.clone());

        let mut keeping = Watching::start(&home.shared(), &signaling, camera, Arc::clone(&teller)).await?;
        let news = keeping.take_news().expect("it was not taken before");
        let link = Link {
            signaling,
            camera,
            teller: Arc::clone(&teller),
            counters: Arc::clone(&counters),
            stop: stop.clone(),
        };
        let media = Media::new(media::Parts {
            news,
            line,
            output,
            frames: config.frames,
            stop_after: config.stop_after,
            observer: config.observer,
            teller: Arc::clone(&teller),
            stats: Arc::clone(&stats),
            counters,
            packets: keeping.packets(),
            ender: ender.clone(),
        });
        let tasks = vec![
            tokio::spawn(keep(keeping, stop.clone(), ender)),
            tokio::spawn(link.run(line_tx, arrivals_tx)),
            tokio::spawn(media.run(arrivals, stop.clone())),
        ];
        Ok(ViewerHandle { camera, teller, stats, stop, ended, tasks })
    }
}

/// Follows the group until stopped, or until this device or the camera is removed.
async fn keep(keeping: Watching, stop: CancellationToken, ender: Ender) {
    let removed = tokio::select! {
        removed = keeping.removed() => removed,
        () = stop.cancelled() => None,
    };
    keeping.stop().await;
    if let Some(reason) = removed {
        ender.end(Ended::Removed(reason));
    }
}

/// Ends a viewer for a reason; the first one counts.
#[derive(Clone)]
struct Ender {
    ended: Arc<watch::Sender<Option<Ended>>>,
    stop: CancellationToken,
}

impl Ender {
    fn end(&self, reason: Ended) {
        self.ended.send_if_modified(|ended| {
            let first = ended.is_none();
            if first {
                *ended = Some(reason);
            }
            first
        });
        self.stop.cancel();
    }
}

impl ViewerHandle {
    /// Returns the camera that is watched.
    pub fn camera(&self) -> DeviceId {
        self.camera
    }

    /// Returns the figures as they are now.
    pub fn stats(&self) -> ViewerStats {
        self.stats.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the connection story as it is now: what is done, and why the next step is not.
    pub fn story(&self) -> Story {
        self.teller.story()
    }

    /// Returns what happens from now on; a listener that is too slow misses the oldest.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.teller.listen()
    }

    /// Waits until a frame was opened, at most `limit`; returns whether one was.
    pub async fn wait_first_frame(&self, limit: Duration) -> bool {
        latchkey_household::event::wait_for_step(&self.teller, Step::FirstFrame, limit).await
    }

    /// Waits until the viewer ends by itself and returns why.
    pub async fn wait(&self) -> Ended {
        let mut ended = self.ended.clone();
        match ended.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or(Ended::Enough),
            Err(_) => Ended::Enough,
        }
    }

    /// Stops and waits until the relay is told, the output is whole, and the device's folder is free again.
    ///
    /// Returns the figures as they were at the very end.
    pub async fn stop(mut self) -> ViewerStats {
        self.stop.cancel();
        for task in self.tasks.drain(..) {
            // A task that panicked has ended too.
            let _ = task.await;
        }
        self.stats()
    }
}

impl Drop for ViewerHandle {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl std::fmt::Debug for ViewerHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ViewerHandle").field("camera", &self.camera).finish_non_exhaustive()
    }
}

/// Packets that may wait to be put together: 2 s at 1000 packets per second.
const ARRIVAL_QUEUE: usize = 2048;
