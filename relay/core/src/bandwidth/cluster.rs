//! How fast packets came that were sent close together: at the rate of the narrowest place on their way.

/// What a closed cluster showed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Shown {
    /// Bits per second that the path carried at least.
    pub(super) bits_per_second: f64,
    /// It was sent faster, so the path carries no more.
    pub(super) is_limit: bool,
    /// Number of its last packet.
    pub(super) last: u64,
}

/// Gathers packets into clusters.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Clusters {
    open: Option<Cluster>,
}

#[derive(Clone, Copy, Debug)]
struct Cluster {
    first: Packet,
    last: Packet,
    latest_arrival: i64,
    bytes: u64,
    count: u64,
}

/// A packet that came; times in microseconds of either side's clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packet {
    pub(super) number: u64,
    pub(super) sent: u64,
    pub(super) arrival: i64,
    pub(super) len: u32,
}

impl Clusters {
    /// A packet came, in the order of sending. Returns what the cluster before it showed.
    pub(super) fn received(&mut self, packet: Packet) -> Option<Shown> {
        if let Some(cluster) = &mut self.open
            && packet.number > cluster.last.number
            && packet.sent.saturating_sub(cluster.last.sent) <= APART_MICROS
            && cluster.count < MOST
        {
            cluster.bytes += u64::from(packet.len);
            cluster.count += 1;
            cluster.latest_arrival = cluster.latest_arrival.max(packet.arrival);
            cluster.last = packet;
            return None;
        }
        let latest_arrival = packet.arrival;
        let next =
            Cluster { first: packet, last: packet, latest_arrival, bytes: u64::from(packet.len), count: 1 };
        self.open.replace(next)?.shown()
    }

    /// What the present cluster showed so far if it has come to this number: nothing may be sent after it for long.
    pub(super) fn close_from(&mut self, number: u64) -> Option<Shown> {
        self.open.take_if(|cluster| cluster.last.number >= number)?.shown()
    }
}

impl Cluster {
    fn shown(&self) -> Option<Shown> {
        let sent = self.last.number - self.first.number + 1;
        if self.count < FEWEST || 5 * self.count < 3 * sent {
            return None;
        }
        let took = self.latest_arrival - self.first.arrival;
        if took < 0 {
            return None;
        }
        // What the first packet's arrival begins, the last one's ends; stamps are no finer than a tick.
        let came = (self.bytes - u64::from(self.first.len)) as f64 * 8e6 / took.max(TICK_MICROS) as f64;
        let sending = self.last.sent.saturating_sub(self.first.sent);
        let went = (self.bytes - u64::from(self.last.len)) as f64 * 8e6 / sending.max(1) as f64;
        let is_limit = took >= CLEAR_MICROS && went > FASTER * came;
        Some(Shown { bits_per_second: came.min(went), is_limit, last: self.last.number })
    }
}

/// Packets sent further apart than this are not of one cluster.
const APART_MICROS: u64 = 10_000;
const FEWEST: u64 = 6;
const MOST: u64 = 64;
const TICK_MICROS: i64 = 250;
/// Shorter clusters say that a path is fast, not how fast.
const CLEAR_MICROS: i64 = 3_000;
const FASTER: f64 = 1.3;

#[cfg(test)]
mod tests {
    use super::*;

    /// What ten packets of 1000 bytes show, sent and come in these steps.
    fn shown(sent: u64, arrival: i64) -> Option<Shown> {
        let mut clusters = Clusters::default();
        for number in 0..10 {
            let packet =
                Packet { number, sent: number * sent, arrival: 5_000 + number as i64 * arrival, len: 1_000 };
            assert_eq!(clusters.received(packet), None);
        }
        clusters.received(Packet { number: 10, sent: 1_000_000, arrival: 1_000_000, len: 1_000 })
    }

    #[test]
    fn a_burst_comes_at_the_rate_of_the_narrowest_place() {
        let burst = shown(1, 8_000).unwrap();
        assert_eq!((burst.bits_per_second.round(), burst.is_limit, burst.last), (1e6, true, 9));
        let paced = shown(8_000, 8_000).unwrap();
        assert_eq!((paced.bits_per_second.round(), paced.is_limit), (1e6, false));
        assert_eq!(shown(8_000, 100).unwrap().bits_per_second.round(), 1e6, "no more than was sent");
        assert!(
            !shown(1, -100).unwrap().is_limit,
            "all came at once, in another order: fast, who knows how fast"
        );
    }
}
