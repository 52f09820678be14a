//! Why a frame does not open: the name it is counted under, and the words people read.

use latchkey_e2ee::open::OpenError;

/// Why one frame is not handed on.
pub(super) enum Failure {
    /// Padding: nothing is missing.
    Empty,
    /// Its key may still come.
    UnknownEpoch,
    /// It never will be; the reason is counted under this name.
    Reason(&'static str),
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        Self::Reason(match error {
            OpenError::UnknownEpoch => return Self::UnknownEpoch,
            OpenError::Malformed => "malformed",
            OpenError::NotTheCamera => "not_the_camera",
            OpenError::Replayed => "replayed",
            OpenError::SessionOver => "session_over",
            OpenError::TooManySessions => "too_many_sessions",
            OpenError::AuthenticationFailed => "authentication_failed",
            OpenError::UnknownFormat => "unknown_format",
            _ => "other",
        })
    }
}

/// Returns a reason for failing as people read it.
pub(super) fn words(reason: &str) -> &str {
    match reason {
        "malformed" => "they are not sealed frames of this version",
        "not_the_camera" => "they do not claim to be from the camera",
        "session_over" | "too_many_sessions" => "the camera restarted too often under one key",
        "authentication_failed" => "they are not authentic under the group's key",
        "unknown_format" => "this program is too old for them",
        other => other,
    }
}
