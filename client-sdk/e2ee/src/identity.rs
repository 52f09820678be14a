//! Who a device is, and the root of a household: the long-lived keys and what they sign.

use bip39::{Language, Mnemonic};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use hkdf::Hkdf;
use latchkey_api::auth::{ROOT_DEVICE, deletion_input, signing_input};
use latchkey_api::device_list::{DeviceEntry, DeviceList, Rights, Role, SignedList};
use latchkey_api::encoding::ByteString;
use latchkey_api::group::{Rejoin, rejoin_input};
use latchkey_api::id::{DeviceId, GroupId, HouseholdId};
use sha2::Sha256;
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

/// The keys of one device: Ed25519 for MLS, sign-in and lists, X25519 for enrolment. Erased when dropped.
pub struct DeviceIdentity {
    device: DeviceId,
    signing: SigningKey,
    enrol: StaticSecret,
}

impl DeviceIdentity {
    /// Length of [`Self::to_bytes`].
    pub const LEN: usize = 1 + 16 + 32 + 32;

    /// Draws the id and the keys of a new device.
    ///
    /// # Errors
    /// [`IdentityError::NoRandomness`] when the operating system gives none.
    pub fn generate() -> Result<Self, IdentityError> {
        let mut bytes = Zeroizing::new([0; Self::LEN]);
        getrandom::fill(bytes.as_mut_slice()).map_err(|_| IdentityError::NoRandomness)?;
        bytes[0] = VERSION;
        // People type ids: none may begin with the `-` that its six highest bits would be in base64url.
        if bytes[1] & 0xFC == 0xF8 {
            bytes[1] ^= 0x80;
        }
        Self::from_bytes(bytes.as_slice())
    }

    /// Reads an identity from a vault.
    ///
    /// # Errors
    /// [`IdentityError::Malformed`] when the bytes are not from [`Self::to_bytes`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, IdentityError> {
        let (&[version], rest) = bytes.split_first_chunk::<1>().ok_or(IdentityError::Malformed)?;
        let (device, rest) = rest.split_first_chunk::<16>().ok_or(IdentityError::Malformed)?;
        let (signing, rest) = rest.split_first_chunk::<32>().ok_or(IdentityError::Malformed)?;
        let enrol = Zeroizing::new(<[u8; 32]>::try_from(rest).map_err(|_| IdentityError::Malformed)?);
        if version != VERSION {
            return Err(IdentityError::Malformed);
        }
        Ok(Self {
            device: DeviceId(*device),
            signing: SigningKey::from_bytes(signing),
            enrol: StaticSecret::from(*enrol),
        })
    }

    /// The secret keys as bytes, for a vault only; erased when dropped.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(Self::LEN));
        bytes.push(VERSION);
        bytes.extend_from_slice(&self.device.0);
        bytes.extend_from_slice(self.signing.as_bytes());
        bytes.extend_from_slice(self.enrol.as_bytes());
        bytes
    }

    /// The id that the device drew for itself.
    #[must_use]
    pub fn device(&self) -> DeviceId {
        self.device
    }

    /// What others may know.
    #[must_use]
    pub fn public(&self) -> DevicePublic {
        DevicePublic {
            device: self.device,
            mls_public: self.signing.verifying_key().to_bytes(),
            enrol_public: PublicKey::from(&self.enrol).to_bytes(),
        }
    }

    /// Signs a challenge of the server; `audience` is the authority that the caller dialled. Returns the
    /// Ed25519 signature over [`latchkey_api::auth::signing_input`].
    #[must_use]
    pub fn sign_challenge(&self, audience: &str, household: &HouseholdId, nonce: &[u8]) -> [u8; 64] {
        self.signing.sign(&signing_input(audience, household, &self.device, nonce)).to_bytes()
    }

    /// Signs a challenge of the server to delete the household with all that the server has of it. Returns the Ed25519
    /// signature over [`latchkey_api::auth::deletion_input`].
    #[must_use]
    pub fn sign_deletion(&self, audience: &str, household: &HouseholdId, nonce: &[u8]) -> [u8; 64] {
        self.signing.sign(&deletion_input(audience, household, &self.device, nonce)).to_bytes()
    }

    /// Asks the camera of `group` to put this device in anew, by a fresh key package. `time` is in seconds since the Unix
    /// epoch and rises with each request.
    #[must_use]
    pub fn sign_rejoin(
        &self,
        household: &HouseholdId,
        group: &GroupId,
        time: u64,
        key_package: Vec<u8>,
    ) -> Rejoin {
        let input = rejoin_input(household, group, &self.device, time, &key_package);
        let signature = ByteString(self.signing.sign(&input).to_bytes().to_vec());
        Rejoin { time, key_package: ByteString(key_package), signature }
    }

    /// Signs a device list as this device. Whether others accept the signature is decided by the list before.
    #[must_use]
    pub fn sign_list(&self, list: DeviceList) -> SignedList {
        let signature = self.signing.sign(&list.signing_input()).to_bytes();
        SignedList::assemble(list, signature)
    }

    /// The X25519 key that opens enrolment payloads.
    pub(crate) fn enrol_secret(&self) -> &StaticSecret {
        &self.enrol
    }

    /// The Ed25519 key pair in the form that the MLS crypto provider wants: seed, then public key.
    pub(crate) fn signing_keypair(&self) -> Zeroizing<Vec<u8>> {
        let pair = Zeroizing::new(self.signing.to_keypair_bytes());
        Zeroizing::new(pair.to_vec())
    }
}

/// The public part of a device's identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DevicePublic {
    /// The id that the device drew for itself.
    pub device: DeviceId,
    /// Ed25519.
    pub mls_public: [u8; 32],
    /// X25519.
    pub enrol_public: [u8; 32],
}

impl DevicePublic {
    /// Returns a list entry of this device without an end and for all cameras, valid from `not_before`
    /// (seconds since the Unix epoch). Cameras get no rights. Guests still need their cameras and an end.
    #[must_use]
    pub fn entry(&self, role: Role, not_before: u64, label: Vec<u8>) -> DeviceEntry {
        DeviceEntry {
            device: self.device,
            role,
            mls_public: self.mls_public,
            enrol_public: self.enrol_public,
            not_before,
            not_after: None,
            cameras: None,
            rights: if role == Role::Camera { Rights::NONE } else { Rights::ALL },
            label,
        }
    }
}

/// Returns whether the device with this Ed25519 key signed a request to be put into `group` anew.
#[must_use]
pub fn signed_rejoin(
    mls_public: &[u8; 32],
    household: &HouseholdId,
    group: &GroupId,
    device: &DeviceId,
    request: &Rejoin,
) -> bool {
    let input = rejoin_input(household, group, device, request.time, request.key_package.as_slice());
    let Ok(key) = VerifyingKey::from_bytes(mls_public) else { return false };
    let Ok(signature) = Signature::from_slice(request.signature.as_slice()) else { return false };
    key.verify_strict(&input, &signature).is_ok()
}

/// The root key of a household, made from twelve words. Kept offline; erased when dropped.
pub struct HouseholdRoot {
    signing: SigningKey,
}

impl HouseholdRoot {
    /// Draws a new root. Returns it with its words, which are shown once and written down.
    ///
    /// # Errors
    /// [`IdentityError::NoRandomness`] when the operating system gives none.
    pub fn generate() -> Result<(Self, Phrase), IdentityError> {
        let mut entropy = Zeroizing::new([0; 16]);
        getrandom::fill(entropy.as_mut_slice()).map_err(|_| IdentityError::NoRandomness)?;
        let words = Mnemonic::from_entropy_in(Language::English, entropy.as_slice());
        let words = words.map_err(|_| IdentityError::BadPhrase)?;
        let mut phrase = Zeroizing::new(String::with_capacity(12 * 9));
        for word in words.words() {
            if !phrase.is_empty() {
                phrase.push(' ');
            }
            phrase.push_str(word);
        }
        Ok((Self::from_entropy(&entropy), Phrase(phrase)))
    }

    /// Returns the root of twelve English BIP39 words; case and spacing do not matter.
    ///
    /// # Errors
    /// [`IdentityError::WordCount`] when they are not twelve, [`IdentityError::UnknownWord`] for the first that is not
    /// in the list, [`IdentityError::WrongChecksum`] when all are, but not these twelve together.
    pub fn from_phrase(words: &str) -> Result<Self, IdentityError> {
        let lower = Zeroizing::new(words.to_ascii_lowercase());
        let count = lower.split_whitespace().count();
        if count != 12 {
            return Err(IdentityError::WordCount(count));
        }
        let words =
            Mnemonic::parse_in_normalized(Language::English, &lower).map_err(|error| match error {
                bip39::Error::UnknownWord(at) => IdentityError::UnknownWord(at + 1),
                bip39::Error::InvalidChecksum => IdentityError::WrongChecksum,
                _ => IdentityError::BadPhrase,
            })?;
        let (bytes, len) = words.to_entropy_array();
        let bytes = Zeroizing::new(bytes);
        let entropy = bytes.get(..len).and_then(|bytes| <&[u8; 16]>::try_from(bytes).ok());
        entropy.map(Self::from_entropy).ok_or(IdentityError::BadPhrase)
    }

    /// The Ed25519 public key to which every device of the household is pinned.
    #[must_use]
    pub fn public(&self) -> [u8; 32] {
        self.signing.verifying_key().to_bytes()
    }

    /// The household that this root founds.
    #[must_use]
    pub fn household(&self) -> HouseholdId {
        HouseholdId::of_root(&self.public())
    }

    /// Signs a challenge of the server to delete the household, as [`DeviceIdentity::sign_deletion`].
    #[must_use]
    pub fn sign_deletion(&self, audience: &str, nonce: &[u8]) -> [u8; 64] {
        self.signing.sign(&deletion_input(audience, &self.household(), &ROOT_DEVICE, nonce)).to_bytes()
    }

    /// Signs the first list or a recovery list; others are refused by every device.
    #[must_use]
    pub fn sign_list(&self, list: DeviceList) -> SignedList {
        let signature = self.signing.sign(&list.signing_input()).to_bytes();
        SignedList::assemble(list, signature)
    }

    /// Signs a challenge of the server as the root, which has no device id but
    /// [`ROOT_DEVICE`]; `audience` is the authority that the caller dialled.
    #[must_use]
    pub fn sign_challenge(&self, audience: &str, nonce: &[u8]) -> [u8; 64] {
        self.signing.sign(&signing_input(audience, &self.household(), &ROOT_DEVICE, nonce)).to_bytes()
    }

    /// Fills `secret` with what follows from the root for one purpose.
    pub(crate) fn derive(&self, purpose: &[u8], secret: &mut [u8]) {
        Hkdf::<Sha256>::new(None, self.signing.as_bytes())
            .expand(purpose, secret)
            .expect("a key is within HKDF's limit");
    }

    fn from_entropy(entropy: &[u8; 16]) -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        Hkdf::<Sha256>::new(None, entropy)
            .expand(b"household root v1", seed.as_mut_slice())
            .expect("32 bytes are within HKDF's limit");
        Self { signing: SigningKey::from_bytes(&seed) }
    }
}

/// The twelve words of a household root. Erased when dropped; deliberately cannot be printed by accident.
pub struct Phrase(Zeroizing<String>);

impl Phrase {
    /// The words, separated by single spaces, to be shown to the owner once.
    #[must_use]
    pub fn words(&self) -> &str {
        &self.0
    }
}

/// An identity cannot be made or read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// The operating system gave no random bytes.
    #[error("the operating system gives no random bytes")]
    NoRandomness,
    /// The vault's bytes are not an identity of this version.
    #[error("the stored identity is not readable")]
    Malformed,
    /// The owner's words are mistyped.
    #[error("these are not the twelve words of a household")]
    BadPhrase,
    /// There are more or fewer than twelve words.
    #[error("the recovery words are twelve; these are {0}")]
    WordCount(usize),
    /// The word at this place, counted from 1, is none of the list of 2048.
    #[error("word {0} is not one of the list that recovery words come from: check how it is written")]
    UnknownWord(usize),
    /// Each word is one of the list, but together they are not what was written down.
    #[error(
        "each word is one of the list, but together they are not a household's twelve words: check their order, and for words that look alike"
    )]
    WrongChecksum,
}

const VERSION: u8 = 1;

#[cfg(test)]
mod tests;
