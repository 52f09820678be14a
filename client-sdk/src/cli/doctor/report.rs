//! What the doctor writes: one line for each step, in words or as JSON, and how it ends.

use std::time::Duration;

use latchkey_household::story::Step;
use serde_json::json;

use crate::cli::commands::with_commands;
use crate::cli::doctor::sheet::{self, Sheet, milliseconds};
use crate::cli::failure::{Failure, plain};
use crate::cli::show::what_to_do;

/// One line of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Check {
    name: &'static str,
    title: &'static str,
}

impl Check {
    /// What is kept of this device can be read.
    pub(super) const DEVICE: Self = Self { name: "device", title: "device" };
    /// This machine's clock and the server's say the same.
    pub(super) const CLOCK: Self = Self { name: "clock", title: "clock" };
    /// The server's lists follow those this device knows.
    pub(super) const LIST: Self = Self { name: "device_list", title: "device list" };
    /// The camera goes on signing records of its epochs.
    pub(super) const RECORD: Self = Self { name: "epoch_record", title: "camera's signed record" };

    /// All lines in their order.
    fn all() -> impl Iterator<Item = Self> {
        let [signalling, media @ ..] = Step::ALL;
        let first = [Self::DEVICE, signalling.into(), Self::CLOCK, Self::LIST];
        first.into_iter().chain(media.into_iter().map(Self::from)).chain([Self::RECORD])
    }
}

impl From<Step> for Check {
    fn from(step: Step) -> Self {
        let name = match step {
            Step::Signalling => "signalling",
            Step::Relay => "relay",
            Step::Ice => "ice",
            Step::Dtls => "dtls",
            Step::FirstPacket => "first_packet",
            Step::KeyKnown => "key_known",
            Step::FirstFrame => "first_frame",
        };
        Self { name, title: step.title() }
    }
}

impl sheet::Check for Check {
    fn title(self) -> &'static str {
        self.title
    }
}

/// Writes lines as they come, and what was not reached at the end.
pub(super) struct Report(Sheet<Check>);

impl Report {
    pub(super) fn begin(json: bool) -> Self {
        Self(Sheet::begin(json))
    }

    /// Shows on a terminal what is waited for.
    pub(super) fn doing(&self, text: &str) {
        self.0.doing(text);
    }

    /// Returns whether the step has its line.
    pub(super) fn has(&self, step: Step) -> bool {
        self.0.has(step.into())
    }

    pub(super) fn ok(&mut self, check: Check, after: Duration, about: &str) {
        let ms = milliseconds(after);
        let object = json!({ "event": "doctor", "step": check.name, "ok": true, "ms": ms, "about": about });
        self.0.good("ok", check, ms, about, &object);
    }

    pub(super) fn bad_step(&mut self, step: Step, after: Duration, reason: &str) {
        self.bad(step.into(), after, reason, what_to_do(step, reason));
    }

    pub(super) fn bad(&mut self, check: Check, after: Duration, reason: &str, advice: Option<&str>) {
        let (ms, reason, advice) = (milliseconds(after), plain(reason), advice.map(with_commands));
        let object = json!({
            "event": "doctor", "step": check.name, "ok": false, "ms": ms, "reason": reason, "advice": advice,
        });
        self.0.bad("FAIL", check, ms, (&reason, advice.as_deref()), &object);
    }

    /// Writes that the way did not lead to this step.
    pub(super) fn unreached(&mut self, check: Check) {
        let why = if self.0.has_failed() { "not reached" } else { "not tried" };
        let object = json!({ "event": "doctor", "step": check.name, "ok": false, "reached": false });
        self.0.left_out(check, why, &object);
    }

    pub(super) fn note(&self, text: &str) {
        self.0.note(text);
    }

    /// Writes what was not reached; fails with one sentence about the first line that was bad.
    pub(super) fn end(mut self) -> Result<(), Failure> {
        for check in Check::all() {
            if !self.0.has(check) {
                self.unreached(check);
            }
        }
        match self.0.end() {
            Some((check, reason)) => Err(Failure::other(format!("{}: {reason}", check.title))),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn steps_have_the_names_that_events_give_them() {
        for step in Step::ALL {
            assert_eq!(serde_json::to_value(step).unwrap(), Check::from(step).name);
        }
        assert_eq!(Check::all().count(), Step::ALL.len() + 4);
    }
}
