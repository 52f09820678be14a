//! Tables for a terminal, at most 100 columns wide.

use std::io::IsTerminal as _;

use crate::measure::line::Line;

/// Whether words are coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    /// ANSI colours.
    Colours,
    /// Bare text.
    Plain,
}

impl Paint {
    /// Returns colours where standard output is a terminal and `NO_COLOR` is not set.
    #[must_use]
    pub fn for_stdout() -> Self {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        if !unwanted && std::io::stdout().is_terminal() { Self::Colours } else { Self::Plain }
    }
}

/// Returns a table with a row for each step: viewers, loss, latency, CPU, memory, joins. Ends with a line end.
#[must_use]
pub fn steps(lines: &[Line], paint: Paint) -> String {
    let _ = (lines, paint);
    String::new()
}

/// Returns a table of the assertions, each asked, measured and judged. Ends with a line end.
#[must_use]
pub fn checks(lines: &[Line], paint: Paint) -> String {
    let _ = (lines, paint);
    String::new()
}

/// Returns a table of a breakpoint search: a row for each trial, in the order in which they were made.
#[must_use]
pub fn trials(lines: &[Line], paint: Paint) -> String {
    let _ = (lines, paint);
    String::new()
}

/// Returns all that is told at the end of a run: its steps (or trials), its assertions, faults by party, what limits it,
/// and the verdict as the last line.
#[must_use]
pub fn verdict(lines: &[Line], paint: Paint) -> String {
    [steps(lines, paint), checks(lines, paint), super::limit(lines)].concat()
}
