//! The bytes' way out: a file or standard output, with errors that name it.

use std::fs::File;
use std::io::{self, BufWriter, ErrorKind, Seek, SeekFrom, Stdout, Write};

use crate::sink::{SinkError, Target};

/// An open file or standard output.
pub(crate) struct Output {
    name: String,
    kind: Kind,
}

enum Kind {
    File(BufWriter<File>),
    Stdout(Stdout),
}

impl Output {
    pub(crate) fn open(target: &Target) -> Result<Self, SinkError> {
        match target {
            Target::Stdout => Ok(Self { name: "standard output".into(), kind: Kind::Stdout(io::stdout()) }),
            Target::File(path) => {
                let name = path.display().to_string();
                match File::create(path) {
                    Ok(file) => Ok(Self { name, kind: Kind::File(BufWriter::new(file)) }),
                    Err(error) => Err(SinkError::Unwritable { name, reason: error.to_string() }),
                }
            }
        }
    }

    /// Writes everything and flushes it.
    pub(crate) fn send(&mut self, parts: &[&[u8]]) -> Result<(), SinkError> {
        let written = parts.iter().try_for_each(|part| self.write_all(part)).and_then(|()| self.flush());
        written.map_err(|error| self.error(&error))
    }

    /// Overwrites bytes near the start of a file; does nothing to standard output.
    pub(crate) fn patch(&mut self, offset: u64, bytes: &[u8]) -> Result<(), SinkError> {
        let Kind::File(file) = &mut self.kind else {
            return Ok(());
        };
        let patched = file
            .seek(SeekFrom::Start(offset))
            .and_then(|_| file.write_all(bytes))
            .and_then(|()| file.seek(SeekFrom::End(0)))
            .and_then(|_| file.flush());
        match patched {
            // A pipe with a name can be written but not searched.
            Err(error) if error.kind() == ErrorKind::NotSeekable => Ok(()),
            other => other.map_err(|error| self.error(&error)),
        }
    }

    pub(crate) fn error(&self, error: &io::Error) -> SinkError {
        match error.kind() {
            ErrorKind::BrokenPipe => SinkError::ReaderGone,
            _ => SinkError::Unwritable { name: self.name.clone(), reason: error.to_string() },
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.kind {
            Kind::File(file) => file.write(bytes),
            Kind::Stdout(stdout) => stdout.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.kind {
            Kind::File(file) => file.flush(),
            Kind::Stdout(stdout) => stdout.flush(),
        }
    }
}
