//! When this machine stood still, so that a test of a network does not judge by it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// Notes pauses in what should go on all the time.
#[derive(Default)]
pub(crate) struct Machine {
    /// When they ended, and how long they were.
    pauses: Mutex<Vec<(SystemTime, Duration)>>,
    over: AtomicBool,
}

impl Machine {
    /// Begins with a thread that only sleeps, and wakes late when nobody is let run; it ends with [`end`](Self::end).
    pub(crate) fn observe() -> Arc<Self> {
        let machine = Arc::new(Self::default());
        let noted = machine.clone();
        std::thread::spawn(move || {
            let mut slept = SystemTime::now();
            while !noted.over.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(10));
                slept = noted.went_on(slept);
            }
        });
        machine
    }

    /// What should go on did at `before`, and does now; returns that time.
    pub(crate) fn went_on(&self, before: SystemTime) -> SystemTime {
        let now = SystemTime::now();
        if let Ok(pause) = now.duration_since(before)
            && pause >= STOOD
        {
            self.pauses.lock().unwrap_or_else(PoisonError::into_inner).push((now, pause));
        }
        now
    }

    /// Whether what was sent at this time can be judged: the machine ran then and until it arrived, and nobody was catching up.
    pub(crate) fn ran(&self, at: SystemTime) -> bool {
        let pauses = self.pauses.lock().unwrap_or_else(PoisonError::into_inner);
        !pauses.iter().any(|(end, pause)| (*end - *pause - UNDER_WAY..*end + CATCHING_UP).contains(&at))
    }

    /// How often it stood still since `begin`, and for how long at most.
    pub(crate) fn stood(&self, begin: SystemTime) -> (usize, Duration) {
        let pauses = self.pauses.lock().unwrap_or_else(PoisonError::into_inner);
        let pauses = pauses.iter().filter(|(end, _)| *end >= begin).map(|(_, pause)| *pause);
        (pauses.clone().count(), pauses.max().unwrap_or_default())
    }

    /// Looks no more.
    pub(crate) fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

/// Networks take packets for lost and sessions for dead after a second; a part of that is a pause already.
const STOOD: Duration = Duration::from_millis(250);
/// The longest that a packet may be under way, its repairs included.
const UNDER_WAY: Duration = Duration::from_secs(1);
/// A session made anew shows everything again by then.
const CATCHING_UP: Duration = Duration::from_secs(3);
