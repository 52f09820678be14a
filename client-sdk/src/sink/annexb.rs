//! Raw H.264: the frames one after another, as annex B has them.

use crate::frame::MediaFrame;
use crate::sink::output::Output;
use crate::sink::{Sink, SinkError};

/// Writes `*.h264`.
pub(crate) struct AnnexB {
    output: Output,
    started: bool,
}

impl AnnexB {
    pub(crate) fn new(output: Output) -> Self {
        Self { output, started: false }
    }
}

impl Sink for AnnexB {
    fn write(&mut self, frame: &MediaFrame) -> Result<bool, SinkError> {
        self.started |= frame.key;
        if self.started {
            self.output.send(&[&frame.data])?;
        }
        Ok(self.started)
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        self.output.send(&[])
    }
}
