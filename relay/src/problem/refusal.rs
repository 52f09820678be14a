//! The one table from what can go wrong inside to what the client is told.

use std::time::Duration;

use latchkey_wire::grant::GrantError;

use crate::admission::Refusal;
use crate::admission::crowd::CrowdError;
use crate::admission::single_use::UseError;
use crate::problem::{Problem, ProblemCode};
use crate::sdp::fragment::FragmentError;
use crate::sdp::negotiate::NegotiationError;
use crate::sdp::offer::OfferError;
use crate::shard::command::CommandError;
use crate::shard::command::join::JoinError;
use crate::shard::end::{EndReason, SessionEnd};

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let (code, what_to_do) = match refusal {
            Refusal::Missing => {
                (ProblemCode::GrantMissing, "send it as Authorization: Bearer, never in the URL")
            }
            Refusal::Grant(error) => return grant_problem(error),
            Refusal::Cut => (
                ProblemCode::DeviceCut,
                "ask signaling for a new grant; it decides whether this device may come back",
            ),
            Refusal::Use(UseError::Used) => {
                (ProblemCode::GrantUsed, "each opens one session: ask signaling for a new one")
            }
            Refusal::Use(UseError::Full)
            | Refusal::Crowd(CrowdError::Rooms | CrowdError::Sessions | CrowdError::Viewers) => {
                let detail = format!("{refusal}: try again, or ask signaling for another relay");
                return Self::new(ProblemCode::RelayFull, detail).retry_after(FULL_WAIT);
            }
            Refusal::Crowd(CrowdError::Device) => {
                let detail = format!("{refusal}: end one of them first (DELETE)");
                return Self::new(ProblemCode::DeviceLimit, detail).retry_after(FULL_WAIT);
            }
        };
        Self::new(code, format!("{refusal}: {what_to_do}"))
    }
}

fn grant_problem(error: GrantError) -> Problem {
    let (code, what_to_do) = match error {
        GrantError::Room => {
            (ProblemCode::GrantOtherRoom, "ask signaling for a grant for the room in the URL")
        }
        GrantError::Scope => {
            (ProblemCode::GrantScope, "publish needs scope publish, viewing needs scope view")
        }
        GrantError::Expired => {
            (ProblemCode::GrantExpired, "grants open the door for a minute: ask signaling for a new one")
        }
        GrantError::NotYet => (ProblemCode::GrantExpired, "set the clocks of signaling and relay"),
        _ => (
            ProblemCode::GrantInvalid,
            "ask signaling for a grant for this relay; only EdDSA by a configured key counts",
        ),
    };
    Problem::new(code, format!("{error}: {what_to_do}"))
}

impl From<OfferError> for Problem {
    fn from(error: OfferError) -> Self {
        let code = if error.is_malformed() { ProblemCode::SdpMalformed } else { ProblemCode::SdpUnusable };
        Self::new(code, error.to_string())
    }
}

impl From<NegotiationError> for Problem {
    fn from(error: NegotiationError) -> Self {
        let code = match error {
            NegotiationError::NothingToPublish | NegotiationError::NothingToView { .. } => {
                ProblemCode::NoCommonCodec
            }
            NegotiationError::NoRandomness => ProblemCode::Internal,
        };
        Self::new(code, error.to_string())
    }
}

impl From<FragmentError> for Problem {
    fn from(error: FragmentError) -> Self {
        Self::new(ProblemCode::FragmentMalformed, error.to_string())
    }
}

impl From<JoinError> for Problem {
    fn from(error: JoinError) -> Self {
        let (code, what_to_do, wait) = match error {
            JoinError::NoPublisher => {
                (ProblemCode::NoPublisher, "it left just now: ask signaling for a new grant", Some(SOON))
            }
            JoinError::RoomTaken => {
                (ProblemCode::RoomTaken, "a room has one publisher: end that session first", None)
            }
            JoinError::NoCommonMedia => {
                (ProblemCode::NoCommonCodec, "make the offer anew: the room changed meanwhile", Some(SOON))
            }
            JoinError::CutOff => (ProblemCode::DeviceCut, "ask signaling for a new grant", None),
            JoinError::Expired => (ProblemCode::GrantExpired, "ask signaling for a new grant", None),
            JoinError::Unusable(_) => (ProblemCode::SdpUnusable, "change the offer", None),
            JoinError::Full => (ProblemCode::RelayFull, "ask signaling for another relay", Some(FULL_WAIT)),
            JoinError::Draining => {
                (ProblemCode::Draining, "ask signaling for another relay", Some(FULL_WAIT))
            }
            _ => (ProblemCode::Unavailable, "try again", Some(SOON)),
        };
        let problem = Self::new(code, format!("{error}: {what_to_do}"));
        wait.map_or(problem.clone(), |wait| problem.retry_after(wait))
    }
}

impl From<CommandError> for Problem {
    fn from(error: CommandError) -> Self {
        match error {
            CommandError::UnknownSession => Self::new(ProblemCode::NoSession, "the session has just ended"),
            CommandError::Ended(reason) => ended(reason, None),
            _ => Self::new(ProblemCode::Unavailable, format!("{error}: try again")).retry_after(SOON),
        }
    }
}

impl From<SessionEnd> for Problem {
    fn from(end: SessionEnd) -> Self {
        ended(end.reason, end.detail.as_deref())
    }
}

fn ended(reason: EndReason, detail: Option<&str>) -> Problem {
    let what = detail.map_or_else(|| reason.to_string(), str::to_owned);
    let (code, what_to_do) = match reason {
        EndReason::NotSealed => (
            ProblemCode::FramesNotSealed,
            "this relay forwards SFrame (RFC 9605) behind a Latchkey envelope only; publish with a Latchkey client",
        ),
        EndReason::CutOff => (ProblemCode::SessionEnded, "ask signaling whether this device may come back"),
        EndReason::MediaChanged => (ProblemCode::SessionEnded, "join again with a new offer"),
        EndReason::PublisherGone => (ProblemCode::SessionEnded, "join again when the room is live"),
        EndReason::IceFailed => {
            (ProblemCode::SessionEnded, "check that UDP reaches the addresses in the answer, then join again")
        }
        EndReason::Shutdown => (ProblemCode::SessionEnded, "ask signaling for another relay"),
        _ => (ProblemCode::SessionEnded, "join again with a new grant"),
    };
    Problem::new(code, format!("{what}: {what_to_do}")).with_reason(reason.label())
}

const SOON: Duration = Duration::from_secs(1);
const FULL_WAIT: Duration = Duration::from_secs(5);
