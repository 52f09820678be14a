//! The lines of a run's JSON file, one object each: what was run, every second, every step, every fault, and the verdict.
//!
//! The last line is the verdict. A report is made of these lines and of nothing else.

mod run;
mod step;
mod verdict;

use serde::{Deserialize, Serialize};

pub use crate::measure::line::run::{Machine, RunLine, SYNTHETIC};
pub use crate::measure::line::step::{SecondLine, ServerFigures, StepLine};
pub use crate::measure::line::verdict::{Check, FaultLine, Party, Verdict, VerdictLine};

/// One line, told apart by its field `line`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "snake_case")]
pub enum Line {
    /// The first: what is run, and where.
    Run(Box<RunLine>),
    /// About every second.
    Second(Box<SecondLine>),
    /// A step with so many viewers is over.
    Step(Box<StepLine>),
    /// Something went wrong.
    Fault(FaultLine),
    /// The last.
    Verdict(Box<VerdictLine>),
}

/// A line that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("line {number} is not one of this program's lines ({reason}): is the file a run's --json output?")]
#[non_exhaustive]
pub struct LineError {
    /// Number of the line, from 1.
    pub number: usize,
    /// What the parser said.
    pub reason: String,
}

impl Line {
    /// Returns the line as it stands in the file, without its end. The verdict begins with its word.
    #[must_use]
    pub fn to_json(&self) -> String {
        let text = match self {
            Line::Verdict(verdict) => serde_json::to_string(verdict),
            other => serde_json::to_string(other),
        };
        text.expect("plain data is JSON")
    }

    /// Reads a file of lines; empty ones are skipped.
    ///
    /// # Errors
    /// [`LineError`] for the first that is none.
    pub fn read_all(text: &str) -> Result<Vec<Self>, LineError> {
        let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        lines
            .map(|(index, line)| {
                Self::read(line).map_err(|error| LineError { number: index + 1, reason: error.to_string() })
            })
            .collect()
    }

    fn read(line: &str) -> Result<Self, serde_json::Error> {
        if line.starts_with("{\"verdict\"") {
            return Ok(Line::Verdict(Box::new(serde_json::from_str(line)?)));
        }
        serde_json::from_str(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_reads_itself_and_the_verdict_begins_with_its_word() {
        let verdict = VerdictLine {
            verdict: Verdict::Pass,
            viewers_ok: 100,
            loss_pct: 0.0,
            opened: 3000,
            expected: 3000,
            p99_ms: 4.5,
            checks: vec![Check {
                name: "loss_pct".into(),
                asked: "<= 0.5".into(),
                measured: 0.0,
                holds: true,
            }],
            limit: String::new(),
            interrupted: false,
            last_good: None,
            first_bad: None,
        };
        let fault =
            FaultLine { at_s: 1.5, party: Party::Server, code: "x".into(), text: "y".into(), count: 2 };
        let lines = vec![
            Line::Run(Box::default()),
            Line::Second(Box::default()),
            Line::Step(Box::default()),
            Line::Fault(fault),
            Line::Verdict(Box::new(verdict)),
        ];
        let text: Vec<String> = lines.iter().map(Line::to_json).collect();
        assert!(
            text[4].starts_with("{\"verdict\":\"pass\",\"viewers_ok\":100,\"loss_pct\":0.0,\"opened\":3000")
        );
        assert!(text[2].starts_with("{\"line\":\"step\""), "{}", text[2]);
        assert_eq!(Line::read_all(&text.join("\n")).unwrap(), lines);
        let error = Line::read_all("{}\n").unwrap_err();
        assert!(error.to_string().contains("line 1"), "{error}");
    }
}
