//! Somebody whom the operator lets hear everything: a thread with a grant that the server's own key signed.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::household::{Device, Household};
use crate::outsider::{self, Sealed};
use crate::server::Server;

/// The longest until the relay lets it in before it gives up.
const LIMIT: Duration = Duration::from_secs(30);

/// Receives every video frame of a camera and does something with it.
pub(super) struct Ear<T> {
    heard: Arc<Mutex<T>>,
    failure: Arc<Mutex<Option<String>>>,
    stop: CancellationToken,
    thread: std::thread::JoinHandle<()>,
}

impl<T: Send + 'static> Ear<T> {
    /// Tries until the camera is live, then gives each frame to `hear`, with what was heard so far.
    pub(super) fn start(
        (server, household, camera): (&Server, &Household, &Device),
        first: T,
        mut hear: impl FnMut(&mut T, Option<Sealed<'_>>) + Send + 'static,
    ) -> Self {
        let (heard, failure) = (Arc::new(Mutex::new(first)), Arc::new(Mutex::new(None)));
        let stop = CancellationToken::new();
        let (data, door) = (server.data_dir(), server.doors().door_here().to_owned());
        let (household, camera) = (household.id.clone(), camera.id.clone());
        let (shared, failed, stopped) = (heard.clone(), failure.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            let work = async {
                let deadline = Instant::now() + LIMIT;
                loop {
                    let (room, grant) = outsider::steal_grant(&data, &household, &camera, None)?;
                    let frame = |frame: Option<Sealed<'_>>| {
                        hear(&mut shared.lock().unwrap_or_else(PoisonError::into_inner), frame);
                    };
                    match outsider::receive(&door, &room, grant, stopped.clone(), frame).await {
                        Ok(()) => return Ok(()),
                        Err(error) if stopped.is_cancelled() || Instant::now() > deadline => {
                            return Err(error);
                        }
                        Err(_) => tokio::time::sleep(Duration::from_millis(250)).await,
                    }
                }
            };
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
            let result = runtime.map_err(anyhow::Error::from).and_then(|runtime| runtime.block_on(work));
            if let Err(error) = result {
                *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(format!("{error:#}"));
            }
        });
        Self { heard, failure, stop, thread }
    }

    /// Reads what was heard.
    pub(super) fn heard<R>(&self, read: impl FnOnce(&T) -> R) -> R {
        read(&self.heard.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Why it could not hear anything, if so.
    pub(super) fn failure(&self) -> Option<String> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends it and waits for its end.
    pub(super) fn finish(self) -> Arc<Mutex<T>> {
        self.stop.cancel();
        let _ = self.thread.join();
        self.heard
    }
}
