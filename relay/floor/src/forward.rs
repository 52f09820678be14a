//! The forwarding thread.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};
use std::thread::JoinHandle;
use std::time::Duration;

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

use crate::cores::pin_this_thread;
use crate::kernel::{self, Batch, MAX_PACKET};

/// Bytes that sealing adds to a packet.
pub const TAG: usize = 16;
/// Bytes of an RTP header without extensions: they stay in the clear.
const HEADER: usize = 12;
const SEALED: usize = MAX_PACKET + TAG;
/// What one IP datagram holds before it is cut.
const MOST_OF_TRAIN: usize = 65_000;

/// How packets leave for a viewer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaving {
    /// A frame waits for its last packet (the RTP marker) and leaves as one UDP_SEGMENT train: for bursts.
    Trains,
    /// Each packet at once, by a call of its own: for packets that come spread over the frame time.
    Packets,
}

/// What the forwarding thread has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// CPU time that the thread has used, exact to the moment.
    pub cpu: Duration,
    /// Packets that it has received.
    pub received: u64,
    /// Packets that it has sent, to all viewers together.
    pub sent: u64,
}

/// A running floor. It ends when it is dropped.
#[derive(Debug)]
pub struct Floor {
    door: SocketAddr,
    /// None once it was told to stop.
    viewers: Option<Sender<Vec<SocketAddrV4>>>,
    thread: Option<JoinHandle<()>>,
    thread_id: i32,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    received: AtomicU64,
    sent: AtomicU64,
}

impl Floor {
    /// Starts the thread on these processors (on none named: wherever the system puts it), forwarding to these viewers.
    ///
    /// # Errors
    /// What the system says to a socket, to a thread, or to the processors.
    pub fn start(leaving: Leaving, viewers: Vec<SocketAddrV4>, processors: &[usize]) -> io::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        kernel::widen(&socket);
        let door = socket.local_addr()?;
        let (tell, told) = mpsc::channel();
        let counts = Arc::new(Counts::default());
        let (ready, is_ready) = mpsc::channel();
        let (processors, counted) = (processors.to_vec(), Arc::clone(&counts));
        let thread = std::thread::Builder::new().name("floor".to_owned()).spawn(move || {
            let pinned = pin_this_thread(&processors);
            let begins = pinned.is_ok();
            // Whoever starts it waits for this.
            let _ = ready.send(pinned.map(|()| rustix::thread::gettid().as_raw_nonzero().get()));
            if begins {
                Forwarder::new(socket, leaving, &viewers, &counted).run(&told);
            }
        })?;
        let thread_id = is_ready.recv().map_err(io::Error::other)??;
        Ok(Self { door, viewers: Some(tell), thread: Some(thread), thread_id, counts })
    }

    /// Returns where packets go that are to be forwarded.
    #[must_use]
    pub fn door(&self) -> SocketAddr {
        self.door
    }

    /// Returns the thread's number in the system, as `/proc/self/task` lists it.
    #[must_use]
    pub fn thread_id(&self) -> i32 {
        self.thread_id
    }

    /// Forwards to these viewers from now on (within 50 ms), and to no others.
    pub fn set_viewers(&self, viewers: Vec<SocketAddrV4>) {
        if let Some(tell) = &self.viewers {
            // The thread listens until it is told to stop.
            let _ = tell.send(viewers);
        }
    }

    /// Returns what it has done so far.
    #[must_use]
    pub fn spent(&self) -> Spent {
        Spent {
            cpu: self.thread.as_ref().map_or(Duration::ZERO, kernel::cpu_of),
            received: self.counts.received.load(Ordering::Relaxed),
            sent: self.counts.sent.load(Ordering::Relaxed),
        }
    }

    /// Ends it and returns what it did in all. Waits for the thread, up to 50 ms.
    #[must_use]
    pub fn stop(mut self) -> Spent {
        let spent = self.spent();
        self.end();
        Spent { cpu: spent.cpu, ..self.spent() }
    }

    fn end(&mut self) {
        self.viewers = None;
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has told so itself.
            let _ = thread.join();
        }
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        self.end();
    }
}

/// What the thread works with.
struct Forwarder<'a> {
    socket: UdpSocket,
    leaving: Leaving,
    viewers: Vec<(SocketAddrV4, LessSafeKey)>,
    waiting: Batch,
    /// Sealed packets of one viewer, without gaps.
    arena: Vec<u8>,
    counts: &'a Counts,
}

impl<'a> Forwarder<'a> {
    fn new(socket: UdpSocket, leaving: Leaving, viewers: &[SocketAddrV4], counts: &'a Counts) -> Self {
        let arena = vec![0; SEALED * Batch::MOST];
        Self { socket, leaving, viewers: with_keys(viewers), waiting: Batch::new(), arena, counts }
    }

    /// Forwards until whoever tells of viewers is gone.
    fn run(mut self, told: &Receiver<Vec<SocketAddrV4>>) {
        loop {
            match told.try_recv() {
                Ok(viewers) => self.viewers = with_keys(&viewers),
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => return,
            }
            let came = self.waiting.receive(&self.socket);
            add(&self.counts.received, came);
            let Some(newest) = self.waiting.last() else { continue };
            // A burst leaves as one train, so it waits for its last packet.
            if self.leaving == Leaving::Trains && !is_last(newest) && !self.waiting.is_full() {
                continue;
            }
            self.fan_out();
            self.waiting.clear();
        }
    }

    fn fan_out(&mut self) {
        let mut sent = 0;
        for (index, (address, key)) in self.viewers.iter().enumerate() {
            // As many as go in one train: all but its last packet have the same length.
            let (mut filled, mut segment, mut ended) = (0, 0, false);
            for packet in self.waiting.packets().filter(|packet| packet.len() > HEADER) {
                let length = packet.len() + TAG;
                let alone = self.leaving == Leaving::Packets || ended;
                if filled > 0 && (alone || length > segment || filled + length > MOST_OF_TRAIN) {
                    kernel::send_train(&self.socket, &self.arena[..filled], segment, *address);
                    filled = 0;
                }
                if filled == 0 {
                    segment = length;
                }
                ended = length < segment;
                seal(packet, index as u32, key, &mut self.arena[filled..filled + length]);
                filled += length;
                sent += 1;
            }
            if filled > 0 {
                kernel::send_train(&self.socket, &self.arena[..filled], segment, *address);
            }
        }
        add(&self.counts.sent, sent);
    }
}

/// Only this thread writes, so that nothing need be locked.
fn add(count: &AtomicU64, more: usize) {
    count.store(count.load(Ordering::Relaxed) + more as u64, Ordering::Relaxed);
}

fn is_last(packet: &[u8]) -> bool {
    packet.get(1).is_some_and(|byte| byte & 0x80 != 0)
}

/// Gives each viewer a key of its own. Nothing is secret here: keys differ so that no schedule stays in the cache for all.
fn with_keys(viewers: &[SocketAddrV4]) -> Vec<(SocketAddrV4, LessSafeKey)> {
    let key = |viewer: u64| {
        let mut key = [7u8; 16];
        key[..8].copy_from_slice(&viewer.to_be_bytes());
        LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key).expect("16 bytes are a key"))
    };
    (0..).zip(viewers).map(|(number, address)| (*address, key(number))).collect()
}

fn seal(packet: &[u8], viewer: u32, key: &LessSafeKey, out: &mut [u8]) {
    out[..packet.len()].copy_from_slice(packet);
    out[8..HEADER].copy_from_slice(&(viewer + 1).to_be_bytes());
    let mut nonce = [0u8; 12];
    nonce[..6].copy_from_slice(&packet[2..8]);
    let (header, rest) = out.split_at_mut(HEADER);
    let (body, tag) = rest.split_at_mut(packet.len() - HEADER);
    let sealed = key
        .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(&*header), body)
        .expect("a packet is short enough to seal");
    tag.copy_from_slice(sealed.as_ref());
}
