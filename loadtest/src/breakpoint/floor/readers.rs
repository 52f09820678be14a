//! The floor's viewers: sockets that a few threads drain and count, without opening anything.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, SocketAddrV4, UdpSocket};
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};
use std::thread::JoinHandle;
use std::time::Duration;

use latchkey_relay_floor::cores;
use latchkey_relay_floor::viewer::{self, Reader};
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};

use crate::breakpoint::floor::camera::Births;
use crate::measure::latency::Latency;
use crate::measure::tally::ViewerTally;
use crate::measure::window::Window;

/// Threads with their viewers; dropped, they end.
pub(super) struct Readers {
    threads: Vec<Thread>,
    opened: usize,
}

/// One of them; both parts are there until the end.
struct Thread {
    orders: Option<Sender<Order>>,
    handle: Option<JoinHandle<()>>,
}

/// What all of them counted of the measured frames.
#[derive(Default)]
pub(super) struct Told {
    /// Packets, frames that came whole, their age; CPU of the threads.
    pub(super) window: Window,
    /// Viewers to whom at least 99 % of the frames came whole.
    pub(super) well: u64,
}

enum Order {
    /// Reads one more viewer.
    Open(usize, UdpSocket),
    /// Counts these frames of this many viewers, the first ones, from now on.
    Measure(Range<u32>, usize),
    Take(Sender<Told>),
}

impl Readers {
    pub(super) fn start(threads: usize, processors: &[usize], births: &Arc<Births>) -> io::Result<Self> {
        let threads = (0..threads.max(1)).map(|number| {
            let (order, orders) = mpsc::channel();
            let epoll = epoll::create(CreateFlags::CLOEXEC)?;
            let (processors, births) = (processors.to_vec(), Arc::clone(births));
            let thread = std::thread::Builder::new().name(format!("floor-readers-{number}"));
            let handle = thread.spawn(move || {
                // Where the system does not let us choose, it runs wherever it is.
                let _ = cores::pin_this_thread(&processors);
                Driver::new(epoll, births).run(&orders);
            })?;
            Ok(Thread { orders: Some(order), handle: Some(handle) })
        });
        Ok(Self { threads: threads.collect::<io::Result<_>>()?, opened: 0 })
    }

    /// Opens one more viewer and returns where it listens.
    pub(super) fn open(&mut self) -> io::Result<SocketAddrV4> {
        let socket = viewer::socket()?;
        let SocketAddr::V4(address) = socket.local_addr()? else {
            return Err(io::ErrorKind::AddrNotAvailable.into());
        };
        self.tell(self.opened % self.threads.len(), Order::Open(self.opened, socket));
        self.opened += 1;
        Ok(address)
    }

    /// Forgets what was counted, and counts these frames of the first `viewers`.
    pub(super) fn measure(&self, frames: Range<u32>, viewers: usize) {
        for thread in 0..self.threads.len() {
            self.tell(thread, Order::Measure(frames.clone(), viewers));
        }
    }

    /// Returns what was counted since [`Readers::measure`]. Waits for the threads, some ten milliseconds.
    pub(super) fn take(&self) -> Told {
        let asked: Vec<Receiver<Told>> = (0..self.threads.len())
            .map(|thread| {
                let (tell, told) = mpsc::channel();
                self.tell(thread, Order::Take(tell));
                told
            })
            .collect();
        let mut all = Told::default();
        // What a thread counted that is no more is missing, as its viewers are.
        for told in asked.into_iter().filter_map(|told| told.recv().ok()) {
            all.window.beside(&told.window);
            all.well += told.well;
        }
        all
    }

    fn tell(&self, thread: usize, order: Order) {
        if let Some(orders) = &self.threads[thread].orders {
            // A thread that is no more has told so itself.
            let _ = orders.send(order);
        }
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.threads.iter_mut().for_each(|thread| thread.orders = None);
        for thread in self.threads.iter_mut().filter_map(|thread| thread.handle.take()) {
            let _ = thread.join();
        }
    }
}

/// One viewer, and what it has of the present frame.
struct Viewer {
    socket: UdpSocket,
    frame: u32,
    packets: u32,
    /// Measured frames that came whole.
    whole: u64,
}

struct Driver {
    epoll: OwnedFd,
    births: Arc<Births>,
    viewers: HashMap<usize, Viewer>,
    reader: Reader,
    measured: Range<u32>,
    asked: usize,
    counted: ViewerTally,
    latency: Latency,
    cpu: Duration,
}

impl Driver {
    fn new(epoll: OwnedFd, births: Arc<Births>) -> Self {
        Self {
            epoll,
            births,
            viewers: HashMap::new(),
            reader: Reader::default(),
            measured: 0..0,
            asked: 0,
            counted: ViewerTally::default(),
            latency: Latency::default(),
            cpu: cores::thread_cpu(),
        }
    }

    /// Reads until whoever gives orders is gone.
    fn run(&mut self, orders: &Receiver<Order>) {
        let mut events = Vec::with_capacity(EVENTS);
        loop {
            match orders.try_recv() {
                Ok(order) => {
                    self.follow(order);
                    continue;
                }
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => return,
            }
            events.clear();
            // It looks and never waits here: a reader that sleeps in the kernel is woken by the floor's thread, once for each train
            // where readers have little to do, and that would count as the floor's work. When it is interrupted, nobody is ready.
            let _ = epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&AT_ONCE));
            for event in &events {
                self.read(event.data.u64() as usize);
            }
            if events.len() < EVENTS {
                // What comes meanwhile has the kernel's stamp.
                std::thread::sleep(LULL);
            }
        }
    }

    fn follow(&mut self, order: Order) {
        match order {
            Order::Open(index, socket) => {
                // One that cannot be watched hears nothing, which is seen as loss.
                let _ = epoll::add(&self.epoll, &socket, EventData::new_u64(index as u64), EventFlags::IN);
                self.viewers.insert(index, Viewer { socket, frame: 0, packets: 0, whole: 0 });
            }
            Order::Measure(frames, viewers) => {
                (self.measured, self.asked) = (frames, viewers);
                self.viewers.values_mut().for_each(|viewer| viewer.whole = 0);
                (self.counted, self.latency) = (ViewerTally::default(), Latency::default());
                self.cpu = cores::thread_cpu();
            }
            // Whoever asked may have gone.
            Order::Take(answer) => drop(answer.send(self.take())),
        }
    }

    fn read(&mut self, index: usize) {
        let Some(viewer) = self.viewers.get_mut(&index) else { return };
        let Viewer { socket, frame, packets, whole } = viewer;
        let (measured, births) = (&self.measured, &self.births);
        let (counted, latency) = (&mut self.counted, &mut self.latency);
        // What is left after this is read when it is its turn again.
        self.reader.read(socket, |train| {
            for packet in train.packets() {
                let [_, second, _, _, a, b, c, d, ..] = *packet else { continue };
                let number = u32::from_be_bytes([a, b, c, d]);
                if !measured.contains(&number) {
                    continue;
                }
                if number != *frame {
                    (*frame, *packets) = (number, 0);
                }
                *packets += 1;
                counted.received += 1;
                counted.datagrams += 1;
                counted.bytes += packet.len() as u64;
                if second & 0x80 != 0 {
                    let (age_us, of_frame) = births.of(number, train.arrival);
                    if *packets == of_frame {
                        *whole += 1;
                        counted.frames_opened += 1;
                        latency.record(age_us);
                    }
                }
            }
        });
    }

    fn take(&self) -> Told {
        let frames = u64::from(self.measured.end - self.measured.start);
        let asked = self.viewers.iter().filter(|(index, _)| **index < self.asked);
        let well = asked.filter(|(_, viewer)| viewer.whole * 100 >= frames * 99).count() as u64;
        let window = Window {
            viewer: self.counted,
            frame_latency: self.latency.clone(),
            driver_cpu: cores::thread_cpu().saturating_sub(self.cpu),
            ..Window::default()
        };
        Told { window, well }
    }
}

const EVENTS: usize = 256;
const AT_ONCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };
/// Between two looks where not much waits.
const LULL: Duration = Duration::from_millis(1);
