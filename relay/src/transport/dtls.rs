//! The DTLS server of one peer: proves both sides' certificates and yields the SRTP keys.
//!
//! The handshake itself is `rtc-dtls`; this is the seam at which another one would be put in. Before a datagram gets there
//! it passes [`Gate`], because that parser keeps fragments without a bound. `relay/docs/decisions/0020-dtls.md` says why
//! this crate, and how the relay's order of SRTP profiles is kept.

mod flight;
mod gate;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use rtc_dtls::cipher_suite::CipherSuiteId;
use rtc_dtls::config::{ClientAuthType, ConfigBuilder, ExtendedMasterSecretType, HandshakeConfig};
use rtc_dtls::endpoint::{Endpoint, EndpointEvent};
use rtc_dtls::extension::extension_use_srtp::SrtpProtectionProfile;
use rtc_shared::TransportProtocol;
use rtc_shared::error::Error;

use crate::srtp::{MasterKey, SrtpProfile, from_keying_material};
use crate::transport::certificate::{Certificate, CertificateError, fingerprint, provider};
use crate::transport::dtls::flight::Flight;
use crate::transport::dtls::gate::{Gate, RANDOM, handshake_type, hello_random};
use crate::transport::fingerprint::Fingerprint;

/// What all peers of a relay have in common: one handshake configuration per allowed SRTP profile, best first.
#[derive(Clone)]
pub(crate) struct Identity {
    configs: Arc<[(SrtpProfile, Arc<HandshakeConfig>)]>,
}

/// One peer's handshake and, afterwards, its alerts.
pub(crate) struct Dtls {
    endpoint: Endpoint,
    identity: Identity,
    /// Which of the identity's configurations is tried now.
    attempt: usize,
    /// The client's first flight, kept to try it with the next profile.
    first_flight: Vec<Box<[u8]>>,
    answered: bool,
    /// Whose handshake it is.
    hello: Option<Hello>,
    expected: Fingerprint,
    gate: Gate,
    flight: Flight,
    state: State,
}

/// The hello that the handshake goes on from.
struct Hello {
    random: [u8; RANDOM],
    since: Instant,
    /// Its sender repeated the cookie that was sent to its address (RFC 6347 section 4.2.1), so that it is really there.
    is_verified: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Handshaking,
    Connected,
    Over,
}

/// What a datagram led to.
pub(crate) enum DtlsEvent {
    /// The peer is who the offer says. These are the keys to receive with and to send with.
    Connected(Keys),
    /// The peer said `close_notify`.
    Closed,
}

/// SRTP master keys of both directions.
pub(crate) struct Keys {
    pub(crate) profile: SrtpProfile,
    pub(crate) receive: MasterKey,
    pub(crate) send: MasterKey,
}

/// Why the handshake is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum DtlsError {
    /// Peer: the certificate is not the one that the offer named.
    #[error("the certificate is not the one named in the offer")]
    Fingerprint,
    /// Peer: no common version, cipher suite or SRTP profile, or a broken handshake.
    #[error("the handshake failed")]
    Handshake,
    /// Peer: records that cannot be of a handshake, or too many of them.
    #[error("the records are not acceptable")]
    Records,
}

impl Identity {
    /// Prepares for handshakes with this certificate and these profiles, best first.
    pub(crate) fn new(certificate: &Certificate, profiles: &[SrtpProfile]) -> Result<Self, CertificateError> {
        let config = |profile: &SrtpProfile| {
            ConfigBuilder::default()
                .with_crypto_provider(provider())
                .with_certificates(vec![certificate.inner.clone()])
                .with_srtp_protection_profiles(vec![wire_profile(*profile)])
                .with_cipher_suites(CIPHER_SUITES.to_vec())
                .with_client_auth(ClientAuthType::RequireAnyClientCert)
                // There is no authority to ask: `Dtls` compares the certificate with the offer's fingerprint.
                .with_insecure_skip_verify(true)
                .with_extended_master_secret(ExtendedMasterSecretType::Require)
                .with_flight_interval(FLIGHT_INTERVAL)
                .with_mtu(MTU)
                .build(false, None)
                .map(|config| (*profile, Arc::new(config)))
                .map_err(|error| CertificateError::Generation(error.to_string()))
        };
        Ok(Self { configs: profiles.iter().map(config).collect::<Result<_, _>>()? })
    }
}

impl Dtls {
    /// Waits for a ClientHello of the peer whose certificate has this fingerprint.
    pub(crate) fn new(identity: Identity, expected: Fingerprint) -> Self {
        Self {
            endpoint: endpoint(&identity.configs[0].1),
            identity,
            attempt: 0,
            first_flight: Vec::new(),
            answered: false,
            hello: None,
            expected,
            gate: Gate::default(),
            flight: Flight::default(),
            state: State::Handshaking,
        }
    }

    /// Takes one datagram that came from an address of the peer.
    ///
    /// # Errors
    /// [`DtlsError::Records`] when the datagram was dropped and nothing changed; the others end the session.
    pub(crate) fn receive(&mut self, now: Instant, datagram: &[u8]) -> Result<Option<DtlsEvent>, DtlsError> {
        if self.state == State::Over || !self.is_of_this_handshake(now, datagram) {
            return Err(DtlsError::Records);
        }
        if !self.gate.admits(datagram, self.state == State::Connected) {
            return Err(DtlsError::Records);
        }
        self.flight.turn();
        let mut result = self.endpoint.read(now, PEER, None, BytesMut::from(datagram));
        if !self.answered {
            if self.first_flight.len() < FIRST_FLIGHT {
                self.first_flight.push(datagram.into());
            }
            while matches!(result, Err(Error::ErrServerNoMatchingSrtpProfile)) && self.try_next_profile() {
                for datagram in &self.first_flight {
                    result = self.endpoint.read(now, PEER, None, BytesMut::from(&datagram[..]));
                }
            }
        }
        match result {
            Ok(events) => {
                let event = self.react(&events);
                self.watch(now);
                event
            }
            Err(error) if self.is_anybodys() => {
                // Whoever forges the peer's address can send this: it must not cost the peer its session, nor may the peer
                // get an alert for it. A peer that can do no better runs into the time limit for its handshake.
                tracing::debug!(%error, "DTLS: a hello that leads nowhere");
                self.begin_anew();
                Err(DtlsError::Records)
            }
            Err(error) => {
                tracing::debug!(%error, "DTLS");
                self.state = State::Over;
                Err(DtlsError::Handshake)
            }
        }
    }

    /// The next datagram to send to the peer.
    pub(crate) fn poll_transmit(&mut self) -> Option<BytesMut> {
        if let Some(again) = self.flight.poll_again() {
            return Some(again);
        }
        let transmit = self.endpoint.poll_transmit()?;
        self.answered = true;
        if self.state == State::Handshaking {
            self.flight.said(&transmit.message);
        }
        self.first_flight = Vec::new();
        if let Some(hello) = &mut self.hello {
            hello.is_verified |= handshake_type(&transmit.message) == Some(SERVER_HELLO);
        }
        Some(transmit.message)
    }

    /// When [`Dtls::handle_timeout`] wants to be called.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let due = [self.endpoint.poll_timeout(&PEER), self.flight.due()].into_iter().flatten().min();
        due.filter(|_| self.state == State::Handshaking)
    }

    /// Repeats a flight that was not answered.
    ///
    /// # Errors
    /// [`DtlsError::Handshake`] when it was repeated often enough.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Result<(), DtlsError> {
        self.flight.pass_time(now);
        self.flight.turn();
        self.endpoint.handle_timeout(PEER, now).map_err(|_| {
            self.state = State::Over;
            DtlsError::Handshake
        })
    }

    /// Sees to it that the last flight is repeated until it is answered.
    fn watch(&mut self, now: Instant) {
        if self.state != State::Handshaking {
            self.flight = Flight::default();
            return;
        }
        let forgotten = self.answered && self.endpoint.poll_timeout(&PEER).is_none();
        self.flight.watch(forgotten, now);
    }

    /// Says `close_notify`; it then lies in [`Dtls::poll_transmit`].
    pub(crate) fn close(&mut self, now: Instant) {
        if self.state == State::Connected {
            self.endpoint.stop(now, PEER);
        }
        self.state = State::Over;
    }

    /// Nothing has come yet that only the peer could have sent.
    fn is_anybodys(&self) -> bool {
        self.state == State::Handshaking && !self.hello.as_ref().is_some_and(|hello| hello.is_verified)
    }

    /// Tells hellos of somebody else from the one that the handshake goes on from, by their random bytes. As long as that one
    /// may be forged it gives way to another: at once if it led to no answer, else after a while, as a peer repeats its own.
    fn is_of_this_handshake(&mut self, now: Instant, datagram: &[u8]) -> bool {
        let Some(random) = hello_random(datagram).filter(|_| self.state == State::Handshaking) else {
            return true;
        };
        match &self.hello {
            Some(hello) if hello.random == random => return true,
            Some(hello) if hello.is_verified => return false,
            Some(hello) if self.answered && now.saturating_duration_since(hello.since) < GIVES_WAY => {
                return false;
            }
            Some(_) => self.begin_anew(),
            None => {}
        }
        self.hello = Some(Hello { random, since: now, is_verified: false });
        true
    }

    fn begin_anew(&mut self) {
        self.endpoint = endpoint(&self.identity.configs[0].1);
        self.attempt = 0;
        self.first_flight = Vec::new();
        self.answered = false;
        self.hello = None;
        self.gate = Gate::default();
        self.flight = Flight::default();
    }

    /// Goes on with the next profile, as if the first one had never been tried.
    fn try_next_profile(&mut self) -> bool {
        self.attempt += 1;
        let Some((_, config)) = self.identity.configs.get(self.attempt) else { return false };
        // Its alert goes with it, unsent.
        self.endpoint = endpoint(config);
        true
    }

    fn react(&mut self, events: &[EndpointEvent]) -> Result<Option<DtlsEvent>, DtlsError> {
        for event in events {
            match event {
                EndpointEvent::HandshakeComplete => return self.connected().map(Some),
                EndpointEvent::PeerClosed => {
                    self.state = State::Over;
                    return Ok(Some(DtlsEvent::Closed));
                }
                // Nothing is agreed that would travel as application data.
                _ => {}
            }
        }
        Ok(None)
    }

    fn connected(&mut self) -> Result<DtlsEvent, DtlsError> {
        self.state = State::Over;
        let state = self.endpoint.get_connection_state(PEER).ok_or(DtlsError::Handshake)?;
        let certificate = state.peer_certificates.first().ok_or(DtlsError::Fingerprint)?;
        if fingerprint(certificate) != self.expected {
            return Err(DtlsError::Fingerprint);
        }
        let profile = self.identity.configs[self.attempt].0;
        if state.srtp_protection_profile() != wire_profile(profile) {
            return Err(DtlsError::Handshake);
        }
        let material = state
            .export_keying_material(EXPORTER_LABEL, &[], profile.keying_material_len())
            .map_err(|_| DtlsError::Handshake)?;
        let (receive, send) = from_keying_material(profile, material.as_ref()).ok_or(DtlsError::Handshake)?;
        self.state = State::Connected;
        Ok(DtlsEvent::Connected(Keys { profile, receive, send }))
    }
}

fn endpoint(config: &Arc<HandshakeConfig>) -> Endpoint {
    Endpoint::new(PEER, TransportProtocol::UDP, Some(config.clone()))
}

fn wire_profile(profile: SrtpProfile) -> SrtpProtectionProfile {
    match profile {
        SrtpProfile::Aes128CmSha1 => SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80,
        SrtpProfile::Aes128Gcm => SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm,
    }
}

/// The endpoint tells associations apart by address; ours has one, wherever its peer is at the moment.
const PEER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 1);
/// RFC 5764 section 4.2.
const EXPORTER_LABEL: &str = "EXTRACTOR-dtls_srtp";
/// Those with forward secrecy, AEAD and our kind of certificate; every WebRTC client has the first (RFC 8827 section 6.5).
const CIPHER_SUITES: [CipherSuiteId; 2] = [
    CipherSuiteId::Tls_Ecdhe_Ecdsa_With_Aes_128_Gcm_Sha256,
    CipherSuiteId::Tls_Ecdhe_Ecdsa_With_ChaCha20_Poly1305_Sha256,
];
/// A lost flight is repeated after so long; the path was just checked, so that longer waits gain nothing.
const FLIGHT_INTERVAL: Duration = Duration::from_millis(500);
const MTU: usize = 1_100;

const FIRST_FLIGHT: usize = 8;
const SERVER_HELLO: u8 = 2;
/// Clients repeat a hello that was not answered after 50 ms to 1 s.
const GIVES_WAY: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
