//! One thread that drives viewers: it sleeps until a socket, a timer or a command wants it.

use std::collections::HashMap;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use latchkey_e2ee::key_schedule::EpochKeys;
use latchkey_relay::batch::Receiver;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::event::{EventfdFlags, Timespec, eventfd};
use rustix::io::Errno;
use rustix::thread::{CpuSet, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};

use crate::fleet::peer::PeerError;
use crate::fleet::viewer::{Desk, NewViewer, Viewer};
use crate::fleet::viewers::ViewerState;
use crate::fleet::viewers::timers::Timers;
use crate::fleet::{CameraId, ViewerId};
use crate::measure::tally::ViewerTally;
use crate::measure::window::Window;

/// What a thread is told.
pub(crate) enum Command {
    Join(ViewerId, Box<NewViewer>),
    Leave(ViewerId),
    Keys(ViewerId, EpochKeys),
    Removed(ViewerId),
    MoveAddress(ViewerId),
    /// What it counted, given how many frames each camera has sent.
    Tell(mpsc::Sender<Told>, Arc<HashMap<CameraId, u64>>),
    Stop,
}

/// What a thread tells.
pub(crate) struct Told {
    pub(crate) window: Window,
    pub(crate) states: Vec<ViewerState>,
    pub(crate) lag: Duration,
}

/// A thread, from outside.
pub(crate) struct Driver {
    commands: mpsc::Sender<Command>,
    bell: Arc<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

impl Driver {
    pub(crate) fn start(number: usize, cores: &[usize]) -> io::Result<Self> {
        let bell = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        let (commands, told) = mpsc::channel();
        let wheel = Wheel::new(Arc::clone(&bell), told)?;
        let cores = cores.to_vec();
        let thread = std::thread::Builder::new().name(format!("viewers-{number}")).spawn(move || {
            pin(&cores);
            wheel.run();
        })?;
        Ok(Self { commands, bell, thread: Some(thread) })
    }

    /// Gives it a command. One that has ended takes none: its viewers are told of as ended.
    pub(crate) fn tell(&self, command: Command) {
        if self.commands.send(command).is_ok() {
            let _ = rustix::io::write(&self.bell, &1u64.to_ne_bytes());
        }
    }

    /// Asks for its window; the answer comes over what is returned.
    pub(crate) fn ask(&self, sent: &Arc<HashMap<CameraId, u64>>) -> mpsc::Receiver<Told> {
        let (answer, told) = mpsc::channel();
        self.tell(Command::Tell(answer, Arc::clone(sent)));
        told
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.tell(Command::Stop);
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been shown on stderr already.
            let _ = thread.join();
        }
    }
}

/// A thread, from inside.
struct Wheel {
    epoll: OwnedFd,
    bell: Arc<OwnedFd>,
    commands: mpsc::Receiver<Command>,
    receiver: Receiver,
    desk: Desk,
    viewers: Vec<Option<Viewer>>,
    free: Vec<usize>,
    slots: HashMap<ViewerId, usize>,
    timers: Timers,
    /// Ended since it was told last.
    ended: Vec<ViewerState>,
    told_at: Instant,
    cpu: Duration,
}

impl Wheel {
    fn new(bell: Arc<OwnedFd>, commands: mpsc::Receiver<Command>) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &bell, EventData::new_u64(BELL), EventFlags::IN)?;
        Ok(Self {
            epoll,
            bell,
            commands,
            receiver: Receiver::new(),
            desk: Desk::new(),
            viewers: Vec::new(),
            free: Vec::new(),
            slots: HashMap::new(),
            timers: Timers::default(),
            ended: Vec::new(),
            told_at: Instant::now(),
            cpu: Duration::ZERO,
        })
    }

    fn run(mut self) {
        (self.told_at, self.cpu) = (Instant::now(), thread_cpu());
        let mut room = [MaybeUninit::<Event>::uninit(); EVENTS];
        loop {
            let patience =
                self.timers.next().map(|due| timespec(due.saturating_duration_since(Instant::now())));
            let events: &[Event] = match epoll::wait(&self.epoll, &mut room, patience.as_ref()) {
                Ok((events, _)) => events,
                Err(Errno::INTR) => &[],
                // Nothing can be driven any more; its viewers are told of as ended.
                Err(_) => return,
            };
            let mut rung = false;
            for event in events {
                match event.data.u64() {
                    BELL => rung = true,
                    slot => self.turn(slot as usize, Self::read),
                }
            }
            let now = Instant::now();
            while let Some(slot) = self.timers.pop(now) {
                self.turn(slot, Self::pass_time);
            }
            if rung && !self.obey() {
                return;
            }
        }
    }

    /// Does what was asked; returns whether to go on.
    fn obey(&mut self) -> bool {
        let _ = rustix::io::read(&self.bell, &mut [0; 8]);
        while let Ok(command) = self.commands.try_recv() {
            match command {
                Command::Join(id, new) => self.join(id, *new),
                Command::Leave(id) => {
                    if let Some(slot) = self.slots.get(&id).copied() {
                        self.part_with(slot);
                    }
                }
                Command::Keys(id, keys) => {
                    let now = Instant::now();
                    if let Some((viewer, desk)) = self.viewer(id) {
                        viewer.add_keys(keys, now, desk);
                    }
                }
                Command::Removed(id) => {
                    let now = Instant::now();
                    if let Some((viewer, desk)) = self.viewer(id) {
                        viewer.remove(now, desk);
                    }
                }
                Command::MoveAddress(id) => {
                    if let Some(slot) = self.slots.get(&id).copied() {
                        self.turn(slot, Self::move_address);
                    }
                }
                Command::Tell(answer, sent) => {
                    let told = self.tell(&sent);
                    // Whoever asked may have gone.
                    let _ = answer.send(told);
                }
                Command::Stop => {
                    (0..self.viewers.len()).for_each(|slot| self.part_with(slot));
                    return false;
                }
            }
        }
        true
    }

    fn join(&mut self, id: ViewerId, new: NewViewer) {
        if let Some(slot) = self.slots.get(&id).copied() {
            self.part_with(slot);
        }
        let viewer = Viewer::new(id, new, Instant::now());
        let slot = self.free.pop().unwrap_or_else(|| {
            self.viewers.push(None);
            self.viewers.len() - 1
        });
        self.slots.insert(id, slot);
        self.viewers[slot] = Some(viewer);
        self.turn(slot, |wheel, slot| {
            wheel.listen(slot)?;
            wheel.pass_time(slot)
        });
    }

    /// Lets a viewer do something; one that cannot go on ends.
    fn turn(&mut self, slot: usize, action: impl FnOnce(&mut Self, usize) -> Result<(), PeerError>) {
        if self.viewers.get(slot).is_none_or(Option::is_none) {
            return;
        }
        match action(self, slot) {
            Ok(()) => {
                if let Some(viewer) = &self.viewers[slot] {
                    self.timers.arm(slot, viewer.due());
                }
            }
            Err(error) => {
                let party = self.viewers[slot].as_ref().map(|viewer| viewer.blames(&error));
                if let Some(mut state) = self.take_out(slot) {
                    (state.ended, state.party) = (Some(error.to_string()), party);
                    self.ended.push(state);
                }
            }
        }
    }

    fn read(&mut self, slot: usize) -> Result<(), PeerError> {
        match &mut self.viewers[slot] {
            Some(viewer) => viewer.receive(&mut self.receiver, &mut self.desk),
            None => Ok(()),
        }
    }

    fn pass_time(&mut self, slot: usize) -> Result<(), PeerError> {
        let Some(viewer) = &mut self.viewers[slot] else { return Ok(()) };
        let now = Instant::now();
        if now >= viewer.due() && viewer.pass_time(now, &mut self.desk)? {
            self.listen(slot)?;
        }
        Ok(())
    }

    fn move_address(&mut self, slot: usize) -> Result<(), PeerError> {
        if let Some(viewer) = &mut self.viewers[slot] {
            viewer.move_address(&mut self.desk)?;
        }
        self.listen(slot)
    }

    /// Wants to be woken by a viewer's new socket; the old one is closed, and so forgotten.
    fn listen(&self, slot: usize) -> Result<(), PeerError> {
        if let Some(viewer) = &self.viewers[slot] {
            let data = EventData::new_u64(slot as u64);
            epoll::add(&self.epoll, viewer.peer().socket(), data, EventFlags::IN).map_err(io::Error::from)?;
        }
        Ok(())
    }

    fn part_with(&mut self, slot: usize) {
        // It leaves because it was told to: nobody wonders how it ended.
        let _ = self.take_out(slot);
    }

    fn take_out(&mut self, slot: usize) -> Option<ViewerState> {
        let mut viewer = self.viewers[slot].take()?;
        let tally = viewer.close(Instant::now(), &mut self.desk);
        self.timers.disarm(slot);
        self.slots.remove(&viewer.id);
        self.free.push(slot);
        Some(state(&viewer, &tally))
    }

    fn viewer(&mut self, id: ViewerId) -> Option<(&mut Viewer, &mut Desk)> {
        let slot = *self.slots.get(&id)?;
        Some((self.viewers[slot].as_mut()?, &mut self.desk))
    }

    fn tell(&mut self, sent: &HashMap<CameraId, u64>) -> Told {
        let now = Instant::now();
        let mut states = std::mem::take(&mut self.ended);
        let mut watching = 0;
        for viewer in self.viewers.iter_mut().flatten() {
            if let Some(next) = sent.get(&viewer.camera) {
                viewer.sent(*next, now);
            }
            let tally = viewer.settle(now, &mut self.desk.bench);
            watching += u64::from(viewer.watches());
            states.push(state(viewer, &tally));
        }
        let mut window = std::mem::take(&mut self.desk.bench.window);
        window.viewers = watching;
        window.length = now.saturating_duration_since(self.told_at);
        let cpu = thread_cpu();
        window.driver_cpu = cpu.saturating_sub(self.cpu);
        (self.told_at, self.cpu) = (now, cpu);
        Told { window, states, lag: std::mem::take(&mut self.desk.lag) }
    }
}

fn state(viewer: &Viewer, tally: &ViewerTally) -> ViewerState {
    ViewerState {
        id: viewer.id,
        camera: viewer.camera,
        connected: viewer.is_connected(),
        first_frame_at: viewer.first_frame(),
        last_frame_at: viewer.last_frame(),
        frames_expected: tally.frames_expected,
        frames_opened: tally.frames_opened,
        expected: tally.expected,
        lost_first: tally.lost_first,
        ended: None,
        party: None,
    }
}

/// Where the system does not let us choose, the thread runs wherever it is.
fn pin(cores: &[usize]) {
    if cores.is_empty() {
        return;
    }
    let mut set = CpuSet::new();
    cores.iter().filter(|core| **core < CpuSet::MAX_CPU).for_each(|core| set.set(*core));
    let _ = sched_setaffinity(None, &set);
}

/// CPU time that the calling thread has used.
fn thread_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

fn timespec(duration: Duration) -> Timespec {
    Timespec { tv_sec: duration.as_secs() as i64, tv_nsec: duration.subsec_nanos().into() }
}

/// What an event of the bell is told by; no slot has this number.
const BELL: u64 = u64::MAX;
/// Sockets that are looked at in one turn.
const EVENTS: usize = 256;
