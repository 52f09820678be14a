//! Tests of finding the addresses that answers name.

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

#[test]
fn own_addresses_are_those_that_others_may_send_to() {
    let all =
        ["192.168.1.5", "127.0.0.1", "10.8.0.1", "192.168.1.5", "169.254.3.4", "fe80::1", "fd77::1", "::1"];
    let of = |bind: &str| reachable(bind.parse().unwrap(), all.iter().map(|ip| ip.parse().unwrap()));
    let ips = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<IpAddr>>();
    assert_eq!(of("0.0.0.0"), ips(&["192.168.1.5", "10.8.0.1"]));
    assert_eq!(of("::"), ips(&["192.168.1.5", "10.8.0.1", "fd77::1"]));
    let many = (0..=255).map(|last| IpAddr::from([10, 0, 0, last]));
    assert_eq!(reachable(Ipv4Addr::UNSPECIFIED.into(), many).len(), MAX_OWN);
}

#[tokio::test]
async fn what_is_found_is_found_anew_and_a_silent_family_keeps_its_address() {
    let (seen, at) = watch::channel(media("203.0.113.9:1"));
    let server = stun_server("127.0.0.1:0", at).await;
    let wanted = wanted(&[&format!("stun:{server}"), "[2001:db8::7]:7000"]);
    let (found, follower) = find(&wanted, media("[::]:9602")).await.unwrap();
    let fixed = media("[2001:db8::7]:7000");
    assert_eq!(*found.now(), [media("203.0.113.9:9602"), fixed]);
    follower.take(vec![fixed]);
    assert_eq!(*found.now(), [fixed, media("203.0.113.9:9602")]);
    let running = tokio::spawn(follower.run_every(Duration::from_millis(10)));
    seen.send_replace(media("203.0.113.77:1"));
    let mut changes = found.0.clone();
    let moved = changes.wait_for(|now| now[0] == media("203.0.113.77:9602"));
    tokio::time::timeout(Duration::from_secs(30), moved).await.expect("it is found anew").unwrap();
    assert_eq!(*found.now(), [media("203.0.113.77:9602"), fixed]);
    running.abort();
    let (_, follower) = find(&wanted[1..], media("[::]:9602")).await.unwrap();
    follower.run().await; // Nothing to follow: it ends.
}

/// A STUN server of two lines: says to everyone that it sees `seen`, the first time after a lost packet.
async fn stun_server(at: &str, seen: watch::Receiver<SocketAddr>) -> SocketAddr {
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
            let seen = *seen.borrow();
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
        let server = stun_server(at, watch::channel(media(seen)).1).await;
        let bind = SocketAddr::new(server.ip(), 9602);
        let found = candidates(&wanted(&[&format!("stun:{server}")]), bind).await.unwrap();
        assert_eq!(found, [SocketAddr::new(media(seen).ip(), 9602)]);
    }
}

#[tokio::test]
async fn a_server_of_another_family_is_refused_by_name() {
    let refused = candidates(&wanted(&["stun:127.0.0.1:3478"]), media("[::1]:9602")).await;
    assert!(matches!(refused, Err(DiscoveryError::UnknownServer { server }) if server == "127.0.0.1:3478"));
}
