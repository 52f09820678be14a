//! How busy a shard's thread is: its processor time, looked at about once a second.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::shard::counters::Tally;
use crate::shard::counters::events::{Event, Gauge};

/// Follows the processor time of the thread it is used on.
#[derive(Default)]
pub(super) struct LoadMeter {
    last: Option<(Instant, Duration)>,
}

impl LoadMeter {
    /// Brings the counters up to date when it is time, and says whether it was.
    #[inline]
    pub(super) fn sample(&mut self, now: Instant, tally: &mut Tally) -> bool {
        let due = self.last.is_none_or(|(at, _)| now.saturating_duration_since(at) >= EVERY);
        if due {
            self.note(now, processor_time(), tally);
        }
        due
    }

    fn note(&mut self, now: Instant, used: Duration, tally: &mut Tally) {
        if let Some((at, before)) = self.last.replace((now, used)) {
            let (used, passed) = (used.saturating_sub(before), now.saturating_duration_since(at));
            tally.add(Event::CpuMicros, used.as_micros() as u64);
            let share = used.as_secs_f64() / passed.as_secs_f64().max(f64::MIN_POSITIVE);
            tally.set(Gauge::LoadPerMille, (share.min(1.0) * 1e3).round() as usize);
        }
    }
}

fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// One call into the kernel each.
const EVERY: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_the_time_that_passed() {
        let (mut meter, mut tally, start) = (LoadMeter::default(), Tally::default(), Instant::now());
        meter.note(start, Duration::from_secs(7), &mut tally);
        assert_eq!((tally.event(Event::CpuMicros), tally.gauge(Gauge::LoadPerMille)), (0, 0));
        meter.note(start + Duration::from_secs(2), Duration::from_millis(7_500), &mut tally);
        assert_eq!((tally.event(Event::CpuMicros), tally.gauge(Gauge::LoadPerMille)), (500_000, 250));
        meter.note(start + Duration::from_secs(3), Duration::from_millis(7_500), &mut tally);
        assert_eq!((tally.event(Event::CpuMicros), tally.gauge(Gauge::LoadPerMille)), (500_000, 0));
    }

    #[test]
    fn work_on_this_thread_is_seen() {
        let before = processor_time();
        let until = Instant::now() + Duration::from_secs(30);
        while processor_time() - before < Duration::from_millis(5) && Instant::now() < until {}
        assert!(processor_time() - before >= Duration::from_millis(5));
    }
}
