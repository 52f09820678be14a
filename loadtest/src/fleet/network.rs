//! What lies between a viewer and the server: delay, jitter, loss and a limit of rate, in user space, both ways.
//!
//! ```text
//!   server ─▶ socket ─▶ down ─▶ client          a Path per viewer, inside its driver thread:
//!   server ◀─ socket ◀── up ◀── client          a proxy's hop would cost more than the client does
//! ```
//! A datagram that was delayed arrives when it comes out: its kernel's stamp is set later by the delay it had. What a
//! path loses is lost for the client, and so counts among a viewer's first losses.

mod profile;
#[cfg(test)]
mod tests;
mod way;

use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use latchkey_relay::batch::Socket;
use str0m_netem::NetemConfig;

pub use crate::fleet::network::profile::Profile;
use crate::fleet::network::way::NetworkWay;
use crate::fleet::peer::Outlet;

/// The conditions under which a viewer receives. The default is a network without faults.
#[derive(Clone, Copy, Debug, Default)]
pub struct Conditions {
    /// From client to server; nothing happens to it where there are none.
    pub up: Option<NetemConfig>,
    /// From server to client.
    pub down: Option<NetemConfig>,
    /// The client goes on from another address every so often.
    pub address_change_every: Option<Duration>,
}

/// The network of one viewer.
pub(crate) struct Path {
    down: Option<NetworkWay>,
    up: Option<NetworkWay>,
}

/// A datagram on its way.
#[derive(Clone, Debug)]
pub(crate) struct Parcel {
    /// UDP payload.
    pub(crate) bytes: Bytes,
    /// The server's address.
    pub(crate) remote: SocketAddr,
    /// When it came to the socket; of no meaning on the way up.
    pub(crate) arrival: SystemTime,
    entered: Instant,
}

impl Path {
    /// Returns the path under these conditions; `None` where a datagram would meet none of them.
    pub(crate) fn new(conditions: &Conditions) -> Option<Box<Self>> {
        if conditions.up.is_none() && conditions.down.is_none() {
            return None;
        }
        let way = |conditions: Option<NetemConfig>| conditions.map(NetworkWay::new);
        Some(Box::new(Self { down: way(conditions.down), up: way(conditions.up) }))
    }

    /// Takes in what the socket received.
    pub(crate) fn received(&mut self, now: Instant, bytes: &[u8], remote: SocketAddr, arrival: SystemTime) {
        let parcel = Parcel { bytes: Bytes::copy_from_slice(bytes), remote, arrival, entered: now };
        match &mut self.down {
            Some(way) => way.take_in(now, parcel),
            // Without faults downwards it comes out at once.
            None => self.down.insert(NetworkWay::new(NetemConfig::new())).take_in(now, parcel),
        }
    }

    /// Returns the next datagram that has come through to the client, with the moment at which it did.
    pub(crate) fn out_to_client(&mut self, now: Instant) -> Option<Parcel> {
        let (mut parcel, out_at) = self.down.as_mut()?.let_out(now)?;
        parcel.arrival += out_at.saturating_duration_since(parcel.entered);
        Some(parcel)
    }

    /// Returns the next datagram that has come through to the socket.
    pub(crate) fn out_to_server(&mut self, now: Instant) -> Option<Parcel> {
        self.up.as_mut()?.let_out(now).map(|(parcel, _)| parcel)
    }

    /// Returns when something comes through next.
    pub(crate) fn due(&self) -> Option<Instant> {
        [&self.down, &self.up].into_iter().flatten().filter_map(NetworkWay::due).min()
    }

    /// Returns what the client's datagrams go into: the way up, or `plain` where there is none.
    pub(crate) fn outlet<'a, O: Outlet>(&'a mut self, now: Instant, plain: &'a mut O) -> Uplink<'a, O> {
        Uplink { way: self.up.as_mut(), now, plain }
    }
}

/// Where the datagrams of a client behind a [`Path`] go.
pub(crate) struct Uplink<'a, O> {
    way: Option<&'a mut NetworkWay>,
    now: Instant,
    plain: &'a mut O,
}

impl<O: Outlet> Outlet for Uplink<'_, O> {
    fn send(&mut self, socket: &Socket, remote: SocketAddr, bytes: &[u8]) {
        match &mut self.way {
            Some(way) => {
                let (bytes, arrival) = (Bytes::copy_from_slice(bytes), SystemTime::UNIX_EPOCH);
                way.take_in(self.now, Parcel { bytes, remote, arrival, entered: self.now });
            }
            None => self.plain.send(socket, remote, bytes),
        }
    }
}

impl AsRef<[u8]> for Parcel {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}
