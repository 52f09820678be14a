//! What the doctor writes on, one line for each check: how it went, after how long, why not, and what to do.

use std::time::Duration;

use serde_json::{Value, json};

use crate::cli::failure::plain;
use crate::cli::show::{Lines, Show};

/// Something that is checked.
pub(super) trait Check: Copy + Eq {
    /// What it is called in words.
    fn title(self) -> &'static str;
}

/// Writes lines as they come, in words or, with `--json`, the object that stands for each.
pub(super) struct Sheet<C> {
    show: Show,
    written: Vec<C>,
    /// The first check that failed, and why.
    failed: Option<(C, String)>,
}

impl<C: Check> Sheet<C> {
    pub(super) fn begin(json: bool) -> Self {
        Self { show: Show::new(json, Lines::Stdout), written: Vec::new(), failed: None }
    }

    /// Shows on a terminal what is waited for.
    pub(super) fn doing(&self, text: &str) {
        self.show.doing(&plain(text));
    }

    /// Returns whether the check has its line.
    pub(super) fn has(&self, check: C) -> bool {
        self.written.contains(&check)
    }

    /// Returns whether a check has failed.
    pub(super) fn has_failed(&self) -> bool {
        self.failed.is_some()
    }

    pub(super) fn good(&mut self, word: &str, check: C, ms: u64, about: &str, object: &Value) {
        self.write(check, object, &format!("  {word:<4}  {:<26}{ms:>7} ms  {about}", check.title()));
    }

    pub(super) fn bad(
        &mut self,
        word: &str,
        check: C,
        ms: u64,
        (reason, advice): (&str, Option<&str>),
        object: &Value,
    ) {
        let mut line = format!("  {word:<4}  {:<26}{ms:>7} ms  {reason}", check.title());
        if let Some(advice) = advice {
            line.push_str(&format!("\n        what to do: {advice}"));
        }
        self.write(check, object, &line);
        self.failed.get_or_insert((check, reason.to_owned()));
    }

    /// Says that a check was left out, and why.
    pub(super) fn left_out(&mut self, check: C, why: &str, object: &Value) {
        self.write(check, object, &format!("  -     {:<26}            {why}", check.title()));
    }

    pub(super) fn note(&self, text: &str) {
        self.show.print(&json!({ "event": "note", "text": text }), &format!("  note  {}", plain(text)));
    }

    /// Ends it; returns the first check that failed, and why.
    pub(super) fn end(self) -> Option<(C, String)> {
        self.show.finish();
        self.failed
    }

    fn write(&mut self, check: C, object: &Value, line: &str) {
        self.written.push(check);
        self.show.print(object, line.trim_end());
    }
}

pub(super) fn milliseconds(after: Duration) -> u64 {
    u64::try_from(after.as_millis()).unwrap_or(u64::MAX)
}
