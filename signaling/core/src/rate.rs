//! Token buckets: how often one address or one device may ask, with bounded memory.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// How much is allowed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// Tokens that come back each second; more than 0.
    pub per_second: f64,
    /// Tokens a rested bucket holds; at least 1.
    pub burst: f64,
}

/// One bucket per key. Keys beyond the capacity share one bucket, so that a flood of names cannot fill memory.
#[derive(Debug)]
pub struct RateLimiter<K> {
    rate: Rate,
    capacity: usize,
    buckets: HashMap<K, Bucket>,
    overflow: Option<Bucket>,
}

impl<K: Hash + Eq> RateLimiter<K> {
    /// A limiter that remembers at most `capacity` keys.
    #[must_use]
    pub fn new(rate: Rate, capacity: usize) -> Self {
        Self { rate, capacity, buckets: HashMap::new(), overflow: None }
    }

    /// Takes one token of `key`.
    ///
    /// # Errors
    /// [`TooSoon`] with the time until a token is there.
    pub fn take(&mut self, key: K, now: Instant) -> Result<(), TooSoon> {
        let rate = self.rate;
        if !self.buckets.contains_key(&key) && self.buckets.len() >= self.capacity {
            self.buckets.retain(|_, bucket| !bucket.is_full(rate, now));
            if self.buckets.len() >= self.capacity {
                return self.overflow.get_or_insert(Bucket::full(rate, now)).take(rate, now);
            }
        }
        self.buckets.entry(key).or_insert(Bucket::full(rate, now)).take(rate, now)
    }
}

/// The caller asks too often.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many requests")]
pub struct TooSoon {
    /// How long to wait before the next one.
    pub retry_after: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

impl Bucket {
    fn full(rate: Rate, now: Instant) -> Self {
        Self { tokens: rate.burst, at: now }
    }

    fn is_full(&self, rate: Rate, now: Instant) -> bool {
        self.level(rate, now) >= rate.burst
    }

    fn level(&self, rate: Rate, now: Instant) -> f64 {
        let rested = now.saturating_duration_since(self.at).as_secs_f64();
        rested.mul_add(rate.per_second, self.tokens).min(rate.burst)
    }

    fn take(&mut self, rate: Rate, now: Instant) -> Result<(), TooSoon> {
        self.tokens = self.level(rate, now);
        self.at = now;
        if self.tokens < 1.0 {
            let missing = (1.0 - self.tokens) / rate.per_second;
            return Err(TooSoon {
                retry_after: Duration::try_from_secs_f64(missing).unwrap_or(Duration::MAX),
            });
        }
        self.tokens -= 1.0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::disallowed_methods)]
    use super::*;

    const RATE: Rate = Rate { per_second: 2.0, burst: 3.0 };

    #[test]
    fn burst_then_refill() {
        let start = Instant::now();
        let mut limiter = RateLimiter::new(RATE, 10);
        for _ in 0..3 {
            limiter.take("a", start).unwrap();
        }
        assert_eq!(limiter.take("a", start), Err(TooSoon { retry_after: Duration::from_millis(500) }));
        limiter.take("b", start).unwrap();
        limiter.take("a", start + Duration::from_millis(500)).unwrap();
        assert!(limiter.take("a", start + Duration::from_millis(500)).is_err());
        for _ in 0..3 {
            limiter.take("a", start + Duration::from_secs(60)).unwrap();
        }
        assert!(limiter.take("a", start + Duration::from_secs(60)).is_err());
    }

    #[test]
    fn keys_beyond_the_capacity_share_one_bucket_until_others_rest() {
        let start = Instant::now();
        let mut limiter = RateLimiter::new(RATE, 2);
        limiter.take(1, start).unwrap();
        limiter.take(2, start).unwrap();
        for key in 3..6 {
            limiter.take(key, start).unwrap();
        }
        assert!(limiter.take(6, start).is_err());
        assert_eq!(limiter.buckets.len(), 2);
        limiter.take(7, start + Duration::from_secs(2)).unwrap();
        assert!(limiter.buckets.contains_key(&7));
    }
}
