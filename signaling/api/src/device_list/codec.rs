//! A device list as bytes: COSE_Sign1 over deterministic CBOR, written in exactly one way.

use ciborium::Value;
use coset::{CoseSign1, CoseSign1Builder, HeaderBuilder, TaggedCborSerializable as _, iana};
use ed25519_dalek::{Signature, VerifyingKey};
use sha2::{Digest as _, Sha256};

use super::{
    CameraGeneration, DeviceEntry, DeviceList, ListError, ListHash, MAX_LIST_BYTES, Reason, Rights, Role,
    Signer,
};
use crate::id::{DeviceId, HouseholdId};

/// A signed list that was read and is deterministically encoded, but not yet verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedList {
    list: DeviceList,
    signature: [u8; 64],
    bytes: Vec<u8>,
}

impl SignedList {
    /// Joins a list and the signature over its [`DeviceList::signing_input`].
    #[must_use]
    pub fn assemble(list: DeviceList, signature: [u8; 64]) -> Self {
        let bytes = encode(&list, &signature);
        Self { list, signature, bytes }
    }

    /// Reads a signed list.
    ///
    /// # Errors
    /// [`ListError::TooLarge`], [`ListError::Malformed`] or [`ListError::NotDeterministic`].
    pub fn parse(bytes: &[u8]) -> Result<Self, ListError> {
        if bytes.len() > MAX_LIST_BYTES {
            return Err(ListError::TooLarge { bytes: bytes.len() });
        }
        let sign1 = CoseSign1::from_tagged_slice(bytes).map_err(|_| ListError::Malformed)?;
        let payload = sign1.payload.as_deref().ok_or(ListError::Malformed)?;
        let list = read_list(payload).ok_or(ListError::Malformed)?;
        let signature = <[u8; 64]>::try_from(sign1.signature.as_slice()).map_err(|_| ListError::Malformed)?;
        if encode(&list, &signature) != bytes {
            return Err(ListError::NotDeterministic);
        }
        Ok(Self { list, signature, bytes: bytes.to_vec() })
    }

    /// The list. Nothing has verified it yet.
    #[must_use]
    pub fn list(&self) -> &DeviceList {
        &self.list
    }

    /// The bytes as they travel and rest.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// SHA-256 of the bytes.
    #[must_use]
    pub fn hash(&self) -> ListHash {
        ListHash(Sha256::digest(&self.bytes).into())
    }

    /// Verifies the signature under the key that should have made it.
    pub(super) fn verify(&self, key: &VerifyingKey) -> Result<(), ListError> {
        let signature = Signature::from_bytes(&self.signature);
        key.verify_strict(&self.list.signing_input(), &signature).map_err(|_| ListError::BadSignature)
    }
}

impl DeviceList {
    /// The bytes that the signer signs with Ed25519: the Sig_structure of RFC 9052 section 4.4.
    #[must_use]
    pub fn signing_input(&self) -> Vec<u8> {
        unsigned(self).tbs_data(AAD)
    }
}

fn encode(list: &DeviceList, signature: &[u8; 64]) -> Vec<u8> {
    let mut sign1 = unsigned(list);
    sign1.signature = signature.to_vec();
    sign1.to_tagged_vec().expect("a COSE_Sign1 of byte strings always encodes")
}

fn unsigned(list: &DeviceList) -> CoseSign1 {
    let mut payload = Vec::new();
    ciborium::into_writer(&write_list(list), &mut payload).expect("writing to a Vec does not fail");
    let header = HeaderBuilder::new().algorithm(iana::Algorithm::EdDSA).build();
    CoseSign1Builder::new().protected(header).payload(payload).build()
}

fn write_list(list: &DeviceList) -> Value {
    let signer = match list.signer {
        Signer::Root => Value::Text(ROOT.to_owned()),
        Signer::Device(id) => bytes(&id.0),
    };
    let generations = list.generations.iter();
    let generations = generations.map(|g| Value::Array(vec![bytes(&g.camera.0), Value::from(g.generation)]));
    map(vec![
        (1, bytes(&list.household.0)),
        (2, Value::from(list.version)),
        (3, Value::Array(list.parents.iter().map(|hash| bytes(&hash.0)).collect())),
        (4, Value::from(list.issued_at)),
        (5, signer),
        (6, Value::Array(list.devices.iter().map(write_entry).collect())),
        (7, Value::Array(generations.collect())),
        (8, Value::from(list.reason as u8)),
    ])
}

fn write_entry(entry: &DeviceEntry) -> Value {
    let cameras = |ids: &Vec<DeviceId>| Value::Array(ids.iter().map(|id| bytes(&id.0)).collect());
    let mut fields = vec![
        (1, bytes(&entry.device.0)),
        (2, Value::from(entry.role as u8)),
        (3, bytes(&entry.mls_public)),
        (4, bytes(&entry.enrol_public)),
        (5, Value::from(entry.not_before)),
    ];
    if let Some(end) = entry.not_after {
        fields.push((6, Value::from(end)));
    }
    fields.push((7, entry.cameras.as_ref().map_or(Value::Null, cameras)));
    fields.push((8, Value::from(entry.rights.bits())));
    fields.push((9, bytes(&entry.label)));
    map(fields)
}

// Reading is lenient about order and integer width: whatever differs from the one encoding is caught by
// encoding again and comparing.

fn read_list(payload: &[u8]) -> Option<DeviceList> {
    let mut fields = read_map(ciborium::from_reader(payload).ok()?, 8)?;
    let signer = match take(&mut fields, 5)? {
        Value::Text(text) if text == ROOT => Signer::Root,
        id => Signer::Device(DeviceId(fixed(id)?)),
    };
    Some(DeviceList {
        household: HouseholdId(fixed(take(&mut fields, 1)?)?),
        version: number(take(&mut fields, 2)?)?,
        parents: array(take(&mut fields, 3)?, |hash| fixed(hash).map(ListHash))?,
        issued_at: number(take(&mut fields, 4)?)?,
        signer,
        devices: array(take(&mut fields, 6)?, read_entry)?,
        generations: array(take(&mut fields, 7)?, read_generation)?,
        reason: Reason::try_from(number(take(&mut fields, 8)?)?).ok()?,
    })
}

fn read_entry(value: Value) -> Option<DeviceEntry> {
    let mut fields = read_map(value, 9)?;
    let not_after = match take(&mut fields, 6) {
        Some(end) => Some(number(end)?),
        None => None,
    };
    let cameras = match take(&mut fields, 7)? {
        Value::Null => None,
        ids => Some(array(ids, |id| fixed(id).map(DeviceId))?),
    };
    Some(DeviceEntry {
        device: DeviceId(fixed(take(&mut fields, 1)?)?),
        role: Role::try_from(number(take(&mut fields, 2)?)?).ok()?,
        mls_public: fixed(take(&mut fields, 3)?)?,
        enrol_public: fixed(take(&mut fields, 4)?)?,
        not_before: number(take(&mut fields, 5)?)?,
        not_after,
        cameras,
        rights: Rights::from_bits(u8::try_from(number(take(&mut fields, 8)?)?).ok()?)?,
        label: take(&mut fields, 9)?.into_bytes().ok()?,
    })
}

fn read_generation(value: Value) -> Option<CameraGeneration> {
    let [camera, generation] = <[Value; 2]>::try_from(value.into_array().ok()?).ok()?;
    Some(CameraGeneration {
        camera: DeviceId(fixed(camera)?),
        generation: u32::try_from(number(generation)?).ok()?,
    })
}

fn map(fields: Vec<(u8, Value)>) -> Value {
    Value::Map(fields.into_iter().map(|(key, value)| (Value::from(key), value)).collect())
}

fn bytes(bytes: &[u8]) -> Value {
    Value::Bytes(bytes.to_vec())
}

/// The fields of a map whose keys are 1 to `last`, by key; `None` when a key is strange or there twice.
fn read_map(value: Value, last: usize) -> Option<Vec<Option<Value>>> {
    let mut fields = vec![None; last];
    for (key, value) in value.into_map().ok()? {
        let at = usize::try_from(number(key)?).ok()?.checked_sub(1)?;
        if fields.get_mut(at)?.replace(value).is_some() {
            return None;
        }
    }
    Some(fields)
}

fn take(fields: &mut [Option<Value>], key: usize) -> Option<Value> {
    fields.get_mut(key - 1)?.take()
}

fn array<T>(value: Value, read: impl FnMut(Value) -> Option<T>) -> Option<Vec<T>> {
    value.into_array().ok()?.into_iter().map(read).collect()
}

fn fixed<const N: usize>(value: Value) -> Option<[u8; N]> {
    value.into_bytes().ok()?.try_into().ok()
}

fn number(value: Value) -> Option<u64> {
    value.into_integer().ok()?.try_into().ok()
}

const ROOT: &str = "root";
const AAD: &[u8] = b"latchkey device list v1";
