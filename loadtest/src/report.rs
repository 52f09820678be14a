//! What people see of a run, made of its lines and of nothing else: a page, tables for a terminal, and the one sentence
//! that says what limits it.
//!
//! ```text
//!   Lines ─▶ run::Runs ─▶ fit (how many viewers), limit (what limits them) ─▶ page (HTML), table (terminal)
//! ```

mod chart;
mod checks;
mod figures;
mod fit;
pub(crate) mod limit;
pub(crate) mod number;
pub mod page;
mod plots;
mod run;
#[cfg(test)]
mod sample;
mod served;
pub mod table;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use crate::measure::line::{Line, LineError};

/// Returns one sentence that says what limited a run, from its figures alone.
#[must_use]
pub fn limit(lines: &[Line]) -> String {
    limit::of(lines)
}

/// Reads the lines of a run's `--json` file.
///
/// # Errors
/// [`ReadError`]: the caller named a file that cannot be read, that is no run's output, or that holds no run.
pub fn read(path: &Path) -> Result<Vec<Line>, ReadError> {
    let text = std::fs::read_to_string(path)
        .map_err(|reason| ReadError::Unreadable { path: path.to_owned(), reason })?;
    let lines =
        Line::read_all(&text).map_err(|reason| ReadError::NoLine { path: path.to_owned(), reason })?;
    if lines.iter().any(|line| matches!(line, Line::Run(_))) {
        Ok(lines)
    } else {
        Err(ReadError::NoRun { path: path.to_owned() })
    }
}

/// A file of which no report can be made; always the caller's fault.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// It cannot be read.
    #[error("{} cannot be read ({reason})", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: std::io::Error,
    },
    /// One of its lines is none of this program's.
    #[error("{}: {reason}", path.display())]
    NoLine {
        /// The file.
        path: PathBuf,
        /// Which line, and why.
        reason: LineError,
    },
    /// It does not say what was run.
    #[error("{} holds no run: is it a run's whole --json output, its first line included?", path.display())]
    NoRun {
        /// The file.
        path: PathBuf,
    },
}
