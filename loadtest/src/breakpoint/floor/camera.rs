//! The floor's camera: plain packets of the scenario's shape, each at its time.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use latchkey_relay_floor::cores;

use crate::fleet::content::{Pace, Shape};
use crate::measure::tally::CameraTally;

/// When each frame was born and how many packets it has: told from the camera to the readers, of the last 4096 frames. By the
/// system's clock, because the kernel stamps arriving datagrams by it.
pub(super) struct Births(Vec<(AtomicU64, AtomicU32)>);

impl Default for Births {
    fn default() -> Self {
        Self((0..KEPT).map(|_| Default::default()).collect())
    }
}

impl Births {
    fn note(&self, frame: u32, packets: u32) {
        let (birth, of_frame) = &self.0[frame as usize % KEPT];
        of_frame.store(packets, Ordering::Relaxed);
        birth.store(nanoseconds(SystemTime::now()), Ordering::Release);
    }

    /// Returns how old a frame was at `arrival`, microseconds, and how many packets it has.
    pub(super) fn of(&self, frame: u32, arrival: SystemTime) -> (u64, u32) {
        let (birth, packets) = &self.0[frame as usize % KEPT];
        let birth = birth.load(Ordering::Acquire);
        (nanoseconds(arrival).saturating_sub(birth) / 1000, packets.load(Ordering::Relaxed))
    }
}

/// A camera that sends until it is dropped.
pub(super) struct Camera {
    /// Frames within which whoever counts has heard what is counted.
    lead: u32,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    /// Frames that have left whole.
    sent: AtomicU32,
    /// The frames that are measured: the first, and the first behind them.
    from: AtomicU32,
    end: AtomicU32,
    packets: AtomicU64,
    bytes: AtomicU64,
    late: AtomicU64,
}

impl Camera {
    pub(super) fn start(
        shape: Shape,
        to: SocketAddr,
        processors: &[usize],
        births: Arc<Births>,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        // The next one may be leaving now, and the readers look for orders about every millisecond.
        let lead = 2 + (shape.fps / 20.0).ceil() as u32;
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.connect(to)?;
        let (processors, of_thread) = (processors.to_vec(), Arc::clone(&shared));
        let thread = std::thread::Builder::new().name("floor-camera".to_owned()).spawn(move || {
            // Where the system does not let us choose, it runs wherever it is.
            let _ = cores::pin_this_thread(&processors);
            send(&shape, &socket, &births, &of_thread);
        })?;
        Ok(Self { lead, shared, thread: Some(thread) })
    }

    /// Counts so many frames anew, beginning some 50 ms from now; returns their numbers.
    pub(super) fn measure(&self, frames: u32) -> Range<u32> {
        let shared = &self.shared;
        for count in [&shared.packets, &shared.bytes, &shared.late] {
            count.store(0, Ordering::Relaxed);
        }
        let from = self.frames_sent() + self.lead;
        shared.from.store(from, Ordering::Relaxed);
        shared.end.store(from + frames, Ordering::Release);
        from..from + frames
    }

    /// Returns how many frames have left since it began.
    pub(super) fn frames_sent(&self) -> u32 {
        self.shared.sent.load(Ordering::Acquire)
    }

    /// Returns what was sent of the measured frames.
    pub(super) fn measured(&self) -> CameraTally {
        let shared = &self.shared;
        let frames = shared.end.load(Ordering::Relaxed) - shared.from.load(Ordering::Relaxed);
        CameraTally {
            frames: u64::from(frames),
            packets: shared.packets.load(Ordering::Relaxed),
            bytes: shared.bytes.load(Ordering::Relaxed),
            late: shared.late.load(Ordering::Relaxed),
            ..CameraTally::default()
        }
    }
}

impl Drop for Camera {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has told so itself.
            let _ = thread.join();
        }
    }
}

fn send(shape: &Shape, socket: &UdpSocket, births: &Births, shared: &Shared) {
    let full = usize::from(shape.packet_bytes);
    let mut packet = vec![0xA5; full];
    (packet[0], packet[8], packet[9], packet[10], packet[11]) = (0x80, 0, 0, 0, 0);
    let (begin, mut sequence) = (Instant::now(), 0u16);
    for frame in 0u32.. {
        let is_key = shape.gop > 0 && frame.is_multiple_of(shape.gop);
        let bytes = shape.frame_bytes(is_key).round() as usize;
        let packets = bytes.div_ceil(full).max(1);
        let is_measured =
            (shared.from.load(Ordering::Relaxed)..shared.end.load(Ordering::Acquire)).contains(&frame);
        for index in 0..packets {
            let mut due = begin + shape.frame_time().mul_f64(f64::from(frame));
            if shape.pace == Pace::Spread {
                due += shape.frame_time().mul_f64(index as f64 / packets as f64);
            }
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            if shared.stop.load(Ordering::Relaxed) {
                return;
            }
            let last = index + 1 == packets;
            // The age of a frame counts from its first packet in a burst, from its last when spread.
            if (shape.pace == Pace::Burst && index == 0) || (shape.pace == Pace::Spread && last) {
                births.note(frame, packets as u32);
            }
            packet[1] = 96 | if last { 0x80 } else { 0 };
            packet[2..4].copy_from_slice(&sequence.to_be_bytes());
            packet[4..8].copy_from_slice(&frame.to_be_bytes());
            sequence = sequence.wrapping_add(1);
            let length = if last { (bytes - index * full).max(LEAST) } else { full };
            let late = Instant::now() > due + MOST_LATE;
            // What cannot be sent is missed by the viewers.
            let _ = socket.send(&packet[..length]);
            if is_measured {
                shared.packets.fetch_add(1, Ordering::Relaxed);
                shared.bytes.fetch_add(length as u64, Ordering::Relaxed);
                shared.late.fetch_add(u64::from(late), Ordering::Relaxed);
            }
        }
        shared.sent.store(frame + 1, Ordering::Release);
    }
}

fn nanoseconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as u64
}

const KEPT: usize = 4096;
/// A header and something to seal.
const LEAST: usize = 32;
/// As for the fleet's cameras.
const MOST_LATE: Duration = Duration::from_millis(2);
