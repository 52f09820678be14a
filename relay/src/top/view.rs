//! What happened between two looks at a relay: rates, and latencies of what was sent meanwhile.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use latchkey_wire::id::RoomId;
use serde::Serialize;

use crate::ops::figures::{Flow, RoomLine, ShardLine};
use crate::top::Look;

/// One look's worth, as `--json` writes it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct View {
    pub(super) seconds: f64,
    pub(super) version: String,
    pub(super) draining: bool,
    pub(super) shards: Vec<ShardView>,
    /// Those that send most come first.
    pub(super) rooms: Vec<RoomView>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct ShardView {
    pub(super) shard: usize,
    pub(super) cpu: f64,
    pub(super) rooms: u64,
    pub(super) viewers: u64,
    pub(super) connecting: u64,
    #[serde(flatten)]
    pub(super) traffic: Traffic,
    /// Packets a second that went no further, by reason; those of socket buffers too.
    pub(super) dropped_per_second: BTreeMap<String, f64>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct RoomView {
    pub(super) room: RoomId,
    pub(super) shards: Vec<usize>,
    pub(super) live: bool,
    pub(super) viewers: usize,
    #[serde(flatten)]
    pub(super) traffic: Traffic,
    pub(super) limited_per_second: f64,
    pub(super) refused_per_second: f64,
}

/// What shards and rooms have in common.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Traffic {
    pub(super) received: Rate,
    pub(super) sent: Rate,
    pub(super) repaired_per_second: f64,
    /// `None` when nothing was sent on.
    pub(super) p50_us: Option<Latency>,
    pub(super) p99_us: Option<Latency>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct Rate {
    pub(super) packets_per_second: f64,
    pub(super) bits_per_second: f64,
}

/// A latency, as far as buckets tell.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub(super) enum Latency {
    /// About so many microseconds.
    About(u64),
    /// More than the last bound.
    Above {
        /// That bound, in microseconds.
        above: u64,
    },
}

impl View {
    pub(super) fn between(before: &Look, now: &Look) -> Self {
        let between = Between {
            seconds: now.at.saturating_duration_since(before.at).max(SHORTEST).as_secs_f64(),
            bounds: &now.shards.latency_bounds_us,
        };
        let shards = now.shards.shards.iter().map(|line| {
            let earlier = before.shards.shards.iter().find(|earlier| earlier.shard == line.shard);
            between.shard(earlier.unwrap_or(&ShardLine::default()), line)
        });
        let earlier: HashMap<_, _> = before.rooms.rooms.iter().map(|line| (line.room, line)).collect();
        let rooms = now.rooms.rooms.iter().map(|line| between.room(earlier.get(&line.room).copied(), line));
        let mut rooms: Vec<_> = rooms.collect();
        rooms.sort_by(|a, b| b.busyness().total_cmp(&a.busyness()));
        Self {
            seconds: between.seconds,
            version: now.shards.version.clone(),
            draining: now.shards.draining,
            shards: shards.collect(),
            rooms,
        }
    }

    /// All shards together.
    pub(super) fn total(&self) -> (Rate, Rate) {
        let add = |rates: &mut dyn Iterator<Item = Rate>| {
            rates.fold(Rate::default(), |sum, rate| Rate {
                packets_per_second: sum.packets_per_second + rate.packets_per_second,
                bits_per_second: sum.bits_per_second + rate.bits_per_second,
            })
        };
        (
            add(&mut self.shards.iter().map(|shard| shard.traffic.received)),
            add(&mut self.shards.iter().map(|shard| shard.traffic.sent)),
        )
    }
}

impl RoomView {
    fn busyness(&self) -> f64 {
        self.traffic.sent.bits_per_second + self.traffic.received.bits_per_second
    }
}

struct Between<'a> {
    seconds: f64,
    bounds: &'a [u64],
}

impl Between<'_> {
    fn shard(&self, before: &ShardLine, now: &ShardLine) -> ShardView {
        let dropped = now.dropped.iter().map(|(reason, count)| {
            (reason.clone(), self.rate(before.dropped.get(reason).copied().unwrap_or(0), *count))
        });
        let mut dropped_per_second: BTreeMap<_, _> = dropped.collect();
        dropped_per_second.insert("socket_full".to_owned(), self.rate(before.socket_drops, now.socket_drops));
        ShardView {
            shard: now.shard,
            cpu: now.load,
            rooms: now.rooms,
            viewers: now.viewers,
            connecting: now.connecting,
            traffic: Traffic {
                received: self.flow(before.received, now.received),
                sent: self.flow(before.sent, now.sent),
                repaired_per_second: self.rate(before.repaired, now.repaired),
                p50_us: self.quantile(&before.latency, &now.latency, 0.50),
                p99_us: self.quantile(&before.latency, &now.latency, 0.99),
            },
            dropped_per_second,
        }
    }

    fn room(&self, before: Option<&RoomLine>, now: &RoomLine) -> RoomView {
        // A room that is smaller than it was began anew.
        let before = before.filter(|before| before.received.packets <= now.received.packets);
        let flow = |pick: fn(&RoomLine) -> Flow| self.flow(before.map(pick).unwrap_or_default(), pick(now));
        let rate = |pick: fn(&RoomLine) -> u64| self.rate(before.map_or(0, pick), pick(now));
        let latency = before.map_or(&[][..], |before| &before.latency);
        RoomView {
            room: now.room,
            shards: now.shards.clone(),
            live: now.live,
            viewers: now.viewers,
            traffic: Traffic {
                received: flow(|line| line.received),
                sent: flow(|line| line.sent),
                repaired_per_second: rate(|line| line.repaired),
                p50_us: self.quantile(latency, &now.latency, 0.50),
                p99_us: self.quantile(latency, &now.latency, 0.99),
            },
            limited_per_second: rate(|line| line.over_limit),
            refused_per_second: rate(|line| line.refused),
        }
    }

    fn flow(&self, before: Flow, now: Flow) -> Rate {
        Rate {
            packets_per_second: self.rate(before.packets, now.packets),
            bits_per_second: self.rate(before.bytes, now.bytes) * 8.0,
        }
    }

    /// A counter that went back belongs to a relay that was started anew.
    fn rate(&self, before: u64, now: u64) -> f64 {
        let risen = if now >= before { now - before } else { now };
        risen as f64 / self.seconds
    }

    /// The latency that this share of the packets sent meanwhile stayed within, even over the bucket it falls in.
    fn quantile(&self, before: &[u64], now: &[u64], share: f64) -> Option<Latency> {
        let cells: Vec<u64> = now
            .iter()
            .enumerate()
            .map(|(cell, count)| count.saturating_sub(before.get(cell).copied().unwrap_or(0)))
            .collect();
        let all: u64 = cells.iter().sum();
        let mut left = share * all as f64;
        let mut from = 0;
        if all == 0 {
            return None;
        }
        for (bound, count) in self.bounds.iter().zip(&cells) {
            if *count > 0 && left <= *count as f64 {
                let within = left / *count as f64 * (bound - from) as f64;
                return Some(Latency::About(from + within.round() as u64));
            }
            left -= *count as f64;
            from = *bound;
        }
        Some(Latency::Above { above: from })
    }
}

/// Two looks in the same instant would divide by nothing.
const SHORTEST: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use crate::ops::figures::{RoomsAnswer, ShardsAnswer};

    use super::*;

    fn room(id: u8, packets: u64, latency: [u64; 3]) -> RoomLine {
        RoomLine {
            room: RoomId::new([id; 16]),
            shards: vec![0],
            live: true,
            viewers: 2,
            received: Flow { packets, bytes: packets * 1_000 },
            sent: Flow { packets: packets * 2, bytes: packets * 2_000 },
            repaired: packets / 10,
            over_limit: packets / 2,
            refused: 0,
            latency: latency.to_vec(),
            layers: Vec::new(),
        }
    }

    fn look(at: Instant, dropped: u64, rooms: Vec<RoomLine>) -> Look {
        let shard = ShardLine {
            load: 0.25,
            viewers: 4,
            sent: Flow { packets: dropped * 3, bytes: dropped * 300 },
            dropped: BTreeMap::from([("auth".to_owned(), dropped)]),
            ..ShardLine::default()
        };
        let latency_bounds_us = vec![100, 200];
        let shards = ShardsAnswer {
            latency_bounds_us: latency_bounds_us.clone(),
            shards: vec![shard],
            ..ShardsAnswer::default()
        };
        Look { at, shards, rooms: RoomsAnswer { latency_bounds_us, rooms } }
    }

    #[test]
    fn counters_become_rates_and_the_busiest_room_comes_first() {
        let start = Instant::now();
        let before = look(start, 10, vec![room(1, 100, [5, 0, 0]), room(2, 100, [0, 0, 0])]);
        let rooms = vec![room(1, 120, [6, 0, 0]), room(2, 300, [0, 98, 2]), room(3, 40, [40, 0, 0])];
        let now = look(start + Duration::from_secs(2), 30, rooms);
        let view = View::between(&before, &now);
        assert_eq!(view.shards[0].dropped_per_second["auth"], 10.0);
        assert_eq!(view.total().1, Rate { packets_per_second: 30.0, bits_per_second: 24_000.0 });
        let order: Vec<_> = view.rooms.iter().map(|room| room.room.as_bytes()[0]).collect();
        assert_eq!(order, [2, 3, 1]);
        let busiest = &view.rooms[0];
        assert_eq!(busiest.traffic.received, Rate { packets_per_second: 100.0, bits_per_second: 800_000.0 });
        assert_eq!((busiest.limited_per_second, busiest.traffic.repaired_per_second), (50.0, 10.0));
        assert_eq!(busiest.traffic.p50_us, Some(Latency::About(151)));
        assert_eq!(busiest.traffic.p99_us, Some(Latency::Above { above: 200 }));
        assert_eq!(view.rooms[1].traffic.p99_us, Some(Latency::About(99)), "a new room has no before");
        assert_eq!(view.rooms[2].traffic.p50_us, Some(Latency::About(50)));
    }

    #[test]
    fn a_relay_that_began_anew_does_not_look_negative() {
        let start = Instant::now();
        let before = look(start, 1_000, vec![room(1, 1_000, [500, 0, 0])]);
        let now = look(start + Duration::from_secs(1), 3, vec![room(1, 5, [5, 0, 0])]);
        let view = View::between(&before, &now);
        assert_eq!(view.shards[0].dropped_per_second["auth"], 3.0);
        assert_eq!(view.rooms[0].traffic.received.packets_per_second, 5.0);
    }

    #[test]
    fn nothing_sent_has_no_latency() {
        let start = Instant::now();
        let before = look(start, 0, vec![room(1, 9, [5, 5, 5])]);
        let view = View::between(&before, &Look { at: start + Duration::from_secs(1), ..before.clone() });
        assert_eq!((view.rooms[0].traffic.p50_us, view.rooms[0].traffic.p99_us), (None, None));
    }
}
