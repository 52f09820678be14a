//! How long to wait before trying again: a little at first, then longer, never more than a few seconds.

use std::time::Duration;

use crate::clock;

/// Doubling waits between two bounds.
#[derive(Debug)]
pub struct Backoff {
    next: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self::new()
    }
}

impl Backoff {
    /// The first wait is short.
    pub fn new() -> Self {
        Self { next: SHORTEST }
    }

    /// Waits, each time twice as long.
    pub async fn wait(&mut self) {
        clock::sleep(self.pause()).await;
    }

    fn pause(&mut self) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(LONGEST);
        pause
    }

    /// Begins anew: something has worked.
    pub fn reset(&mut self) {
        self.next = SHORTEST;
    }
}

const SHORTEST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest() {
        let mut backoff = Backoff::new();
        let waits: Vec<u128> = (0..7).map(|_| backoff.pause().as_millis()).collect();
        assert_eq!(waits, [250, 500, 1000, 2000, 4000, 5000, 5000]);
        backoff.reset();
        assert_eq!(backoff.pause(), SHORTEST);
    }
}
