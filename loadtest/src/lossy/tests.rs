//! A proxy between two sockets: what is asked of the network happens, and the same again.
#![allow(clippy::unwrap_used)]
use super::*;
use str0m_netem::{Probability, RandomLoss};

const LIMIT: Duration = Duration::from_secs(30);
/// The first two bytes of a sender report.
const RTCP: u16 = 0x80c8;

/// Sends numbered datagrams to a proxy, then one of RTCP, and returns those that came through in order of arrival.
fn through(weather: Weather, count: u16) -> (Vec<u16>, Report) {
    through_and(weather, count, |_, _| {})
}

fn through_and(weather: Weather, count: u16, change: impl FnOnce(&Lossy, usize)) -> (Vec<u16>, Report) {
    let proxy = Lossy::start().unwrap();
    let (client, relay) = (socket(), socket());
    proxy.forward_to(relay.local_addr().unwrap());
    let leg = proxy.begin(weather);
    change(&proxy, leg);
    let address = proxy.address();
    let sending = std::thread::spawn(move || {
        for number in 0..count {
            client.send_to(&number.to_be_bytes(), address).unwrap();
            std::thread::sleep(Duration::from_micros(300));
        }
        client.send_to(&RTCP.to_be_bytes(), address).unwrap();
    });
    let (mut seen, mut buffer) = (Vec::new(), [0; 2]);
    let began = Instant::now();
    loop {
        let Counts { datagrams, lost, repeated, unheard, .. } = proxy.report(leg).up;
        if datagrams + unheard > u64::from(count) && seen.len() as u64 == datagrams - lost + repeated {
            break;
        }
        assert!(began.elapsed() < LIMIT, "{} came, {:?}", seen.len(), proxy.report(leg));
        if relay.recv_from(&mut buffer).is_ok() {
            seen.push(u16::from_be_bytes(buffer));
        }
    }
    sending.join().unwrap();
    (seen, proxy.report(leg))
}

fn socket() -> std::net::UdpSocket {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
    socket
}

#[test]
fn fair_weather_changes_nothing() {
    let (seen, report) = through(Weather::fair(), 100);
    assert_eq!(seen[..100], (0..100).collect::<Vec<_>>());
    assert_eq!(report.up, Counts { datagrams: 101, ..Counts::default() });
}

#[test]
fn loss_is_as_asked_and_the_same_again() {
    let lossy = NetemConfig::new().loss(RandomLoss::new(Probability::new(0.1)));
    let (first, report) = through(Weather::both_ways(lossy, 7), 500);
    assert!((25..=80).contains(&report.up.lost), "{report:?}");
    assert_eq!(first.len() as u64, 501 - report.up.lost);
    assert_eq!(through(Weather::both_ways(lossy, 7), 500).0, first);
    assert_ne!(through(Weather::both_ways(lossy, 8), 500).0, first);
}

#[test]
fn some_come_twice_and_some_overtake() {
    let twice = NetemConfig::new().duplicate(Probability::new(0.05));
    let detour = Some((10, Duration::from_millis(20)));
    let (mut seen, report) = through(Weather { detour, ..Weather::both_ways(twice, 3) }, 300);
    assert!(report.up.repeated > 3 && report.up.overtaken > 20, "{report:?}");
    assert!(!seen.is_sorted());
    assert_eq!(report.up.lost, 0);
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen[..300], (0..300).collect::<Vec<_>>());
}

#[test]
fn weather_changes_for_those_who_are_connected() {
    let proxy = Lossy::start().unwrap();
    let (client, relay) = (socket(), socket());
    proxy.forward_to(relay.local_addr().unwrap());
    let leg = proxy.begin(Weather::fair());
    let mut buffer = [0; 2];
    let mut comes = |number: u16| {
        client.send_to(&number.to_be_bytes(), proxy.address()).unwrap();
        let began = Instant::now();
        while proxy.report(leg).up.datagrams <= u64::from(number) {
            assert!(began.elapsed() < LIMIT, "{number} was not taken in");
        }
        let lost = proxy.report(leg).up.lost;
        while lost == 0 && relay.recv_from(&mut buffer).is_err() {
            assert!(began.elapsed() < LIMIT, "{number} did not come");
        }
        lost
    };
    assert_eq!(comes(0), 0);
    let nothing = NetemConfig::new().loss(RandomLoss::new(Probability::new(1.0)));
    proxy.change(leg, Weather::both_ways(nothing, 1));
    assert_eq!(comes(1), 1);
}

#[test]
fn rtcp_can_go_unheard() {
    let (seen, report) = through_and(Weather::fair(), 50, Lossy::silence);
    assert_eq!(seen, (0..50).collect::<Vec<_>>());
    assert_eq!(report.up.unheard, 1);
}

#[test]
fn media_is_told_from_everything_else() {
    assert!(is_media(&[0x80, 96]) && is_media(&[0xbf, 224]));
    assert!(!is_media(&RTCP.to_be_bytes()), "a sender report");
    assert!(!is_media(&[0x00, 1]) && !is_media(&[22, 254]) && !is_media(&[0x80]), "STUN, DTLS, nothing");
}
