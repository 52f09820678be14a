//! Why a group refuses, and why an operation on it fails.

use latchkey_api::id::DeviceId;
use mls_rs::error::{IntoAnyError, MlsError};

/// A rule of the household is broken. The fault is with whoever made the commit, Welcome or key package.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The GroupContext does not name a list, or carries other extensions beside.
    #[error("the group does not name a device list")]
    ListNotNamed,
    /// The list it names is newer than the ones this device has: fetch lists, then try again.
    #[error("the group names device list {version}, which is not known here")]
    UnknownList {
        /// The version it names.
        version: u64,
    },
    /// The list it names has another hash than the one of that version that was verified here.
    #[error("the group names another device list {version} than the one verified here")]
    ListMismatch {
        /// The version it names.
        version: u64,
    },
    /// The commit names an older list than the group did.
    #[error("the device list of the group fell from version {from} to {to}")]
    ListFell {
        /// The version before.
        from: u64,
        /// The version the commit names.
        to: u64,
    },
    /// The commit is dated before the last one.
    #[error("the time of the group runs backwards")]
    TimeFell,
    /// An admin's commit is dated later than the group and the list it names.
    #[error("an admin moved the time of the group")]
    TimeMoved,
    /// A commit without a new list reference, or with more than one.
    #[error("the commit does not renew the device list of the group")]
    ListNotRenewed,
    /// The list does not name the camera, or names another generation: the group is over.
    #[error("the group is closed: its camera is gone or founded a new one")]
    GroupClosed,
    /// The group id is not that of this camera.
    #[error("the group is not the camera's")]
    WrongGroup,
    /// A leaf's credential is not a household and a device id.
    #[error("a credential is not of our form")]
    BadCredential,
    /// A leaf belongs to another household.
    #[error("a credential is of another household")]
    OtherHousehold,
    /// A leaf's device is not on the list.
    #[error("{0:?} is not on the device list")]
    NotListed(DeviceId),
    /// A leaf's signature key is not the one the list has for the device.
    #[error("{0:?} does not have the key that the device list has for it")]
    WrongKey(DeviceId),
    /// The list does not give the device the right to see this camera, or not at this time.
    #[error("{0:?} is not entitled to be in this group")]
    NotEntitled(DeviceId),
    /// Leaf 0 is not the camera.
    #[error("the camera is not at leaf 0")]
    CameraNotAtLeafZero,
    /// One device has two leaves.
    #[error("{0:?} is in the group twice")]
    DeviceTwice(DeviceId),
    /// More leaves than a household can have devices.
    #[error("the group has too many members")]
    TooManyMembers,
    /// The committer is neither the camera nor an admin who only removes.
    #[error("{0:?} may not commit this")]
    CommitterNotAllowed(DeviceId),
    /// An admin removes a device that is still entitled.
    #[error("{0:?} is removed although it is still entitled")]
    NeedlessRemoval(DeviceId),
    /// A commit by somebody who is no member.
    #[error("external commits are not allowed")]
    ExternalCommit,
    /// A proposal by somebody who is no member.
    #[error("proposals from outside the group are not allowed")]
    ExternalSender,
    /// A proposal that has no place in our groups: PSK, ReInit, custom, or an add or remove by reference.
    #[error("the proposal is not allowed: {0}")]
    ForbiddenProposal(&'static str),
    /// A member changes its credential or its signature key.
    #[error("a member changes its identity")]
    IdentityChanged,
    /// The Welcome was not made by the camera.
    #[error("the Welcome is not from the camera")]
    WelcomeNotFromCamera,
    /// The Welcome leads back to an epoch before the one that this device has been in.
    #[error("the Welcome leads back to an epoch that is over")]
    WelcomeLeadsBack,
    /// A key package that is not for the device it was claimed for.
    #[error("the key package is not of {0:?}")]
    WrongKeyPackage(DeviceId),
}

impl IntoAnyError for Refusal {
    fn into_dyn_error(self) -> Result<Box<dyn std::error::Error + Send + Sync>, Self> {
        Ok(Box::new(self))
    }
}

/// An operation on a group fails. The group is as it was before.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GroupError {
    /// A rule of the household is broken.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The caller's chain of lists is empty.
    #[error("no device list is known")]
    NoList,
    /// Not an MLS message of a kind that belongs here, or larger than [`super::MAX_MESSAGE_BYTES`].
    #[error("not an MLS message that belongs here")]
    Malformed,
    /// The message is for another group.
    #[error("the message is for another group")]
    OtherGroup,
    /// Messages before this one are missing: fetch them first.
    #[error("the message is of epoch {found}, the group is in epoch {expected}")]
    Gap {
        /// The epoch the group is in.
        expected: u64,
        /// The epoch of the message.
        found: u64,
    },
    /// The commit that holds the place of the present epoch cannot be processed: the fault is with whoever
    /// put it there, and no other can follow. A Refused one is not this: it was understood.
    #[error("the commit that should end epoch {epoch} cannot be processed: {why}")]
    JunkCommit {
        /// The epoch the group is in.
        epoch: u64,
        /// What the library says; holds no key.
        why: String,
    },
    /// A note of the present epoch cannot be opened: it was changed on its way, or its sender is in another
    /// group of this name.
    #[error("a note of epoch {epoch} cannot be opened: it was changed, or the group is forked")]
    UnreadableNote {
        /// The epoch the group is in.
        epoch: u64,
    },
    /// The caller's note is larger than [`crate::note::MAX_NOTE_BYTES`].
    #[error("the note is too large")]
    NoteTooLarge,
    /// Proposals wait for a commit; until then no note can be sent (RFC 9420 section 12.4).
    #[error("a commit has to be made before a note can be sent")]
    CommitFirst,
    /// This device was removed; the group gives no more keys.
    #[error("this device was removed from the group")]
    Removed,
    /// A commit waits for the server's answer: confirm or discard it first.
    #[error("a commit is still waiting for its answer")]
    CommitPending,
    /// There is no commit to confirm.
    #[error("no commit is waiting")]
    NoCommitPending,
    /// The camera started more often in this epoch than sessions can be told apart: commit first.
    #[error("the camera started too often in this epoch")]
    SessionsExhausted,
    /// The operating system gave no random bytes.
    #[error("the operating system gives no random bytes")]
    NoRandomness,
    /// The stored state is not readable. The vault's fault.
    #[error("the stored group state is not readable")]
    Unreadable,
    /// The MLS library refused.
    #[error("MLS: cannot {doing}: {why}")]
    Protocol {
        /// What was being done.
        doing: &'static str,
        /// What the library says; holds no key.
        why: String,
    },
}

/// Turns an error of the library into ours; a refusal by our own hooks comes out as itself.
pub(super) fn mls(doing: &'static str) -> impl FnOnce(MlsError) -> GroupError {
    move |error| {
        let ours = match &error {
            MlsError::IdentityProviderError(any) | MlsError::MlsRulesError(any) => {
                any.inner_dyn_error().downcast_ref::<Refusal>().copied()
            }
            _ => None,
        };
        ours.map_or_else(|| GroupError::Protocol { doing, why: error.to_string() }, GroupError::Refused)
    }
}
