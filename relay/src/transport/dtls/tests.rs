//! The handshake against a client of the same family, and what the gate keeps away from it.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::transport::dtls::gate::{ALERT, HANDSHAKE, MAX_DATAGRAMS, MAX_DATAGRAMS_AFTER};

fn client_config(certificate: &Certificate, offered: &[SrtpProtectionProfile]) -> Arc<HandshakeConfig> {
    let config = ConfigBuilder::default()
        .with_crypto_provider(provider())
        .with_certificates(vec![certificate.inner.clone()])
        .with_srtp_protection_profiles(offered.to_vec())
        .with_insecure_skip_verify(true)
        .with_extended_master_secret(ExtendedMasterSecretType::Require)
        .build(true, None);
    Arc::new(config.unwrap())
}

/// Runs a handshake; what the server says at its end.
fn shake(
    relay: &[SrtpProfile],
    offered: &[SrtpProtectionProfile],
    expected: Option<Fingerprint>,
) -> (Result<Keys, DtlsError>, Endpoint, Dtls) {
    let now = Instant::now();
    let (result, mut client, mut server) = shake_but_for_the_last_flight(relay, offered, expected, now);
    if result.is_ok() {
        deliver(&mut server, &mut client, now);
    }
    (result, client, server)
}

/// As [`shake`], with the server's last flight still to be sent.
fn shake_but_for_the_last_flight(
    relay: &[SrtpProfile],
    offered: &[SrtpProtectionProfile],
    expected: Option<Fingerprint>,
    now: Instant,
) -> (Result<Keys, DtlsError>, Endpoint, Dtls) {
    let own = Certificate::generate().unwrap();
    let identity = Identity::new(&Certificate::generate().unwrap(), relay).unwrap();
    let mut server = Dtls::new(identity, expected.unwrap_or(own.fingerprint()));
    let mut client = Endpoint::new(PEER, TransportProtocol::UDP, None);
    client.connect(now, PEER, client_config(&own, offered), None).unwrap();
    for _ in 0..20 {
        while let Some(transmit) = client.poll_transmit() {
            match server.receive(now, &transmit.message) {
                Ok(Some(DtlsEvent::Connected(keys))) => return (Ok(keys), client, server),
                Ok(_) => {}
                Err(error) => return (Err(error), client, server),
            }
        }
        deliver(&mut server, &mut client, now);
    }
    panic!("the handshake neither succeeds nor fails");
}

fn deliver(server: &mut Dtls, client: &mut Endpoint, now: Instant) {
    while let Some(datagram) = server.poll_transmit() {
        // The client's complaints are its own.
        let _ = client.read(now, PEER, None, datagram);
    }
}

const GCM: SrtpProtectionProfile = SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm;
const GCM_256: SrtpProtectionProfile = SrtpProtectionProfile::Srtp_Aead_Aes_256_Gcm;
const SHA1: SrtpProtectionProfile = SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80;
const BOTH: [SrtpProfile; 2] = [SrtpProfile::Aes128Gcm, SrtpProfile::Aes128CmSha1];

#[test]
fn the_relays_order_of_profiles_decides() {
    let cases: [(&[SrtpProfile], &[SrtpProtectionProfile], _); 5] = [
        (&BOTH, &[GCM, SHA1], Some(SrtpProfile::Aes128Gcm)),
        // Browsers name the slow one first.
        (&BOTH, &[SHA1, GCM_256, GCM], Some(SrtpProfile::Aes128Gcm)),
        (&BOTH, &[SHA1], Some(SrtpProfile::Aes128CmSha1)),
        (&[SrtpProfile::Aes128CmSha1], &[GCM, SHA1], Some(SrtpProfile::Aes128CmSha1)),
        (&BOTH, &[GCM_256], None),
    ];
    for (relay, offered, expected) in cases {
        let (result, ..) = shake(relay, offered, None);
        assert_eq!(result.map(|keys| keys.profile).ok(), expected, "{relay:?} {offered:?}");
    }
}

#[test]
fn both_sides_have_the_same_keys() {
    let (keys, client, _) = shake(&BOTH, &[GCM], None);
    let keys = keys.ok().unwrap();
    let state = client.get_connection_state(PEER).unwrap();
    let material =
        state.export_keying_material(EXPORTER_LABEL, &[], keys.profile.keying_material_len()).unwrap();
    let (client_write, _) = from_keying_material(keys.profile, material.as_ref()).unwrap();
    let plain = crate::srtp::Plain {
        header: &[0x80, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 5],
        prefix: &[],
        payload: b"payload",
        ssrc: 5,
        index: 1,
    };
    let sealer = crate::srtp::Sealer::new(&client_write);
    let mut sealed = vec![0; 12 + 7 + sealer.overhead()];
    sealer.seal(&plain, &mut sealed).unwrap();
    assert_eq!(crate::srtp::Opener::new(&keys.receive).open(&mut sealed), Ok(19));
}

#[test]
fn another_certificate_yields_no_keys() {
    let (result, _, mut server) = shake(&BOTH, &[GCM], Some(Fingerprint([1; 32])));
    assert_eq!(result.err(), Some(DtlsError::Fingerprint));
    assert_eq!(server.receive(Instant::now(), &[22; 40]).err(), Some(DtlsError::Records), "and it is over");
}

#[test]
fn a_lost_last_flight_comes_again() {
    let start = Instant::now();
    let (_, mut client, mut server) = shake_but_for_the_last_flight(&BOTH, &[GCM], None, start);
    for round in 1..=3 {
        while server.poll_transmit().is_some() {} // lost
        let now = start + 2 * round * FLIGHT_INTERVAL;
        client.handle_timeout(PEER, now).unwrap();
        let repeated = client.poll_transmit().expect("the client repeats its own");
        assert!(matches!(server.receive(now, &repeated.message), Ok(None)), "round {round}");
    }
    let mut events = Vec::new();
    while let Some(datagram) = server.poll_transmit() {
        events.extend(client.read(start, PEER, None, datagram).unwrap());
    }
    assert!(matches!(events[..], [EndpointEvent::HandshakeComplete]));
    client.stop(start, PEER);
    let closed = server.receive(start, &client.poll_transmit().unwrap().message);
    assert!(matches!(closed, Ok(Some(DtlsEvent::Closed))), "and the connection goes on");
}

/// Whatever the client repeats meanwhile, a lost flight of the server's comes again until it is answered.
#[test]
fn a_lost_first_flight_comes_again_although_the_client_repeats_its_hello() {
    let start = Instant::now();
    let own = Certificate::generate().unwrap();
    let identity = Identity::new(&Certificate::generate().unwrap(), &BOTH).unwrap();
    let mut server = Dtls::new(identity, own.fingerprint());
    let mut client = client(&own, start);
    server.receive(start, &client.poll_transmit().unwrap().message).unwrap();
    deliver(&mut server, &mut client, start);
    let hello = client.poll_transmit().expect("the hello with the cookie").message;
    server.receive(start, &hello).unwrap();
    assert!(std::iter::from_fn(|| server.poll_transmit()).count() > 0, "lost");
    let mut now = start + FLIGHT_INTERVAL / 2;
    for round in 0..3 {
        client.handle_timeout(PEER, start + 4 * (round + 1) * FLIGHT_INTERVAL).unwrap();
        let repeated = client.poll_transmit().expect("the client repeats its hello").message;
        assert!(matches!(server.receive(now, &repeated), Ok(None)));
        now = server.poll_timeout().expect("the server waits for no one else").max(now);
        server.handle_timeout(now).unwrap();
        assert!(
            round == 2 || std::iter::from_fn(|| server.poll_transmit()).count() > 0,
            "lost, round {round}"
        );
    }
    for _ in 0..20 {
        deliver(&mut server, &mut client, now);
        while let Some(transmit) = client.poll_transmit() {
            if let Some(DtlsEvent::Connected(_)) = server.receive(now, &transmit.message).unwrap() {
                assert_eq!(server.poll_timeout(), None);
                return;
            }
        }
    }
    panic!("the handshake comes to no end");
}

#[test]
fn close_notify_is_said_and_heard() {
    let (_, mut client, mut server) = shake(&BOTH, &[GCM], None);
    let now = Instant::now();
    client.stop(now, PEER);
    let transmit = client.poll_transmit().unwrap();
    assert!(matches!(server.receive(now, &transmit.message), Ok(Some(DtlsEvent::Closed))));

    let (_, mut client, mut server) = shake(&BOTH, &[GCM], None);
    server.close(now);
    let events = client.read(now, PEER, None, server.poll_transmit().unwrap()).unwrap();
    assert!(matches!(events[..], [EndpointEvent::PeerClosed]));
}

#[test]
fn alerts_in_the_clear_end_nothing() {
    let (_, mut client, mut server) = shake(&BOTH, &[GCM], None);
    let now = Instant::now();
    let fatal = [ALERT, 0xFE, 0xFD, 0, 0, 0, 0, 0, 9, 0, 0, 0, 2, 2, 40];
    assert_eq!(server.receive(now, &fatal).err(), Some(DtlsError::Records));
    client.stop(now, PEER);
    assert!(matches!(
        server.receive(now, &client.poll_transmit().unwrap().message),
        Ok(Some(DtlsEvent::Closed))
    ));
}

/// A hello that offers nothing but the cipher that does not encrypt.
fn null_hello(random: u8) -> Vec<u8> {
    let body = [&[0xFE, 0xFD][..], &[random; 32], &[0, 0, 0, 2, 0, 0, 1, 0, 0, 0]].concat();
    let len = body.len() as u8;
    let record = [HANDSHAKE, 0xFE, 0xFF, 0, 0, 0, 0, 0, 0, 0, 0, 0, len + 12];
    [&record[..], &[1, 0, 0, len, 0, 0, 0, 0, 0, 0, 0, len], &body].concat()
}

fn client(certificate: &Certificate, now: Instant) -> Endpoint {
    let mut client = Endpoint::new(PEER, TransportProtocol::UDP, None);
    client.connect(now, PEER, client_config(certificate, &[GCM]), None).unwrap();
    client
}

#[test]
fn hellos_of_others_end_no_handshake_at_any_moment() {
    let now = Instant::now();
    let own = Certificate::generate().unwrap();
    let identity = Identity::new(&Certificate::generate().unwrap(), &BOTH).unwrap();
    let mut server = Dtls::new(identity, own.fingerprint());
    let (mut client, mut other) = (client(&own, now), client(&own, now));
    let others = other.poll_transmit().unwrap().message;
    let mut round = 0;
    while let Some(transmit) = client.poll_transmit() {
        round += 1;
        let refused = Some(DtlsError::Records);
        assert_eq!(server.receive(now, &null_hello(round)).err(), refused, "before round {round}");
        match server.receive(now, &transmit.message).unwrap() {
            Some(DtlsEvent::Connected(_)) => return,
            Some(DtlsEvent::Closed) => panic!("closed"),
            None => deliver(&mut server, &mut client, now),
        }
        assert_eq!(server.receive(now, &null_hello(round)).err(), refused, "after round {round}");
        assert_eq!(server.receive(now, &others).err(), refused, "a good one of somebody else");
    }
    panic!("the handshake comes to no end");
}

#[test]
fn a_forged_hello_gives_way_to_the_peers_own() {
    let start = Instant::now();
    let own = Certificate::generate().unwrap();
    let identity = Identity::new(&Certificate::generate().unwrap(), &BOTH).unwrap();
    let mut server = Dtls::new(identity, own.fingerprint());
    let (mut forger, mut client) = (client(&own, start), client(&own, start));
    server.receive(start, &forger.poll_transmit().unwrap().message).unwrap();
    assert!(server.poll_transmit().is_some(), "it is a good hello, so it is answered");
    let first = client.poll_transmit().unwrap().message;
    assert_eq!(server.receive(start, &first).err(), Some(DtlsError::Records));
    let later = start + GIVES_WAY;
    assert!(matches!(server.receive(later, &first), Ok(None)), "what the client repeats is heard");
    for _ in 0..20 {
        deliver(&mut server, &mut client, later);
        while let Some(transmit) = client.poll_transmit() {
            if let Some(DtlsEvent::Connected(_)) = server.receive(later, &transmit.message).unwrap() {
                return;
            }
        }
    }
    panic!("the handshake comes to no end");
}

/// A record of handshake fragments: message sequence, length, offset and size of each.
fn record(fragments: &[(u16, usize, usize, usize)]) -> Vec<u8> {
    let mut body = Vec::new();
    for (sequence, length, offset, size) in fragments {
        let three = |n: usize| [(n >> 16) as u8, (n >> 8) as u8, n as u8];
        body.push(1);
        body.extend(three(*length));
        body.extend(sequence.to_be_bytes());
        body.extend(three(*offset));
        body.extend(three(*size));
        body.extend(vec![0; *size]);
    }
    let mut record = vec![HANDSHAKE, 0xFE, 0xFD, 0, 0, 0, 0, 0, 0, 0, 1];
    record.extend((body.len() as u16).to_be_bytes());
    record.extend(body);
    record
}

#[test]
fn the_gate_bounds_what_the_parser_keeps() {
    let admits = |fragments: &[_]| Gate::default().admits(&record(fragments), false);
    assert!(admits(&[(0, 300, 0, 300)]));
    assert!(admits(&[(0, 300, 0, 200), (0, 300, 200, 100)]));
    assert!(!admits(&[(0, 300, 200, 200)]), "beyond its message");
    assert!(!admits(&[(0, 1 << 20, 0, 100)]), "a message of a megabyte");
    assert!(!admits(&[(0, 1000, 0, 1); 400]), "crumbs");
    let mut gate = Gate::default();
    let admitted = (0..10_000).filter(|i| gate.admits(&record(&[(*i as u16, 1000, 0, 1)]), false)).count();
    assert!(admitted <= MAX_DATAGRAMS as usize);
    let mut after = Gate::default();
    let admitted = (0..10_000).filter(|_| after.admits(&record(&[(9, 100, 0, 100)]), true)).count();
    assert!(admitted <= MAX_DATAGRAMS_AFTER as usize);
    for len in 0..40 {
        let cut = &record(&[(0, 30, 0, 30)])[..len];
        assert!(!Gate::default().admits(cut, false) || len == 0, "cut off at {len}");
    }
}
