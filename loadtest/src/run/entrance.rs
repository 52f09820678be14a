//! The way in for cameras and viewers: leave from signaling, an offer to the door, an answer for the client.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::time::Instant;

use latchkey_wire::codec::Codec;
use url::Url;
use zeroize::Zeroizing;

use crate::compare::foreign::Foreign;
use crate::crew::{CameraRef, Crew, CrewError, MemberRef, Seat};
use crate::door::{Door, DoorError};
use crate::fleet::CameraId;
use crate::fleet::peer::{Peer, PeerError, PeerOptions, Way};
use crate::measure::line::Party;

/// The way in. Clones share it.
#[derive(Clone)]
pub(crate) struct Entrance {
    door: Door,
    house: House,
    codec: Codec,
    local: IpAddr,
    /// Whether a camera hands out the packets of a frame together.
    cameras_burst: bool,
}

/// Who gives leave.
#[derive(Clone)]
pub(crate) enum House {
    /// Latchkey's signaling, for the devices of a crew.
    Crew(Crew),
    /// Nobody: the door is open, or opens to one token.
    Foreign(Arc<Foreign>),
}

/// A client that the server took.
pub(crate) struct Entered {
    /// The client.
    pub(crate) peer: Peer,
    /// When it began to ask; what it had to wait because of limits does not count.
    pub(crate) asked: Instant,
    /// How it is ended.
    pub(crate) exit: Option<Exit>,
}

/// A session at the server, to be ended.
pub(crate) struct Exit {
    resource: Url,
    bearer: Option<Zeroizing<String>>,
}

/// Why a client did not get in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EntranceError {
    #[error(transparent)]
    Crew(#[from] CrewError),
    #[error(transparent)]
    Door(#[from] DoorError),
    #[error(transparent)]
    Peer(#[from] PeerError),
}

impl Entrance {
    pub(crate) fn new(
        house: House,
        codec: Codec,
        local: IpAddr,
        cameras_burst: bool,
    ) -> Result<Self, DoorError> {
        Ok(Self { door: Door::new()?, house, codec, local, cameras_burst })
    }

    /// Lets a camera in.
    pub(crate) async fn publish(&self, id: CameraId, camera: CameraRef) -> Result<Entered, EntranceError> {
        self.enter(Way::Publish, id, Seat::Publish(camera)).await
    }

    /// Lets a viewer in.
    pub(crate) async fn view(
        &self,
        id: CameraId,
        camera: CameraRef,
        member: MemberRef,
    ) -> Result<Entered, EntranceError> {
        self.enter(Way::View, id, Seat::View(camera, member)).await
    }

    /// Ends a session at the server.
    pub(crate) async fn end(&self, exit: &Exit) -> Result<(), DoorError> {
        self.door.delete(&exit.resource, exit.bearer.as_ref().map(|bearer| bearer.as_str())).await
    }

    async fn enter(&self, way: Way, id: CameraId, seat: Seat) -> Result<Entered, EntranceError> {
        let mut asked = Instant::now();
        let (url, bearer) = match &self.house {
            House::Crew(crew) => {
                let granted = crew.session(seat).await?;
                asked += granted.waited;
                (granted.url, Some(granted.bearer))
            }
            House::Foreign(foreign) => {
                let endpoint = if way == Way::Publish { &foreign.whip } else { &foreign.whep };
                (endpoint.of(id.0), foreign.bearer.clone())
            }
        };
        let send_offload = way == Way::View || self.cameras_burst;
        let options = PeerOptions { local: self.local, codec: self.codec, send_offload };
        let (mut peer, mut offer) = Peer::offer(way, &options)?;
        let sdp = std::mem::take(&mut offer.sdp);
        let answer = self.door.post(&url, bearer.as_ref().map(|bearer| bearer.as_str()), sdp).await?;
        peer.accept(offer, &answer.sdp)?;
        Ok(Entered { peer, asked, exit: answer.resource.map(|resource| Exit { resource, bearer }) })
    }
}

impl EntranceError {
    /// Whose fault it is.
    pub(crate) fn party(&self) -> Party {
        match self {
            Self::Crew(error) => error.party(),
            Self::Door(DoorError::NoClient(_)) => Party::Driver,
            Self::Door(_) => Party::Server,
            Self::Peer(PeerError::Answer(_) | PeerError::NoMedia) => Party::Server,
            Self::Peer(_) => Party::Driver,
        }
    }

    /// Returns whether there was nobody to ask.
    pub(crate) fn found_nobody(&self) -> bool {
        matches!(self, Self::Crew(CrewError::Unreachable { .. }) | Self::Door(DoorError::Unreachable { .. }))
    }

    /// Its stable name.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            error if error.found_nobody() => "server-unreachable",
            Self::Crew(_) => "join-no-grant",
            Self::Door(DoorError::TooSlow { .. }) => "join-unanswered",
            Self::Door(DoorError::NoClient(_)) => "driver-no-client",
            Self::Door(_) => "join-refused",
            Self::Peer(PeerError::Answer(_) | PeerError::NoMedia) => "join-bad-answer",
            Self::Peer(_) => "driver-no-client",
        }
    }
}

/// Returns the address of this machine from which packets to a server leave; loopback where that cannot be told.
pub(crate) fn local_address(server: &Url) -> IpAddr {
    let loopback = IpAddr::from(Ipv4Addr::LOCALHOST);
    let found = server.socket_addrs(|| None).ok().and_then(|addresses| {
        let remote = *addresses.first()?;
        let any = if remote.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = UdpSocket::bind(any).ok()?;
        // No packet leaves: this only asks the system which way it would go.
        socket.connect(remote).ok()?;
        Some(socket.local_addr().ok()?.ip())
    });
    found.unwrap_or(loopback)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_to_a_server_here_is_loopback() {
        let here = |url: &str| local_address(&Url::parse(url).unwrap()).to_string();
        assert_eq!(here("http://127.0.0.1:9601"), "127.0.0.1");
        assert_eq!(here("http://no-such-host.invalid"), "127.0.0.1");
    }
}
