//! The table: one line for the relay, one for each shard, one for each room as far as the screen holds them.

use std::fmt::Write as _;
use std::io::stdout;

use crate::top::view::{Latency, Rate, RoomView, ShardView, Traffic, View};

/// Columns and rows of the terminal.
pub(super) type Size = (usize, usize);

/// The terminal's size, when there is one.
pub(super) fn size() -> Option<Size> {
    let size = rustix::termios::tcgetwinsize(stdout()).ok()?;
    (size.ws_col > 0 && size.ws_row > 0).then(|| (size.ws_col.into(), size.ws_row.into()))
}

/// Draws what happened; without a size all rooms are listed, and no line is cut.
pub(super) fn table(view: &View, port: &str, size: Option<Size>) -> String {
    let mut lines = headline(view, port);
    lines.push(String::new());
    lines.push(format!("{:<22} {} {:>9} {:>9}", "SHARD", TRAFFIC, "CPU", "ROOMS"));
    for shard in &view.shards {
        lines.push(shard_line(shard));
        lines.extend(drops(shard));
    }
    lines.push(String::new());
    lines.push(format!("{:<22} {} {:>9} {:>9}", "ROOM", TRAFFIC, "LIMITED/s", "REFUSED/s"));
    // The last row of a screen stays free, so that it does not scroll.
    let room_rows = size.map_or(usize::MAX, |(_, rows)| rows.saturating_sub(lines.len() + 2).max(1));
    lines.extend(view.rooms.iter().take(room_rows).map(room));
    if view.rooms.is_empty() {
        lines.push("no rooms: nobody publishes or views".to_owned());
    }
    if view.rooms.len() > room_rows {
        lines.push(format!("and {} more that send less", view.rooms.len() - room_rows));
    }
    let width = size.map_or(usize::MAX, |(columns, _)| columns);
    lines.iter().fold(String::new(), |mut text, line| {
        let end = line.char_indices().nth(width).map_or(line.len(), |(end, _)| end);
        text.push_str(line[..end].trim_end());
        text.push('\n');
        text
    })
}

fn headline(view: &View, port: &str) -> Vec<String> {
    let viewers: u64 = view.shards.iter().map(|shard| shard.viewers).sum();
    let connecting: u64 = view.shards.iter().map(|shard| shard.connecting).sum();
    let live = view.rooms.iter().filter(|room| room.live).count();
    let (received, sent) = view.total();
    let standing = if view.draining { "DRAINING: takes nobody new" } else { "takes new sessions" };
    vec![
        format!("latchkey-relay {} at {port}: {standing}; over {:.1} s", view.version, view.seconds),
        format!(
            "{}, {}, {connecting} connecting; in {}, out {}",
            counted(live as u64, "camera"),
            counted(viewers, "viewer"),
            sentence(received),
            sentence(sent)
        ),
    ]
}

fn shard_line(shard: &ShardView) -> String {
    format!(
        "{:<22} {} {:>8.0}% {:>9}",
        shard.shard,
        traffic(shard.viewers, &shard.traffic),
        shard.cpu * 100.0,
        shard.rooms
    )
}

/// What the shard dropped, if anything.
fn drops(shard: &ShardView) -> Option<String> {
    let dropped: Vec<_> = shard
        .dropped_per_second
        .iter()
        .filter(|(_, rate)| **rate > 0.0)
        .map(|(reason, rate)| format!("{reason} {}", number(*rate)))
        .collect();
    (!dropped.is_empty()).then(|| format!("  dropped a second: {}", dropped.join(", ")))
}

fn room(room: &RoomView) -> String {
    let mut line = format!(
        "{:<22} {} {:>9} {:>9}",
        room.room.to_string(),
        traffic(room.viewers as u64, &room.traffic),
        number(room.limited_per_second),
        number(room.refused_per_second)
    );
    if !room.live {
        line.push_str("  nobody publishes");
    }
    line
}

fn traffic(viewers: u64, traffic: &Traffic) -> String {
    let mut text = format!("{viewers:>7}");
    for rate in [traffic.received, traffic.sent] {
        let _ = write!(text, " {:>9} {:>7}", number(rate.packets_per_second), megabits(rate));
    }
    for latency in [traffic.p50_us, traffic.p99_us] {
        let _ = write!(text, " {:>8}", latency.map_or_else(|| "-".to_owned(), milliseconds));
    }
    let _ = write!(text, " {:>7}", number(traffic.repaired_per_second));
    text
}

fn sentence(rate: Rate) -> String {
    format!("{} packets/s and {} Mbit/s", number(rate.packets_per_second), megabits(rate))
}

fn megabits(rate: Rate) -> String {
    format!("{:.1}", rate.bits_per_second / 1e6)
}

fn milliseconds(latency: Latency) -> String {
    match latency {
        Latency::About(micros) => format!("{:.2} ms", micros as f64 / 1e3),
        Latency::Above { above } => format!(">{} ms", above / 1_000),
    }
}

fn counted(count: u64, what: &str) -> String {
    format!("{} {what}{}", number(count as f64), if count == 1 { "" } else { "s" })
}

/// Whole, with the thousands apart.
fn number(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// Heads of what shards and rooms have in common, as wide as [`traffic`] writes it.
const TRAFFIC: &str = "VIEWERS  IN pkt/s  Mbit/s OUT pkt/s  Mbit/s      p50      p99 AGAIN/s";

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use latchkey_wire::id::RoomId;

    use super::*;

    fn view(rooms: u8) -> View {
        let traffic = Traffic {
            received: Rate { packets_per_second: 300.0, bits_per_second: 2_640_000.0 },
            sent: Rate { packets_per_second: 29_999.6, bits_per_second: 264e6 },
            repaired_per_second: 12.0,
            p50_us: Some(Latency::About(480)),
            p99_us: Some(Latency::Above { above: 50_000 }),
        };
        let room = |n| RoomView {
            room: RoomId::new([n; 16]),
            shards: vec![0],
            live: n % 2 == 0,
            viewers: 100,
            traffic: traffic.clone(),
            limited_per_second: 9_700.0,
            refused_per_second: 0.0,
        };
        let shard = ShardView {
            shard: 0,
            cpu: 0.123,
            rooms: rooms.into(),
            viewers: 100,
            connecting: 2,
            traffic: traffic.clone(),
            dropped_per_second: BTreeMap::from([("auth".to_owned(), 1_234.0), ("policy".to_owned(), 0.0)]),
        };
        View {
            seconds: 1.0,
            version: "0.1.0".to_owned(),
            draining: false,
            shards: vec![shard],
            rooms: (0..rooms).map(room).collect(),
        }
    }

    #[test]
    fn everything_stands_under_its_head() {
        let text = table(&view(2), "127.0.0.1:9600", None);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines[1],
            "1 camera, 100 viewers, 2 connecting; in 300 packets/s and 2.6 Mbit/s, out 30 000 packets/s and 264.0 Mbit/s"
        );
        for (head, line) in [(lines[3], lines[4]), (lines[7], lines[8])] {
            for (name, value) in [
                ("VIEWERS", "100"),
                ("OUT pkt/s", "30 000"),
                ("p50", "0.48 ms"),
                ("p99", ">50 ms"),
                ("AGAIN/s", "12"),
            ] {
                let end = head.find(name).unwrap() + name.len();
                assert!(line[..end].ends_with(value), "{name} in\n{head}\n{line}");
            }
        }
        assert_eq!(lines[5], "  dropped a second: auth 1 234");
        assert!(lines[8].contains("9 700") && lines[9].ends_with("nobody publishes"), "{text}");
    }

    #[test]
    fn it_fits_the_screen() {
        let text = table(&view(40), "127.0.0.1:9600", Some((60, 20)));
        assert!(text.lines().count() < 20 && text.lines().all(|line| line.chars().count() <= 60), "{text}");
        assert!(text.contains("more that send less"));
        let text = table(&view(0), "127.0.0.1:9600", None);
        assert!(text.contains("no rooms"), "{text}");
    }
}
