//! The networks that a scenario can name, with their numbers.

use std::time::Duration;

use str0m_netem::{Bitrate, DataSize, GilbertElliot, NetemConfig, Probability, RandomLoss};

use crate::fleet::network::Conditions;

/// A network by name. Delay is one way; jitter is spread evenly about it and overtakes nothing (a datagram waits for the
/// one before it, as in one radio's queue); loss of the way up is that of the way down.
///
/// | name | delay | jitter | loss | rate down, up | queue |
/// |---|---|---|---|---|---|
/// | `fair` | none | none | none | | |
/// | `wifi` | 5 ms | 5 ms | 0.3 %, each on its own | 100, 40 Mbit/s | 400 kB |
/// | `lossy-wifi` | 20 ms | 50 ms (never below none) | 5 %, each on its own | 50, 20 Mbit/s | 400 kB |
/// | `cellular` | 60 ms | 40 ms | 1 % in bursts of 4 | 12, 5 Mbit/s | 300 kB |
/// | `burst-loss` | 20 ms | 50 ms (never below none) | 2 % in bursts of 5 (Gilbert-Elliott) | | |
/// | `harsh-wifi` | 40 ms | 50 ms (never below none) | 10 %, each on its own | 20, 10 Mbit/s | 400 kB |
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Profile {
    /// A network without faults.
    Fair,
    /// A good wireless network at home.
    Wifi,
    /// A bad one.
    LossyWifi,
    /// A phone on the road.
    Cellular,
    /// Losses that come together.
    BurstLoss,
    /// Worse than anybody should have to watch over.
    HarshWifi,
}

impl Profile {
    /// Every profile, the best first.
    pub const ALL: [Self; 6] =
        [Self::Fair, Self::Wifi, Self::LossyWifi, Self::Cellular, Self::BurstLoss, Self::HarshWifi];

    /// Returns its name, as scenarios have it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Fair => "fair",
            Self::Wifi => "wifi",
            Self::LossyWifi => "lossy-wifi",
            Self::Cellular => "cellular",
            Self::BurstLoss => "burst-loss",
            Self::HarshWifi => "harsh-wifi",
        }
    }

    /// Returns the profile of this name; `None` for a name that none has.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.name() == name)
    }

    /// Returns what one viewer meets; the same seed always brings the same faults. Viewers should have different ones.
    #[must_use]
    pub fn conditions(self, seed: u64) -> Conditions {
        let way = |config: NetemConfig, mbit, queue_kb| {
            config.link(Bitrate::mbps(mbit), DataSize::kbytes(queue_kb))
        };
        let (config, rates) = match self {
            Self::Fair => return Conditions::default(),
            Self::Wifi => (delayed(5, 5).loss(random(0.003)), Some((100, 40, 400))),
            Self::LossyWifi => (delayed(20, 50).loss(random(0.05)), Some((50, 20, 400))),
            Self::Cellular => (delayed(60, 40).loss(bursts(0.01, 4.0)), Some((12, 5, 300))),
            Self::BurstLoss => (delayed(20, 50).loss(bursts(0.02, 5.0)), None),
            Self::HarshWifi => (delayed(40, 50).loss(random(0.1)), Some((20, 10, 400))),
        };
        let (down, up) = match rates {
            Some((down, up, queue)) => (way(config, down, queue), way(config, up, queue)),
            None => (config, config),
        };
        let (down, up) = (down.seed(seed.wrapping_mul(2)), up.seed(seed.wrapping_mul(2).wrapping_add(1)));
        Conditions { up: Some(up), down: Some(down), address_change_every: None }
    }
}

fn delayed(delay_ms: u64, jitter_ms: u64) -> NetemConfig {
    NetemConfig::new().latency(Duration::from_millis(delay_ms)).jitter(Duration::from_millis(jitter_ms))
}

fn random(share: f32) -> RandomLoss {
    RandomLoss::new(Probability::new(share))
}

/// Bursts of `length` datagrams in the mean, which in all lose `share` of them.
fn bursts(share: f32, length: f32) -> GilbertElliot {
    GilbertElliot::new().bad_duration(length).good_duration(length * (1.0 - share) / share)
}
