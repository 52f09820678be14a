//! A bad network between clients and a relay, with words that change it.
//!
//! | word | what it does |
//! |---|---|
//! | `{"to": "127.0.0.1:5000"}` | names the relay's media socket |
//! | `{"loss": 0.1, "delayMs": 25, "seed": 7}` | is the weather of all clients first heard of from now on; told: `{"event":"weather","number":n}` |
//! | `{"change": n, "bitsPerSecond": 300000}` | is the weather from now on of those who have that number: so much goes to them, or with `loss` and `delayMs` as above; told: `{"event":"changed"}` |
//! | `{"away": true}` | nothing goes through in either direction, until `false`; told: `{"event":"away"}` |
//! | `{"report": n}` | told: `{"event":"report", ...}` |

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::ensure;
use latchkey_loadtest::lossy::{Counts, Lossy, Weather};
use serde::Deserialize;
use serde_json::{Value, json};
use str0m_netem::{Bitrate, DataSize, NetemConfig, Probability, RandomLoss};

use crate::{Words, tell};

/// Where to stand.
#[derive(Deserialize)]
pub(crate) struct Order {
    /// Address of this machine that clients dial.
    bind: Ipv4Addr,
}

#[derive(Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Word {
    To {
        to: SocketAddr,
    },
    Weather {
        loss: f32,
        #[serde(default, rename = "delayMs")]
        delay_ms: u64,
        #[serde(default)]
        seed: u64,
    },
    Change {
        change: usize,
        #[serde(default)]
        loss: f32,
        #[serde(default, rename = "delayMs")]
        delay_ms: u64,
        #[serde(default, rename = "bitsPerSecond")]
        bits_per_second: Option<u64>,
    },
    Away {
        away: bool,
    },
    Report {
        report: usize,
    },
}

/// Carries datagrams until the input ends. Tells its `address` first.
pub(crate) async fn run(order: &Order, mut words: Words) -> anyhow::Result<()> {
    let lossy = Lossy::start_on(order.bind)?;
    tell(&json!({ "event": "address", "address": lossy.address().to_string() }));
    while let Some(word) = words.next_line().await? {
        match serde_json::from_str(&word)? {
            Word::To { to } => {
                lossy.forward_to(to);
                tell(&json!({ "event": "to" }));
            }
            Word::Weather { loss, delay_ms, seed } => {
                let number = lossy.begin(Weather::both_ways(path(loss, delay_ms)?, seed));
                tell(&json!({ "event": "weather", "number": number }));
            }
            Word::Change { change, loss, delay_ms, bits_per_second } => {
                let mut weather = Weather::both_ways(path(loss, delay_ms)?, 1);
                if let Some(bits) = bits_per_second {
                    // A fifth of a second waits at the narrow place.
                    let queue = DataSize::bytes(i64::try_from(bits / 8 / 5)?);
                    weather.down = weather.down.link(Bitrate::bps(bits), queue);
                }
                lossy.change(change, weather);
                tell(&json!({ "event": "changed" }));
            }
            Word::Away { away } => {
                lossy.set_away(away);
                tell(&json!({ "event": "away" }));
            }
            Word::Report { report } => {
                let report = lossy.report(report);
                tell(&json!({ "event": "report", "up": counts(report.up), "down": counts(report.down) }));
            }
        }
    }
    Ok(())
}

fn path(loss: f32, delay_ms: u64) -> anyhow::Result<NetemConfig> {
    ensure!((0.0..=1.0).contains(&loss), "loss is a share from 0 to 1");
    let path = NetemConfig::new().latency(Duration::from_millis(delay_ms));
    Ok(path.loss(RandomLoss::new(Probability::new(loss))))
}

fn counts(counts: Counts) -> Value {
    json!({ "datagrams": counts.datagrams, "lost": counts.lost, "media": counts.media, "mediaLost": counts.media_lost })
}
