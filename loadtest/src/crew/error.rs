//! Why a crew cannot be founded or changed, whose fault it is, and what ought not to be after a change.

use std::time::Duration;

use latchkey::signaling::SignalingError;
use latchkey_api::problem::ProblemCode;
use latchkey_e2ee::group::GroupError;
use latchkey_e2ee::identity::IdentityError;

use crate::crew::{CameraRef, MemberRef};
use crate::measure::line::Party;

/// Why a crew cannot be founded or changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CrewError {
    /// The plan cannot be.
    #[error("{0}")]
    BadPlan(String),
    /// The server registers households by invite code only.
    #[error(
        "the server registers households by invite code ({detail}): have its operator run `latchkey-server invite-code --uses N` and pass the code on"
    )]
    InviteCode {
        /// The server's own sentence.
        detail: String,
    },
    /// Nobody answers.
    #[error("could not {doing}: {source}")]
    Unreachable {
        /// What was tried.
        doing: &'static str,
        /// Host, and what the network said.
        source: SignalingError,
    },
    /// The server refused.
    #[error("could not {doing}: {source}")]
    Refused {
        /// What was asked.
        doing: &'static str,
        /// Code and sentence of the server.
        source: SignalingError,
    },
    /// What answers is no Latchkey server of this version, or passes on another's words.
    #[error("could not {doing}: {source}")]
    NotOurs {
        /// What was asked.
        doing: &'static str,
        /// What it said.
        source: SignalingError,
    },
    /// The server named no relay, or one whose address is none.
    #[error("the server gave a grant, but no address of a relay to bring it to")]
    NoDoor,
    /// A list that the server took from the admin is not what it gives to cameras.
    #[error("the server took list {version} from an admin and does not give it to cameras")]
    NoList {
        /// The list's version.
        version: u64,
    },
    /// A Welcome that the server took from a camera did not come to its device.
    #[error("the server keeps back a Welcome that it took from the camera: its device cannot join")]
    NoWelcome,
    /// A group refuses: a mistake of this program or of the library, or a server that passes on something else.
    #[error("a device could not {doing}: {source}")]
    Group {
        /// What it did.
        doing: &'static str,
        /// What the group says.
        source: GroupError,
    },
    /// Keys or lists could not be made here.
    #[error("a household could not be made: {0}")]
    NotMade(String),
    /// There is no such camera, member or household, or the two are not of one household.
    #[error("there is no such device in the crew")]
    NoSuchSeat,
}

impl CrewError {
    /// Whose fault it is.
    #[must_use]
    pub fn party(&self) -> Party {
        match self {
            Self::BadPlan(_) | Self::InviteCode { .. } | Self::NoSuchSeat => Party::Caller,
            Self::Unreachable { .. }
            | Self::Refused { .. }
            | Self::NotOurs { .. }
            | Self::NoDoor
            | Self::NoList { .. }
            | Self::NoWelcome => Party::Server,
            Self::Group { .. } | Self::NotMade(_) => Party::Driver,
        }
    }

    /// Returns the code with which the server refused, where it did.
    #[must_use]
    pub fn code(&self) -> Option<ProblemCode> {
        match self {
            Self::Refused { source, .. } => source.code(),
            _ => None,
        }
    }

    /// What the server said while something was done, as ours.
    pub(in crate::crew) fn of(doing: &'static str, source: SignalingError) -> Self {
        match source {
            SignalingError::BadAddress(_) => Self::BadPlan(source.to_string()),
            SignalingError::Unreachable { .. } => Self::Unreachable { doing, source },
            SignalingError::Refused {
                code: ProblemCode::InviteCodeNeeded | ProblemCode::InviteCodeRefused,
                detail,
                ..
            } => Self::InviteCode { detail },
            SignalingError::Refused { .. } => Self::Refused { doing, source },
            _ => Self::NotOurs { doing, source },
        }
    }
}

impl From<IdentityError> for CrewError {
    fn from(error: IdentityError) -> Self {
        Self::NotMade(error.to_string())
    }
}

/// What ought not to be after a removal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CrewFault {
    /// The removed device took the commit and still has keys.
    #[error("device {} of household {} was removed and still has keys", member.member, member.household)]
    KeptKeys {
        /// The device.
        member: MemberRef,
        /// Whose keys.
        camera: CameraRef,
    },
    /// The server still gives the removed device leave to view.
    #[error("device {} of household {} was removed and the server still lets it view", member.member, member.household)]
    StillServed {
        /// The device.
        member: MemberRef,
    },
    /// The server took a list and did not tell the cameras; they looked by themselves after 5 s.
    #[error("the server took a list of household {household} and told no camera of it within 5 s")]
    NotTold {
        /// The household.
        household: u32,
    },
    /// A device that stays did not get the commit that the server took from the camera.
    #[error("device {} of household {} stays, and the server keeps back the camera's commit", member.member, member.household)]
    KeptBack {
        /// The device.
        member: MemberRef,
        /// Of whose group.
        camera: CameraRef,
    },
    /// A device that stays could not follow.
    #[error("device {} of household {} stays and could not follow: {why}", member.member, member.household)]
    LeftBehind {
        /// The device.
        member: MemberRef,
        /// Of whose group.
        camera: CameraRef,
        /// What its group says.
        why: String,
    },
}

impl CrewFault {
    /// Whose fault it is.
    #[must_use]
    pub fn party(&self) -> Party {
        match self {
            Self::StillServed { .. } | Self::NotTold { .. } | Self::KeptBack { .. } => Party::Server,
            Self::KeptKeys { .. } | Self::LeftBehind { .. } => Party::Driver,
        }
    }

    /// Its stable name.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::StillServed { .. } => "removed-still-served",
            Self::NotTold { .. } => "list-not-told",
            Self::KeptBack { .. } => "commit-kept-back",
            Self::KeptKeys { .. } => "removed-kept-keys",
            Self::LeftBehind { .. } => "member-left-behind",
        }
    }
}

/// How long a refusal asks to wait, where it is one of too many requests or of a server that is busy.
pub(in crate::crew) fn asked_to_wait(error: &SignalingError) -> Option<Duration> {
    let SignalingError::Refused { status: 429 | 503, retry_after, .. } = error else { return None };
    Some(retry_after.unwrap_or(WAIT))
}

/// Where the server says to wait but not how long.
const WAIT: Duration = Duration::from_secs(1);
