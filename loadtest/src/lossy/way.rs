//! One direction of one client: what comes in goes out later, twice, or never.

use std::time::{Duration, Instant};

use str0m_netem::{Input, Netem, NetemConfig, Output};

use crate::lossy::is_media;

/// What happened in one direction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Datagrams that came in.
    pub datagrams: u64,
    /// Those that were lost.
    pub lost: u64,
    /// Those that went on twice.
    pub repeated: u64,
    /// SRTP that came in, repairs included.
    pub media: u64,
    /// Of it, lost.
    pub media_lost: u64,
    /// Of it, went on twice.
    pub media_repeated: u64,
    /// Those that went on behind one that came in later.
    pub overtaken: u64,
    /// RTCP that was kept back, see [`Lossy::silence`](super::Lossy::silence).
    pub unheard: u64,
}

/// One direction.
pub(super) struct Way {
    netem: Netem<Datagram>,
    /// For one of so many.
    detour: Option<(u64, Netem<Datagram>)>,
    next: u64,
    newest_out: u64,
    /// Since they were last taken.
    pub(super) counts: Counts,
}

#[derive(Clone)]
struct Datagram {
    number: u64,
    bytes: Vec<u8>,
}

impl AsRef<[u8]> for Datagram {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Way {
    /// `detour`: see [`Weather::detour`](super::Weather::detour).
    pub(super) fn new(conditions: NetemConfig, detour: Option<(u64, Duration)>) -> Self {
        let longer = |(every, time)| (every, Netem::new(NetemConfig::new().latency(time)));
        Self {
            netem: Netem::new(conditions),
            detour: detour.map(longer),
            next: 0,
            newest_out: 0,
            counts: Counts::default(),
        }
    }

    /// Has other conditions from the next datagram on.
    pub(super) fn change(&mut self, conditions: NetemConfig) {
        self.netem.set_config(conditions);
    }

    /// Takes a datagram in, or loses it.
    pub(super) fn take_in(&mut self, bytes: Vec<u8>) {
        self.next += 1;
        self.counts.datagrams += 1;
        let netem = match &mut self.detour {
            Some((every, longer)) if self.next.is_multiple_of(*every) => longer,
            _ => &mut self.netem,
        };
        let (before, media) = (netem.queue_len(), u64::from(is_media(&bytes)));
        netem.handle_input(Input::Packet(Instant::now(), Datagram { number: self.next, bytes }));
        self.counts.media += media;
        match netem.queue_len() - before {
            0 => {
                self.counts.lost += 1;
                self.counts.media_lost += media;
            }
            1 => {}
            _ => {
                self.counts.repeated += 1;
                self.counts.media_repeated += media;
            }
        }
    }

    /// Returns the next datagram that is due.
    pub(super) fn let_out(&mut self, now: Instant) -> Option<Vec<u8>> {
        let datagram = self.netems_mut().find_map(|netem| {
            netem.handle_input(Input::Timeout(now));
            match netem.poll_output() {
                Some(Output::Packet(datagram)) => Some(datagram),
                _ => None,
            }
        })?;
        self.counts.overtaken += u64::from(datagram.number < self.newest_out);
        self.newest_out = self.newest_out.max(datagram.number);
        Some(datagram.bytes)
    }

    /// Returns when [`let_out`](Self::let_out) has something next.
    pub(super) fn due(&self) -> Option<Instant> {
        let netems = [Some(&self.netem), self.detour.as_ref().map(|(_, longer)| longer)];
        netems.into_iter().flatten().filter(|netem| !netem.is_empty()).map(Netem::poll_timeout).min()
    }

    fn netems_mut(&mut self) -> impl Iterator<Item = &mut Netem<Datagram>> {
        let longer = self.detour.as_mut().map(|(_, longer)| longer);
        [Some(&mut self.netem), longer].into_iter().flatten()
    }
}

impl Counts {
    /// Adds what was counted elsewhere.
    pub(super) fn add(&mut self, more: Self) {
        self.datagrams += more.datagrams;
        self.lost += more.lost;
        self.repeated += more.repeated;
        self.media += more.media;
        self.media_lost += more.media_lost;
        self.media_repeated += more.media_repeated;
        self.overtaken += more.overtaken;
        self.unheard += more.unheard;
    }

    /// Returns what came on top of what there was earlier.
    pub(super) fn since(self, earlier: Self) -> Self {
        Self {
            datagrams: self.datagrams - earlier.datagrams,
            lost: self.lost - earlier.lost,
            repeated: self.repeated - earlier.repeated,
            media: self.media - earlier.media,
            media_lost: self.media_lost - earlier.media_lost,
            media_repeated: self.media_repeated - earlier.media_repeated,
            overtaken: self.overtaken - earlier.overtaken,
            unheard: self.unheard - earlier.unheard,
        }
    }
}
