//! Sending many datagrams with one system call, those of one peer as a train that the kernel cuts (UDP_SEGMENT).

use std::io;
use std::time::{Duration, Instant};

use crate::batch::address::{Control, RawAddress, push_source};
use crate::batch::socket::{Route, Socket};

/// Collects outgoing datagrams in one buffer small enough to stay in the cache, then sends them all.
///
/// Datagrams for the same route that follow each other and have one size (the last may be shorter) leave as one train.
/// A caller that writes viewer by viewer gets the longest trains.
pub struct SendArena {
    bytes: Box<[u8]>,
    used: usize,
    packets: usize,
    trains: Vec<Train>,
}

/// What a flush did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flushed {
    /// Datagrams given to the kernel.
    pub packets: usize,
    /// Datagrams that it would not take: the send buffer stayed full, or the route is gone.
    pub dropped: usize,
    /// Messages given to the kernel, a train being one.
    pub trains: usize,
    /// System calls made.
    pub calls: usize,
}

#[derive(Clone, Copy)]
struct Train {
    route: Route,
    start: usize,
    len: usize,
    /// Size of all datagrams but perhaps the last.
    segment: usize,
    packets: usize,
    /// Size of the last datagram.
    last: usize,
}

impl SendArena {
    /// Datagrams after which a flush is due: larger batches fall out of the second-level cache and gain nothing.
    pub const PACKETS: usize = 192;
    /// Longest datagram that may be reserved.
    pub const MAX_DATAGRAM: usize = 2_048;

    /// Allocates the buffer.
    pub fn new() -> Self {
        Self {
            bytes: vec![0; Self::PACKETS * Self::MAX_DATAGRAM].into_boxed_slice(),
            used: 0,
            packets: 0,
            trains: Vec::with_capacity(Self::PACKETS),
        }
    }

    /// Room for one more datagram of `len` bytes; `None` when the arena is full and must be flushed first, or when `len` is
    /// 0 or above [`SendArena::MAX_DATAGRAM`].
    pub fn reserve(&mut self, route: &Route, len: usize) -> Option<&mut [u8]> {
        if self.is_full() || len == 0 || len > Self::MAX_DATAGRAM {
            return None;
        }
        let start = self.used;
        self.used += len;
        self.packets += 1;
        match self.trains.last_mut() {
            Some(train) if train.takes(route, len) => {
                train.len += len;
                train.packets += 1;
                train.last = len;
            }
            _ => self.trains.push(Train { route: *route, start, len, segment: len, packets: 1, last: len }),
        }
        Some(&mut self.bytes[start..start + len])
    }

    /// Takes back the datagram that was reserved last, for instance because it could not be sealed. Does nothing when the
    /// arena is empty.
    pub fn undo_last(&mut self) {
        let Some(train) = self.trains.last_mut() else { return };
        self.used -= train.last;
        self.packets -= 1;
        train.len -= train.last;
        train.packets -= 1;
        train.last = train.segment;
        if train.packets == 0 {
            self.trains.pop();
        }
    }

    /// Whether [`SendArena::PACKETS`] datagrams wait.
    pub fn is_full(&self) -> bool {
        self.packets == Self::PACKETS
    }

    /// Throws everything away unsent.
    pub fn clear(&mut self) {
        self.used = 0;
        self.packets = 0;
        self.trains.clear();
    }

    /// How many datagrams may still be reserved.
    pub fn free(&self) -> usize {
        Self::PACKETS - self.packets
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.packets == 0
    }

    /// Sends everything and empties the arena. Waits at most `patience` for room in the send buffer; what does not fit then
    /// is dropped and counted, because media that waits longer is late.
    pub fn flush(&mut self, socket: &Socket, patience: Duration) -> Flushed {
        let mut done = Flushed::default();
        let mut deadline = None;
        let mut rest = self.trains.as_slice();
        while !rest.is_empty() {
            if !socket.sends_trains() {
                for train in rest {
                    send_singly(&self.bytes, train, socket, patience, &mut deadline, &mut done);
                }
                break;
            }
            let chunk = &rest[..rest.len().min(CHUNK)];
            done.calls += 1;
            match send_chunk(&self.bytes, chunk, socket) {
                Ok(sent) => {
                    for train in &chunk[..sent] {
                        done.packets += train.packets;
                    }
                    done.trains += sent;
                    rest = &rest[sent..];
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted => {}
                    io::ErrorKind::WouldBlock if waited(socket, patience, &mut deadline) => {}
                    _ if chunk[0].packets > 1 && refuses_trains(&error) => {
                        tracing::warn!(%error, "the network refuses segmentation offload; sending datagrams one by one from now on");
                        socket.forbid_trains();
                    }
                    _ => {
                        done.dropped += chunk[0].packets;
                        rest = &rest[1..];
                    }
                },
            }
        }
        self.clear();
        done
    }
}

impl Train {
    fn takes(&self, route: &Route, len: usize) -> bool {
        self.last == self.segment
            && len <= self.segment
            && self.packets < MAX_SEGMENTS
            && self.len + len <= MAX_TRAIN_BYTES
            && self.route == *route
    }
}

/// Whether there is room in the send buffer again before the patience of this flush is over.
fn waited(socket: &Socket, patience: Duration, deadline: &mut Option<Instant>) -> bool {
    let now = Instant::now();
    let deadline = *deadline.get_or_insert(now + patience);
    now < deadline && socket.wait_writable(deadline - now)
}

/// EIO: the device cannot checksum; EINVAL: the kernel does not know trains, or the segment exceeds the path MTU.
fn refuses_trains(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EIO | libc::EINVAL | libc::EOPNOTSUPP))
}

/// Gives up to [`CHUNK`] trains to the kernel and returns how many it took.
fn send_chunk(bytes: &[u8], trains: &[Train], socket: &Socket) -> io::Result<usize> {
    let mut names = [RawAddress::zeroed(); CHUNK];
    let mut controls = [Control([0; CONTROL_BYTES]); CHUNK];
    let mut vectors = [libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; CHUNK];
    // SAFETY: plain old data for which all-zero is valid.
    let mut messages: [libc::mmsghdr; CHUNK] = unsafe { std::mem::zeroed() };
    for (i, train) in trains.iter().enumerate() {
        let data = &bytes[train.start..train.start + train.len];
        // The kernel only reads from it.
        vectors[i] = libc::iovec { iov_base: data.as_ptr().cast_mut().cast(), iov_len: data.len() };
        let mut used = 0;
        if train.packets > 1 {
            used = controls[i].push(used, libc::SOL_UDP, libc::UDP_SEGMENT, train.segment as u16);
        }
        if let Some(source) = train.route.local {
            used = push_source(&mut controls[i], used, source, socket.is_v6());
        }
        let header = &mut messages[i].msg_hdr;
        header.msg_namelen = names[i].set(train.route.remote, socket.is_v6());
        header.msg_name = std::ptr::from_mut(&mut names[i]).cast();
        header.msg_iov = &mut vectors[i];
        header.msg_iovlen = 1;
        if used > 0 {
            header.msg_control = controls[i].0.as_mut_ptr().cast();
            header.msg_controllen = used as _;
        }
    }
    // SAFETY: the first `trains.len()` messages point to live buffers of this function or to `bytes`, with their true sizes.
    let sent = unsafe {
        libc::sendmmsg(
            socket.raw(),
            messages.as_mut_ptr(),
            trains.len() as libc::c_uint,
            libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
        )
    };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(sent as usize) }
}

/// The way without segmentation by the kernel: every datagram is a message of its own.
fn send_singly(
    bytes: &[u8],
    train: &Train,
    socket: &Socket,
    patience: Duration,
    deadline: &mut Option<Instant>,
    done: &mut Flushed,
) {
    let mut singles = [*train; MAX_SEGMENTS];
    for (i, single) in singles.iter_mut().take(train.packets).enumerate() {
        let len = if i + 1 == train.packets { train.last } else { train.segment };
        *single = Train {
            start: train.start + i * train.segment,
            len,
            segment: len,
            packets: 1,
            last: len,
            ..*train
        };
    }
    let mut rest = &singles[..train.packets];
    while !rest.is_empty() {
        done.calls += 1;
        match send_chunk(bytes, &rest[..rest.len().min(CHUNK)], socket) {
            Ok(sent) => {
                done.packets += sent;
                done.trains += sent;
                rest = &rest[sent..];
            }
            Err(error) => match error.kind() {
                io::ErrorKind::Interrupted => {}
                io::ErrorKind::WouldBlock if waited(socket, patience, deadline) => {}
                _ => {
                    done.dropped += 1;
                    rest = &rest[1..];
                }
            },
        }
    }
}

impl Default for SendArena {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for SendArena {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SendArena")
            .field("packets", &self.packets)
            .field("trains", &self.trains.len())
            .finish_non_exhaustive()
    }
}

/// The kernel's UDP_MAX_SEGMENTS before 6.9.
const MAX_SEGMENTS: usize = 64;
/// A train is one IP datagram until it is cut: 65535 less the IPv6 and UDP headers, some room for extension headers.
const MAX_TRAIN_BYTES: usize = 65_000;
/// Messages of one system call; bounds what lies on the stack.
const CHUNK: usize = 64;
/// UDP_SEGMENT and packet info with their headers are 64 bytes.
const CONTROL_BYTES: usize = 64;
