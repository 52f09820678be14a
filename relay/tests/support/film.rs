//! Frames sent at a camera's own pace while something is waited for.

use std::time::{Duration, Instant};

use crate::support::peer::{Peer, run};

/// A camera that sends frames at its own pace.
pub trait Footage {
    /// When its next frame is due.
    fn next(&mut self) -> &mut Instant;

    /// Sends that frame.
    fn send(&mut self, camera: &mut Peer);
}

/// As [`run`], while `footage` is sent by the first peer; `done` is asked after each of its frames. Time before counts for
/// nothing: no frames are made up for.
pub async fn film<F: Footage>(
    footage: &mut F,
    peers: &mut [&mut Peer],
    what: &str,
    mut done: impl FnMut(&F, &[&mut Peer]) -> bool,
) {
    *footage.next() = (*footage.next()).max(Instant::now());
    run(peers, what, |peers| {
        let mut sent = false;
        while Instant::now() >= *footage.next() {
            *footage.next() += FRAME;
            footage.send(peers[0]);
            sent = true;
        }
        sent && done(footage, peers)
    })
    .await;
}

/// Time between two frames.
pub const FRAME: Duration = Duration::from_millis(33);
