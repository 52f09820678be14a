//! The sealed way from the admin to the new device, and the proofs that both hold its ends.
//!
//! ```text
//! psk         = HKDF-SHA256(salt = transcript, secret, "latchkey enrol psk v1")
//!               secret: the 16 bytes of the code, or X25519 of both keys when paired by number
//! invitation  = HPKE PSK mode (RFC 9180), DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-128-GCM,
//!               info "latchkey invitation v1", psk_id = aad = transcript
//! keys        = HPKE export: "latchkey confirmation v1", "latchkey verdict v1", "latchkey glance v1"
//! tag         = HKDF-Expand(key, message) as MAC
//! ```

use hkdf::Hkdf;
use hpke::aead::AesGcm128;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable, Kem, OpModeR, OpModeS, PskBundle, Serializable, setup_receiver, setup_sender};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::digits::{Digits, sha256};
use super::mail::{self, Answer, Exchange, Reveal, keys};
use super::number::PairingNumber;
use super::offer::Offer;
use crate::identity::DeviceIdentity;

/// What both sides share before the invitation.
pub(super) struct Channel {
    psk: Zeroizing<[u8; 32]>,
    transcript: [u8; 32],
}

/// What both sides share by the invitation.
pub(super) struct Ties {
    confirmation: Zeroizing<[u8; 32]>,
    verdict: Zeroizing<[u8; 32]>,
    /// What both screens may show as a last glance.
    pub(super) digits: Digits,
}

impl Channel {
    /// The channel of a code that one side shows and the other has scanned.
    pub(super) fn by_code(offer: &Offer) -> Self {
        let parts =
            [b"latchkey enrol code v1".as_slice(), &[offer.kind as u8], &offer.key_hash, &offer.mailbox];
        Self::new(offer.secret.as_slice(), sha256(&parts))
    }

    /// The channel of two sides that have exchanged keys, and the digits by which people see that nobody is in between.
    ///
    /// `shared` is X25519 of the admin's key and the new device's enrolment key.
    pub(super) fn by_number(
        shared: &[u8; 32],
        number: PairingNumber,
        exchange: &Exchange,
        reveal: &Reveal,
    ) -> (Self, Digits) {
        let transcript = sha256(&[
            b"latchkey pairing v1",
            &number.to_bytes(),
            &mail::commit(number, reveal),
            &exchange.public,
            &exchange.nonce,
            &keys(reveal.kind, &reveal.public),
            &reveal.nonce,
        ]);
        let digits = Digits::of(&sha256(&[b"latchkey pairing digits v1", &transcript]));
        (Self::new(shared, transcript), digits)
    }

    fn new(secret: &[u8], transcript: [u8; 32]) -> Self {
        let mut psk = Zeroizing::new([0; 32]);
        Hkdf::<Sha256>::new(Some(&transcript), secret)
            .expand(b"latchkey enrol psk v1", psk.as_mut_slice())
            .expect("32 bytes are within HKDF's limit");
        Self { psk, transcript }
    }

    /// Seals an invitation to the new device's enrolment key; `None` when that is no usable X25519 key.
    pub(super) fn seal(&self, to: &[u8; 32], content: &[u8]) -> Option<(Vec<u8>, Ties)> {
        let to = <X25519HkdfSha256 as Kem>::PublicKey::from_bytes(to).ok()?;
        let mode = OpModeS::<X25519HkdfSha256>::Psk(self.bundle()?);
        let (encapsulated, mut context) =
            setup_sender::<AesGcm128, HkdfSha256, X25519HkdfSha256>(&mode, &to, INFO).ok()?;
        let sealed = context.seal(content, &self.transcript).ok()?;
        let ties = Ties::derive(|label, out| context.export(label, out))?;
        let encapsulated = encapsulated.to_bytes();
        let encapsulated: &[u8; 32] = encapsulated.as_slice().try_into().ok()?;
        Some((mail::invitation(encapsulated, &sealed), ties))
    }

    /// Opens an invitation; `None` when it was not sealed in this channel.
    pub(super) fn open(
        &self,
        identity: &DeviceIdentity,
        encapsulated: &[u8; 32],
        sealed: &[u8],
    ) -> Option<(Zeroizing<Vec<u8>>, Ties)> {
        let secret = Zeroizing::new(identity.enrol_secret().to_bytes());
        let secret = <X25519HkdfSha256 as Kem>::PrivateKey::from_bytes(secret.as_slice()).ok()?;
        let encapsulated = <X25519HkdfSha256 as Kem>::EncappedKey::from_bytes(encapsulated).ok()?;
        let mode = OpModeR::<X25519HkdfSha256>::Psk(self.bundle()?);
        let mut context =
            setup_receiver::<AesGcm128, HkdfSha256, X25519HkdfSha256>(&mode, &secret, &encapsulated, INFO)
                .ok()?;
        let content = Zeroizing::new(context.open(sealed, &self.transcript).ok()?);
        let ties = Ties::derive(|label, out| context.export(label, out))?;
        Some((content, ties))
    }

    fn bundle(&self) -> Option<PskBundle<'_>> {
        PskBundle::new(self.psk.as_slice(), &self.transcript).ok()
    }
}

impl Ties {
    fn derive<E>(export: impl Fn(&[u8], &mut [u8]) -> Result<(), E>) -> Option<Self> {
        let key = |label: &[u8]| {
            let mut key = Zeroizing::new([0; 32]);
            export(label, key.as_mut_slice()).ok().map(|()| key)
        };
        Some(Self {
            confirmation: key(b"latchkey confirmation v1")?,
            verdict: key(b"latchkey verdict v1")?,
            digits: Digits::of(&*key(b"latchkey glance v1")?),
        })
    }

    /// The new device's answer, as it is posted.
    pub(super) fn confirmation(&self, answer: Answer) -> Vec<u8> {
        mail::confirmation(answer, &tag(&self.confirmation, &[answer as u8]))
    }

    pub(super) fn is_confirmation(&self, answer: Answer, claimed: &[u8; 32]) -> bool {
        tag(&self.confirmation, &[answer as u8]).ct_eq(claimed).into()
    }

    /// The admin's last word, as it is posted; version 0 means: not listed.
    pub(super) fn verdict(&self, version: u64) -> Vec<u8> {
        mail::verdict(version, &tag(&self.verdict, &version.to_be_bytes()))
    }

    pub(super) fn is_verdict(&self, version: u64, claimed: &[u8; 32]) -> bool {
        tag(&self.verdict, &version.to_be_bytes()).ct_eq(claimed).into()
    }
}

fn tag(key: &[u8; 32], message: &[u8]) -> [u8; 32] {
    let mut tag = [0; 32];
    Hkdf::<Sha256>::from_prk(key)
        .expect("32 bytes are a key of HKDF-SHA256")
        .expand(message, &mut tag)
        .expect("32 bytes are within HKDF's limit");
    tag
}

const INFO: &[u8] = b"latchkey invitation v1";
