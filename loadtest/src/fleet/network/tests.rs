//! Each profile loses what its table says, in bursts where it says so, and does the same again under the same seed.

use std::time::{Duration, Instant};

use super::*;

const DATAGRAMS: usize = 200_000;

/// Sends datagrams one millisecond apart and returns which came through, and the mean delay of those.
fn through(conditions: Conditions) -> (Vec<bool>, Duration) {
    let mut path = Path::new(&conditions).unwrap();
    let (remote, begin, stamp) = (([127, 0, 0, 1], 9).into(), Instant::now(), SystemTime::now());
    let (mut came, mut delay) = (vec![false; DATAGRAMS], Duration::ZERO);
    let mut note = |path: &mut Path, now: Instant| {
        while let Some(parcel) = path.out_to_client(now) {
            let number = u32::from_be_bytes(parcel.bytes[..4].try_into().unwrap());
            came[number as usize] = true;
            let sent = stamp + Duration::from_millis(number.into());
            delay += parcel.arrival.duration_since(sent).unwrap();
        }
    };
    for number in 0..DATAGRAMS as u32 {
        let after = Duration::from_millis(number.into());
        path.received(begin + after, &number.to_be_bytes(), remote, stamp + after);
        note(&mut path, begin + after);
    }
    note(&mut path, begin + Duration::from_secs(3600));
    assert_eq!(path.due(), None, "everything came out");
    let count = came.iter().filter(|came| **came).count();
    (came, delay / count as u32)
}

#[test]
fn profiles_lose_what_they_say() {
    for (profile, share, burst) in [
        (Profile::Wifi, 0.003, 1.0),
        (Profile::LossyWifi, 0.05, 1.05),
        (Profile::Cellular, 0.01, 4.0),
        (Profile::BurstLoss, 0.02, 5.0),
        (Profile::HarshWifi, 0.1, 1.11),
    ] {
        let (came, delay) = through(profile.conditions(7));
        let lost = came.iter().filter(|came| !**came).count();
        let bursts = came.windows(2).filter(|pair| pair[0] && !pair[1]).count();
        let (measured, length) = (lost as f64 / DATAGRAMS as f64, lost as f64 / bursts as f64);
        println!(
            "{}: {:.3} % lost in bursts of {length:.2}, {delay:?} later",
            profile.name(),
            measured * 100.0
        );
        // Bursts make the count spread more: five standard deviations of it.
        let spread = 5.0 * (share * 2.0 * burst / DATAGRAMS as f64).sqrt();
        assert!((measured - share).abs() < spread, "{}: {measured}", profile.name());
        assert!((length - burst).abs() < 0.15 * burst, "{}: bursts of {length}", profile.name());
    }
}

#[test]
fn the_same_seed_brings_the_same_faults_and_another_one_others() {
    let lost = |seed| through(Profile::BurstLoss.conditions(seed)).0;
    assert!(lost(1) == lost(1));
    assert!(lost(1) != lost(2));
}

#[test]
fn names_are_found_again() {
    for profile in Profile::ALL {
        assert_eq!(Profile::from_name(profile.name()), Some(profile));
    }
    assert_eq!(Profile::from_name("Wifi"), None);
    assert!(Path::new(&Profile::Fair.conditions(1)).is_none(), "a fair network costs nothing");
}

#[test]
fn the_way_up_has_faults_of_its_own() {
    struct Sent(usize);
    impl Outlet for Sent {
        fn send(&mut self, _: &Socket, _: SocketAddr, _: &[u8]) {
            self.0 += 1;
        }
    }
    let socket = Socket::bind(([127, 0, 0, 1], 0).into(), &latchkey_relay::batch::SocketOptions::default());
    let (socket, remote, now) = (socket.unwrap(), ([127, 0, 0, 1], 9).into(), Instant::now());
    let mut sent = Sent(0);
    let late = NetemConfig::new().latency(Duration::from_millis(10));
    let mut path = Path::new(&Conditions { up: Some(late), ..Conditions::default() }).unwrap();
    path.outlet(now, &mut sent).send(&socket, remote, b"hello");
    assert!(path.out_to_server(now).is_none() && sent.0 == 0, "it is on its way");
    assert_eq!(path.due(), Some(now + Duration::from_millis(10)));
    assert_eq!(path.out_to_server(now + Duration::from_millis(10)).unwrap().bytes, b"hello"[..]);
    path.received(now, b"world", remote, SystemTime::UNIX_EPOCH);
    assert_eq!(path.out_to_client(now).unwrap().arrival, SystemTime::UNIX_EPOCH, "downwards nothing is late");
}
