//! What a device can check by itself: lists, groups and their records, and the server's log, all computed anew.

mod audit;
mod groups;
mod lists;

use serde::Serialize;

use crate::home::{Home, HomeError};
use crate::signaling::Signaling;

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It is as it must be.
    Good,
    /// It could not be checked, or is to be known; nothing is wrong.
    Open,
    /// It is not as it must be.
    Wrong,
}

/// One check and how it came out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The stable name of the check.
    pub check: &'static str,
    /// How it came out.
    pub verdict: Verdict,
    /// What was found, in one sentence.
    pub text: String,
}

/// Everything that was found, in the order of checking.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The findings.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Returns whether nothing is wrong.
    pub fn is_good(&self) -> bool {
        self.findings.iter().all(|finding| finding.verdict != Verdict::Wrong)
    }

    fn add(&mut self, check: &'static str, verdict: Verdict, text: impl Into<String>) {
        self.findings.push(Finding { check, verdict, text: text.into() });
    }
}

/// Checks everything this device can: its lists against their root, the server's lists against its own, its groups and
/// the cameras' records of them, and the server's log against the lists.
///
/// New lists, and how far the log was read, are kept where the vault may be written. Fails only when the vault cannot be
/// used or the server does not answer; what is wrong is in the report.
pub async fn verify(home: &mut Home, signaling: &Signaling) -> Result<Report, HomeError> {
    let mut report = Report::default();
    lists::check(home, signaling, &mut report).await?;
    groups::check(home, &mut report);
    audit::check(home, signaling, &mut report).await?;
    Ok(report)
}
