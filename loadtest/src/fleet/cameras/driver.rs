//! The thread that drives cameras.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use latchkey_e2ee::key_schedule::EpochKeys;
use latchkey_relay::batch;
use latchkey_relay_floor::cores;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{EventfdFlags, Timespec, eventfd};

use crate::fleet::CameraId;
use crate::fleet::camera::running::{Camera, Tools};
use crate::fleet::camera::{CameraState, NewCamera};
use crate::measure::window::Window;

/// What a thread is told to do.
pub(crate) enum Order {
    Add(CameraId, Box<NewCamera>, Instant),
    Rekey(CameraId, EpochKeys),
    Hold(CameraId, bool),
    Remove(CameraId),
    Take(Sender<Window>),
    Tell(Sender<Vec<CameraState>>),
    End,
}

/// Wakes a thread that has orders.
#[derive(Clone)]
pub(crate) struct Bell(Arc<OwnedFd>);

impl Bell {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self(Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?)))
    }

    pub(crate) fn ring(&self) {
        // A counter that is full rings already.
        let _ = rustix::io::write(&*self.0, &1u64.to_ne_bytes());
    }

    fn hush(&self) {
        let _ = rustix::io::read(&*self.0, &mut [0u8; 8]);
    }
}

/// Starts a thread; what it cannot have is told at once.
pub(crate) fn start(
    number: usize,
    cores: &[usize],
    orders: Receiver<Order>,
    bell: Bell,
) -> io::Result<JoinHandle<()>> {
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(&epoll, &*bell.0, EventData::new_u64(BELL), EventFlags::IN)?;
    let cores = cores.to_vec();
    let (pinned, was_pinned) = std::sync::mpsc::channel();
    let thread = std::thread::Builder::new().name(format!("cameras-{number}"));
    let handle = thread.spawn(move || {
        let done = cores::pin_this_thread(&cores);
        let begins = done.is_ok();
        let _ = pinned.send(done);
        if begins {
            Driver::new(epoll, orders, bell).run();
        }
    })?;
    was_pinned.recv().map_err(io::Error::other)??;
    Ok(handle)
}

struct Driver {
    epoll: OwnedFd,
    orders: Receiver<Order>,
    bell: Bell,
    cameras: Vec<Camera>,
    tools: Tools,
    counted: Window,
    taken_at: Instant,
    taken_cpu: Duration,
}

impl Driver {
    fn new(epoll: OwnedFd, orders: Receiver<Order>, bell: Bell) -> Self {
        Self {
            epoll,
            orders,
            bell,
            cameras: Vec::new(),
            tools: Tools { receiver: batch::Receiver::new(), arena: batch::SendArena::new() },
            counted: Window::default(),
            taken_at: Instant::now(),
            taken_cpu: cores::thread_cpu(),
        }
    }

    fn run(&mut self) {
        let mut events = Vec::with_capacity(EVENTS);
        loop {
            let due = self.cameras.iter().filter_map(Camera::due).min();
            let wait = due.map_or(LONGEST_SLEEP, |due| due.saturating_duration_since(Instant::now()));
            let wait = wait.min(LONGEST_SLEEP);
            let wait = Timespec { tv_sec: wait.as_secs() as i64, tv_nsec: i64::from(wait.subsec_nanos()) };
            events.clear();
            // When it is interrupted, nobody is ready.
            let _ = epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&wait));
            // Media first: what came in can wait, a packet that is due cannot.
            let mut now = Instant::now();
            for camera in &mut self.cameras {
                if camera.due().is_some_and(|due| due <= now) {
                    camera.turn(now, &mut self.tools);
                    now = Instant::now();
                }
            }
            for event in &events {
                match event.data.u64() {
                    BELL => self.bell.hush(),
                    id => self.hear(id),
                }
            }
            while let Ok(order) = self.orders.try_recv() {
                if matches!(order, Order::End) {
                    self.cameras.iter_mut().for_each(|camera| camera.close(&mut self.tools));
                    return;
                }
                self.follow(order);
            }
        }
    }

    fn hear(&mut self, id: u64) {
        let Some(camera) = self.cameras.iter_mut().find(|camera| u64::from(camera.id.0) == id) else {
            return;
        };
        camera.hear(&mut self.tools);
        if camera.is_ended() {
            // Nobody reads its socket any more, so nobody is woken for it.
            let _ = epoll::delete(&self.epoll, camera.peer.socket());
        }
    }

    fn follow(&mut self, order: Order) {
        let now = Instant::now();
        match order {
            Order::Add(id, new, zero) => {
                self.remove(id);
                let camera = Camera::new(id, *new, zero);
                let data = EventData::new_u64(u64::from(id.0));
                let watched = epoll::add(&self.epoll, camera.peer.socket(), data, EventFlags::IN);
                self.cameras.push(camera);
                if let (Err(error), Some(camera)) = (watched, self.cameras.last_mut()) {
                    camera.give_up(error.into());
                }
            }
            Order::Rekey(id, keys) => self.of(id).into_iter().for_each(|camera| camera.rekey(&keys, now)),
            Order::Hold(id, held) => self.of(id).into_iter().for_each(|camera| camera.hold(held, now)),
            Order::Remove(id) => self.remove(id),
            // Whoever asked may have gone.
            Order::Take(answer) => drop(answer.send(self.take(now))),
            Order::Tell(answer) => drop(answer.send(self.cameras.iter().map(Camera::state).collect())),
            Order::End => {}
        }
    }

    fn remove(&mut self, id: CameraId) {
        let Some(at) = self.cameras.iter().position(|camera| camera.id == id) else { return };
        let mut camera = self.cameras.swap_remove(at);
        camera.close(&mut self.tools);
        self.counted.camera.add(&camera.take());
        // It goes with the socket; one that ended is out already.
        let _ = epoll::delete(&self.epoll, camera.peer.socket());
    }

    fn of(&mut self, id: CameraId) -> Option<&mut Camera> {
        self.cameras.iter_mut().find(|camera| camera.id == id)
    }

    fn take(&mut self, now: Instant) -> Window {
        let mut window = std::mem::take(&mut self.counted);
        self.cameras.iter_mut().for_each(|camera| window.camera.add(&camera.take()));
        window.cameras = self.cameras.iter().filter(|camera| camera.is_sending()).count() as u64;
        window.length = now - std::mem::replace(&mut self.taken_at, now);
        let cpu = cores::thread_cpu();
        window.driver_cpu = cpu.saturating_sub(std::mem::replace(&mut self.taken_cpu, cpu));
        window
    }
}

/// Of no camera: their numbers have 32 bits.
const BELL: u64 = u64::MAX;
const EVENTS: usize = 64;
const LONGEST_SLEEP: Duration = Duration::from_millis(50);
