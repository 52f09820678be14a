//! Device names, sealed for the members of a household: the list carries them, the server cannot read them.
//!
//! ```text
//! sealed label = version(1) || nonce(12) || AES-128-GCM(name) || tag(16)     AAD = "latchkey label v1" || household || device
//! ```
//!
//! One key per household, derived from its root when that is made: the twelve words bring the names back when all
//! devices are lost. To a new device it travels sealed, never through the server in clear.
//!
//! The key never changes. A device that was removed keeps it, and can read names that are given later if the server
//! shows it later lists, which an honest one does not. Another key after each removal would have to reach every device
//! that stays, also one that is off for months and one that the twelve words bring back: names are not worth that.
//! What must not reach a removed device, pictures and sound and notes, is under keys of the group, which do change.

use latchkey_api::device_list::MAX_LABEL_BYTES;
use latchkey_api::id::{DeviceId, HouseholdId};
use latchkey_cipher::{NONCE_LEN, PreparedKey, TAG_LEN};
use zeroize::Zeroizing;

use crate::identity::HouseholdRoot;

/// Longest name of a device, in bytes of UTF-8.
pub const MAX_NAME_BYTES: usize = MAX_LABEL_BYTES - OVERHEAD;

/// The key under which a household seals the names of its devices. Erased when dropped.
pub struct LabelKey(Zeroizing<[u8; 16]>);

impl LabelKey {
    /// Draws a new key.
    ///
    /// # Errors
    /// [`LabelError::NoRandomness`] when the operating system gives none.
    pub fn generate() -> Result<Self, LabelError> {
        let mut key = Zeroizing::new([0; 16]);
        getrandom::fill(key.as_mut_slice()).map_err(|_| LabelError::NoRandomness)?;
        Ok(Self(key))
    }

    /// The key that follows from the household's root.
    #[must_use]
    pub fn of_root(root: &HouseholdRoot) -> Self {
        let mut key = Zeroizing::new([0; 16]);
        root.derive(b"household label key v1", key.as_mut_slice());
        Self(key)
    }

    /// The key with these bytes, as an invitation or a vault holds them.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 16]) -> Self {
        Self(Zeroizing::new(*bytes))
    }

    /// The bytes, for an invitation or a vault; erased when dropped.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<[u8; 16]> {
        self.0.clone()
    }
}

/// Seals the name of a device; each call gives different bytes.
///
/// # Errors
/// [`LabelError::TooLong`] above [`MAX_NAME_BYTES`], [`LabelError::NoRandomness`].
pub fn seal_label(
    key: &LabelKey,
    household: HouseholdId,
    device: DeviceId,
    name: &str,
) -> Result<Vec<u8>, LabelError> {
    if name.len() > MAX_NAME_BYTES {
        return Err(LabelError::TooLong);
    }
    let mut nonce = [0; NONCE_LEN];
    getrandom::fill(&mut nonce).map_err(|_| LabelError::NoRandomness)?;
    let mut sealed = Vec::with_capacity(OVERHEAD + name.len());
    sealed.push(VERSION);
    sealed.extend_from_slice(&nonce);
    sealed.extend_from_slice(name.as_bytes());
    let cipher = PreparedKey::new(key.0.as_slice()).map_err(|_| LabelError::NotReadable)?;
    let tag = cipher
        .seal(&nonce, &context(household, device), &mut sealed[1 + NONCE_LEN..])
        .map_err(|_| LabelError::NotReadable)?;
    sealed.extend_from_slice(&tag);
    Ok(sealed)
}

/// Opens the sealed name of a device.
///
/// # Errors
/// [`LabelError::NotReadable`] when it was not sealed under this key for this device.
pub fn open_label(
    key: &LabelKey,
    household: HouseholdId,
    device: DeviceId,
    sealed: &[u8],
) -> Result<String, LabelError> {
    let (&[version], rest) = sealed.split_first_chunk::<1>().ok_or(LabelError::NotReadable)?;
    let (nonce, body) = rest.split_first_chunk::<NONCE_LEN>().ok_or(LabelError::NotReadable)?;
    if version != VERSION {
        return Err(LabelError::NotReadable);
    }
    let mut name = body.to_vec();
    let cipher = PreparedKey::new(key.0.as_slice()).map_err(|_| LabelError::NotReadable)?;
    let len =
        cipher.open(nonce, &context(household, device), &mut name).map_err(|_| LabelError::NotReadable)?;
    name.truncate(len);
    String::from_utf8(name).map_err(|_| LabelError::NotReadable)
}

/// A label cannot be sealed or opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LabelError {
    /// The caller's name is longer than [`MAX_NAME_BYTES`].
    #[error("the name is longer than {MAX_NAME_BYTES} bytes")]
    TooLong,
    /// The label was not sealed under this key, or for another device.
    #[error("the label cannot be read with this household's label key")]
    NotReadable,
    /// The operating system gave no random bytes.
    #[error("the operating system gives no random bytes")]
    NoRandomness,
}

fn context(household: HouseholdId, device: DeviceId) -> [u8; 49] {
    let mut context = [0; 49];
    context[..17].copy_from_slice(b"latchkey label v1");
    context[17..33].copy_from_slice(&household.0);
    context[33..].copy_from_slice(&device.0);
    context
}

const VERSION: u8 = 1;
const OVERHEAD: usize = 1 + NONCE_LEN + TAG_LEN;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const HOUSEHOLD: HouseholdId = HouseholdId([1; 16]);
    const DEVICE: DeviceId = DeviceId([2; 16]);

    #[test]
    fn a_name_comes_back_and_never_shows() {
        let key = LabelKey::generate().unwrap();
        let name = "Großmutters Küche";
        let sealed = seal_label(&key, HOUSEHOLD, DEVICE, name).unwrap();
        assert_eq!(open_label(&key, HOUSEHOLD, DEVICE, &sealed).unwrap(), name);
        assert!(!sealed.windows(4).any(|window| name.as_bytes().windows(4).any(|part| part == window)));
        assert_ne!(seal_label(&key, HOUSEHOLD, DEVICE, name).unwrap(), sealed);
    }

    #[test]
    fn another_key_device_household_or_bit_is_refused() {
        let key = LabelKey::from_bytes(&[7; 16]);
        let sealed = seal_label(&key, HOUSEHOLD, DEVICE, "door").unwrap();
        let other = LabelKey::from_bytes(&[8; 16]);
        assert_eq!(open_label(&other, HOUSEHOLD, DEVICE, &sealed), Err(LabelError::NotReadable));
        assert_eq!(open_label(&key, HOUSEHOLD, DeviceId([3; 16]), &sealed), Err(LabelError::NotReadable));
        assert_eq!(open_label(&key, HouseholdId([3; 16]), DEVICE, &sealed), Err(LabelError::NotReadable));
        for at in 0..sealed.len() {
            let mut bent = sealed.clone();
            bent[at] ^= 1;
            assert_eq!(open_label(&key, HOUSEHOLD, DEVICE, &bent), Err(LabelError::NotReadable), "byte {at}");
        }
        assert_eq!(open_label(&key, HOUSEHOLD, DEVICE, &sealed[..20]), Err(LabelError::NotReadable));
    }

    #[test]
    fn the_root_brings_its_key_back() {
        let (root, phrase) = HouseholdRoot::generate().unwrap();
        let sealed = seal_label(&LabelKey::of_root(&root), HOUSEHOLD, DEVICE, "door").unwrap();
        let again = LabelKey::of_root(&HouseholdRoot::from_phrase(phrase.words()).unwrap());
        assert_eq!(open_label(&again, HOUSEHOLD, DEVICE, &sealed).unwrap(), "door");
        let other = LabelKey::of_root(&HouseholdRoot::generate().unwrap().0);
        assert_eq!(open_label(&other, HOUSEHOLD, DEVICE, &sealed), Err(LabelError::NotReadable));
    }

    #[test]
    fn the_longest_name_just_fits_a_list() {
        let key = LabelKey::from_bytes(&[7; 16]);
        let longest = "x".repeat(MAX_NAME_BYTES);
        assert_eq!(seal_label(&key, HOUSEHOLD, DEVICE, &longest).unwrap().len(), MAX_LABEL_BYTES);
        let longer = "x".repeat(MAX_NAME_BYTES + 1);
        assert_eq!(seal_label(&key, HOUSEHOLD, DEVICE, &longer), Err(LabelError::TooLong));
    }
}
