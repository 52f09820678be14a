//! How much somebody may do: so much at once, and so much a second in the long run.

use std::time::Instant;

/// What a [`TokenBucket`] holds and gains.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// Tokens that come back each second.
    pub per_second: f64,
    /// Tokens that a rested bucket holds.
    pub burst: f64,
}

/// A bucket of tokens that starts full and fills as time passes.
#[derive(Clone, Copy, Debug)]
pub struct TokenBucket {
    rate: Rate,
    tokens: f64,
    /// `None` while nobody has taken anything.
    filled: Option<Instant>,
}

/// What one session may send: so many packets and so many bytes a second, and a second's worth of both at once.
#[derive(Clone, Copy, Debug)]
pub struct Allowance {
    packets: TokenBucket,
    bytes: TokenBucket,
}

/// Which of its limits a session has reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exceeded {
    /// Packets.
    Packets,
    /// Bytes.
    Bytes,
}

impl Rate {
    /// A second's worth may come at once.
    pub fn per_second(tokens: f64) -> Self {
        Self { per_second: tokens, burst: tokens }
    }
}

impl TokenBucket {
    /// Returns a full bucket.
    pub fn new(rate: Rate) -> Self {
        Self { rate, tokens: rate.burst, filled: None }
    }

    /// Takes `amount` out, or nothing and false when there is not so much. Time that runs backwards gives nothing.
    pub fn take(&mut self, amount: f64, now: Instant) -> bool {
        self.fill(now);
        if self.tokens < amount {
            return false;
        }
        self.tokens -= amount;
        true
    }

    /// Puts into the bucket what time has brought, and returns what it holds.
    fn fill(&mut self, now: Instant) -> f64 {
        let since = self.filled.unwrap_or(now);
        if now >= since {
            let gained = (now - since).as_secs_f64() * self.rate.per_second;
            self.tokens = (self.tokens + gained).min(self.rate.burst);
            self.filled = Some(now);
        }
        self.tokens
    }
}

impl Allowance {
    /// Returns a full allowance.
    pub fn new(packets_per_second: u32, bytes_per_second: u32) -> Self {
        let bucket = |per_second| TokenBucket::new(Rate::per_second(f64::from(per_second)));
        Self { packets: bucket(packets_per_second), bytes: bucket(bytes_per_second) }
    }

    /// Looks whether a packet of so many bytes may be sent, and takes nothing. Cheaper than finding out whose it is.
    ///
    /// # Errors
    /// The limit that stands in the way.
    #[inline]
    pub fn allows(&mut self, bytes: usize, now: Instant) -> Result<(), Exceeded> {
        if self.packets.fill(now) < 1.0 {
            return Err(Exceeded::Packets);
        }
        if self.bytes.fill(now) < bytes as f64 {
            return Err(Exceeded::Bytes);
        }
        Ok(())
    }

    /// Takes a packet of so many bytes out of both buckets, or out of neither.
    ///
    /// # Errors
    /// The limit that stands in the way.
    #[inline]
    pub fn take(&mut self, bytes: usize, now: Instant) -> Result<(), Exceeded> {
        self.allows(bytes, now)?;
        self.packets.tokens -= 1.0;
        self.bytes.tokens -= bytes as f64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods)]
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_burst_then_a_steady_pace() {
        let start = Instant::now();
        let mut bucket = TokenBucket::new(Rate { per_second: 0.5, burst: 3.0 });
        let granted = |bucket: &mut TokenBucket, now| (0..10).filter(|_| bucket.take(1.0, now)).count();
        assert_eq!(granted(&mut bucket, start), 3);
        assert_eq!(granted(&mut bucket, start + Duration::from_secs(1)), 0);
        assert_eq!(granted(&mut bucket, start + Duration::from_secs(2)), 1);
        assert_eq!(granted(&mut bucket, start + Duration::from_secs(60)), 3);
        assert_eq!(granted(&mut bucket, start), 0, "time that runs backwards gives nothing");
        assert_eq!(granted(&mut bucket, start + Duration::from_secs(61)), 0, "and takes nothing");
    }

    #[test]
    fn what_is_refused_for_its_bytes_costs_no_packet() {
        let now = Instant::now();
        let mut allowance = Allowance::new(3, 1_000);
        for _ in 0..10 {
            assert_eq!(allowance.take(1_001, now), Err(Exceeded::Bytes));
        }
        assert_eq!((0..4).filter(|_| allowance.take(1, now).is_ok()).count(), 3);
        assert_eq!(allowance.take(1, now), Err(Exceeded::Packets));
        assert_eq!(allowance.allows(1, now), Err(Exceeded::Packets));
    }

    proptest! {
        #[test]
        fn nobody_ever_gets_more_than_burst_and_rate(
            (packets, bytes) in (1u32..500, 1_000u32..100_000),
            sends in proptest::collection::vec((0u64..20_000, 1usize..1_500), 1..2_000),
        ) {
            let start = Instant::now();
            let (mut now, mut allowance) = (start, Allowance::new(packets, bytes));
            let (mut sent, mut sent_bytes) = (0.0, 0.0);
            for (wait, len) in sends {
                now += Duration::from_micros(wait);
                let allowed = allowance.allows(len, now);
                prop_assert_eq!(allowed, allowance.take(len, now));
                if allowed.is_ok() {
                    sent += 1.0;
                    sent_bytes += len as f64;
                }
                let worth = 1.0 + (now - start).as_secs_f64();
                prop_assert!(sent <= worth * f64::from(packets) + 1e-6);
                prop_assert!(sent_bytes <= worth * f64::from(bytes) + 1e-6);
            }
        }
    }
}
