//! The system calls of the kernel floor, made by hand.
#![allow(unsafe_code)]

use std::io;
use std::net::{SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd;
use std::os::unix::thread::JoinHandleExt as _;
use std::ptr::null_mut;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Bytes of a plain packet at the most; longer ones are cut by the kernel.
pub const MAX_PACKET: usize = 1484;

/// Longest wait for a packet, milliseconds.
const PATIENCE_MS: libc::c_int = 50;

/// Packets that wait to be forwarded, in buffers that are used again.
pub(crate) struct Batch {
    packets: Vec<[u8; MAX_PACKET]>,
    lengths: [usize; Self::MOST],
    filled: usize,
}

impl Batch {
    /// As many packets of the usual size as fit in one train, which is one IP datagram until it is cut.
    pub(crate) const MOST: usize = 50;

    pub(crate) fn new() -> Self {
        Self { packets: vec![[0; MAX_PACKET]; Self::MOST], lengths: [0; Self::MOST], filled: 0 }
    }

    /// Appends all packets that wait, after waiting up to 50 ms for the first; returns how many came.
    pub(crate) fn receive(&mut self, socket: &UdpSocket) -> usize {
        let mut polled = libc::pollfd { fd: socket.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one descriptor that outlives the call.
        if unsafe { libc::poll(&raw mut polled, 1, PATIENCE_MS) } <= 0 {
            return 0;
        }
        let room = &mut self.packets[self.filled..];
        // SAFETY: every iovec names its own live array, and the kernel writes at most its length; headers are plain data.
        let came = unsafe {
            let mut parts: [libc::iovec; Self::MOST] = std::mem::zeroed();
            let mut messages: [libc::mmsghdr; Self::MOST] = std::mem::zeroed();
            for ((packet, part), message) in room.iter_mut().zip(&mut parts).zip(&mut messages) {
                *part = libc::iovec { iov_base: packet.as_mut_ptr().cast(), iov_len: MAX_PACKET };
                message.msg_hdr.msg_iov = part;
                message.msg_hdr.msg_iovlen = 1;
            }
            let (fd, most) = (socket.as_raw_fd(), room.len() as libc::c_uint);
            let came = libc::recvmmsg(fd, messages.as_mut_ptr(), most, libc::MSG_DONTWAIT, null_mut());
            let came = usize::try_from(came).unwrap_or(0);
            for (length, message) in self.lengths[self.filled..].iter_mut().zip(&messages[..came]) {
                *length = message.msg_len as usize;
            }
            came
        };
        self.filled += came;
        came
    }

    pub(crate) fn packets(&self) -> impl Iterator<Item = &[u8]> {
        self.packets[..self.filled].iter().zip(&self.lengths).map(|(packet, length)| &packet[..*length])
    }

    pub(crate) fn last(&self) -> Option<&[u8]> {
        let last = self.filled.checked_sub(1)?;
        Some(&self.packets[last][..self.lengths[last]])
    }

    pub(crate) fn is_full(&self) -> bool {
        self.filled == Self::MOST
    }

    pub(crate) fn clear(&mut self) {
        self.filled = 0;
    }
}

/// Asks for the socket buffers that a relay asks for.
pub(crate) fn widen(socket: &UdpSocket) {
    // Where it is refused the default stays.
    let _ = set_option(socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, 8 << 20);
    let _ = set_option(socket, libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, 8 << 20);
}

/// Lets a socket take trains whole and know when they came.
pub(crate) fn take_trains(socket: &UdpSocket) -> io::Result<()> {
    set_option(socket, libc::SOL_UDP, libc::UDP_GRO, 1)?;
    set_option(socket, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 1)?;
    // Where it is refused the default stays.
    let _ = set_option(socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, 4 << 20);
    Ok(())
}

fn set_option(
    socket: &UdpSocket,
    level: libc::c_int,
    name: libc::c_int,
    value: libc::c_int,
) -> io::Result<()> {
    let size = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the option is an int, and `value` lives over the call.
    match unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, (&raw const value).cast(), size) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// One datagram, or a train of them.
#[derive(Clone, Copy)]
pub(crate) struct Taken {
    pub(crate) length: usize,
    /// Length of each of its packets but the last.
    pub(crate) segment: usize,
    pub(crate) arrival: SystemTime,
}

/// Takes what waits at a socket without waiting, each in a buffer of its own; returns how many there were.
pub(crate) fn receive_trains<const N: usize>(
    socket: &UdpSocket,
    buffers: &mut [Vec<u8>; N],
    taken: &mut [Option<Taken>; N],
) -> usize {
    let mut controls = [[0u64; 16]; N];
    // SAFETY: every pointer names a live buffer with its true size; a control message is read only where the kernel says that
    // one lies, and a timestamp is a timespec, a segment's length an int.
    unsafe {
        let mut parts: [libc::iovec; N] = std::mem::zeroed();
        let mut messages: [libc::mmsghdr; N] = std::mem::zeroed();
        for index in 0..N {
            let (buffer, control) = (&mut buffers[index], &mut controls[index]);
            parts[index] = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
            let header = &mut messages[index].msg_hdr;
            header.msg_iov = &raw mut parts[index];
            header.msg_iovlen = 1;
            header.msg_control = control.as_mut_ptr().cast();
            header.msg_controllen = size_of_val(control) as _;
        }
        let (fd, most) = (socket.as_raw_fd(), N as libc::c_uint);
        let came = libc::recvmmsg(fd, messages.as_mut_ptr(), most, libc::MSG_DONTWAIT, null_mut());
        let came = usize::try_from(came).unwrap_or(0);
        for (taken, message) in taken.iter_mut().zip(&messages[..came]) {
            let length = message.msg_len as usize;
            let mut train = Taken { length, segment: length.max(1), arrival: UNIX_EPOCH };
            let mut header = libc::CMSG_FIRSTHDR(&raw const message.msg_hdr);
            while !header.is_null() {
                let data = libc::CMSG_DATA(header);
                match ((*header).cmsg_level, (*header).cmsg_type) {
                    (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => {
                        let stamp = data.cast::<libc::timespec>().read_unaligned();
                        train.arrival = UNIX_EPOCH + Duration::new(stamp.tv_sec as u64, stamp.tv_nsec as u32);
                    }
                    (libc::SOL_UDP, libc::UDP_GRO) => {
                        train.segment = data.cast::<libc::c_int>().read_unaligned().max(1) as usize;
                    }
                    _ => {}
                }
                header = libc::CMSG_NXTHDR(&raw const message.msg_hdr, header);
            }
            *taken = Some(train);
        }
        came
    }
}

/// Sends packets of `segment` bytes (the last may be shorter) to one viewer: as one train, or where there is one, as it is.
pub(crate) fn send_train(socket: &UdpSocket, bytes: &[u8], segment: usize, to: SocketAddrV4) {
    let address = sockaddr(to);
    let size = size_of::<libc::sockaddr_in>() as libc::socklen_t;
    let mut control = [0u64; 4];
    // SAFETY: every pointer names a local that lives over the call; the control buffer has room for one u16 message
    // (CMSG_SPACE(2) is 24 of its 32 bytes).
    unsafe {
        if bytes.len() <= segment {
            let data = bytes.as_ptr().cast();
            libc::sendto(socket.as_raw_fd(), data, bytes.len(), 0, (&raw const address).cast(), size);
            return;
        }
        let mut part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
        let mut message: libc::msghdr = std::mem::zeroed();
        message.msg_name = (&raw const address).cast_mut().cast();
        message.msg_namelen = size;
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = libc::CMSG_SPACE(2) as _;
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        (*header).cmsg_level = libc::SOL_UDP;
        (*header).cmsg_type = libc::UDP_SEGMENT;
        (*header).cmsg_len = libc::CMSG_LEN(2) as _;
        libc::CMSG_DATA(header).cast::<u16>().write_unaligned(segment as u16);
        libc::sendmsg(socket.as_raw_fd(), &raw const message, 0);
    }
}

/// Returns the CPU time of a thread that nobody has joined yet; zero where it cannot be told.
pub(crate) fn cpu_of(thread: &JoinHandle<()>) -> Duration {
    let mut clock = 0;
    // SAFETY: the handle's thread was not joined, so its number is still its own; `clock` and `time` live over the calls, and
    // all-zero is a valid timespec.
    unsafe {
        let mut time: libc::timespec = std::mem::zeroed();
        if libc::pthread_getcpuclockid(thread.as_pthread_t() as libc::pthread_t, &raw mut clock) != 0
            || libc::clock_gettime(clock, &raw mut time) != 0
        {
            return Duration::ZERO;
        }
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    }
}

fn sockaddr(address: SocketAddrV4) -> libc::sockaddr_in {
    libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: address.port().to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(address.ip().octets()) },
        sin_zero: [0; 8],
    }
}
