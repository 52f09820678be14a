//! Names of households, devices and groups: random or derived bytes that say nothing about a person.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;

use crate::encoding::{from_text, to_text};

/// The text is not the base64url form of an id of this kind: wrong alphabet or wrong length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an id: expected {expected} bytes as base64url without padding")]
pub struct IdError {
    /// How many bytes an id of this kind has.
    pub expected: usize,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        ///
        /// Text form: base64url without padding. `Debug` shows only its first four characters.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ToSchema)]
        #[schema(value_type = String, format = "base64url")]
        pub struct $name(pub [u8; $len]);

        impl $name {
            /// Length in bytes.
            pub const LEN: usize = $len;

            /// The raw bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }
        }

        impl From<[u8; $len]> for $name {
            fn from(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }
        }

        impl TryFrom<&[u8]> for $name {
            type Error = IdError;

            fn try_from(bytes: &[u8]) -> Result<Self, IdError> {
                bytes.try_into().map(Self).map_err(|_| IdError { expected: $len })
            }
        }

        impl AsRef<[u8]> for $name {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&to_text(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let text = to_text(&self.0);
                write!(f, "{}({}…)", stringify!($name), &text[..4])
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let bytes = from_text(text).map_err(|_| IdError { expected: $len })?;
                Self::try_from(bytes.as_slice())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

id!(
    /// A household: the first 16 bytes of SHA-256("household v1" || root public key).
    HouseholdId,
    16
);
id!(
    /// One device of a household, drawn at random by the device itself. A camera's id is its device id.
    DeviceId,
    16
);
id!(
    /// One MLS group: the camera's device id (16 bytes), then its generation (`u32`, big endian).
    GroupId,
    20
);

impl HouseholdId {
    /// The household that the root key with this Ed25519 public key founds.
    #[must_use]
    pub fn of_root(root_public: &[u8; 32]) -> Self {
        let digest = Sha256::new().chain_update(b"household v1").chain_update(root_public).finalize();
        let mut id = [0; 16];
        id.copy_from_slice(&digest[..16]);
        Self(id)
    }
}

impl GroupId {
    /// The group of this camera in this generation.
    #[must_use]
    pub fn new(camera: DeviceId, generation: u32) -> Self {
        let mut id = [0; 20];
        id[..16].copy_from_slice(&camera.0);
        id[16..].copy_from_slice(&generation.to_be_bytes());
        Self(id)
    }

    /// The camera whose group this is.
    #[must_use]
    pub fn camera(&self) -> DeviceId {
        let mut id = [0; 16];
        id.copy_from_slice(&self.0[..16]);
        DeviceId(id)
    }

    /// How often the camera has founded a group before this one, plus the first number it used.
    #[must_use]
    pub fn generation(&self) -> u32 {
        let mut generation = [0; 4];
        generation.copy_from_slice(&self.0[16..]);
        u32::from_be_bytes(generation)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn text_round_trip_and_length() {
        let id = DeviceId([7; 16]);
        assert_eq!(id.to_string().len(), 22);
        assert_eq!(id.to_string().parse::<DeviceId>().unwrap(), id);
        assert_eq!("AAAA".parse::<DeviceId>(), Err(IdError { expected: 16 }));
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(serde_json::from_str::<DeviceId>(&json).unwrap(), id);
    }

    #[test]
    fn group_names_camera_and_generation() {
        let group = GroupId::new(DeviceId([9; 16]), 0x0102_0304);
        assert_eq!(group.camera(), DeviceId([9; 16]));
        assert_eq!(group.generation(), 0x0102_0304);
        assert_eq!(group.0[16..], [1, 2, 3, 4]);
        assert_eq!(group.to_string().len(), 27);
    }

    #[test]
    fn household_is_the_hash_of_its_root() {
        let digest = Sha256::digest([b"household v1".as_slice(), &[5; 32]].concat());
        assert_eq!(HouseholdId::of_root(&[5; 32]).0, digest[..16]);
    }

    #[test]
    fn debug_shows_four_characters() {
        assert_eq!(format!("{:?}", DeviceId([0; 16])), "DeviceId(AAAA…)");
    }
}
