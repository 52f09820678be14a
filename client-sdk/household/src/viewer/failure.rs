//! Why a frame does not open: the name it is counted under, and the words people read.

use std::time::Duration;

use latchkey_e2ee::open::OpenError;
use web_time::Instant;

/// Why one frame is not handed on.
pub enum Failure {
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
            OpenError::EpochOver => "epoch_over",
            OpenError::Replayed => "replayed",
            OpenError::AuthenticationFailed => "authentication_failed",
            OpenError::UnknownFormat => "unknown_format",
            _ => "other",
        })
    }
}

/// Returns a reason for failing as people read it.
pub fn words(reason: &str) -> &str {
    match reason {
        "malformed" => "they are not sealed frames of this version, or were changed on the way",
        "not_the_camera" => "they do not claim to be from the camera",
        "epoch_over" => "they were sealed after the camera had changed its keys",
        "authentication_failed" => {
            "they are not authentic under the group's key: frame or envelope was changed on the way, or they are of another camera"
        }
        "unknown_format" => "this program is too old for them",
        other => other,
    }
}

/// Watches for frames of which none opens.
#[derive(Debug, Default)]
pub struct Unopened {
    since: Option<Instant>,
    told: bool,
}

impl Unopened {
    /// A frame opened: all is well.
    pub fn opened(&mut self) {
        *self = Self::default();
    }

    /// A frame did not open; returns the sentence to say, once, when none has for long.
    pub fn failed(&mut self, reason: &str, now: Instant) -> Option<&'static str> {
        let since = *self.since.get_or_insert(now);
        if self.told || now.saturating_duration_since(since) < LONG {
            return None;
        }
        self.told = true;
        Some(match reason {
            "unknown_epoch" | "authentication_failed" | "epoch_over" => WRONG_CAMERA,
            "malformed" | "not_the_camera" => CHANGED,
            _ => NOTHING_OPENS,
        })
    }
}

/// How long nothing opens until that is said.
const LONG: Duration = Duration::from_secs(5);
const WRONG_CAMERA: &str = "wrong-camera: for 5 s nothing that comes opens with this camera's keys, so nothing is shown; the relay may be sending another camera's frames or changing them, or the server may be keeping back new keys: ask whoever runs them";
const CHANGED: &str = "changed-frames: for 5 s nothing that comes is a sealed frame of the camera, so nothing is shown; the relay may be changing them: ask whoever runs it";
const NOTHING_OPENS: &str =
    "for 5 s nothing that comes opens, so nothing is shown: update this program, and start the camera anew";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_five_seconds_of_nothing_it_is_said_once() {
        let now = Instant::now();
        let at = |ms| now + Duration::from_millis(ms);
        let mut unopened = Unopened::default();
        assert_eq!(unopened.failed("authentication_failed", at(0)), None);
        assert_eq!(unopened.failed("authentication_failed", at(4900)), None);
        unopened.opened();
        assert_eq!(unopened.failed("unknown_epoch", at(5000)), None, "one that opened is enough");
        assert_eq!(unopened.failed("unknown_epoch", at(10_000)), Some(WRONG_CAMERA));
        assert_eq!(unopened.failed("unknown_epoch", at(20_000)), None);
        unopened.opened();
        assert_eq!(unopened.failed("malformed", at(30_000)), None);
        assert_eq!(unopened.failed("malformed", at(35_000)), Some(CHANGED));
    }
}
