//! Key ids and counters of one track: one key id between switches, a counter that counts on within a window.

use super::Refusal;

/// The key in use, and the one before it, whose late packets may still come.
#[derive(Debug, Clone)]
pub(super) struct KeyHistory {
    current: Option<Key>,
    previous: Option<Key>,
    /// Frames with distinct counters under the current key, as long as the track is not settled.
    distinct: u32,
    /// Frames that may still be spent on switches.
    credit: u32,
}

impl KeyHistory {
    pub(super) const fn new() -> Self {
        Self { current: None, previous: None, distinct: 0, credit: MAX_CREDIT }
    }

    /// Returns how many frames with distinct counters were seen under the current key.
    pub(super) const fn distinct_frames(&self) -> u32 {
        self.distinct
    }

    /// Takes in a frame.
    pub(super) fn frame(&mut self, kid: u64, ctr: u64, settled: bool) -> Result<(), Refusal> {
        let reach = if settled { SETTLED_REACH } else { FIRST_REACH };
        match (&mut self.current, &mut self.previous) {
            (Some(current), _) if current.kid == kid => {
                if current.take(ctr, reach)? {
                    self.distinct = self.distinct.saturating_add(1);
                }
                self.credit = (self.credit + 1).min(MAX_CREDIT);
                Ok(())
            }
            // A late frame of the key before: reordered on the way, or repaired.
            (_, Some(previous)) if previous.kid == kid => {
                if ctr > previous.last_late {
                    return Err(Refusal::KeyChanges);
                }
                previous.take(ctr, reach).map(|_| ())
            }
            (current, _) => {
                // A new key counts from zero; the first one seen may have been in use before this leg began.
                if current.is_some() && ctr > reach {
                    return Err(Refusal::Counter);
                }
                let fresh = Key { kid, highest: ctr, seen: 1, last_late: u64::MAX };
                if let Some(mut replaced) = current.replace(fresh) {
                    let cost = if settled { SETTLED_SWITCH } else { FIRST_SWITCH };
                    self.credit = self.credit.checked_sub(cost).ok_or(Refusal::KeyChanges)?;
                    replaced.last_late = replaced.highest.saturating_add(FIRST_REACH);
                    self.previous = Some(replaced);
                }
                self.distinct = 1;
                Ok(())
            }
        }
    }
}

#[derive(Debug, Clone)]
struct Key {
    kid: u64,
    highest: u64,
    /// Bit n: counter `highest - n` was seen.
    seen: u64,
    /// After a switch away from this key, the highest counter that may still come late.
    last_late: u64,
}

impl Key {
    /// Returns whether this counter is new; duplicates are no fault, probing repeats old packets.
    fn take(&mut self, ctr: u64, reach: u64) -> Result<bool, Refusal> {
        if ctr > self.highest {
            let ahead = ctr - self.highest;
            if ahead > reach {
                return Err(Refusal::Counter);
            }
            self.seen = self.seen.checked_shl(ahead as u32).unwrap_or(0) | 1;
            self.highest = ctr;
            return Ok(true);
        }
        let behind = self.highest - ctr;
        if behind > reach {
            return Err(Refusal::Counter);
        }
        let bit = 1u64.checked_shl(behind as u32).unwrap_or(0);
        let new = bit != 0 && self.seen & bit == 0;
        self.seen |= bit;
        Ok(new)
    }
}

/// How far a counter may lie from the highest seen, before and after the track has settled: two seconds of video, and
/// as long as a leg outlives its network (4096 frames of Opus are 82 s).
const FIRST_REACH: u64 = 64;
const SETTLED_REACH: u64 = 4096;
/// What a switch costs in frames: each frame under the current key earns one. A camera that has shown eight sealed frames may
/// switch 64 times in a row and then with every fourth frame, as when an admin removes a houseful of devices one by one;
/// before that, eight times. A switch in every frame is no family.
const SETTLED_SWITCH: u32 = 4;
const FIRST_SWITCH: u32 = 32;
const MAX_CREDIT: u32 = 256;
