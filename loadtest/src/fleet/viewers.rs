//! The viewers of a run: they join and leave, a few threads drive them, and about once a second they tell what they counted.
//!
//! ```text
//!   join, leave, keys … ─▶ thread 0: epoll over its viewers' sockets, timers ─▶ Window ─┐
//!                     └──▶ thread 1: …                                       ─▶ Window ─┴▶ take
//! ```
//! A viewer stays on its thread. No lock is taken for a packet: commands come over a channel, and a window is swapped for
//! an empty one when it is asked for.

mod driver;
mod timers;

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use latchkey_e2ee::key_schedule::EpochKeys;

use crate::fleet::viewer::NewViewer;
use crate::fleet::viewers::driver::{Command, Driver, Told};
use crate::fleet::{CameraId, ViewerId};
use crate::measure::line::Party;
use crate::measure::window::Window;

/// Viewers with the threads that drive them. Dropped, they all leave.
pub struct Viewers {
    drivers: Vec<Driver>,
    /// Which thread drives which viewer, and what it watches.
    homes: HashMap<ViewerId, (usize, CameraId)>,
    /// Frames that each camera has sent, where that is known.
    sent: Arc<HashMap<CameraId, u64>>,
}

/// What all viewers counted since it was taken last.
#[derive(Debug, Default)]
pub struct Taken {
    /// The counts. Of joins only `seen` is known here: how they began and whether the server refused them is not.
    pub window: Window,
    /// How each viewer is, in no order; of one that has ended for the last time.
    pub states: Vec<ViewerState>,
    /// The longest that a datagram lay in its socket before its thread read it: where this is long, the driver is too slow.
    pub longest_wait: Duration,
}

/// How a viewer is.
#[derive(Clone, Debug)]
pub struct ViewerState {
    /// Which.
    pub id: ViewerId,
    /// What it watches.
    pub camera: CameraId,
    /// Whether ICE and DTLS are done and the server still answers.
    pub connected: bool,
    /// When it opened its first frame.
    pub first_frame_at: Option<Instant>,
    /// When it saw its newest frame, whole and opened where it is of the sample that is opened.
    pub last_frame_at: Option<Instant>,
    /// Frames whose time was over since this was told last, by the numbers inside the frames.
    pub frames_expected: u64,
    /// Of these, opened.
    pub frames_opened: u64,
    /// Packets whose time was over since this was told last, see [`ViewerTally`](crate::measure::tally::ViewerTally).
    pub expected: u64,
    /// Of these, not received in their first transmission.
    pub lost_first: u64,
    /// Why it watches no more, one sentence; never of one that was told to leave.
    pub ended: Option<String>,
    /// Whose fault that is.
    pub party: Option<Party>,
}

impl Viewers {
    /// Starts `threads` threads (at least one) that may run on these processors; on all where none is named.
    ///
    /// # Errors
    /// What the system says to a thread, an epoll or an event descriptor.
    pub fn start(threads: usize, cores: &[usize]) -> io::Result<Self> {
        let drivers = (0..threads.max(1)).map(|number| Driver::start(number, cores));
        Ok(Self { drivers: drivers.collect::<io::Result<_>>()?, homes: HashMap::new(), sent: Arc::default() })
    }

    /// Lets a viewer watch. Its thread is the one with the fewest.
    pub fn join(&mut self, id: ViewerId, new: NewViewer) {
        let mut crowds = vec![0; self.drivers.len()];
        self.homes.values().for_each(|(home, _)| crowds[*home] += 1);
        let home = (0..crowds.len()).min_by_key(|home| crowds[*home]).unwrap_or(0);
        self.homes.insert(id, (home, new.camera));
        self.drivers[home].tell(Command::Join(id, Box::new(new)));
    }

    /// Lets a viewer say goodbye to the server and leave; what it counted is in the next window.
    pub fn leave(&mut self, id: ViewerId) {
        if let Some((home, _)) = self.homes.remove(&id) {
            self.drivers[home].tell(Command::Leave(id));
        }
    }

    /// Gives a viewer the keys of another epoch.
    pub fn keys(&self, id: ViewerId, keys: EpochKeys) {
        self.tell(id, Command::Keys(id, keys));
    }

    /// A viewer's device was taken out of the group: a frame that is born from now on and opens there, or one of a later
    /// epoch, is counted as opened by a removed device; its other frames are not expected any more. To be called once the
    /// camera has the keys of the next epoch.
    pub fn removed(&self, id: ViewerId) {
        self.tell(id, Command::Removed(id));
    }

    /// Lets a viewer go on from another address.
    pub fn move_address(&self, id: ViewerId) {
        self.tell(id, Command::MoveAddress(id));
    }

    /// Tells how many frames each camera has sent by now. A frame that a viewer has not seen a second after the
    /// next [`Viewers::take`] is missed, even where no later one comes.
    pub fn sent(&mut self, sent: impl IntoIterator<Item = (CameraId, u64)>) {
        self.sent = Arc::new(sent.into_iter().collect());
    }

    /// Returns how many viewers there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.homes.len()
    }

    /// Returns whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.homes.is_empty()
    }

    /// Returns what was counted since the last time, and how each viewer is. Waits for the threads, which answer between
    /// two turns: a few milliseconds when they are not overloaded.
    pub fn take(&mut self) -> Taken {
        let asked: Vec<mpsc::Receiver<Told>> =
            self.drivers.iter().map(|driver| driver.ask(&self.sent)).collect();
        let mut taken = Taken::default();
        for (home, told) in asked.into_iter().enumerate() {
            match told.recv() {
                Ok(told) => {
                    taken.window.beside(&told.window);
                    taken.states.extend(told.states);
                    taken.longest_wait = taken.longest_wait.max(told.lag);
                }
                Err(mpsc::RecvError) => taken.states.extend(self.orphans(home)),
            }
        }
        for ended in taken.states.iter().filter(|state| state.ended.is_some()) {
            self.homes.remove(&ended.id);
        }
        taken
    }

    fn tell(&self, id: ViewerId, command: Command) {
        if let Some((home, _)) = self.homes.get(&id) {
            self.drivers[*home].tell(command);
        }
    }

    /// The viewers of a thread that is no more.
    fn orphans(&self, home: usize) -> impl Iterator<Item = ViewerState> {
        self.homes.iter().filter(move |(_, (of, _))| *of == home).map(|(id, (_, camera))| ViewerState {
            id: *id,
            camera: *camera,
            connected: false,
            first_frame_at: None,
            last_frame_at: None,
            frames_expected: 0,
            frames_opened: 0,
            expected: 0,
            lost_first: 0,
            ended: Some("the thread that drove it has ended: a fault of this program".to_owned()),
            party: Some(Party::Driver),
        })
    }
}

impl std::fmt::Debug for Viewers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (threads, viewers) = (self.drivers.len(), self.homes.len());
        f.debug_struct("Viewers").field("threads", &threads).field("viewers", &viewers).finish()
    }
}
