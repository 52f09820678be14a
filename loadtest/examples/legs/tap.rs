//! A device of a household that watches, and notes under which key and counter each frame was sealed.
//!
//! The same pair twice over different bytes is a nonce used twice; the same bytes again are a frame that the relay sent again.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use latchkey::observer::{FrameObserver, WireFrame};
use latchkey::viewer::{Viewer, ViewerConfig};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::interval;

use crate::{Words, ended, tell};

/// What to watch.
#[derive(Deserialize)]
pub(crate) struct Order {
    /// Folder of the device.
    home: PathBuf,
    /// Name or id of the camera.
    camera: String,
}

/// What was seen so far.
#[derive(Default)]
struct Tap(Mutex<Seen>);

#[derive(Default)]
struct Seen {
    frames: u64,
    /// Hash of the frame by key and counter.
    pairs: HashMap<(u64, u64), [u8; 32]>,
    kids: HashSet<u64>,
    again: u64,
    twice: Vec<(u64, u64)>,
}

/// Watches until the input ends. Tells `nonces` twice a second.
pub(crate) async fn run(order: Order, mut words: Words) -> anyhow::Result<()> {
    let tap = Arc::new(Tap::default());
    let mut config = ViewerConfig::new(order.home, order.camera);
    config.observer = Some(tap.clone());
    let viewer = Viewer::start(config).await?;
    let mut tick = interval(Duration::from_millis(500));
    let telling = async {
        loop {
            tick.tick().await;
            let stats = viewer.stats();
            tell(&tap.report(stats.opened_video, &stats.failed));
        }
    };
    tokio::select! {
        () = ended(&mut words) => {}
        () = telling => {}
    }
    let stats = viewer.stats();
    tell(&tap.report(stats.opened_video, &stats.failed));
    viewer.stop().await;
    Ok(())
}

impl Tap {
    fn report(&self, opened: u64, failed: &BTreeMap<&'static str, u64>) -> Value {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        json!({
            "event": "nonces",
            "frames": seen.frames,
            "pairs": seen.pairs.len(),
            "kids": seen.kids.len(),
            "again": seen.again,
            "twice": seen.twice,
            "opened": opened,
            "failed": failed,
        })
    }
}

impl FrameObserver for Tap {
    fn received(&self, frame: &WireFrame) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.frames += 1;
        seen.kids.insert(frame.kid);
        match seen.pairs.insert((frame.kid, frame.ctr), frame.sha256) {
            None => {}
            Some(before) if before == frame.sha256 => seen.again += 1,
            Some(_) => seen.twice.push((frame.kid, frame.ctr)),
        }
    }
}
