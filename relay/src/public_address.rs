//! Which addresses answers name: fixed ones, what a STUN server sees (RFC 8489), or those of this machine.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use rtc_stun::message::{BINDING_REQUEST, BINDING_SUCCESS, Getter as _, Message, TransactionId};
use rtc_stun::xoraddr::XorMappedAddress;
use tokio::net::UdpSocket;

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

/// Returns the host candidates for answers, best first and at least one. `media` is the bound media socket: its port is
/// that of every address that does not name another one.
///
/// # Errors
/// See [`DiscoveryError`].
pub(crate) async fn candidates(
    wanted: &[PublicAddress],
    media: SocketAddr,
) -> Result<Vec<SocketAddr>, DiscoveryError> {
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

/// The addresses of this machine that `bind` serves: for an unspecified one those that packets to the outside leave from,
/// and loopback when there is no outside.
fn own_addresses(bind: IpAddr) -> Vec<IpAddr> {
    if !bind.is_unspecified() {
        return vec![bind];
    }
    // Connecting a UDP socket sends nothing; it only asks the routing table. Addresses: RFC 5737 and RFC 3849.
    let outside = [
        IpAddr::from(Ipv4Addr::new(192, 0, 2, 1)),
        IpAddr::from(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
    ];
    let mut own: Vec<IpAddr> =
        outside.into_iter().filter(|target| serves(bind, *target)).filter_map(source_towards).collect();
    if own.is_empty() {
        own.push(if bind.is_ipv4() {
            IpAddr::from(Ipv4Addr::LOCALHOST)
        } else {
            IpAddr::from(Ipv6Addr::LOCALHOST)
        });
    }
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
            Ok(None) => tracing::warn!(%target, "the STUN server did not answer"),
            Err(error) => tracing::warn!(%target, %error, "the STUN server cannot be asked"),
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

/// How long each of the tries waits (RFC 8489 section 6.2.1, cut short: the operator is waiting).
const RETRANSMISSIONS: [Duration; 4] = [
    Duration::from_millis(500),
    Duration::from_millis(1000),
    Duration::from_millis(1000),
    Duration::from_millis(1000),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn media(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn wanted(texts: &[&str]) -> Vec<PublicAddress> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[tokio::test]
    async fn fixed_addresses_take_the_media_port_and_keep_their_order() {
        let wanted = wanted(&["203.0.113.7", "2001:db8::7", "203.0.113.7", "198.51.100.1:7000"]);
        let found = candidates(&wanted, media("[::]:9602")).await.unwrap();
        let expected = ["203.0.113.7:9602", "[2001:db8::7]:9602", "198.51.100.1:7000"].map(media);
        assert_eq!(found, expected);
    }

    #[tokio::test]
    async fn an_address_that_the_socket_cannot_serve_is_refused() {
        let refused = candidates(&wanted(&["2001:db8::7"]), media("0.0.0.0:9602")).await;
        assert!(matches!(refused, Err(DiscoveryError::OtherFamily { .. })));
    }

    #[tokio::test]
    async fn without_a_wish_the_bound_address_is_named() {
        assert_eq!(candidates(&[], media("127.0.0.1:5")).await.unwrap(), [media("127.0.0.1:5")]);
        assert_eq!(candidates(&[], media("[::1]:5")).await.unwrap(), [media("[::1]:5")]);
        let anywhere = candidates(&[], media("0.0.0.0:5")).await.unwrap();
        assert!(!anywhere.is_empty() && anywhere.iter().all(|address| !address.ip().is_unspecified()));
    }

    /// A STUN server of two lines: says to everyone that it sees `seen`, the first time after a lost packet.
    async fn stun_server(at: &str, seen: SocketAddr) -> SocketAddr {
        let socket = UdpSocket::bind(at).await.unwrap();
        let address = socket.local_addr().unwrap();
        let at_home = address.ip();
        tokio::spawn(async move {
            let mut buffer = [0; 1500];
            socket.recv_from(&mut buffer).await.unwrap();
            loop {
                let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
                let mut request = Message::new();
                request.unmarshal_binary(&buffer[..length]).unwrap();
                let address = XorMappedAddress { ip: seen.ip(), port: seen.port() };
                let mut answer = Message::new();
                answer
                    .build(&[Box::new(request.transaction_id), Box::new(BINDING_SUCCESS), Box::new(address)])
                    .unwrap();
                // What is not the answer must not count: another transaction, and garbage.
                let mut other = Message::new();
                other
                    .build(&[
                        Box::new(TransactionId::new()),
                        Box::new(BINDING_SUCCESS),
                        Box::new(XorMappedAddress { ip: at_home, port: 1 }),
                    ])
                    .unwrap();
                for datagram in [&b"garbage"[..], &other.raw, &answer.raw] {
                    socket.send_to(datagram, from).await.unwrap();
                }
            }
        });
        address
    }

    #[tokio::test]
    async fn stun_finds_the_outside_address_of_both_families() {
        for (at, seen) in [("127.0.0.1:0", "203.0.113.9:4444"), ("[::1]:0", "[2001:db8::9]:4444")] {
            let server = stun_server(at, media(seen)).await;
            let bind = SocketAddr::new(server.ip(), 9602);
            let found = candidates(&wanted(&[&format!("stun:{server}")]), bind).await.unwrap();
            assert_eq!(found, [SocketAddr::new(media(seen).ip(), 9602)]);
        }
    }

    #[tokio::test]
    async fn a_server_of_another_family_is_refused_by_name() {
        let refused = candidates(&wanted(&["stun:127.0.0.1:3478"]), media("[::1]:9602")).await;
        assert!(
            matches!(refused, Err(DiscoveryError::UnknownServer { server }) if server == "127.0.0.1:3478")
        );
    }
}
