//! Which addresses answers name: fixed ones, what a STUN server sees (RFC 8489), or those of this machine. What is found is
//! found anew as long as the relay runs: a home's address changes, and a machine may start before its network does.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rtc_stun::message::{BINDING_REQUEST, BINDING_SUCCESS, Getter as _, Message, TransactionId};
use rtc_stun::xoraddr::XorMappedAddress;
use tokio::net::UdpSocket;
use tokio::sync::watch;

use crate::config::PublicAddress;

/// Why no public address could be found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DiscoveryError {
    /// The operator's fault, or the resolver's.
    #[error("the STUN server {server} has no address of the family of the media socket")]
    UnknownServer {
        /// As configured.
        server: String,
    },
    /// The network's fault, or the server's.
    #[error(
        "the STUN server {server} gave no answer: is UDP to it allowed? Name the address with --public-address instead"
    )]
    NoAnswer {
        /// As configured.
        server: String,
    },
    /// The operator's fault: the address is of a family that the media socket does not serve.
    #[error(
        "public address {address} is of another family than the media socket {bind}: set --bind to [::]:port for both"
    )]
    OtherFamily {
        /// As configured.
        address: IpAddr,
        /// The media socket.
        bind: SocketAddr,
    },
}

/// The host candidates for answers, which may change.
#[derive(Clone, Debug)]
pub(crate) struct Candidates(watch::Receiver<Arc<[SocketAddr]>>);

impl Candidates {
    /// Those of this moment, best first and at least one.
    pub(crate) fn now(&self) -> Arc<[SocketAddr]> {
        Arc::clone(&self.0.borrow())
    }
}

/// What keeps [`Candidates`] up to date while it runs.
pub(crate) struct Follower {
    wanted: Vec<PublicAddress>,
    media: SocketAddr,
    current: watch::Sender<Arc<[SocketAddr]>>,
}

/// Finds the host candidates. `media` is the bound media socket: its port is that of every address that does not name
/// another one.
///
/// # Errors
/// See [`DiscoveryError`].
pub(crate) async fn find(
    wanted: &[PublicAddress],
    media: SocketAddr,
) -> Result<(Candidates, Follower), DiscoveryError> {
    let found = candidates(wanted, media).await?;
    let (current, receiver) = watch::channel(found.into());
    Ok((Candidates(receiver), Follower { wanted: wanted.to_vec(), media, current }))
}

impl Follower {
    /// Looks again every quarter of a minute, for ever; returns at once where all is fixed.
    pub(crate) async fn run(self) {
        self.run_every(LOOK_AGAIN).await;
    }

    async fn run_every(self, pause: Duration) {
        let asks = self.wanted.iter().any(|address| matches!(address, PublicAddress::Stun(_)));
        let looks = self.wanted.is_empty() && self.media.ip().is_unspecified();
        if asks || looks {
            self.follow(pause).await;
        }
    }

    async fn follow(self, pause: Duration) {
        let mut told = false;
        loop {
            tokio::time::sleep(pause).await;
            let looked = candidates(&self.wanted, self.media).await;
            if let Err(error) = &looked
                && !told
            {
                tracing::warn!(%error, "answers go on naming the addresses that were found before");
            }
            told = looked.is_err();
            if let Ok(found) = looked {
                self.take(found);
            }
        }
    }

    /// Takes what was found. A family of which nothing was found this time keeps what it had: a lost packet is no news.
    fn take(&self, mut found: Vec<SocketAddr>) {
        self.current.send_if_modified(|current| {
            let lost = |was: &SocketAddr| !found.iter().any(|is| is.is_ipv4() == was.is_ipv4());
            let kept: Vec<SocketAddr> = current.iter().copied().filter(lost).collect();
            found.extend(kept);
            let news = **current != *found;
            if news {
                tracing::info!(candidates = ?found, "answers name other addresses from now on");
                *current = found.as_slice().into();
            }
            news
        });
    }
}

async fn candidates(wanted: &[PublicAddress], media: SocketAddr) -> Result<Vec<SocketAddr>, DiscoveryError> {
    let mut found = Vec::new();
    for address in wanted {
        match address {
            PublicAddress::Fixed(ip) => found.push(SocketAddr::new(*ip, media.port())),
            PublicAddress::FixedPort(address) => found.push(*address),
            PublicAddress::Stun(server) => {
                let seen = ask_stun(server, media.ip()).await?;
                found.extend(seen.into_iter().map(|ip| SocketAddr::new(ip, media.port())));
            }
        }
    }
    if let Some(other) = found.iter().find(|address| !serves(media.ip(), address.ip())) {
        return Err(DiscoveryError::OtherFamily { address: other.ip(), bind: media });
    }
    if found.is_empty() {
        found = own_addresses(media.ip()).into_iter().map(|ip| SocketAddr::new(ip, media.port())).collect();
    }
    let mut unique = Vec::with_capacity(found.len());
    found.retain(|address| {
        !unique.contains(address) && {
            unique.push(*address);
            true
        }
    });
    Ok(found)
}

/// Whether a socket bound to `bind` receives what is sent to `address`. `[::]` takes IPv4, too.
fn serves(bind: IpAddr, address: IpAddr) -> bool {
    bind == IpAddr::V6(Ipv6Addr::UNSPECIFIED) || bind.is_ipv4() == address.is_ipv4()
}

/// The addresses of this machine that `bind` serves: for an unspecified one those of all networks it is in, and loopback when
/// it is in none. Those that packets to the outside leave from come first.
fn own_addresses(bind: IpAddr) -> Vec<IpAddr> {
    if !bind.is_unspecified() {
        return vec![bind];
    }
    // Connecting a UDP socket sends nothing; it only asks the routing table. Addresses: RFC 5737 and RFC 3849.
    let outside = [
        IpAddr::from(Ipv4Addr::new(192, 0, 2, 1)),
        IpAddr::from(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
    ];
    let towards_outside = outside.into_iter().filter_map(source_towards);
    // Without a list of interfaces the first ones are still there.
    let interfaces = rtc_shared::ifaces::ifaces().unwrap_or_default();
    let others = interfaces.into_iter().filter_map(|interface| interface.addr).map(|address| address.ip());
    let own = reachable(bind, towards_outside.chain(others));
    if !own.is_empty() {
        return own;
    }
    vec![if bind.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() }]
}

/// Those of `addresses` that another machine may send to and `bind` serves, each once.
fn reachable(bind: IpAddr, addresses: impl Iterator<Item = IpAddr>) -> Vec<IpAddr> {
    let mut own = Vec::new();
    for address in addresses {
        // A link-local address means nothing without the name of the other machine's interface.
        let local = match address {
            IpAddr::V4(v4) => v4.is_link_local(),
            IpAddr::V6(v6) => v6.is_unicast_link_local(),
        };
        let usable = !local && !address.is_loopback() && !address.is_unspecified() && serves(bind, address);
        if usable && !own.contains(&address) && own.len() < MAX_OWN {
            own.push(address);
        }
    }
    own
}

/// The addresses of this machine in all networks it is in, those that packets to the outside leave from first. Without
/// loopback and link-local ones.
#[must_use]
pub fn machine_addresses() -> Vec<IpAddr> {
    let mut own = own_addresses(Ipv6Addr::UNSPECIFIED.into());
    own.retain(|address| !address.is_loopback());
    own
}

fn source_towards(target: IpAddr) -> Option<IpAddr> {
    let socket = std::net::UdpSocket::bind((unspecified_like(target), 0)).ok()?;
    socket.connect((target, 9)).ok()?;
    socket.local_addr().ok().map(|address| address.ip()).filter(|ip| !ip.is_unspecified())
}

fn unspecified_like(ip: IpAddr) -> IpAddr {
    if ip.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() }
}

/// Asks a STUN server for our address, once for each family that it and the media socket have in common.
async fn ask_stun(server: &str, bind: IpAddr) -> Result<Vec<IpAddr>, DiscoveryError> {
    let resolved: Vec<SocketAddr> =
        tokio::net::lookup_host(server).await.map(Iterator::collect).unwrap_or_default();
    let one_of = |v4: bool| {
        resolved.iter().copied().find(|address| address.is_ipv4() == v4 && serves(bind, address.ip()))
    };
    let targets: Vec<SocketAddr> = [one_of(true), one_of(false)].into_iter().flatten().collect();
    if targets.is_empty() {
        return Err(DiscoveryError::UnknownServer { server: server.to_owned() });
    }
    let mut seen = Vec::new();
    for target in targets {
        let from = if bind.is_unspecified() { unspecified_like(target.ip()) } else { bind };
        match binding(target, from).await {
            Ok(Some(address)) => seen.push(address.ip()),
            Ok(None) => tracing::debug!(%target, "the STUN server did not answer"),
            Err(error) => tracing::debug!(%target, %error, "the STUN server cannot be asked"),
        }
    }
    if seen.is_empty() {
        return Err(DiscoveryError::NoAnswer { server: server.to_owned() });
    }
    Ok(seen)
}

/// One binding transaction: our address as the server sees it, or `None` when no valid answer came.
async fn binding(server: SocketAddr, from: IpAddr) -> io::Result<Option<SocketAddr>> {
    let socket = UdpSocket::bind((from, 0)).await?;
    socket.connect(server).await?;
    let mut request = Message::new();
    request.build(&[Box::new(TransactionId::new()), Box::new(BINDING_REQUEST)]).map_err(io::Error::other)?;
    let mut answer = [0; 1500];
    for wait in RETRANSMISSIONS {
        socket.send(&request.raw).await?;
        let until = tokio::time::Instant::now() + wait;
        // What is not the answer is passed over; a refused port ends this try, a server may yet be starting.
        while let Ok(Ok(received)) = tokio::time::timeout_at(until, socket.recv(&mut answer)).await {
            if let Some(address) = mapped_address(&answer[..received], request.transaction_id) {
                return Ok(Some(address));
            }
        }
        tokio::time::sleep_until(until).await;
    }
    Ok(None)
}

/// The address in a success response to `transaction`, or `None` when it is anything else.
fn mapped_address(bytes: &[u8], transaction: TransactionId) -> Option<SocketAddr> {
    let mut message = Message::new();
    message.unmarshal_binary(bytes).ok()?;
    let mut address = XorMappedAddress::default();
    address.get_from(&message).ok()?;
    (message.typ == BINDING_SUCCESS && message.transaction_id == transaction)
        .then(|| SocketAddr::new(address.ip, address.port))
}

/// As often as a browser in a call asks its STUN server, to keep its mapping.
const LOOK_AGAIN: Duration = Duration::from_secs(15);
/// Own addresses that answers name at most. A client tries all of them.
const MAX_OWN: usize = 12;
/// How long each of the tries waits (RFC 8489 section 6.2.1, cut short: the operator is waiting).
const RETRANSMISSIONS: [Duration; 4] = [
    Duration::from_millis(500),
    Duration::from_millis(1000),
    Duration::from_millis(1000),
    Duration::from_millis(1000),
];

#[cfg(test)]
mod tests;
