//! The system calls of the kernel floor, made by hand.
#![allow(unsafe_code)]

use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::workload::PACKET_BYTES;

/// Most packets that wait to be forwarded: as many as fit in one train, which is one IP datagram until it is cut.
pub(crate) const BATCH: usize = 50;

/// Opens a viewer: a non-blocking socket that takes trains whole and knows when they came.
pub(crate) fn viewer_socket() -> std::io::Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.set_nonblocking(true)?;
    set_option(&socket, libc::SOL_UDP, libc::UDP_GRO, 1);
    set_option(&socket, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 1);
    set_option(&socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, 4 << 20);
    Ok(socket)
}

/// Asks for the socket buffers that a relay asks for.
pub(crate) fn widen(socket: &UdpSocket) {
    set_option(socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, 8 << 20);
    set_option(socket, libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, 8 << 20);
}

fn set_option(socket: &UdpSocket, level: libc::c_int, name: libc::c_int, value: libc::c_int) {
    // SAFETY: the option is an int, and `value` lives over the call. Where it is refused the default stays.
    unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            (&raw const value).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        );
    }
}

/// Appends all packets that wait, after waiting up to 50 ms for the first.
pub(crate) fn receive_batch(socket: &UdpSocket, into: &mut Vec<[u8; PACKET_BYTES]>) {
    let mut polled = libc::pollfd { fd: socket.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one descriptor that outlives the call.
    if unsafe { libc::poll(&raw mut polled, 1, 50) } <= 0 {
        return;
    }
    let mut packets = [[0u8; PACKET_BYTES]; BATCH];
    let room = BATCH - into.len();
    // SAFETY: every iovec names its own live array, and the kernel writes at most its length; headers are plain data.
    let got = unsafe {
        let mut parts: [libc::iovec; BATCH] = std::mem::zeroed();
        let mut messages: [libc::mmsghdr; BATCH] = std::mem::zeroed();
        for index in 0..room {
            parts[index] =
                libc::iovec { iov_base: packets[index].as_mut_ptr().cast(), iov_len: PACKET_BYTES };
            messages[index].msg_hdr.msg_iov = &raw mut parts[index];
            messages[index].msg_hdr.msg_iovlen = 1;
        }
        let flags = libc::MSG_DONTWAIT;
        libc::recvmmsg(socket.as_raw_fd(), messages.as_mut_ptr(), room as u32, flags, std::ptr::null_mut())
    };
    into.extend_from_slice(&packets[..usize::try_from(got).unwrap_or(0)]);
}

/// Takes one datagram, or a train of them, and when it came; `None` when the socket is empty.
pub(crate) fn receive_train(socket: &UdpSocket, buffer: &mut [u8]) -> Option<(usize, SystemTime)> {
    let mut control = [0u64; 16];
    let mut arrival = SystemTime::now();
    // SAFETY: every pointer names a live buffer with its true size; a control message is read only where the kernel says that
    // one lies, and a timestamp is a timespec.
    let length = unsafe {
        let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
        let mut message: libc::msghdr = std::mem::zeroed();
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = size_of_val(&control);
        let length = libc::recvmsg(socket.as_raw_fd(), &raw mut message, 0);
        if length < 0 {
            return None;
        }
        let mut header = libc::CMSG_FIRSTHDR(&raw const message);
        while !header.is_null() {
            if ((*header).cmsg_level, (*header).cmsg_type) == (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) {
                let stamp = libc::CMSG_DATA(header).cast::<libc::timespec>().read_unaligned();
                arrival = UNIX_EPOCH + Duration::new(stamp.tv_sec as u64, stamp.tv_nsec as u32);
            }
            header = libc::CMSG_NXTHDR(&raw const message, header);
        }
        length
    };
    Some((length as usize, arrival))
}

/// Sends packets of `segment` bytes to one viewer as one train.
pub(crate) fn send_train(socket: &UdpSocket, bytes: &[u8], segment: usize, to: SocketAddrV4) {
    let address = sockaddr(to);
    let mut control = [0u64; 4];
    // SAFETY: every pointer names a local that lives over the call; the control buffer has room for one u16 message
    // (CMSG_SPACE(2) is 24 of its 32 bytes).
    unsafe {
        let mut part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
        let mut message: libc::msghdr = std::mem::zeroed();
        message.msg_name = (&raw const address).cast_mut().cast();
        message.msg_namelen = size_of::<libc::sockaddr_in>() as libc::socklen_t;
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = libc::CMSG_SPACE(2) as usize;
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        (*header).cmsg_level = libc::SOL_UDP;
        (*header).cmsg_type = libc::UDP_SEGMENT;
        (*header).cmsg_len = libc::CMSG_LEN(2) as usize;
        libc::CMSG_DATA(header).cast::<u16>().write_unaligned(segment as u16);
        libc::sendmsg(socket.as_raw_fd(), &raw const message, 0);
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
