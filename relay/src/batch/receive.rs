//! Receiving many datagrams with one system call.

use std::io;
use std::mem::size_of;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use crate::batch::address::{Control, RawAddress, destination};
use crate::batch::socket::{Route, Socket};

/// Buffers for one batch, about 2 MB of address space of which only what arrives is touched.
pub struct Receiver {
    buffers: Box<[u8]>,
    slots: Vec<Slot>,
    kernel_drops: u64,
    last_drop_count: u32,
}

/// One received datagram. Its bytes may be changed in place (SRTP is opened so).
#[derive(Debug)]
pub struct Datagram<'a> {
    /// UDP payload.
    pub bytes: &'a mut [u8],
    /// Where it came from and to which address.
    pub route: Route,
    /// When the kernel took it in; `None` when it did not say.
    pub received: Option<SystemTime>,
}

struct Slot {
    len: usize,
    /// Size of the datagrams that the kernel joined here; the last may be shorter.
    segment: usize,
    route: Route,
    received: Option<SystemTime>,
}

impl Receiver {
    /// System-call messages of one batch; with GRO each may hold up to 64 datagrams.
    pub const SLOTS: usize = 32;

    /// Allocates the buffers.
    pub fn new() -> Self {
        Self {
            buffers: vec![0; Self::SLOTS * STRIDE].into_boxed_slice(),
            slots: Vec::with_capacity(Self::SLOTS),
            kernel_drops: 0,
            last_drop_count: 0,
        }
    }

    /// Takes what the socket holds, up to one batch, and returns the number of system-call messages: fewer than
    /// [`Receiver::SLOTS`] means that the socket is empty now. Never blocks. The former batch is gone.
    ///
    /// # Errors
    /// What the system says, "would block" excepted (that is 0).
    pub fn receive(&mut self, socket: &Socket) -> io::Result<usize> {
        self.slots.clear();
        let mut names = [RawAddress::zeroed(); Self::SLOTS];
        let mut controls = [Control([0; CONTROL_BYTES]); Self::SLOTS];
        let mut vectors = [libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; Self::SLOTS];
        // SAFETY: plain old data for which all-zero is valid.
        let mut messages: [libc::mmsghdr; Self::SLOTS] = unsafe { std::mem::zeroed() };
        for (i, buffer) in self.buffers.chunks_exact_mut(STRIDE).enumerate() {
            vectors[i] = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: SLOT_BYTES };
            let header = &mut messages[i].msg_hdr;
            header.msg_name = std::ptr::from_mut(&mut names[i]).cast();
            header.msg_namelen = RawAddress::CAPACITY;
            header.msg_iov = &mut vectors[i];
            header.msg_iovlen = 1;
            header.msg_control = controls[i].0.as_mut_ptr().cast();
            header.msg_controllen = CONTROL_BYTES as _;
        }
        // SAFETY: every pointer in `messages` points to a live buffer of this function or of `self`, with its true size.
        let count = unsafe {
            libc::recvmmsg(
                socket.raw(),
                messages.as_mut_ptr(),
                Self::SLOTS as libc::c_uint,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        if count < 0 {
            let error = io::Error::last_os_error();
            return match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(0),
                _ => Err(error),
            };
        }
        for ((message, name), control) in messages.iter().zip(&names).zip(&controls).take(count as usize) {
            let len = (message.msg_len as usize).min(SLOT_BYTES);
            #[allow(clippy::unnecessary_cast)] // Not everywhere is it a usize.
            let used = message.msg_hdr.msg_controllen as usize;
            let slot = self.describe(len, name.get(), control, used);
            self.slots.push(slot);
        }
        Ok(count as usize)
    }

    /// The datagrams of the last batch, in order of arrival.
    pub fn datagrams(&mut self) -> impl Iterator<Item = Datagram<'_>> {
        self.buffers.chunks_exact_mut(STRIDE).zip(&self.slots).flat_map(|(buffer, slot)| {
            // An empty datagram is one too.
            let empty: Option<&mut [u8]> = (slot.len == 0).then_some(&mut []);
            empty.into_iter().chain(buffer[..slot.len].chunks_mut(slot.segment)).map(|bytes| Datagram {
                bytes,
                route: slot.route,
                received: slot.received,
            })
        })
    }

    /// Datagrams that the kernel has dropped so far because this socket's buffer was full.
    pub fn kernel_drops(&self) -> u64 {
        self.kernel_drops
    }

    fn describe(
        &mut self,
        len: usize,
        from: Option<SocketAddr>,
        control: &Control<CONTROL_BYTES>,
        used: usize,
    ) -> Slot {
        let mut slot = Slot {
            // Without a usable address nobody can be answered: nothing of it is shown.
            len: if from.is_some() { len } else { 0 },
            segment: len.max(1),
            route: Route { remote: from.unwrap_or(NOWHERE), local: None },
            received: None,
        };
        let mut drops = None;
        control.each(used, |level, kind, data| match (level, kind) {
            (libc::SOL_UDP, libc::UDP_GRO) => {
                if let Some(size) =
                    read_int(data).and_then(|size| usize::try_from(size).ok()).filter(|size| *size > 0)
                {
                    slot.segment = size;
                }
            }
            (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => slot.received = read_time(data),
            (libc::SOL_SOCKET, libc::SO_RXQ_OVFL) => drops = read_int(data),
            _ => {
                if let Some(ip) = destination(level, kind, data) {
                    slot.route.local = Some(ip);
                }
            }
        });
        if let Some(total) = drops {
            // The kernel counts modulo 2^32.
            self.kernel_drops += u64::from((total as u32).wrapping_sub(self.last_drop_count));
            self.last_drop_count = total as u32;
        }
        slot
    }
}

impl Default for Receiver {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Receiver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Receiver").field("messages", &self.slots.len()).finish_non_exhaustive()
    }
}

fn read_int(data: &[u8]) -> Option<i32> {
    Some(i32::from_ne_bytes(data.get(..4)?.try_into().ok()?))
}

fn read_time(data: &[u8]) -> Option<SystemTime> {
    let half = size_of::<libc::time_t>();
    let seconds = libc::time_t::from_ne_bytes(data.get(..half)?.try_into().ok()?);
    let nanos =
        libc::c_long::from_ne_bytes(data.get(half..half + size_of::<libc::c_long>())?.try_into().ok()?);
    let since = Duration::new(u64::try_from(seconds).ok()?, u32::try_from(nanos).ok()?);
    SystemTime::UNIX_EPOCH.checked_add(since)
}

/// The largest joined datagram.
const SLOT_BYTES: usize = 65_536;
/// Not a power of two, so that the heads of all slots do not fall into the same cache sets.
const STRIDE: usize = SLOT_BYTES + 1_152;
/// Timestamp, GRO size, drop count and packet info with their headers are 120 bytes.
const CONTROL_BYTES: usize = 192;
const NOWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), 0);
