//! Why a call did nothing, as the page hears it: a stable code and the sentence of the error.

use std::fmt::Display;

use latchkey_household::camera::publish::PublishError;
use latchkey_household::devices::DevicesError;
use latchkey_household::enrol::{ArrivalError, CodeError, CreateError, InviteError, JoinError, LetInError};
use latchkey_household::follower::FollowError;
use latchkey_household::home::HomeError;
use latchkey_household::recovery::RecoverError;
use latchkey_household::signaling::SignalingError;
use latchkey_household::viewer::watch::WatchError;

use crate::face::Fault;

impl Fault {
    pub(crate) fn new(code: &str, text: impl Display) -> Self {
        Self { code: code.to_owned(), text: text.to_string() }
    }

    /// Nothing is kept here yet.
    pub(crate) fn nobody() -> Self {
        Self::new("nobody", "this browser belongs to no household yet: make one or join one first")
    }

    /// Something is kept here already.
    pub(crate) fn member() -> Self {
        Self::new("member", "this browser is a device of a household already: have it forget that one first")
    }

    /// The page asked for the next step of something that is not under way.
    pub(crate) fn not_under_way() -> Self {
        Self::new("not-under-way", "this is not under way any more: begin it again")
    }

    pub(crate) fn no_session() -> Self {
        Self::new("no-session", "this camera is not being watched any more: open it again")
    }

    pub(crate) fn bad_id(id: &str) -> Self {
        Self::new("bad-id", format!("{id:?} is not the id of a device"))
    }
}

fn of_signaling(error: &SignalingError) -> &'static str {
    match error {
        SignalingError::Unreachable { .. } => "unreachable",
        other => other.code().map_or("server", |code| code.as_str()),
    }
}

fn of_home(error: &HomeError) -> &'static str {
    match error {
        HomeError::Signaling(error) => of_signaling(error),
        HomeError::Vault(_) => "storage",
        HomeError::List(_) => "list-invalid",
        HomeError::RolledBack { .. } => "list-rolled-back",
        HomeError::NotListed => "not-listed",
        _ => "device",
    }
}

fn of_follow(error: &FollowError) -> &'static str {
    match error {
        FollowError::Home(error) => of_home(error),
        _ => "group",
    }
}

fn of_devices(error: &DevicesError) -> &'static str {
    match error {
        DevicesError::Home(error) => of_home(error),
        DevicesError::NotAdmin => "not-admin",
        DevicesError::LastAdmin(_) => "last-admin",
        DevicesError::ClockBehind { .. } | DevicesError::ClockDiffers { .. } => "clock",
        _ => "list",
    }
}

/// Gives each error its code; the sentence is the error's own.
macro_rules! faults {
    ($($error:ty: $code:expr;)*) => {
        $(impl From<$error> for Fault {
            fn from(error: $error) -> Self {
                let code: fn(&$error) -> &'static str = $code;
                Self::new(code(&error), &error)
            }
        })*
    };
}

faults! {
    SignalingError: of_signaling;
    HomeError: of_home;
    DevicesError: of_devices;
    CodeError: |_| "code";
    CreateError: |error| match error {
        CreateError::Home(error) => of_home(error),
        _ => "name",
    };
    JoinError: |error| match error {
        JoinError::Home(error) => of_home(error),
        JoinError::Used => "code-used",
        _ => "no-answer",
    };
    RecoverError: |error| match error {
        RecoverError::Home(error) => of_home(error),
        RecoverError::Words(_) => "words",
        RecoverError::UnknownHousehold => "unknown-household",
        _ => "name",
    };
    ArrivalError: |error| match error {
        ArrivalError::Home(error) => of_home(error),
        _ => "enrolment",
    };
    InviteError: |error| match error {
        InviteError::Home(error) => of_home(error),
        InviteError::NotAdmin => "not-admin",
        InviteError::List(error) => of_devices(error),
        InviteError::Terms(_) => "terms",
        _ => "invite",
    };
    LetInError: |error| match error {
        LetInError::Home(error) => of_home(error),
        LetInError::List(error) => of_devices(error),
        LetInError::Elsewhere { .. } => "elsewhere",
        _ => "enrolment",
    };
    WatchError: |error| match error {
        WatchError::Follow(error) => of_follow(error),
        WatchError::NotAllowed => "not-allowed",
        _ => "watch",
    };
    PublishError: |error| match error {
        PublishError::Follow(error) => of_follow(error),
        _ => "not-a-camera",
    };
}
