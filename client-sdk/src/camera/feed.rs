//! A camera's source, opened again when it fails, on one clock.

use std::sync::Arc;
use std::time::{Duration, Instant};

use latchkey_household::backoff::Backoff;
use latchkey_household::event::Teller;

use crate::frame::MediaFrame;
use crate::source::error::SourceError;
use crate::source::spec::{SourceOptions, SourceSpec};
use crate::source::{self, Source};

/// A source that is opened again when it fails, on one clock.
pub(super) struct Feed {
    source: Option<Box<dyn Source>>,
    spec: SourceSpec,
    options: SourceOptions,
    teller: Arc<Teller>,
    began: Instant,
    /// What a frame's time is counted from, since `began`.
    offset: Duration,
    backoff: Backoff,
}

impl Feed {
    pub(super) fn new(
        source: Box<dyn Source>,
        spec: SourceSpec,
        options: SourceOptions,
        teller: Arc<Teller>,
    ) -> Self {
        Self {
            source: Some(source),
            spec,
            options,
            teller,
            began: Instant::now(),
            offset: Duration::ZERO,
            backoff: Backoff::new(),
        }
    }

    pub(super) fn notes(&self) -> Vec<String> {
        self.source.as_ref().map_or(Vec::new(), |source| source.info().notes.clone())
    }

    /// Returns the next frame, or nothing when a source that does not start over is at its end.
    /// May be dropped while it waits.
    pub(super) async fn next(&mut self) -> Option<MediaFrame> {
        loop {
            let Some(source) = &mut self.source else {
                self.reopen().await;
                continue;
            };
            match source.next().await {
                Ok(mut frame) => {
                    self.backoff.reset();
                    frame.pts += self.offset;
                    return Some(frame);
                }
                Err(SourceError::Ended) => return None,
                Err(error) => {
                    self.teller.note(format!("the source failed and is opened again: {error}"));
                    self.source = None;
                }
            }
        }
    }

    async fn reopen(&mut self) {
        self.backoff.wait().await;
        match source::open(&self.spec, &self.options).await {
            Ok(source) => {
                self.offset = self.began.elapsed();
                self.source = Some(source);
            }
            Err(error) => self.teller.note(format!("the source cannot be opened yet: {error}")),
        }
    }
}
