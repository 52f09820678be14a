//! What is sealed and what a viewer sees of it.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use latchkey::observer::{FrameObserver, WireFrame};
use latchkey::viewer::OpenedFrame;
use latchkey::{Viewer, ViewerConfig, ViewerHandle};
use latchkey_loadtest::household::Device;
use tokio::sync::mpsc;

use crate::machine::Machine;

/// The name of a video frame, and when it was sealed.
pub(crate) type Named = ((u64, u64), SystemTime);

/// Video frames in the order they were sealed.
pub(crate) struct Sealed {
    names: Mutex<Vec<Named>>,
    machine: Arc<Machine>,
}

impl Sealed {
    pub(crate) fn new(machine: Arc<Machine>) -> Self {
        Self { names: Mutex::default(), machine }
    }

    pub(crate) fn count(&self) -> usize {
        self.names.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Those after the first `from` that can be judged.
    pub(crate) fn since(&self, from: usize) -> Vec<Named> {
        let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        names[from..].iter().filter(|(_, at)| self.machine.ran(*at)).copied().collect()
    }
}

impl FrameObserver for Sealed {
    fn sealed(&self, frame: &WireFrame) {
        if frame.track == 0 {
            let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
            // The camera seals a frame every 40 ms.
            let before = names.last().map_or_else(SystemTime::now, |(_, at)| *at);
            names.push(((frame.kid, frame.ctr), self.machine.went_on(before)));
        }
    }
}

/// Names of whole video frames that came.
#[derive(Default)]
pub(crate) struct Received(Mutex<HashSet<(u64, u64)>>);

impl Received {
    pub(crate) fn of(&self, counted: &[Named]) -> usize {
        let received = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counted.iter().filter(|(name, _)| received.contains(name)).count()
    }
}

impl FrameObserver for Received {
    fn received(&self, frame: &WireFrame) {
        if frame.track == 0 {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).insert((frame.kid, frame.ctr));
        }
    }
}

/// When a frame was handed on, and when it was captured.
type Shown = Arc<Mutex<Vec<(SystemTime, SystemTime)>>>;

pub(crate) struct Watching {
    pub(crate) handle: ViewerHandle,
    pub(crate) received: Arc<Received>,
    shown: Shown,
}

impl Watching {
    pub(crate) async fn start(device: &Device, camera: &Device) -> Self {
        let (sender, mut frames) = mpsc::channel::<OpenedFrame>(4096);
        let (received, shown) = (Arc::new(Received::default()), Shown::default());
        let mut config = ViewerConfig::new(&device.home, &camera.id);
        config.observer = Some(received.clone());
        config.frames = Some(sender);
        let handle = Viewer::start(config).await.expect("the viewer starts");
        let times = shown.clone();
        tokio::spawn(async move {
            while let Some(frame) = frames.recv().await {
                let time = (SystemTime::now(), frame.captured);
                times.lock().unwrap_or_else(PoisonError::into_inner).push(time);
            }
        });
        Self { handle, received, shown }
    }

    /// Frames that did not open, those apart that came twice.
    pub(crate) fn failed(&self) -> u64 {
        let failed = self.handle.stats().failed;
        failed.iter().filter(|(reason, _)| **reason != "replayed").map(|(_, count)| count).sum()
    }

    /// How many frames captured in a time that can be judged were handed on, how long that was [`Seen::frozen`], and the longest gap.
    pub(crate) fn shown(
        &self,
        (begin, end): (SystemTime, SystemTime),
        machine: &Machine,
    ) -> (usize, [Duration; 2], Duration) {
        let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let shown: Vec<_> = shown.iter().filter(|(_, at)| (begin..end).contains(at)).copied().collect();
        let moments = |show: &dyn Fn(&(SystemTime, SystemTime)) -> SystemTime, delay| -> Vec<_> {
            let first = std::iter::once(begin + delay);
            // A frame that came late does not make the end later.
            let frames = shown.iter().map(|frame| show(frame).clamp(begin + delay, end + delay));
            first.chain(frames).chain([end + delay]).collect()
        };
        let at_once = moments(&|(came, _)| *came, Duration::ZERO);
        let behind = moments(&|(came, captured)| (*came).max(*captured + BEHIND), BEHIND);
        let longest = gaps(&at_once).max().unwrap_or_default();
        let judged = shown.iter().filter(|(_, captured)| machine.ran(*captured)).count();
        (judged, [frozen(&at_once), frozen(&behind)], longest)
    }
}

fn gaps(moments: &[SystemTime]) -> impl Iterator<Item = Duration> + '_ {
    moments.windows(2).map(|pair| pair[1].duration_since(pair[0]).unwrap_or_default())
}

/// How long it stood still, by what WebRTC's statistics call a freeze (W3C webrtc-stats, freezeCount).
fn frozen(moments: &[SystemTime]) -> Duration {
    let count = u32::try_from(moments.len().max(1)).expect("few frames");
    let mean = gaps(moments).sum::<Duration>() / count;
    let still = (3 * mean).max(mean + Duration::from_millis(150));
    gaps(moments).filter(|gap| *gap > still).sum()
}

/// How late a player may be that hides jitter and repairs.
pub(crate) const BEHIND: Duration = Duration::from_millis(200);
