//! Epoch records: the camera's signed word on every epoch, which each member checks against its own group.
//!
//! A record is a tagged COSE_Sign1 (RFC 9052) with EdDSA over deterministic CBOR:
//!
//! ```text
//! 18([ << {1: -8} >>, {}, << record >>, signature(64) ])          external_aad = "latchkey epoch record v1"
//! record = { 1: group id(20), 2: epoch, 3: list version, 4: list hash(32), 5: tree hash(32),
//!            6: [device id(16), ...], 7: time, 8: [[kid, last ctr], ...], 9: previous record(32),
//!            10: authenticator hash(32) }
//! ```
//!
//! Fields 1 to 6 describe the epoch that began, members in ascending order of their leaves; 8 the frames of
//! the epoch that ended; 9 is SHA-256 of all bytes of the record before, zeros in the first; 10 is SHA-256
//! of the epoch authenticator (RFC 9420 section 8.7), which no two groups share. The time is in seconds
//! since the Unix epoch, by the camera's clock.

mod chain;

use ciborium::Value;
use coset::{CoseSign1, CoseSign1Builder, HeaderBuilder, TaggedCborSerializable as _, iana};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use latchkey_api::device_list::{ListHash, ListVersion, MAX_DEVICES};
use latchkey_api::id::{DeviceId, GroupId};
use sha2::{Digest as _, Sha256};

use crate::cbor::{array, bytes, counter, fixed, number, pairs, read, write};
use crate::identity::DeviceIdentity;
use crate::kid::Kid;
use crate::note::{MAX_NAMED, MAX_NOTE_BYTES};
pub use crate::record::chain::{RecordChain, Taken};

/// Most bytes a record may have: it travels in a note.
pub const MAX_RECORD_BYTES: usize = MAX_NOTE_BYTES - 8;

/// What one device knows about an epoch from its own group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EpochView {
    /// The group.
    pub group: GroupId,
    /// The MLS epoch.
    pub epoch: u64,
    /// The device list it rests on.
    pub list: ListVersion,
    /// The tree hash of the GroupContext (RFC 9420 section 7.8).
    pub tree_hash: [u8; 32],
    /// Its members in ascending order of their leaves.
    pub members: Vec<DeviceId>,
    /// SHA-256 of the epoch authenticator.
    pub authenticator: [u8; 32],
}

/// The camera's signed word on an epoch. Reading it checks its form; [`Self::verify`] its signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EpochRecord {
    content: Content,
    signature: [u8; 64],
    bytes: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Content {
    view: EpochView,
    time: u64,
    last: Vec<(Kid, u64)>,
    previous: [u8; 32],
}

/// A record is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// More than [`MAX_RECORD_BYTES`], [`MAX_NAMED`] counters, or [`MAX_DEVICES`] members.
    #[error("the epoch record is too large")]
    TooLarge,
    /// Not a COSE_Sign1 of our form, or not deterministically encoded. Its sender's fault.
    #[error("the epoch record is malformed")]
    Malformed,
    /// The signature is not the camera's. Its sender's fault.
    #[error("the epoch record is not signed by the camera")]
    BadSignature,
    /// The record is of another group.
    #[error("the epoch record is of another group")]
    OtherGroup,
    /// What the camera signed is not what this device's group has: camera and device are in different
    /// groups of one name.
    #[error("the camera's record of epoch {epoch} is not of the group that this device is in")]
    Forked {
        /// The epoch.
        epoch: u64,
    },
    /// It does not follow the record before: two records of one epoch, or another past.
    #[error("the camera's record of epoch {epoch} does not follow the record before")]
    OtherPast {
        /// The epoch.
        epoch: u64,
    },
}

impl EpochRecord {
    /// Signs the record of the epoch that `view` describes, as the camera. `time` is in seconds since the
    /// Unix epoch, `last` the last counter used per key id in the epoch that ended, `previous` the hash of
    /// the record before or zeros.
    ///
    /// # Errors
    /// [`RecordError::TooLarge`].
    pub fn sign(
        camera: &DeviceIdentity,
        view: EpochView,
        time: u64,
        last: Vec<(Kid, u64)>,
        previous: [u8; 32],
    ) -> Result<Self, RecordError> {
        if last.len() > MAX_NAMED || view.members.len() > MAX_DEVICES {
            return Err(RecordError::TooLarge);
        }
        let content = Content { view, time, last, previous };
        let pair = camera.signing_keypair();
        let seed = pair.first_chunk::<32>().ok_or(RecordError::Malformed)?;
        let signature = SigningKey::from_bytes(seed).sign(&content.unsigned().tbs_data(AAD)).to_bytes();
        let bytes = content.encode(&signature);
        if bytes.len() > MAX_RECORD_BYTES {
            return Err(RecordError::TooLarge);
        }
        Ok(Self { content, signature, bytes })
    }

    /// Reads a record. Nothing has verified it yet.
    ///
    /// # Errors
    /// [`RecordError::TooLarge`], [`RecordError::Malformed`].
    pub fn from_bytes(encoded: &[u8]) -> Result<Self, RecordError> {
        if encoded.len() > MAX_RECORD_BYTES {
            return Err(RecordError::TooLarge);
        }
        let sign1 = CoseSign1::from_tagged_slice(encoded).map_err(|_| RecordError::Malformed)?;
        let payload = sign1.payload.as_deref().ok_or(RecordError::Malformed)?;
        let content = read(payload).and_then(Content::from_value).ok_or(RecordError::Malformed)?;
        let signature =
            <[u8; 64]>::try_from(sign1.signature.as_slice()).map_err(|_| RecordError::Malformed)?;
        // One record, one encoding: what differs was not written by us.
        if content.encode(&signature) != encoded {
            return Err(RecordError::Malformed);
        }
        Ok(Self { content, signature, bytes: encoded.to_vec() })
    }

    /// The bytes as they travel and rest.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// SHA-256 of the bytes.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(&self.bytes).into()
    }

    /// Checks the signature under the Ed25519 key that the device list has for the camera.
    ///
    /// # Errors
    /// [`RecordError::BadSignature`].
    pub fn verify(&self, camera_public: &[u8; 32]) -> Result<(), RecordError> {
        let key = VerifyingKey::from_bytes(camera_public).map_err(|_| RecordError::BadSignature)?;
        let signature = Signature::from_bytes(&self.signature);
        key.verify_strict(&self.content.unsigned().tbs_data(AAD), &signature)
            .map_err(|_| RecordError::BadSignature)
    }

    /// Checks the record against what this device's own group says about the same epoch.
    ///
    /// # Errors
    /// [`RecordError::OtherGroup`], [`RecordError::Forked`].
    pub fn check(&self, own: &EpochView) -> Result<(), RecordError> {
        if self.group() != own.group {
            return Err(RecordError::OtherGroup);
        }
        if self.content.view != *own {
            return Err(RecordError::Forked { epoch: self.epoch() });
        }
        Ok(())
    }

    /// What the camera says about the epoch.
    #[must_use]
    pub fn view(&self) -> &EpochView {
        &self.content.view
    }

    /// The group.
    #[must_use]
    pub fn group(&self) -> GroupId {
        self.content.view.group
    }

    /// The epoch that began.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.content.view.epoch
    }

    /// The device list that the epoch rests on.
    #[must_use]
    pub fn list(&self) -> ListVersion {
        self.content.view.list
    }

    /// When it was signed, by the camera's clock, in seconds since the Unix epoch.
    #[must_use]
    pub fn time(&self) -> u64 {
        self.content.time
    }

    /// The last counter used per key id in the epoch that ended.
    #[must_use]
    pub fn last(&self) -> &[(Kid, u64)] {
        &self.content.last
    }

    /// Hash of the record before; zeros in the first.
    #[must_use]
    pub fn previous(&self) -> [u8; 32] {
        self.content.previous
    }
}

impl Content {
    fn encode(&self, signature: &[u8; 64]) -> Vec<u8> {
        let mut sign1 = self.unsigned();
        sign1.signature = signature.to_vec();
        sign1.to_tagged_vec().expect("a COSE_Sign1 of byte strings always encodes")
    }

    fn unsigned(&self) -> CoseSign1 {
        let header = HeaderBuilder::new().algorithm(iana::Algorithm::EdDSA).build();
        CoseSign1Builder::new().protected(header).payload(write(&self.to_value())).build()
    }

    fn to_value(&self) -> Value {
        let view = &self.view;
        let fields = [
            bytes(&view.group.0),
            Value::from(view.epoch),
            Value::from(view.list.version),
            bytes(&view.list.hash.0),
            bytes(&view.tree_hash),
            Value::Array(view.members.iter().map(|device| bytes(&device.0)).collect()),
            Value::from(self.time),
            pairs(&self.last),
            bytes(&self.previous),
            bytes(&view.authenticator),
        ];
        Value::Map((1_u8..).map(Value::from).zip(fields).collect())
    }

    fn from_value(value: Value) -> Option<Self> {
        // The order of the keys is checked by encoding again.
        let fields: Vec<Value> = value.into_map().ok()?.into_iter().map(|(_, field)| field).collect();
        let [group, epoch, version, hash, tree_hash, members, time, last, previous, authenticator] =
            <[Value; 10]>::try_from(fields).ok()?;
        let view = EpochView {
            group: GroupId(fixed(group)?),
            epoch: number(epoch)?,
            list: ListVersion { version: number(version)?, hash: ListHash(fixed(hash)?) },
            tree_hash: fixed(tree_hash)?,
            members: array(members, MAX_DEVICES, |device| fixed(device).map(DeviceId))?,
            authenticator: fixed(authenticator)?,
        };
        Some(Self {
            view,
            time: number(time)?,
            last: array(last, MAX_NAMED, counter)?,
            previous: fixed(previous)?,
        })
    }
}

/// Hash of a camera's access log after one more entry: who began or ended watching, and when, in seconds
/// since the Unix epoch. The log begins with zeros.
#[must_use]
pub fn next_access_head(head: &[u8; 32], device: DeviceId, began: bool, time: u64) -> [u8; 32] {
    Sha256::new()
        .chain_update(b"latchkey access log v1")
        .chain_update(head)
        .chain_update(device.0)
        .chain_update([u8::from(began)])
        .chain_update(time.to_be_bytes())
        .finalize()
        .into()
}

const AAD: &[u8] = b"latchkey epoch record v1";

#[cfg(test)]
mod tests;
