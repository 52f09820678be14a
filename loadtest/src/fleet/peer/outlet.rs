//! Where a client's datagrams go: into an arena, or into whatever lies between it and its socket.

use std::net::SocketAddr;
use std::time::Duration;

use latchkey_relay::batch::{Route, SendArena, Socket};

/// Where a client's datagrams go.
pub trait Outlet {
    /// Takes one datagram to `remote`; `socket` is the client's.
    fn send(&mut self, socket: &Socket, remote: SocketAddr, bytes: &[u8]);
}

/// Collects them; [`Peer::send`](crate::fleet::peer::Peer::send) gives them to the kernel. A full arena is given to the kernel at once.
impl Outlet for SendArena {
    fn send(&mut self, socket: &Socket, remote: SocketAddr, bytes: &[u8]) {
        if self.is_full() {
            self.flush(socket, PATIENCE);
        }
        if let Some(room) = self.reserve(&Route { remote, local: None }, bytes.len()) {
            room.copy_from_slice(bytes);
        }
    }
}

/// How long a flush may wait for room in the send buffer.
pub(super) const PATIENCE: Duration = Duration::from_millis(20);
