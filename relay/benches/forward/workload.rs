//! The shapes of load that both the relay and the floor are put under.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Datagram of the publisher without its seal: 12 bytes of RTP header and the payload.
pub(crate) const PACKET_BYTES: usize = 1100;
/// Packets of one frame.
pub(crate) const PACKETS_PER_FRAME: u32 = 10;
/// Frames per second.
pub(crate) const FRAMES_PER_SECOND: u32 = 30;

/// How the packets of a frame lie in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Back to back at the frame's start, as an encoder hands them out.
    Burst,
    /// Evenly over the frame time, as a paced sender hands them out.
    Spread,
}

impl Shape {
    /// Returns the word that the rows print.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Shape::Burst => "burst",
            Shape::Spread => "spread",
        }
    }
}

/// One row's load: a publisher, its viewers, and how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Workload {
    /// How the packets of a frame lie in time.
    pub(crate) shape: Shape,
    /// Processors that are measured; the load is driven from the others.
    pub(crate) measured_cores: usize,
    /// Viewers that get everything.
    pub(crate) viewers: usize,
    /// Not measured, first.
    pub(crate) warm_up: Duration,
    /// Measured.
    pub(crate) window: Duration,
}

impl Workload {
    /// Returns when packet `index` of frame `frame` is due after the start.
    pub(crate) fn due(&self, frame: u32, index: u32) -> Duration {
        let per_frame = Duration::from_secs(1) / FRAMES_PER_SECOND;
        let offset = match self.shape {
            Shape::Burst => Duration::ZERO,
            Shape::Spread => per_frame / PACKETS_PER_FRAME * index,
        };
        per_frame * frame + offset
    }

    /// Returns the frames that are not measured.
    pub(crate) fn warm_up_frames(&self) -> u32 {
        (self.warm_up.as_secs_f64() * f64::from(FRAMES_PER_SECOND)) as u32
    }

    /// Returns all frames of the run.
    pub(crate) fn frames(&self) -> u32 {
        self.warm_up_frames() + (self.window.as_secs_f64() * f64::from(FRAMES_PER_SECOND)) as u32
    }
}

/// When each frame was born, told from the publisher to the viewers of the same process. By the system's clock, because the
/// kernel stamps arriving datagrams by it.
pub(crate) struct Births(Vec<AtomicU64>);

impl Births {
    /// Returns an empty table for `frames` frames.
    pub(crate) fn new(frames: u32) -> Self {
        Self((0..frames).map(|_| AtomicU64::new(0)).collect())
    }

    /// Notes that the frame is handed to the socket now.
    pub(crate) fn note(&self, frame: u32) {
        self.0[frame as usize].store(nanoseconds(SystemTime::now()), Ordering::Release);
    }

    /// Returns how old the frame was at `arrival`, in microseconds, at least 1; none for a frame that was not born.
    pub(crate) fn age(&self, frame: u32, arrival: SystemTime) -> Option<u64> {
        let born = self.0.get(frame as usize)?.load(Ordering::Acquire);
        (born != 0).then(|| (nanoseconds(arrival).saturating_sub(born) / 1000).max(1))
    }
}

fn nanoseconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as u64
}
