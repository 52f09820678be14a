//! Who is watching a camera, as far as devices say so themselves inside the group.

use std::collections::BTreeMap;
use std::time::Duration;

use latchkey_api::id::DeviceId;
use web_time::Instant;

use crate::event::{Event, Watcher};
use crate::home::Home;

/// Devices that announced themselves and have not said goodbye.
#[derive(Debug, Default)]
pub(crate) struct Watchers(BTreeMap<DeviceId, Instant>);

impl Watchers {
    /// A device announced itself at `now`; returns whether that is news.
    pub(crate) fn came(&mut self, device: DeviceId, now: Instant) -> bool {
        self.0.insert(device, now).is_none()
    }

    /// A device said goodbye; returns whether it was watching.
    pub(crate) fn left(&mut self, device: DeviceId) -> bool {
        self.0.remove(&device).is_some()
    }

    /// Forgets devices that were silent for too long at `now` and returns them.
    pub(crate) fn forget_silent(&mut self, now: Instant) -> Vec<DeviceId> {
        let silent = self.0.iter().filter(|(_, seen)| now.duration_since(**seen) >= FORGOTTEN_AFTER);
        let silent: Vec<DeviceId> = silent.map(|(device, _)| *device).collect();
        for device in &silent {
            self.0.remove(device);
        }
        silent
    }

    /// When the next one is to be forgotten, if nothing is heard of it.
    pub(crate) fn next_silence(&self) -> Option<Instant> {
        self.0.values().min().map(|seen| *seen + FORGOTTEN_AFTER)
    }

    /// Returns all that are watching, in ascending order of their ids.
    pub(crate) fn devices(&self) -> Vec<DeviceId> {
        self.0.keys().copied().collect()
    }

    /// Returns the event that names them.
    pub(crate) fn event(&self, home: &Home) -> Event {
        // Whoever was removed sees nothing any more, also before it is forgotten.
        let listed = |device: &&DeviceId| home.list().is_ok_and(|list| list.device(**device).is_some());
        let devices = self
            .0
            .keys()
            .filter(listed)
            .map(|device| Watcher { device: *device, name: crate::alarm::name_of(home, *device) });
        Event::Watching { devices: devices.collect() }
    }
}

/// Viewers announce themselves every minute.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(180);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_says_goodbye_or_falls_silent_watches_no_more() {
        let (phone, tablet) = (DeviceId([1; 16]), DeviceId([2; 16]));
        let now = Instant::now();
        let mut watchers = Watchers::default();
        assert!(watchers.came(phone, now) && watchers.came(tablet, now));
        assert!(!watchers.came(tablet, now + Duration::from_secs(60)));
        assert_eq!(watchers.next_silence(), Some(now + FORGOTTEN_AFTER));
        assert_eq!(watchers.forget_silent(now + FORGOTTEN_AFTER), [phone]);
        assert_eq!(watchers.devices(), [tablet]);
        assert!(watchers.left(tablet) && !watchers.left(tablet));
    }
}
