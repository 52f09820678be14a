//! The packets lately sent to one viewer by transport-wide number: when, and how large. A ring without allocation.

/// Remembers the newest [`Sent::CAPACITY`] packets.
#[derive(Debug)]
pub(super) struct Sent {
    slots: Box<[Slot]>,
    next: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    /// Microseconds, modulo 2^32.
    at: u32,
    len: u16,
    fate: Fate,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Fate {
    /// Never sent, or told already.
    #[default]
    Settled,
    Unknown,
    Lost,
}

/// A packet that feedback speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SentPacket {
    pub(super) number: u64,
    /// Microseconds on the clock that [`Sent::push`] was told.
    pub(super) at: u64,
    pub(super) len: u32,
    /// It was told to be lost before.
    pub(super) was_lost: bool,
}

impl Sent {
    /// At 8 Mbit/s more than a second's packets: what a round trip and the wait for feedback take.
    pub(super) const CAPACITY: usize = 1024;

    pub(super) fn new() -> Self {
        Self { slots: vec![Slot::default(); Self::CAPACITY].into_boxed_slice(), next: 0 }
    }

    /// The number of the next packet.
    #[inline]
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// The packet with the next number goes out.
    #[inline]
    pub(super) fn push(&mut self, at: u64, len: usize) {
        let slot = &mut self.slots[self.next as usize % Self::CAPACITY];
        *slot = Slot { at: at as u32, len: len.min(usize::from(u16::MAX)) as u16, fate: Fate::Unknown };
        self.next += 1;
    }

    /// The packet came. `None` for one told already or not remembered. What was taken for lost may still come.
    pub(super) fn received(&mut self, sequence: u16, now: u64) -> Option<SentPacket> {
        let (number, slot) = self.find(sequence)?;
        if slot.fate == Fate::Settled {
            return None;
        }
        let packet = slot.packet(number, now);
        slot.fate = Fate::Settled;
        Some(packet)
    }

    /// The packet did not come (yet). `None` for one told already or not remembered.
    pub(super) fn lost(&mut self, sequence: u16, now: u64) -> Option<SentPacket> {
        let (number, slot) = self.find(sequence)?;
        if slot.fate != Fate::Unknown {
            return None;
        }
        let packet = slot.packet(number, now);
        slot.fate = Fate::Lost;
        Some(packet)
    }

    fn find(&mut self, sequence: u16) -> Option<(u64, &mut Slot)> {
        let newest = self.next.checked_sub(1)?;
        let back = u64::from((newest as u16).wrapping_sub(sequence));
        let number = newest.checked_sub(back).filter(|_| back < Self::CAPACITY as u64)?;
        Some((number, &mut self.slots[number as usize % Self::CAPACITY]))
    }
}

impl Slot {
    fn packet(&self, number: u64, now: u64) -> SentPacket {
        let since = self.at.wrapping_sub(now as u32) as i32;
        let at = now.saturating_add_signed(i64::from(since));
        SentPacket { number, at, len: u32::from(self.len), was_lost: self.fate == Fate::Lost }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_told_of_once_and_across_wraps() {
        let mut sent = Sent::new();
        let start = u64::from(u32::MAX) - 5_000;
        for number in 0..70_000u64 {
            sent.push(start + number, 1_000);
        }
        let (now, newest) = (start + 80_000, 69_999u64);
        assert_eq!(sent.lost(newest as u16, now).unwrap().number, newest);
        assert_eq!(sent.lost(newest as u16, now), None);
        let came = sent.received(newest as u16, now);
        let expected = SentPacket { number: newest, at: start + newest, len: 1_000, was_lost: true };
        assert_eq!(came, Some(expected));
        assert_eq!(sent.received(newest as u16, now), None);
        let oldest = newest - Sent::CAPACITY as u64 + 1;
        assert_eq!(sent.received(oldest as u16, now).unwrap().number, oldest);
        assert_eq!(sent.received((oldest - 1) as u16, now), None, "overwritten");
        assert_eq!(sent.received((newest + 1) as u16, now), None, "never sent");
        assert_eq!(Sent::new().received(0, 0), None);
        let told = sent.received((newest - 1) as u16, start).unwrap();
        assert_eq!(told.at, start + newest - 1, "told before it was sent: a clock that stands still");
    }
}
