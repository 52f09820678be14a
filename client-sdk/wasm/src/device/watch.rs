//! One watched camera: its group is followed, and its frames are opened.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use latchkey_api::id::DeviceId;
use latchkey_household::clock::{self, Instant};
use latchkey_household::event::Teller;
use latchkey_household::story::Step;
use latchkey_household::task::spawn;
use latchkey_household::viewer::opening::{Opening, Verdict};
use latchkey_household::viewer::watch::Watching;
use latchkey_wire::codec::Codec;

use crate::device::Device;
use crate::device::sessions::{Session, Tasks, pass_on};
use crate::face::Fault;
use crate::face::event::Event;
use crate::face::session::Watch;
use crate::host::Host;
use crate::told;

/// A running watch.
pub struct WatchSession {
    number: u32,
    camera: DeviceId,
    host: Arc<dyn Host>,
    teller: Arc<Teller>,
    opening: Arc<Mutex<Opening>>,
    frames: Arc<AtomicU64>,
    /// Until it is ended.
    watching: Mutex<Option<(Watching, Tasks)>>,
}

impl Device {
    pub(super) async fn watch(&self, camera: &str) -> Result<Watch, Fault> {
        let (member, camera) = (self.member()?, told::id(camera)?);
        let number = self.next_number();
        let teller = Arc::new(Teller::new());
        let passing = pass_on(number, &teller, Arc::clone(&self.host));
        let mut tasks = Tasks(vec![passing]);
        let mut watching =
            Watching::start(&member.home, &member.signaling, camera, Arc::clone(&teller)).await?;
        let opening = Arc::new(Mutex::new(Opening::new(Arc::clone(&teller), Instant::now())));
        if let Some(mut news) = watching.take_news() {
            let (opening, host) = (Arc::clone(&opening), Arc::clone(&self.host));
            tasks.0.push(spawn(async move {
                while let Some(news) = news.recv().await {
                    let again = lock(&opening).take(news, Instant::now());
                    if again {
                        host.retry(number);
                    }
                }
            }));
        }
        let (removed, host) = (watching.removed(), Arc::clone(&self.host));
        tasks.0.push(spawn(async move {
            if let Some(reason) = removed.await {
                host.tell(Event::Ended { session: number, reason });
            }
        }));
        let session = WatchSession {
            number,
            camera,
            host: Arc::clone(&self.host),
            teller,
            opening,
            frames: watching.packets(),
            watching: Mutex::new(Some((watching, tasks))),
        };
        self.keep_session(number, Session::Watch(Arc::new(session)));
        Ok(Watch { session: number })
    }
}

impl WatchSession {
    /// Opens a frame as the transform got it. After [`Verdict::Show`] `plain` is what goes on to the decoder.
    pub fn open(&self, codec: Codec, wire: &[u8], plain: impl FnOnce(&[u8])) -> Verdict {
        if !wire.is_empty() {
            self.frames.fetch_add(1, Ordering::Relaxed);
            self.teller.done(Step::FirstPacket);
        }
        let mut opening = lock(&self.opening);
        let verdict = opening.open(codec, wire, Instant::now(), clock::now());
        if verdict == Verdict::Show {
            plain(opening.plain());
        }
        verdict
    }

    /// So many frames that waited for their keys were given up.
    pub fn gave_up(&self, frames: u32) {
        lock(&self.opening).gave_up(u64::from(frames));
    }

    /// Whether asking for a key frame would only drain the camera.
    pub fn is_blind(&self) -> bool {
        lock(&self.opening).is_blind(Instant::now())
    }

    pub(super) fn camera(&self) -> DeviceId {
        self.camera
    }

    pub(super) fn teller(&self) -> &Arc<Teller> {
        &self.teller
    }

    pub(super) fn new_connection(&self, now: Instant) {
        lock(&self.opening).new_connection(now);
    }

    pub(super) fn tick(&self, now: Instant) {
        let mut opening = lock(&self.opening);
        let blind = opening.is_blind(now);
        if let Some(stats) = opening.figures(now) {
            drop(opening);
            let figures = told::figures(stats, blind);
            self.host.tell(Event::Figures { session: self.number, figures });
        }
    }

    pub(super) fn end(&self) {
        let ended = self.watching.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((watching, tasks)) = ended {
            drop(tasks);
            drop(spawn(watching.stop()));
        }
    }
}

impl std::fmt::Debug for WatchSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WatchSession").field("camera", &self.camera).finish_non_exhaustive()
    }
}

fn lock(opening: &Mutex<Opening>) -> MutexGuard<'_, Opening> {
    opening.lock().unwrap_or_else(PoisonError::into_inner)
}
