//! The messages of an enrolment as bytes.
//!
//! ```text
//! hello         0x11 | kind (1) | device (16) | MLS key (32) | enrolment key (32)
//! commitment    0x12 | SHA-256("latchkey pairing commitment v1" | number | kind | device | keys | nonce) (32)
//! exchange      0x13 | X25519 key (32) | nonce (32)
//! reveal        0x14 | kind (1) | device (16) | MLS key (32) | enrolment key (32) | nonce (32)
//! invitation    0x15 | encapsulated key (32) | sealed content
//! confirmation  0x16 | answer (1) | tag (32)
//! verdict       0x17 | list version (8), 0 for "not listed" | tag (32)
//! ```
//!
//! Integers are big endian. Devices send 0x11, 0x12, 0x14 and 0x16, admins the others.

use latchkey_api::id::DeviceId;

use super::Kind;
use super::digits::sha256;
use super::number::PairingNumber;
use crate::identity::DevicePublic;

/// A message, read but not believed.
pub(super) enum Mail<'a> {
    Hello(Kind, DevicePublic),
    Commitment([u8; 32]),
    Exchange(Exchange),
    Reveal(Reveal),
    Invitation { encapsulated: &'a [u8; 32], sealed: &'a [u8] },
    Confirmation { answer: Answer, tag: [u8; 32] },
    Verdict { version: u64, tag: [u8; 32] },
}

/// The admin's share of a pairing by number.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Exchange {
    pub(super) public: [u8; 32],
    pub(super) nonce: [u8; 32],
}

/// What a new device committed to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Reveal {
    pub(super) kind: Kind,
    pub(super) public: DevicePublic,
    pub(super) nonce: [u8; 32],
}

/// What a new device answers to an invitation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Answer {
    Accepted = 0,
    /// The clocks differ too much.
    ClockOff = 1,
    /// The content cannot be used: another version, or a role that does not fit.
    Unusable = 2,
    /// The new device's user said that the digits differ.
    DigitsDiffer = 3,
}

impl Answer {
    pub(super) const ALL: [Self; 4] = [Self::Accepted, Self::ClockOff, Self::Unusable, Self::DigitsDiffer];
}

impl<'a> Mail<'a> {
    /// Reads a message; `None` for what is not one of this version.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let (&[first], body) = bytes.split_first_chunk::<1>()?;
        match first {
            HELLO => {
                let (kind, public, rest) = read_keys(body)?;
                rest.is_empty().then_some(Self::Hello(kind, public))
            }
            COMMITMENT => Some(Self::Commitment(body.try_into().ok()?)),
            EXCHANGE => {
                let (public, nonce) = body.split_first_chunk()?;
                Some(Self::Exchange(Exchange { public: *public, nonce: nonce.try_into().ok()? }))
            }
            REVEAL => {
                let (kind, public, nonce) = read_keys(body)?;
                Some(Self::Reveal(Reveal { kind, public, nonce: nonce.try_into().ok()? }))
            }
            INVITATION => {
                let (encapsulated, sealed) = body.split_first_chunk()?;
                Some(Self::Invitation { encapsulated, sealed })
            }
            CONFIRMATION => {
                let (&[answer], tag) = body.split_first_chunk::<1>()?;
                let answer = Answer::ALL.into_iter().find(|known| *known as u8 == answer)?;
                Some(Self::Confirmation { answer, tag: tag.try_into().ok()? })
            }
            VERDICT => {
                let (version, tag) = body.split_first_chunk()?;
                Some(Self::Verdict { version: u64::from_be_bytes(*version), tag: tag.try_into().ok()? })
            }
            _ => None,
        }
    }
}

pub(super) fn hello(kind: Kind, public: &DevicePublic) -> Vec<u8> {
    [[HELLO].as_slice(), &keys(kind, public)].concat()
}

pub(super) fn commitment(commitment: &[u8; 32]) -> Vec<u8> {
    [[COMMITMENT].as_slice(), commitment].concat()
}

pub(super) fn exchange(exchange: &Exchange) -> Vec<u8> {
    [[EXCHANGE].as_slice(), &exchange.public, &exchange.nonce].concat()
}

pub(super) fn reveal(reveal: &Reveal) -> Vec<u8> {
    [[REVEAL].as_slice(), &keys(reveal.kind, &reveal.public), &reveal.nonce].concat()
}

pub(super) fn invitation(encapsulated: &[u8; 32], sealed: &[u8]) -> Vec<u8> {
    [[INVITATION].as_slice(), encapsulated, sealed].concat()
}

pub(super) fn confirmation(answer: Answer, tag: &[u8; 32]) -> Vec<u8> {
    [[CONFIRMATION, answer as u8].as_slice(), tag].concat()
}

pub(super) fn verdict(version: u64, tag: &[u8; 32]) -> Vec<u8> {
    [[VERDICT].as_slice(), &version.to_be_bytes(), tag].concat()
}

/// The hash of a new device's keys that its code shows.
pub(super) fn key_hash(kind: Kind, public: &DevicePublic) -> [u8; 16] {
    let hash = sha256(&[b"latchkey enrol keys v1", &keys(kind, public)]);
    let mut short = [0; 16];
    short.copy_from_slice(&hash[..16]);
    short
}

/// What a new device sends before it knows anything about the admin.
pub(super) fn commit(number: PairingNumber, reveal: &Reveal) -> [u8; 32] {
    let keys = keys(reveal.kind, &reveal.public);
    sha256(&[b"latchkey pairing commitment v1", &number.to_bytes(), &keys, &reveal.nonce])
}

pub(super) fn keys(kind: Kind, public: &DevicePublic) -> [u8; KEYS] {
    let mut bytes = [0; KEYS];
    bytes[0] = kind as u8;
    bytes[1..17].copy_from_slice(&public.device.0);
    bytes[17..49].copy_from_slice(&public.mls_public);
    bytes[49..].copy_from_slice(&public.enrol_public);
    bytes
}

fn read_keys(bytes: &[u8]) -> Option<(Kind, DevicePublic, &[u8])> {
    let (&[kind], rest) = bytes.split_first_chunk::<1>()?;
    let (device, rest) = rest.split_first_chunk()?;
    let (mls_public, rest) = rest.split_first_chunk()?;
    let (enrol_public, rest) = rest.split_first_chunk()?;
    let public =
        DevicePublic { device: DeviceId(*device), mls_public: *mls_public, enrol_public: *enrol_public };
    Some((Kind::from_byte(kind)?, public, rest))
}

pub(super) const KEYS: usize = 1 + 16 + 32 + 32;
const HELLO: u8 = 0x11;
const COMMITMENT: u8 = 0x12;
const EXCHANGE: u8 = 0x13;
const REVEAL: u8 = 0x14;
const INVITATION: u8 = 0x15;
const CONFIRMATION: u8 = 0x16;
const VERDICT: u8 = 0x17;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn write(mail: &Mail<'_>) -> Vec<u8> {
        match mail {
            Mail::Hello(kind, public) => hello(*kind, public),
            Mail::Commitment(hash) => commitment(hash),
            Mail::Exchange(share) => exchange(share),
            Mail::Reveal(revealed) => reveal(revealed),
            Mail::Invitation { encapsulated, sealed } => invitation(encapsulated, sealed),
            Mail::Confirmation { answer, tag } => confirmation(*answer, tag),
            Mail::Verdict { version, tag } => verdict(*version, tag),
        }
    }

    proptest! {
        #[test]
        fn what_is_read_is_written_the_same(
            first in 0x10..0x19_u8,
            second in 0..5_u8,
            body in proptest::collection::vec(any::<u8>(), 0..130),
            length in proptest::sample::select(vec![31, 32, 33, 40, 48, 64, 79, 80, 81, 112, 113]),
        ) {
            for bytes in [[&[first, second], body.as_slice()].concat(), vec![first.min(second); length]] {
                if let Some(mail) = Mail::read(&bytes) {
                    prop_assert_eq!(write(&mail), bytes);
                }
            }
            let mut exact = vec![second; length];
            exact.insert(0, first);
            if let Some(mail) = Mail::read(&exact) {
                prop_assert_eq!(write(&mail), exact);
            }
        }
    }
}
