//! The token buckets of the server, and which request takes from which.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use latchkey_api::id::{DeviceId, GroupId, HouseholdId};
use latchkey_signaling_core::rate::{Rate, RateLimiter, TooSoon};

use crate::config::ServerConfig;

/// How often addresses and devices may ask.
pub(crate) struct Limits {
    addresses: Mutex<RateLimiter<IpAddr>>,
    open: Mutex<RateLimiter<IpAddr>>,
    households: Mutex<RateLimiter<IpAddr>>,
    devices: Mutex<RateLimiter<(HouseholdId, DeviceId)>>,
    messages: Mutex<RateLimiter<(HouseholdId, DeviceId)>>,
    exports: Mutex<RateLimiter<(HouseholdId, DeviceId)>>,
    probes: Mutex<RateLimiter<IpAddr>>,
    rejoins: Mutex<RateLimiter<(DeviceId, GroupId)>>,
}

impl Limits {
    pub(crate) fn new(config: &ServerConfig) -> Self {
        let rate = |per_second, burst: u32| Rate { per_second, burst: f64::from(burst) };
        Self {
            addresses: limiter(rate(config.address_rate, config.address_burst)),
            open: limiter(rate(config.open_rate, config.open_burst)),
            households: limiter(rate(config.household_rate / 3600.0, config.household_burst)),
            devices: limiter(rate(config.device_rate, config.device_burst)),
            messages: limiter(rate(config.message_rate, config.message_burst)),
            exports: limiter(EXPORTS),
            probes: limiter(PROBES),
            rejoins: limiter(REJOINS),
        }
    }

    /// Any request of an address.
    pub(crate) fn address(&self, client: IpAddr, now: Instant) -> Result<(), TooSoon> {
        lock(&self.addresses).take(client, now)
    }

    /// A request to a route that needs no sign-in.
    pub(crate) fn open(&self, client: IpAddr, now: Instant) -> Result<(), TooSoon> {
        lock(&self.open).take(client, now)
    }

    /// The registration of a household.
    pub(crate) fn household(&self, client: IpAddr, now: Instant) -> Result<(), TooSoon> {
        lock(&self.households).take(client, now)
    }

    /// A request of a signed-in device.
    pub(crate) fn device(
        &self,
        household: HouseholdId,
        device: DeviceId,
        now: Instant,
    ) -> Result<(), TooSoon> {
        lock(&self.devices).take((household, device), now)
    }

    /// A proposal or application message of a device, which everybody in the group reads and the store keeps.
    pub(crate) fn message(
        &self,
        household: HouseholdId,
        device: DeviceId,
        now: Instant,
    ) -> Result<(), TooSoon> {
        lock(&self.messages).take((household, device), now)
    }

    /// A request of a device to be put into a group anew, which costs the camera a commit.
    pub(crate) fn rejoin(&self, device: DeviceId, group: GroupId, now: Instant) -> Result<(), TooSoon> {
        lock(&self.rejoins).take((device, group), now)
    }

    /// A look from outside at the media port.
    pub(crate) fn probe(&self, client: IpAddr, now: Instant) -> Result<(), TooSoon> {
        lock(&self.probes).take(client, now)
    }

    /// An export of a household, asked for by a device.
    pub(crate) fn export(
        &self,
        household: HouseholdId,
        device: DeviceId,
        now: Instant,
    ) -> Result<(), TooSoon> {
        lock(&self.exports).take((household, device), now)
    }
}

fn limiter<K: std::hash::Hash + Eq>(rate: Rate) -> Mutex<RateLimiter<K>> {
    Mutex::new(RateLimiter::new(rate, MAX_KEYS))
}

fn lock<K>(limiter: &Mutex<RateLimiter<K>>) -> std::sync::MutexGuard<'_, RateLimiter<K>> {
    limiter.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Six an hour: each reads all rows of a household.
const EXPORTS: Rate = Rate { per_second: 6.0 / 3600.0, burst: 3.0 };
/// Four a minute, for a person who tries one thing after the other.
const PROBES: Rate = Rate { per_second: 4.0 / 60.0, burst: 6.0 };
/// Once a minute for each group.
const REJOINS: Rate = Rate { per_second: 1.0 / 60.0, burst: 1.0 };
const MAX_KEYS: usize = 100_000;
