//! What the doctor writes: one line for each step, in words or as JSON, and how it ends.

use std::time::Duration;

use latchkey_household::story::Step;
use serde_json::{Value, json};

use crate::cli::commands::with_commands;
use crate::cli::failure::{Failure, plain};
use crate::cli::show::{Lines, Show, what_to_do};

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

/// Writes lines as they come, and what was not reached at the end.
pub(super) struct Report {
    show: Show,
    written: Vec<Check>,
    /// The first line that was bad, and why.
    bad: Option<(Check, String)>,
}

impl Report {
    pub(super) fn begin(json: bool) -> Self {
        Self { show: Show::new(json, Lines::Stdout), written: Vec::new(), bad: None }
    }

    /// Shows on a terminal what is waited for.
    pub(super) fn doing(&self, text: &str) {
        self.show.doing(&plain(text));
    }

    /// Returns whether the step has its line.
    pub(super) fn has(&self, step: Step) -> bool {
        self.written.contains(&step.into())
    }

    pub(super) fn ok(&mut self, check: Check, after: Duration, about: &str) {
        let ms = milliseconds(after);
        let object = json!({ "event": "doctor", "step": check.name, "ok": true, "ms": ms, "about": about });
        self.write(check, &object, &format!("  ok    {:<26}{ms:>7} ms  {about}", check.title));
    }

    pub(super) fn bad_step(&mut self, step: Step, after: Duration, reason: &str) {
        self.bad(step.into(), after, reason, what_to_do(step, reason));
    }

    pub(super) fn bad(&mut self, check: Check, after: Duration, reason: &str, advice: Option<&str>) {
        let (ms, reason, advice) = (milliseconds(after), plain(reason), advice.map(with_commands));
        let object = json!({
            "event": "doctor", "step": check.name, "ok": false, "ms": ms, "reason": reason, "advice": advice,
        });
        let mut line = format!("  FAIL  {:<26}{ms:>7} ms  {reason}", check.title);
        if let Some(advice) = advice {
            line.push_str(&format!("\n        what to do: {advice}"));
        }
        self.write(check, &object, &line);
        self.bad.get_or_insert((check, reason));
    }

    /// Writes that the way did not lead to this step.
    pub(super) fn unreached(&mut self, check: Check) {
        let why = if self.bad.is_some() { "not reached" } else { "not tried" };
        let object = json!({ "event": "doctor", "step": check.name, "ok": false, "reached": false });
        self.write(check, &object, &format!("  -     {:<26}            {why}", check.title));
    }

    pub(super) fn note(&self, text: &str) {
        self.show.print(&json!({ "event": "note", "text": text }), &format!("  note  {text}"));
    }

    /// Writes what was not reached; fails with one sentence about the first line that was bad.
    pub(super) fn end(mut self) -> Result<(), Failure> {
        let open = Check::all().filter(|check| !self.written.contains(check));
        for check in open.collect::<Vec<_>>() {
            self.unreached(check);
        }
        self.show.finish();
        match self.bad {
            Some((check, reason)) => Err(Failure::other(format!("{}: {reason}", check.title))),
            None => Ok(()),
        }
    }

    fn write(&mut self, check: Check, object: &Value, line: &str) {
        self.written.push(check);
        self.show.print(object, line.trim_end());
    }
}

fn milliseconds(after: Duration) -> u64 {
    u64::try_from(after.as_millis()).unwrap_or(u64::MAX)
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
