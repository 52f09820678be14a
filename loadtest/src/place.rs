//! Where a process runs: on this machine as it is, or behind a command that first enters somewhere else.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

/// A place for processes. The default one is this machine as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    enter: Vec<OsString>,
}

impl Place {
    /// Returns the place that `enter` leads to: the words in front of a program and its arguments, such as those of
    /// `nsenter` for a network namespace. The command must become the program (`exec`), so that ending one ends the other.
    #[must_use]
    pub fn entered_by(enter: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        Self { enter: enter.into_iter().map(Into::into).collect() }
    }

    /// Returns a command that runs `program` there.
    #[must_use]
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let program = program.as_ref();
        match self.enter.split_first() {
            None => Command::new(program),
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg(program);
                command
            }
        }
    }
}
