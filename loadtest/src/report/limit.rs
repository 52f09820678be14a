//! What limits a run, told from its figures.

use crate::measure::line::Line;

/// Returns the sentence.
pub(crate) fn of(lines: &[Line]) -> String {
    if lines.iter().any(|line| matches!(line, Line::Step(_))) {
        String::new()
    } else {
        "nothing was measured: the run ended before its first step did".into()
    }
}
