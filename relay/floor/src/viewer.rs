//! Viewers of a floor: sockets that take trains whole, and the cheapest way to read them. They open nothing.

use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::time::SystemTime;

use crate::kernel::{self, Taken};

/// Trains that are read in one call.
const AT_ONCE: usize = 4;
/// The longest train.
const LONGEST: usize = 1 << 16;

/// Opens a viewer's socket on the loopback: it does not block, takes trains whole and knows when they came.
///
/// # Errors
/// What the system says: no file left, or a kernel without UDP_GRO (before 5.0).
pub fn socket() -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.set_nonblocking(true)?;
    kernel::take_trains(&socket)?;
    Ok(socket)
}

/// Reads viewers' sockets, in buffers that are used again.
pub struct Reader {
    buffers: [Vec<u8>; AT_ONCE],
    taken: [Option<Taken>; AT_ONCE],
}

/// A datagram, or a train of them that left in one call.
#[derive(Clone, Copy, Debug)]
pub struct Train<'a> {
    bytes: &'a [u8],
    segment: usize,
    /// The kernel's stamp: when it came, not when it was read.
    pub arrival: SystemTime,
}

impl<'a> Train<'a> {
    /// Returns its packets in the order in which they were sealed.
    pub fn packets(&self) -> impl Iterator<Item = &'a [u8]> {
        self.bytes.chunks(self.segment)
    }
}

impl Default for Reader {
    fn default() -> Self {
        Self { buffers: std::array::from_fn(|_| vec![0; LONGEST]), taken: [None; AT_ONCE] }
    }
}

impl Reader {
    /// Reads what waits at a socket, up to four trains; returns whether there may be more.
    pub fn read(&mut self, socket: &UdpSocket, mut with: impl FnMut(Train<'_>)) -> bool {
        let came = kernel::receive_trains(socket, &mut self.buffers, &mut self.taken);
        for (buffer, taken) in self.buffers.iter().zip(&self.taken[..came]) {
            if let Some(Taken { length, segment, arrival }) = *taken {
                with(Train { bytes: &buffer[..length], segment, arrival });
            }
        }
        came == AT_ONCE
    }
}
