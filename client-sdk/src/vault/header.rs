//! The readable part of a vault's file: which vault it is, and what unlocks it.
//!
//! ```text
//! header = id (16) | method u8 | of the method:                         integers big endian
//!   1 keyring      nothing: the entry is (service "latchkey", user = id in hex)
//!   2 passphrase   argon2id: memory in KiB u32 | passes u32 | lanes u32 | salt (16)
//!   3 key file     its path in UTF-8; empty: `device.key` in the vault's own folder
//! ```

use std::fmt;
use std::path::{Path, PathBuf};

/// What unlocks a vault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// The keyring of the platform: Secret Service, Keychain, Credential Manager.
    Keyring,
    /// A passphrase, by argon2id.
    Passphrase,
    /// A file with the key in it.
    KeyFile,
}

impl Method {
    /// Returns the word for it on the command line and in settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Keyring => "keyring",
            Self::Passphrase => "passphrase",
            Self::KeyFile => "keyfile",
        }
    }
}

/// What a passphrase costs to try (RFC 9106).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Memory, KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

impl Cost {
    /// Returns whether a file may ask this of a machine; more is damage or malice.
    fn is_bearable(self) -> bool {
        (1..=MAX_LANES).contains(&self.lanes)
            && (8 * self.lanes..=MAX_MEMORY_KIB).contains(&self.memory_kib)
            && (1..=MAX_PASSES).contains(&self.passes)
    }
}

impl Default for Cost {
    /// RFC 9106, section 4, second choice: 64 MiB, 3 passes, 4 lanes.
    fn default() -> Self {
        Self { memory_kib: 64 * 1024, passes: 3, lanes: 4 }
    }
}

/// The random name of one vault under one key; a new one with every change of the key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct VaultId(pub(super) [u8; 16]);

impl fmt::Display for VaultId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Which vault a file is, and what unlocks it.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) id: VaultId,
    pub(super) way: Way,
}

/// A [`Method`] with what it needs to be used again.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Way {
    Keyring,
    Passphrase {
        cost: Cost,
        salt: [u8; 16],
    },
    KeyFile {
        /// Where it is when not beside the vault.
        apart: Option<PathBuf>,
    },
}

impl Header {
    pub(super) fn method(&self) -> Method {
        match self.way {
            Way::Keyring => Method::Keyring,
            Way::Passphrase { .. } => Method::Passphrase,
            Way::KeyFile { .. } => Method::KeyFile,
        }
    }

    /// Returns where the key file of a vault in `dir` is, if it has one.
    pub(super) fn key_file(&self, dir: &Path) -> Option<PathBuf> {
        match &self.way {
            Way::KeyFile { apart: Some(path) } => Some(path.clone()),
            Way::KeyFile { apart: None } => Some(dir.join(KEY_FILE)),
            _ => None,
        }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = self.id.0.to_vec();
        match &self.way {
            Way::Keyring => bytes.push(1),
            Way::Passphrase { cost, salt } => {
                bytes.push(2);
                for number in [cost.memory_kib, cost.passes, cost.lanes] {
                    bytes.extend_from_slice(&number.to_be_bytes());
                }
                bytes.extend_from_slice(salt);
            }
            Way::KeyFile { apart } => {
                bytes.push(3);
                let path = apart.as_deref().and_then(Path::to_str);
                bytes.extend_from_slice(path.unwrap_or_default().as_bytes());
            }
        }
        bytes
    }

    /// Reads a header. Fails with what is wrong with it.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, &'static str> {
        let (id, rest) = bytes.split_first_chunk::<16>().ok_or("its header is cut off")?;
        let (method, rest) = rest.split_first().ok_or("its header is cut off")?;
        let way = match method {
            1 if rest.is_empty() => Way::Keyring,
            2 => passphrase(rest)?,
            3 => {
                let path = std::str::from_utf8(rest).map_err(|_| "its header is not text")?;
                Way::KeyFile { apart: Some(path).filter(|path| !path.is_empty()).map(PathBuf::from) }
            }
            _ => return Err("its header names a way to unlock that this version does not know"),
        };
        Ok(Self { id: VaultId(*id), way })
    }
}

fn passphrase(bytes: &[u8]) -> Result<Way, &'static str> {
    let bytes: &[u8; 28] = bytes.try_into().map_err(|_| "its header is cut off")?;
    let number = |at: usize| bytes[at..at + 4].iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte));
    let cost = Cost { memory_kib: number(0), passes: number(4), lanes: number(8) };
    if !cost.is_bearable() {
        return Err("its header asks for more memory or time than any vault does");
    }
    let mut salt = [0; 16];
    salt.copy_from_slice(&bytes[12..]);
    Ok(Way::Passphrase { cost, salt })
}

/// The name of a key file beside its vault.
pub(super) const KEY_FILE: &str = "device.key";
const MAX_MEMORY_KIB: u32 = 1024 * 1024;
const MAX_PASSES: u32 = 64;
const MAX_LANES: u32 = 64;
