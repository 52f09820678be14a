//! How a command ends badly: one sentence, and whether the person can fix it.

use std::fmt;
use std::process::ExitCode;

use latchkey_api::problem::ProblemCode;
use latchkey_e2ee::enrol::{AdminError, NewDeviceError, OfferError};
use latchkey_household::devices::DevicesError;
use latchkey_household::reach::without_numbers;
use latchkey_household::signaling::SignalingError;

use crate::camera::CameraError;
use crate::cli::commands::with_commands;
use crate::handover::ResetError;
use crate::home::HomeError;
use crate::household::{ArrivalError, CodeError, CreateError, InviteError, JoinError, LetInError};
use crate::recovery::RecoverError;
use crate::sink::SinkError;
use crate::source::error::SourceError;
use crate::vault::VaultError;
use crate::viewer::ViewerError;

/// One sentence that says what is wrong and what to do.
#[derive(Debug)]
pub(super) struct Failure {
    sentence: String,
    /// Exit code 2: what was given cannot be used as it is. Else 1.
    usage: bool,
}

impl Failure {
    /// The person can fix it by saying or preparing something else.
    pub(super) fn usage(sentence: impl Into<String>) -> Self {
        Self { sentence: sentence.into(), usage: true }
    }

    /// Anything else: the network, the server, the machine.
    pub(super) fn other(sentence: impl Into<String>) -> Self {
        Self { sentence: sentence.into(), usage: false }
    }

    /// Returns the exit code.
    pub(super) fn code(&self) -> ExitCode {
        ExitCode::from(if self.usage { 2 } else { 1 })
    }

    fn of(error: &impl fmt::Display, usage: bool) -> Self {
        Self { sentence: error.to_string(), usage }
    }
}

impl fmt::Display for Failure {
    /// One line, without the numbers that operating systems give their errors.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&plain(&self.sentence))
    }
}

/// Returns a sentence as people read it here: one line, without ` (os error 2)`, and with the commands that do what it says.
pub(super) fn plain(sentence: &str) -> String {
    with_commands(&without_numbers(&sentence.lines().map(str::trim).collect::<Vec<_>>().join(" ")))
}

impl From<VaultError> for Failure {
    fn from(error: VaultError) -> Self {
        Self::of(&error, vault_usage(&error))
    }
}

impl From<SignalingError> for Failure {
    fn from(error: SignalingError) -> Self {
        if error.code() == Some(ProblemCode::SignInFailed) {
            return Self::other(
                "the server does not let this device in: it was removed from the household, or the server is another one; ask an admin for a new invite and join with a new --home",
            );
        }
        Self::of(&error, matches!(error, SignalingError::BadAddress(_) | SignalingError::NoTls(_)))
    }
}

impl From<HomeError> for Failure {
    fn from(error: HomeError) -> Self {
        if let HomeError::Signaling(error) = error {
            return error.into();
        }
        Self::of(&error, home_usage(&error))
    }
}

impl From<CreateError> for Failure {
    fn from(error: CreateError) -> Self {
        let usage = match &error {
            CreateError::Home(home) => home_usage(home),
            _ => true,
        };
        Self::of(&error, usage)
    }
}

impl From<DevicesError> for Failure {
    fn from(error: DevicesError) -> Self {
        match error {
            DevicesError::Home(home) => home.into(),
            other => Self::of(&other, true),
        }
    }
}

impl From<RecoverError> for Failure {
    fn from(error: RecoverError) -> Self {
        let usage = match &error {
            RecoverError::Home(home) => home_usage(home),
            _ => true,
        };
        Self::of(&error, usage)
    }
}

impl From<ResetError> for Failure {
    fn from(error: ResetError) -> Self {
        let usage = match &error {
            ResetError::Home(home) => home_usage(home),
            ResetError::NotErased(_) => false,
            ResetError::NotACamera(_) => true,
        };
        Self::of(&error, usage)
    }
}

impl From<InviteError> for Failure {
    fn from(error: InviteError) -> Self {
        let usage = match &error {
            InviteError::Home(home) => home_usage(home),
            InviteError::TooLate | InviteError::TooManyTries => false,
            _ => true,
        };
        Self::of(&error, usage)
    }
}

impl From<CodeError> for Failure {
    fn from(error: CodeError) -> Self {
        Self::of(&error, true)
    }
}

impl From<JoinError> for Failure {
    fn from(error: JoinError) -> Self {
        let usage = match &error {
            JoinError::Home(home) => home_usage(home),
            _ => true,
        };
        Self::of(&error, usage)
    }
}

impl From<ArrivalError> for Failure {
    fn from(error: ArrivalError) -> Self {
        match error {
            ArrivalError::Home(home) => home.into(),
            other => {
                let usage = matches!(
                    other,
                    ArrivalError::Enrolment(
                        NewDeviceError::Expired
                            | NewDeviceError::DigitsDiffer
                            | NewDeviceError::ClockOff { .. }
                            | NewDeviceError::Unusable
                    ) | ArrivalError::Offer(OfferError::BadServer)
                );
                Self::of(&other, usage)
            }
        }
    }
}

impl From<LetInError> for Failure {
    fn from(error: LetInError) -> Self {
        match error {
            LetInError::Home(home) => home.into(),
            LetInError::List(list) => list.into(),
            other => {
                let theirs = matches!(
                    other,
                    LetInError::Enrolment(
                        AdminError::KeysSwapped
                            | AdminError::TooManyTries
                            | AdminError::NoAnswer
                            | AdminError::NoRandomness
                    )
                );
                Self::of(&other, !theirs)
            }
        }
    }
}

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Self {
        Self::of(&error, true)
    }
}

impl From<SinkError> for Failure {
    fn from(error: SinkError) -> Self {
        Self::of(&error, true)
    }
}

impl From<CameraError> for Failure {
    fn from(error: CameraError) -> Self {
        match error {
            CameraError::Home(home) => home.into(),
            CameraError::Source(source) => source.into(),
            other => Self::of(&other, matches!(other, CameraError::NotACamera)),
        }
    }
}

impl From<ViewerError> for Failure {
    fn from(error: ViewerError) -> Self {
        match error {
            ViewerError::Home(home) => home.into(),
            ViewerError::Sink(sink) => sink.into(),
            other => Self::of(&other, matches!(other, ViewerError::IsACamera)),
        }
    }
}

fn vault_usage(error: &VaultError) -> bool {
    !matches!(error, VaultError::Io { .. })
}

fn home_usage(error: &HomeError) -> bool {
    match error {
        HomeError::Vault(_) => VaultError::of(error).is_none_or(vault_usage),
        HomeError::Signaling(SignalingError::BadAddress(_)) | HomeError::Camera(_) | HomeError::NotListed => {
            true
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_are_one_line_without_numbers_of_the_system() {
        let sentence = "cannot read a (b): No such file or directory (os error 2); check\n  it (os error";
        assert_eq!(plain(sentence), "cannot read a (b): No such file or directory; check it (os error");
        assert_eq!(plain("refused (os error 111)): try"), "refused): try");
    }
}
