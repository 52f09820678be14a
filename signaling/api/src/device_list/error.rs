//! Why a device list is refused.

use super::Signer;
use crate::id::DeviceId;

/// A device list is refused. Unless a variant says otherwise the fault is with whoever made the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ListError {
    /// More bytes than [`super::MAX_LIST_BYTES`].
    #[error("the device list has {bytes} bytes, more than a list may have")]
    TooLarge {
        /// How many it has.
        bytes: usize,
    },
    /// Not a COSE_Sign1 of a device list.
    #[error("not a signed device list")]
    Malformed,
    /// It says the same as a list would, but in other bytes than the deterministic encoding.
    #[error("the device list is not deterministically encoded")]
    NotDeterministic,
    /// The root public key is not a usable Ed25519 key.
    #[error("the household root key is not a usable Ed25519 key")]
    BadRootKey,
    /// It belongs to another household.
    #[error("the device list is of another household")]
    WrongHousehold,
    /// Not the version after the present one. The list may be good, but lists before it are missing.
    #[error("the device list has version {found}, expected {expected}")]
    WrongVersion {
        /// The version that can be accepted next.
        expected: u64,
        /// The version it has.
        found: u64,
    },
    /// Its parents do not name the list before it.
    #[error("the device list does not follow the one before it")]
    WrongParent,
    /// The chain has seen two histories, and the list names only one of them as parent.
    #[error("the device list does not join the two histories that were seen")]
    HistoriesNotJoined,
    /// A second, validly signed list of a version that was accepted already: the server or an admin shows
    /// two histories.
    #[error("two different device lists of version {version} are signed: somebody shows two histories")]
    TwoHistories {
        /// The version of both.
        version: u64,
        /// Who signed the list of the chain, and who signed the other.
        signers: [Signer; 2],
    },
    /// Version 1 is not signed by the root.
    #[error("the first device list is not signed by the household root")]
    FirstNotByRoot,
    /// The root signed a later list that is not a recovery, or a device signed one that claims to be.
    #[error("the household root signs the first list and recoveries only")]
    RootOutOfPlace,
    /// The signer is not in the list before.
    #[error("the signer is not on the device list before")]
    UnknownSigner,
    /// The signer is in the list before, but not as an admin.
    #[error("the signer is not an admin of the device list before")]
    SignerNotAdmin,
    /// The signer's entry in the list before is not valid at the time of signing.
    #[error("the signer was not valid when it signed")]
    SignerExpired,
    /// The signature does not verify.
    #[error("the signature of the device list is wrong")]
    BadSignature,
    /// It claims to be older than the list before.
    #[error("the device list is dated before the one it follows")]
    TimeRunsBackwards,
    /// It is dated more than a day after now.
    #[error("the device list is dated in the future")]
    FromTheFuture,
    /// It names more than [`super::MAX_DEVICES`] devices or [`super::MAX_GENERATIONS`] generations.
    #[error("the device list names too many devices")]
    TooManyDevices,
    /// Devices, cameras of a device, or generations are not in ascending order, or one is there twice.
    #[error("ids in the device list are not in ascending order")]
    IdsNotAscending,
    /// Two devices share a key, or a device uses one key for both purposes.
    #[error("a key is on the device list twice")]
    KeyTwice,
    /// A signature key is not a usable Ed25519 key, or an enrolment key is not a usable X25519 key.
    #[error("a key of {0:?} is not usable")]
    BadKey(DeviceId),
    /// A lifetime ends before it begins.
    #[error("the lifetime of {0:?} ends before it begins")]
    BadLifetime(DeviceId),
    /// A label is longer than [`super::MAX_LABEL_BYTES`].
    #[error("the label of {0:?} is too long")]
    LabelTooLong(DeviceId),
    /// A camera has rights or an end, or names cameras.
    #[error("the camera {0:?} has rights or a limit")]
    CameraWithRights(DeviceId),
    /// An admin's entry ends or is limited to some cameras.
    #[error("the admin {0:?} has a limit")]
    LimitedAdmin(DeviceId),
    /// A guest names no cameras, has no end, or stays longer than [`super::MAX_GUEST_SECONDS`].
    #[error("the guest {0:?} has no cameras or no end within 30 days")]
    UnlimitedGuest(DeviceId),
    /// A device may use a camera that is not listed.
    #[error("{0:?} names a camera that is not listed")]
    UnknownCamera(DeviceId),
    /// A device that should be removed is not listed. The caller's mistake.
    #[error("{0:?} is not listed")]
    UnknownDevice(DeviceId),
    /// Nobody on the list is an admin.
    #[error("the device list names no admin")]
    NoAdmin,
    /// A listed camera has no generation, or a remembered generation was dropped.
    #[error("the generation of the camera {0:?} is missing")]
    GenerationMissing(DeviceId),
    /// A generation fell, or did not rise although the camera is listed anew.
    #[error("the generation of the camera {0:?} did not rise")]
    GenerationNotRaised(DeviceId),
    /// A device changed its keys or became a camera or stopped being one: it must come as a new device.
    #[error("{0:?} changed its keys or its kind")]
    ChangedIdentity(DeviceId),
}
