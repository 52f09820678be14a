//! What the ops port says of shards and rooms in JSON: counters since the start, for a reader that takes differences.

use std::collections::BTreeMap;

use latchkey_relay_core::room::LayerFigures;
use latchkey_wire::id::RoomId;
use serde::{Deserialize, Serialize};

use crate::shard::counters::Tally;
use crate::shard::counters::buckets::FORWARD_LATENCY_BOUNDS;
use crate::shard::counters::events::{Event, Gauge};
use crate::shard::counters::packets::{Direction, DropReason, PacketKind};
use crate::shard::traffic::RoomFigures;

/// `GET /shards`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct ShardsAnswer {
    pub(crate) version: String,
    pub(crate) draining: bool,
    pub(crate) latency_bounds_us: Vec<u64>,
    pub(crate) shards: Vec<ShardLine>,
}

/// One media thread.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct ShardLine {
    pub(crate) shard: usize,
    /// Share of a processor in the last second.
    pub(crate) load: f64,
    pub(crate) rooms: u64,
    pub(crate) viewers: u64,
    pub(crate) connecting: u64,
    pub(crate) received: Flow,
    pub(crate) sent: Flow,
    /// Packets by why they went no further.
    pub(crate) dropped: BTreeMap<String, u64>,
    pub(crate) socket_drops: u64,
    pub(crate) repaired: u64,
    pub(crate) sessions_limited: u64,
    /// Sent packets by latency: one cell for each bound and one for what is above.
    pub(crate) latency: Vec<u64>,
}

/// `GET /rooms`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct RoomsAnswer {
    pub(crate) latency_bounds_us: Vec<u64>,
    pub(crate) rooms: Vec<RoomLine>,
}

/// One room, opaque to everyone but its household.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct RoomLine {
    pub(crate) room: RoomId,
    /// Where its viewers are; its publisher is on one of them.
    pub(crate) shards: Vec<usize>,
    pub(crate) live: bool,
    pub(crate) viewers: usize,
    pub(crate) received: Flow,
    pub(crate) sent: Flow,
    pub(crate) repaired: u64,
    /// Packets dropped because a session of the room sent more than it may.
    pub(crate) over_limit: u64,
    /// Packets of the publisher that the room refused.
    pub(crate) refused: u64,
    pub(crate) latency: Vec<u64>,
    /// Layers of its video, from the least to the most.
    #[serde(default)]
    pub(crate) layers: Vec<LayerLine>,
}

/// One layer of a room's video.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LayerLine {
    /// The publisher's name for the simulcast layer.
    pub(crate) rid: Option<String>,
    /// Spatial layer within that.
    pub(crate) spatial: u8,
    pub(crate) temporal_layers: u8,
    pub(crate) bits_per_second: u64,
    pub(crate) viewers: u32,
    /// Part of the viewers.
    pub(crate) key_frames_only: u32,
    pub(crate) paused: bool,
}

/// So much in one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Flow {
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
}

impl ShardsAnswer {
    pub(crate) fn new(draining: bool, tallies: &[Tally]) -> Self {
        let shards = tallies.iter().enumerate().map(|(index, tally)| ShardLine::new(index, tally));
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            draining,
            latency_bounds_us: latency_bounds(),
            shards: shards.collect(),
        }
    }
}

impl ShardLine {
    fn new(shard: usize, tally: &Tally) -> Self {
        let flow = |direction| Flow {
            packets: PacketKind::ALL.iter().map(|kind| tally.packets(direction, *kind)).sum(),
            bytes: PacketKind::ALL.iter().map(|kind| tally.bytes(direction, *kind)).sum(),
        };
        let dropped =
            DropReason::ALL.iter().map(|reason| (reason.label().to_owned(), tally.dropped(*reason)));
        Self {
            shard,
            load: tally.gauge(Gauge::LoadPerMille) as f64 / 1e3,
            rooms: tally.gauge(Gauge::Rooms),
            viewers: tally.gauge(Gauge::Viewers),
            connecting: tally.gauge(Gauge::Connecting),
            received: flow(Direction::In),
            sent: flow(Direction::Out),
            dropped: dropped.collect(),
            socket_drops: tally.event(Event::SocketReceiveDrops),
            repaired: tally.event(Event::RtxPackets),
            sessions_limited: tally.event(Event::SessionsLimited),
            latency: tally.forward_latency().to_vec(),
        }
    }
}

impl RoomsAnswer {
    /// Puts together what the shards say; a room may be on several.
    pub(crate) fn new(by_shard: Vec<Vec<RoomFigures>>) -> Self {
        let mut rooms: BTreeMap<[u8; 16], (RoomFigures, Vec<usize>)> = BTreeMap::new();
        for (shard, figures) in by_shard.into_iter().enumerate() {
            for figures in figures {
                match rooms.get_mut(figures.room.as_bytes()) {
                    Some((all, shards)) => {
                        all.live |= figures.live;
                        all.viewers += figures.viewers;
                        all.traffic.merge(&figures.traffic);
                        merge_layers(&mut all.layers, &figures.layers);
                        shards.push(shard);
                    }
                    None => drop(rooms.insert(*figures.room.as_bytes(), (figures, vec![shard]))),
                }
            }
        }
        let rooms = rooms.into_values().map(|(figures, shards)| RoomLine::new(figures, shards)).collect();
        Self { latency_bounds_us: latency_bounds(), rooms }
    }
}

impl RoomLine {
    fn new(figures: RoomFigures, shards: Vec<usize>) -> Self {
        let traffic = figures.traffic;
        Self {
            room: figures.room,
            shards,
            live: figures.live,
            viewers: figures.viewers,
            received: Flow { packets: traffic.packets_in, bytes: traffic.bytes_in },
            sent: Flow { packets: traffic.packets_out, bytes: traffic.bytes_out },
            repaired: traffic.repaired,
            over_limit: traffic.over_limit,
            refused: traffic.refused,
            latency: traffic.latency.to_vec(),
            layers: figures.layers.iter().map(LayerLine::new).collect(),
        }
    }
}

impl LayerLine {
    fn new(figures: &LayerFigures) -> Self {
        Self {
            rid: figures.rid.map(|rid| rid.as_str().to_owned()),
            spatial: figures.spatial,
            temporal_layers: figures.temporal_layers,
            bits_per_second: figures.bits_per_second,
            viewers: figures.legs,
            key_frames_only: figures.key_frames_only,
            paused: figures.paused,
        }
    }
}

/// Adds the viewers of another shard; what is measured is the same on both.
fn merge_layers(all: &mut Vec<LayerFigures>, more: &[LayerFigures]) {
    for layer in more {
        let same = |other: &&mut LayerFigures| other.track == layer.track && other.spatial == layer.spatial;
        match all.iter_mut().find(same) {
            Some(known) => {
                known.legs += layer.legs;
                known.key_frames_only += layer.key_frames_only;
                known.paused |= layer.paused;
            }
            None => all.push(*layer),
        }
    }
}

fn latency_bounds() -> Vec<u64> {
    FORWARD_LATENCY_BOUNDS.iter().map(|bound| bound.as_micros() as u64).collect()
}

#[cfg(test)]
mod tests {
    use crate::shard::traffic::RoomTraffic;

    use super::*;

    #[test]
    fn a_room_on_two_shards_is_one_line() {
        let figures = |room, live, viewers, packets_out| RoomFigures {
            room: RoomId::new([room; 16]),
            live,
            viewers,
            traffic: RoomTraffic { packets_out, ..RoomTraffic::default() },
            layers: Vec::new(),
        };
        let answer = RoomsAnswer::new(vec![
            vec![figures(2, true, 3, 30)],
            vec![figures(1, true, 1, 7), figures(2, false, 2, 20)],
        ]);
        let lines: Vec<_> = answer
            .rooms
            .iter()
            .map(|room| (room.shards.clone(), room.live, room.viewers, room.sent.packets))
            .collect();
        assert_eq!(lines, [(vec![1], true, 1, 7), (vec![0, 1], true, 5, 50)]);
        let text = serde_json::to_string(&answer).unwrap();
        assert_eq!(serde_json::from_str::<RoomsAnswer>(&text).unwrap(), answer);
    }
}
