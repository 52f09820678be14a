//! The DTLS server of one peer: proves both sides' certificates and yields the SRTP keys.
//!
//! The handshake itself is `rtc-dtls`; this is the seam at which another one would be put in. Before a datagram gets there
//! it passes [`Gate`], because that parser keeps fragments without a bound. `relay/docs/decisions/0020-dtls.md` says why
//! this crate, and how the relay's order of SRTP profiles is kept.

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
    expected: Fingerprint,
    gate: Gate,
    state: State,
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
            expected,
            gate: Gate::default(),
            state: State::Handshaking,
        }
    }

    /// Takes one datagram that came from an address of the peer.
    ///
    /// # Errors
    /// [`DtlsError::Records`] when the datagram was dropped and nothing changed; the others end the session.
    pub(crate) fn receive(&mut self, now: Instant, datagram: &[u8]) -> Result<Option<DtlsEvent>, DtlsError> {
        if self.state == State::Over || !self.gate.admits(datagram, self.state == State::Connected) {
            return Err(DtlsError::Records);
        }
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
            Ok(events) => self.react(&events),
            Err(error) => {
                tracing::debug!(%error, "DTLS");
                self.state = State::Over;
                Err(DtlsError::Handshake)
            }
        }
    }

    /// The next datagram to send to the peer.
    pub(crate) fn poll_transmit(&mut self) -> Option<BytesMut> {
        let transmit = self.endpoint.poll_transmit()?;
        self.answered = true;
        self.first_flight = Vec::new();
        Some(transmit.message)
    }

    /// When [`Dtls::handle_timeout`] wants to be called.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        if self.state == State::Handshaking { self.endpoint.poll_timeout(&PEER) } else { None }
    }

    /// Repeats a flight that was not answered.
    ///
    /// # Errors
    /// [`DtlsError::Handshake`] when it was repeated often enough.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Result<(), DtlsError> {
        self.endpoint.handle_timeout(PEER, now).map_err(|_| {
            self.state = State::Over;
            DtlsError::Handshake
        })
    }

    /// Says `close_notify`; it then lies in [`Dtls::poll_transmit`].
    pub(crate) fn close(&mut self, now: Instant) {
        if self.state == State::Connected {
            self.endpoint.stop(now, PEER);
        }
        self.state = State::Over;
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

/// Lets through only what can be part of a handshake of this size, and of that a bounded amount.
#[derive(Default)]
struct Gate {
    datagrams: u32,
    fragments: u32,
    datagrams_after: u32,
}

impl Gate {
    fn admits(&mut self, datagram: &[u8], connected: bool) -> bool {
        let mut rest = datagram;
        let mut carries_handshake = false;
        while !rest.is_empty() {
            let Some((record, next)) = split_record(rest) else { return false };
            let allowed = match record.epoch {
                // In the clear only the handshake itself: an alert in the clear could be anybody's. That goes for afterwards,
                // too: who did not get our last flight repeats its own, ChangeCipherSpec included (RFC 6347 section 4.2.4).
                0 => matches!(record.kind, HANDSHAKE | CHANGE_CIPHER_SPEC),
                _ => matches!(record.kind, ALERT | HANDSHAKE | APPLICATION_DATA),
            };
            if !allowed || record.kind == HANDSHAKE && record.epoch == 0 && !self.count_fragments(record.body)
            {
                return false;
            }
            carries_handshake |= matches!(record.kind, HANDSHAKE | CHANGE_CIPHER_SPEC);
            rest = next;
        }
        let (count, limit) = match connected {
            false => (&mut self.datagrams, MAX_DATAGRAMS),
            true if carries_handshake => (&mut self.datagrams_after, MAX_DATAGRAMS_AFTER),
            true => return true,
        };
        *count += 1;
        *count <= limit
    }

    fn count_fragments(&mut self, mut body: &[u8]) -> bool {
        while !body.is_empty() {
            let Some(header) = body.first_chunk::<FRAGMENT_HEADER>() else { return false };
            let number = |at: usize| {
                usize::from(header[at]) << 16 | usize::from(header[at + 1]) << 8 | usize::from(header[at + 2])
            };
            let (length, offset, part) = (number(1), number(6), number(9));
            self.fragments += 1;
            if length > MAX_MESSAGE || offset + part > length || self.fragments > MAX_FRAGMENTS {
                return false;
            }
            let Some(next) = body.get(FRAGMENT_HEADER + part..) else { return false };
            body = next;
        }
        true
    }
}

struct Record<'a> {
    kind: u8,
    epoch: u16,
    body: &'a [u8],
}

fn split_record(bytes: &[u8]) -> Option<(Record<'_>, &[u8])> {
    let header = bytes.first_chunk::<RECORD_HEADER>()?;
    let len = usize::from(u16::from_be_bytes([header[11], header[12]]));
    let body = bytes.get(RECORD_HEADER..RECORD_HEADER + len)?;
    if header[1] != 0xFE || len == 0 {
        return None;
    }
    let record = Record { kind: header[0], epoch: u16::from_be_bytes([header[3], header[4]]), body };
    Some((record, &bytes[RECORD_HEADER + len..]))
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

const RECORD_HEADER: usize = 13;
const FRAGMENT_HEADER: usize = 12;
const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;
/// A certificate chain of a WebRTC client is one certificate; post-quantum key shares are about 1.2 kB.
const MAX_MESSAGE: usize = 16 << 10;
/// A handshake takes about 10, more with losses.
const MAX_DATAGRAMS: u32 = 96;
const MAX_FRAGMENTS: u32 = 192;
/// Repeated final flights.
const MAX_DATAGRAMS_AFTER: u32 = 16;
const FIRST_FLIGHT: usize = 8;

#[cfg(test)]
mod tests;
