//! A UDP socket set up for batches.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use socket2::{Domain, Protocol, SockAddr, Type};

use crate::batch::wake::Waker;

/// Where datagrams come from and go to: the peer's address, and which of our own addresses it uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Route {
    /// The peer.
    pub remote: SocketAddr,
    /// Our address; `None` when the socket is bound to one address, or to let the kernel choose.
    pub local: Option<IpAddr>,
}

/// How a socket is opened.
#[derive(Clone, Debug)]
pub struct SocketOptions {
    /// Several sockets share the address; the kernel spreads flows over them (SO_REUSEPORT).
    pub share_port: bool,
    /// Receive buffer to ask for, beyond `rmem_max` when the process may.
    pub receive_buffer: usize,
    /// Send buffer to ask for, beyond `wmem_max` when the process may.
    pub send_buffer: usize,
    /// Let the kernel join datagrams of one flow (UDP_GRO).
    pub receive_offload: bool,
    /// Try segmentation by the kernel (UDP_SEGMENT).
    pub send_offload: bool,
}

/// A non-blocking UDP socket for [`Receiver`](crate::batch::Receiver) and [`SendArena`](crate::batch::SendArena).
#[derive(Debug)]
pub struct Socket {
    socket: UdpSocket,
    is_v6: bool,
    send_offload: AtomicBool,
}

/// Why [`Socket::wait`] returned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ready {
    /// Datagrams (or a socket error) are there.
    pub datagrams: bool,
    /// Somebody called [`Waker::wake`].
    pub woken: bool,
}

impl Default for SocketOptions {
    fn default() -> Self {
        Self {
            share_port: false,
            receive_buffer: 4 << 20,
            send_buffer: 4 << 20,
            receive_offload: true,
            send_offload: true,
        }
    }
}

impl Socket {
    /// Opens and binds a socket. An unspecified IPv6 address serves IPv4 too.
    ///
    /// # Errors
    /// What the system says to socket, option or bind. Missing offloads, timestamps and smaller buffers are no errors.
    pub fn bind(address: SocketAddr, options: &SocketOptions) -> io::Result<Self> {
        let is_v6 = address.is_ipv6();
        let domain = if is_v6 { Domain::IPV6 } else { Domain::IPV4 };
        let socket = socket2::Socket::new(domain, Type::DGRAM.nonblocking().cloexec(), Some(Protocol::UDP))?;
        if is_v6 {
            socket.set_only_v6(!address.ip().is_unspecified())?;
        }
        let fd = socket.as_raw_fd();
        if options.share_port {
            set(fd, libc::SOL_SOCKET, libc::SO_REUSEPORT, 1)?;
        }
        grow(fd, libc::SO_RCVBUFFORCE, libc::SO_RCVBUF, options.receive_buffer);
        grow(fd, libc::SO_SNDBUFFORCE, libc::SO_SNDBUF, options.send_buffer);
        // Each of these only improves what is known about a datagram; without it the field is missing.
        let _ = set(fd, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 1);
        let _ = set(fd, libc::SOL_SOCKET, libc::SO_RXQ_OVFL, 1);
        if address.ip().is_unspecified() {
            // Answers must leave from the address that was asked, or a peer does not take them for answers.
            match is_v6 {
                true => set(fd, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1)?,
                false => set(fd, libc::IPPROTO_IP, libc::IP_PKTINFO, 1)?,
            }
        }
        if options.receive_offload {
            let _ = set(fd, libc::SOL_UDP, libc::UDP_GRO, 1);
        }
        // Setting the size to 0 means "off", which every kernel that knows the option accepts.
        let send_offload = options.send_offload && set(fd, libc::SOL_UDP, libc::UDP_SEGMENT, 0).is_ok();
        socket.bind(&SockAddr::from(address))?;
        Ok(Self { socket: socket.into(), is_v6, send_offload: AtomicBool::new(send_offload) })
    }

    /// The address that was bound.
    ///
    /// # Errors
    /// What the system says to getsockname.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Whether trains leave as one message (UDP_SEGMENT). Turns false for good when the network refuses them.
    pub fn sends_trains(&self) -> bool {
        self.send_offload.load(Ordering::Relaxed)
    }

    /// Receive and send buffer sizes that the kernel granted, in bytes of its own accounting.
    pub fn buffer_sizes(&self) -> (usize, usize) {
        let fd = self.socket.as_raw_fd();
        (option(fd, libc::SO_RCVBUF), option(fd, libc::SO_SNDBUF))
    }

    /// Waits until datagrams are there, `waker` was called, or `timeout` is over (`None`: for ever).
    pub fn wait(&self, waker: &Waker, timeout: Option<Duration>) -> Ready {
        let mut fds = [
            libc::pollfd { fd: self.raw(), events: libc::POLLIN, revents: 0 },
            libc::pollfd { fd: waker.raw(), events: libc::POLLIN, revents: 0 },
        ];
        poll(&mut fds, timeout);
        let woken = fds[1].revents != 0;
        if woken {
            waker.clear();
        }
        Ready { datagrams: fds[0].revents != 0, woken }
    }

    /// Waits until the send buffer has room again; `false` when it has none within `timeout`.
    pub(super) fn wait_writable(&self, timeout: Duration) -> bool {
        let mut fds = [libc::pollfd { fd: self.raw(), events: libc::POLLOUT, revents: 0 }];
        poll(&mut fds, Some(timeout));
        fds[0].revents != 0
    }

    pub(super) fn raw(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    pub(super) fn is_v6(&self) -> bool {
        self.is_v6
    }

    pub(super) fn forbid_trains(&self) {
        self.send_offload.store(false, Ordering::Relaxed);
    }
}

/// For callers that wait on many sockets at once.
impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn poll(fds: &mut [libc::pollfd], timeout: Option<Duration>) {
    let spec = timeout.map(|t| libc::timespec {
        tv_sec: t.as_secs().min(i32::MAX as u64) as libc::time_t,
        tv_nsec: t.subsec_nanos() as libc::c_long,
    });
    let spec = spec.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: `fds` and `spec` live over the call and the count is that of the slice. An error (EINTR) leaves revents 0.
    unsafe { libc::ppoll(fds.as_mut_ptr(), fds.len() as libc::nfds_t, spec, std::ptr::null()) };
}

fn set(fd: RawFd, level: libc::c_int, name: libc::c_int, value: libc::c_int) -> io::Result<()> {
    // SAFETY: passes a live int and its size.
    let done = unsafe {
        libc::setsockopt(
            fd,
            level,
            name,
            std::ptr::from_ref(&value).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn grow(fd: RawFd, force: libc::c_int, ask: libc::c_int, bytes: usize) {
    let bytes = libc::c_int::try_from(bytes).unwrap_or(libc::c_int::MAX);
    if set(fd, libc::SOL_SOCKET, force, bytes).is_err() {
        // The kernel cuts this to its limit by itself, and a smaller buffer still works.
        let _ = set(fd, libc::SOL_SOCKET, ask, bytes);
    }
}

fn option(fd: RawFd, name: libc::c_int) -> usize {
    let mut value: libc::c_int = 0;
    let mut len = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: passes a live int and its size. On failure the value stays 0.
    unsafe { libc::getsockopt(fd, libc::SOL_SOCKET, name, std::ptr::from_mut(&mut value).cast(), &mut len) };
    usize::try_from(value).unwrap_or(0)
}
