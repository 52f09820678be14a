//! Writes opened frames, on threads of their own: a slow disk or reader must not hold up what comes in.

use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};

use latchkey_wire::codec::{Codec, MediaKind};

use crate::frame::MediaFrame;
use crate::sink::{self, SinkError, Target};
use crate::viewer::{Ended, Ender};

/// The outputs of a viewer. Each is opened with the first frame that goes there.
pub(super) struct Output {
    targets: Vec<Target>,
    writers: Vec<Writer>,
    ender: Ender,
}

struct Writer {
    kind: MediaKind,
    frames: SyncSender<MediaFrame>,
    thread: JoinHandle<()>,
    /// After frames passed it by, it goes on with a key frame.
    behind: bool,
}

impl Output {
    pub(super) fn open(targets: Vec<Target>, ender: Ender) -> Self {
        Self { targets, writers: Vec::new(), ender }
    }

    /// Hands a frame to its writer. Returns false when the writer is too slow and the frame passed it by.
    pub(super) fn write(&mut self, frame: &MediaFrame) -> bool {
        let at = self.writers.iter().position(|writer| writer.kind == frame.track);
        let Some(at) = at.or_else(|| self.begin(frame)) else {
            return true;
        };
        let Some(writer) = self.writers.get_mut(at) else {
            return true;
        };
        if writer.behind && !frame.key {
            return false;
        }
        match writer.frames.try_send(frame.clone()) {
            Ok(()) => writer.behind = false,
            Err(TrySendError::Full(_)) => writer.behind = true,
            // The writer has ended everything already.
            Err(TrySendError::Disconnected(_)) => {}
        }
        !writer.behind
    }

    /// Waits until everything handed over is written.
    pub(super) async fn finish(self) {
        let threads: Vec<JoinHandle<()>> = self.writers.into_iter().map(|writer| writer.thread).collect();
        let written = tokio::task::spawn_blocking(move || {
            for thread in threads {
                // A writer that panicked has written what it could.
                let _ = thread.join();
            }
        });
        // A reader that neither reads nor goes away is not waited for.
        let _ = tokio::time::timeout(FINISH_LIMIT, written).await;
    }

    fn begin(&mut self, frame: &MediaFrame) -> Option<usize> {
        let at = self.targets.iter().position(|target| fits(target, frame.codec))?;
        let target = self.targets.remove(at);
        let (frames, incoming) = sync_channel::<MediaFrame>(FRAMES_WAITING);
        let codec = frame.codec;
        let ender = self.ender.clone();
        let thread = thread::spawn(move || {
            if let Err(error) = write_all(&target, codec, &incoming) {
                ender.end(match error {
                    SinkError::ReaderGone => Ended::ReaderGone,
                    other => Ended::Output(other),
                });
            }
        });
        self.writers.push(Writer { kind: frame.track, frames, thread, behind: false });
        Some(self.writers.len() - 1)
    }
}

fn write_all(
    target: &Target,
    codec: Codec,
    frames: &std::sync::mpsc::Receiver<MediaFrame>,
) -> Result<(), SinkError> {
    let mut sink = sink::open(target, codec)?;
    for frame in frames {
        sink.write(&frame)?;
    }
    sink.finish()
}

/// Sound goes only where nothing but sound can go: the picture's place stays free.
fn fits(target: &Target, codec: Codec) -> bool {
    match codec.kind() {
        MediaKind::Video => target.takes(codec) || !target.takes(Codec::Opus),
        MediaKind::Audio => target.takes(codec) && !target.takes(Codec::H264) && !target.takes(Codec::Vp8),
    }
}

/// Frames that may wait for a slow disk or reader: 10 s at 30 frames per second.
const FRAMES_WAITING: usize = 300;
/// How long the rest may take to be written at the end.
const FINISH_LIMIT: std::time::Duration = std::time::Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn picture_and_sound_find_their_places() {
        assert!(fits(&Target::parse("-"), Codec::H264));
        assert!(!fits(&Target::parse("-"), Codec::Opus));
        assert!(fits(&Target::parse("a.ogg"), Codec::Opus));
        assert!(!fits(&Target::parse("a.ogg"), Codec::H264));
        assert!(!fits(&Target::parse("a.bin"), Codec::Opus));
        // A picture in the wrong kind of file is taken there to be refused with a sentence.
        assert!(fits(&Target::parse("a.ivf"), Codec::H264));
    }
}
