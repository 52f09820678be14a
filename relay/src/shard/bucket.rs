//! A token bucket: so much a second in the long run, as much again at once.

use std::time::Instant;

/// Counts down what a peer may still use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    per_second: f64,
    left: f64,
    filled: Instant,
}

impl Bucket {
    /// A full bucket.
    pub(super) fn new(per_second: u32, now: Instant) -> Self {
        Self { per_second: f64::from(per_second), left: f64::from(per_second), filled: now }
    }

    /// Takes `amount` out, or nothing and `false` when there is not so much.
    pub(super) fn take(&mut self, amount: usize, now: Instant) -> bool {
        if now > self.filled {
            let gained = (now - self.filled).as_secs_f64() * self.per_second;
            self.left = (self.left + gained).min(self.per_second);
            self.filled = now;
        }
        let amount = amount as f64;
        if self.left < amount {
            return false;
        }
        self.left -= amount;
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_second_at_once_and_then_the_rate() {
        let start = Instant::now();
        let mut bucket = Bucket::new(100, start);
        assert_eq!((0..300).filter(|_| bucket.take(1, start)).count(), 100);
        let later = start + Duration::from_millis(500);
        assert_eq!((0..300).filter(|_| bucket.take(1, later)).count(), 50);
        let much_later = start + Duration::from_secs(100);
        assert_eq!((0..300).filter(|_| bucket.take(1, much_later)).count(), 100);
        assert!(!bucket.take(1, start), "time that runs backwards gives nothing");
    }
}
