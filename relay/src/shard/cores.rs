//! Which processors a shard's thread runs on: its own part of those that there are.
//!
//! Left alone, the kernel likes to run a thread that was woken where the one that woke it runs. A home wakes its branches and
//! goes on sending: they would take turns on one processor while others sleep.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Keeps the calling thread on the part of this process's processors that belongs to shard `index` of `shards`. Does nothing
/// for one shard, or when there are more shards than processors, or when the system does not let us.
pub(super) fn keep_to_part(index: usize, shards: usize) {
    let Ok(allowed) = sched_getaffinity(None) else { return };
    let allowed: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|processor| allowed.is_set(*processor)).collect();
    let part = part(&allowed, index, shards);
    if part.is_empty() {
        return;
    }
    let mut set = CpuSet::new();
    part.iter().for_each(|processor| set.set(*processor));
    match sched_setaffinity(None, &set) {
        Ok(()) => tracing::debug!(shard = index, processors = ?part, "the shard keeps to its processors"),
        Err(error) => tracing::debug!(shard = index, %error, "the shard runs on any processor"),
    }
}

fn part(allowed: &[usize], index: usize, shards: usize) -> &[usize] {
    if shards < 2 || shards > allowed.len() {
        return &[];
    }
    let edge = |index: usize| index * allowed.len() / shards;
    &allowed[edge(index)..edge(index + 1)]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn every_processor_belongs_to_one_shard() {
        for processors in 1..20 {
            let allowed: Vec<usize> = (0..processors).map(|processor| processor * 3).collect();
            for shards in 2..=processors {
                let parts: Vec<&[usize]> = (0..shards).map(|index| part(&allowed, index, shards)).collect();
                assert!(parts.iter().all(|part| !part.is_empty()));
                assert_eq!(parts.concat(), allowed, "{shards} shards");
            }
            assert!(part(&allowed, 0, 1).is_empty() && part(&allowed, 0, processors + 1).is_empty());
        }
    }

    #[test]
    fn a_thread_keeps_to_its_part() {
        std::thread::spawn(|| {
            let before = sched_getaffinity(None).unwrap();
            keep_to_part(0, 2);
            let after = sched_getaffinity(None).unwrap();
            assert_eq!(after.count(), if before.count() < 2 { before.count() } else { before.count() / 2 });
        })
        .join()
        .unwrap();
    }
}
