//! The viewer's figures: what was counted, for those who ask and, once a second, as an event.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use latchkey_household::event::Event;
use latchkey_household::stats::ViewerStats;

use crate::viewer::media::Media;
use crate::viewer::track::add;

impl Media {
    pub(super) fn tell_figures(&mut self) {
        let now = Instant::now();
        let Some(rates) = self.window.turn(now) else {
            if now.duration_since(self.published) >= PUBLISH_EVERY {
                self.published = now;
                self.publish_figures(None);
            }
            return;
        };
        let alarm = self.proof.expire(now);
        self.raise(alarm);
        let stats = self.publish_figures(Some(rates));
        self.parts.teller.tell(Event::Stats(stats));
    }

    pub(super) fn publish_figures(&self, rates: Option<(f64, u64)>) -> ViewerStats {
        let mut counted = self.counted_before;
        for track in self.tracks.values() {
            add(&mut counted, track.jitter.counters());
        }
        let live = self.parts.line.borrow().as_ref().map_or(0, |subscriber| subscriber.overflow());
        let mut stats = self.parts.stats.lock().unwrap_or_else(PoisonError::into_inner);
        stats.opened_video = self.opened.0;
        stats.opened_audio = self.opened.1;
        stats.failed.clone_from(&self.failed);
        stats.packets = counted.packets;
        self.parts.packets.store(counted.packets, Ordering::Relaxed);
        stats.packets_lost = counted.lost;
        stats.frames_incomplete = counted.gaps;
        stats.overflow = self.parts.counters.overflow.load(Ordering::Relaxed) + live;
        stats.reconnects = self.parts.counters.reconnects.load(Ordering::Relaxed);
        stats.age_ms = self.age_ms;
        let verdicts = self.proof.tally();
        (stats.signed, stats.unverified, stats.forged) =
            (verdicts.signed, verdicts.unverified, verdicts.forged);
        stats.authenticity = self.proof.now();
        stats.live = self.live.now();
        if let Some((fps, bits_per_second)) = rates {
            stats.fps = fps;
            stats.bits_per_second = bits_per_second;
        }
        stats.clone()
    }
}

/// How old a picture is that was taken then, milliseconds by this machine's clock.
pub(super) fn age_ms(captured: SystemTime) -> i64 {
    let ms = |time: SystemTime| {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        i64::try_from(since).unwrap_or(i64::MAX)
    };
    ms(SystemTime::now()) - ms(captured)
}

/// How often totals are brought up to date for those who ask in between.
const PUBLISH_EVERY: Duration = Duration::from_millis(50);
