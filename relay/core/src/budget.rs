//! A token bucket: so many requests at once, so many per second in the long run.

use std::time::{Duration, Instant};

/// Grants up to `burst` requests at once and one more every `interval`. 24 bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    /// The bucket counts as empty up to here; time that passes fills it.
    empty_until: Option<Instant>,
    interval: Duration,
    burst: u32,
}

impl Budget {
    /// Starts full.
    pub(crate) fn new(burst: u32, interval: Duration) -> Self {
        Self { empty_until: None, interval, burst: burst.max(1) }
    }

    /// Takes one request; false when there is none to take.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        let full = now.checked_sub(self.interval * self.burst).unwrap_or(now);
        let from = self.empty_until.map_or(full, |until| until.max(full));
        let until = from + self.interval;
        if until > now {
            return false;
        }
        self.empty_until = Some(until);
        true
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods)]
    use super::*;

    #[test]
    fn a_burst_then_a_steady_pace() {
        let start = Instant::now() + Duration::from_secs(60);
        let mut budget = Budget::new(3, Duration::from_secs(2));
        let granted = |budget: &mut Budget, now| (0..10).filter(|_| budget.take(now)).count();
        assert_eq!(granted(&mut budget, start), 3);
        assert_eq!(granted(&mut budget, start + Duration::from_secs(1)), 0);
        assert_eq!(granted(&mut budget, start + Duration::from_secs(2)), 1);
        assert_eq!(granted(&mut budget, start + Duration::from_secs(60)), 3);
    }
}
