//! The UDP side: whether a STUN check with the server's own credentials reaches the media port and comes back.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use aws_lc_rs::hmac;
use is::stun::{StunMessage, TransId};
use latchkey_api::probe::Probe;
use tokio::net::UdpSocket;
use tokio::time::{sleep_until, timeout_at};

use crate::cli::doctor::outside::shown::{Check, Shown};

/// Tries every address that the server tells clients to send media to.
pub(super) async fn look(shown: &mut Shown, probe: &Probe, patience: Duration) {
    let began = Instant::now();
    let addresses: Vec<SocketAddr> =
        probe.addresses.iter().filter_map(|address| address.parse().ok()).collect();
    shown.doing("sending to the media port ...");
    let tries = addresses.iter().map(|address| ask(*address, probe, patience));
    let answers = futures_util::future::join_all(tries).await;
    let open: Vec<String> = addresses
        .iter()
        .zip(&answers)
        .filter_map(|(address, seen)| Some(format!("{address}, which sees this machine as {}", (*seen)?)))
        .collect();
    if !open.is_empty() {
        return shown.open(Check::Media, began.elapsed(), &open.join("; "));
    }
    let all: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    let reason =
        format!("no answer from {}", if all.is_empty() { "nowhere".to_owned() } else { all.join(", ") });
    let from_outside = probe.seen_from.parse().is_ok_and(|seen: IpAddr| !is_of_a_home(seen));
    let advice = if from_outside && addresses.iter().all(|address| is_of_a_home(address.ip())) {
        "the server names only addresses of its own network: start it with --public-address and its public one, or stun:HOST:PORT".to_owned()
    } else {
        let port = addresses.first().map_or(9602, SocketAddr::port);
        format!(
            "in the router forward UDP {port} to the server's machine (--media), and let UDP {port} in through its firewall; if this network forbids UDP, try from another"
        )
    };
    shown.shut(Check::Media, began.elapsed(), &reason, Some(&advice));
}

/// One binding transaction (RFC 8489 section 6.2.1): how the relay sees this machine, or nothing.
async fn ask(relay: SocketAddr, probe: &Probe, patience: Duration) -> Option<SocketAddr> {
    let any =
        if relay.is_ipv4() { IpAddr::from(Ipv4Addr::UNSPECIFIED) } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await.ok()?;
    socket.connect(relay).await.ok()?;
    let transaction = TransId::new();
    let user = format!("{}:doctor", probe.ufrag);
    let request = StunMessage::binding_request(&user, transaction, true, 0, 1, false);
    let mut bytes = [0; 512];
    let password = probe.password.as_bytes();
    let len = request.to_bytes(Some(password), &mut bytes, hmac_sha1).ok()?;
    let until = tokio::time::Instant::now() + patience;
    let mut answer = [0; 1500];
    for wait in RETRANSMISSIONS {
        let next = (tokio::time::Instant::now() + wait).min(until);
        let _ = socket.send(&bytes[..len]).await;
        while let Ok(Ok(received)) = timeout_at(next, socket.recv(&mut answer)).await {
            let Ok(message) = StunMessage::parse(&answer[..received]) else { continue };
            let genuine = message.is_successful_binding_response()
                && message.trans_id() == transaction
                && message.verify(password, hmac_sha1);
            if genuine {
                return message.mapped_address();
            }
        }
        // A refused datagram ends the wait early; the next try keeps its time.
        sleep_until(next).await;
    }
    None
}

/// What STUN signs with (RFC 8489 section 14.5).
fn hmac_sha1(key: &[u8], parts: &[&[u8]]) -> [u8; 20] {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key));
    parts.iter().for_each(|part| context.update(part));
    let mut out = [0; 20];
    out.copy_from_slice(context.sign().as_ref());
    out
}

fn is_of_a_home(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_private() || address.is_loopback() || address.is_link_local(),
        IpAddr::V6(address) => {
            address.is_unique_local() || address.is_loopback() || address.is_unicast_link_local()
        }
    }
}

/// The relay answers four times.
const RETRANSMISSIONS: [Duration; 4] =
    [Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(2)];
