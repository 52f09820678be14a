//! All cameras of a run, driven by one or two threads.
//!
//! A thread sleeps until the next packet of any of its cameras is due or a socket has something; cameras are staggered over
//! the frame time, so that not all of them send at once.

mod driver;

use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Instant;

use latchkey_e2ee::key_schedule::EpochKeys;

use crate::fleet::CameraId;
use crate::fleet::camera::{CameraState, NewCamera};
use crate::fleet::cameras::driver::{Bell, Order};
use crate::measure::window::Window;

/// The cameras of a run. Dropped, all of them say goodbye and their threads end.
pub struct Cameras {
    threads: Vec<Thread>,
    zero: Instant,
    added: u32,
}

struct Thread {
    orders: Sender<Order>,
    bell: Bell,
    handle: Option<JoinHandle<()>>,
}

impl Thread {
    fn order(&self, order: Order) {
        // A thread that is gone has no cameras any more.
        let _ = self.orders.send(order);
        self.bell.ring();
    }

    fn ask<T>(&self, question: impl FnOnce(Sender<T>) -> Order) -> Receiver<T> {
        let (sender, answer) = channel();
        self.order(question(sender));
        answer
    }
}

impl Cameras {
    /// Starts one thread, or two where there are two processors or more to run on; none named: wherever the calling thread
    /// may run.
    ///
    /// # Errors
    /// What the system said, when it gives no thread or no file for it, or none of the processors is there.
    pub fn start(cores: &[usize]) -> io::Result<Self> {
        let zero = Instant::now();
        let threads = (0..cores.len().clamp(1, MOST_THREADS)).map(|number| {
            let (orders, taken) = channel();
            let bell = Bell::new()?;
            let handle = driver::start(number, cores, taken, bell.clone())?;
            Ok(Thread { orders, bell, handle: Some(handle) })
        });
        Ok(Self { threads: threads.collect::<io::Result<_>>()?, zero, added: 0 })
    }

    /// Adds a camera: it connects, and sends from then on. One with the same number is replaced.
    pub fn add(&mut self, id: CameraId, camera: NewCamera) {
        // Steps of the golden ratio spread any number of cameras evenly over the frame time.
        let phase = (f64::from(self.added) * GOLDEN).fract();
        self.added += 1;
        let zero = self.zero + camera.content.shape(camera.shape).frame_time().mul_f64(phase);
        self.of(id).order(Order::Add(id, Box::new(camera), zero));
    }

    /// Seals the very next frame of a camera with the keys of a later epoch; a hold ends.
    pub fn rekey(&self, id: CameraId, keys: EpochKeys) {
        self.of(id).order(Order::Rekey(id, keys));
    }

    /// Lets no frame of a camera begin, until it is let go, has other keys, or a second has passed.
    pub fn hold(&self, id: CameraId, held: bool) {
        self.of(id).order(Order::Hold(id, held));
    }

    /// Takes a camera out: it says goodbye to the server.
    pub fn remove(&self, id: CameraId) {
        self.of(id).order(Order::Remove(id));
    }

    /// Returns what was counted since this was asked last. Waits for the threads, which takes a packet's time.
    #[must_use]
    pub fn take(&self) -> Window {
        let asked: Vec<_> = self.threads.iter().map(|thread| thread.ask(Order::Take)).collect();
        asked.into_iter().filter_map(|answer| answer.recv().ok()).fold(
            Window::default(),
            |mut all, window| {
                all.beside(&window);
                all
            },
        )
    }

    /// Returns how each camera is, by number. Waits as [`Cameras::take`] does.
    #[must_use]
    pub fn states(&self) -> Vec<CameraState> {
        let asked: Vec<_> = self.threads.iter().map(|thread| thread.ask(Order::Tell)).collect();
        let mut states: Vec<_> =
            asked.into_iter().filter_map(|answer| answer.recv().ok()).flatten().collect();
        states.sort_by_key(|state| state.id);
        states
    }

    fn of(&self, id: CameraId) -> &Thread {
        &self.threads[id.0 as usize % self.threads.len()]
    }
}

impl Drop for Cameras {
    fn drop(&mut self) {
        self.threads.iter().for_each(|thread| thread.order(Order::End));
        for thread in &mut self.threads {
            if let Some(handle) = thread.handle.take() {
                // What a thread that panicked had to say is said.
                let _ = handle.join();
            }
        }
    }
}

impl std::fmt::Debug for Cameras {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cameras").field("threads", &self.threads.len()).field("added", &self.added).finish()
    }
}

const MOST_THREADS: usize = 2;
const GOLDEN: f64 = 0.618_033_988_749_894_8;
