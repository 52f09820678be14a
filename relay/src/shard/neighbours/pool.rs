//! Buffers that are filled by one thread, read by others, and used again when the last reader is done: no allocation, no
//! lock, no way back for them to take.

use std::collections::VecDeque;
use std::sync::Arc;

/// Hands out `T`s that nobody reads any more, and makes new ones up to a bound.
pub(super) struct Pool<T> {
    /// Oldest first, because it was given to its readers first.
    given: VecDeque<Arc<T>>,
    made: usize,
    most: usize,
}

impl<T: Default> Pool<T> {
    /// An empty pool that makes `most` at most.
    pub(super) fn new(most: usize) -> Self {
        Self { given: VecDeque::new(), made: 0, most }
    }

    /// One that nobody else has: [`Arc::get_mut`] gives it. `None` when all are still read.
    pub(super) fn take(&mut self) -> Option<Arc<T>> {
        for _ in 0..self.given.len().min(LOOKS) {
            let mut oldest = self.given.pop_front()?;
            if Arc::get_mut(&mut oldest).is_some() {
                return Some(oldest);
            }
            self.given.push_back(oldest);
        }
        if self.made == self.most {
            return None;
        }
        self.made += 1;
        Some(Arc::default())
    }

    /// Takes one back, together with its readers.
    pub(super) fn put(&mut self, used: Arc<T>) {
        self.given.push_back(used);
    }
}

/// Buffers looked at before a new one is made: a reader that lags holds some.
const LOOKS: usize = 4;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn what_is_read_is_not_given_out_again_and_what_is_not_is() {
        let mut pool = Pool::<u32>::new(2);
        let mut first = pool.take().unwrap();
        *Arc::get_mut(&mut first).unwrap() = 7;
        let reader = Arc::clone(&first);
        pool.put(first);
        let second = pool.take().unwrap();
        assert_eq!(*second, 0, "another one");
        assert!(pool.take().is_none(), "both are in use");
        pool.put(second);
        assert_eq!(*pool.take().unwrap(), 0);
        drop(reader);
        assert_eq!(*pool.take().unwrap(), 7);
    }
}
