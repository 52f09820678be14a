//! What a device does that is on the list and cannot get into the group: it asks the camera to put it in anew.
//!
//! A Welcome may be lost, and messages that were not read may be gone; neither comes again by itself.

use std::time::Duration;

use latchkey_api::device_list::{Right, Role};
use latchkey_api::id::GroupId;
use web_time::Instant;
use zeroize::Zeroizing;

use crate::clock::{self, unix_seconds};
use crate::follower::{FollowError, Followed, Follower};
use crate::home::Home;
use crate::key_packages;
use crate::signaling::Signaling;

/// Since when this device stands outside, and what it asked last.
#[derive(Default)]
pub(super) struct Knocking {
    since: Option<Instant>,
    asked: Option<Instant>,
    /// The package that it asks with, the same until it is used.
    package: Option<Vec<u8>>,
}

impl Follower {
    /// Asks the camera to put this device in anew, once a minute for as long as it stands outside.
    pub(super) async fn knock(
        &mut self,
        home: &mut Home,
        signaling: &Signaling,
        found: &mut Vec<Followed>,
    ) -> Result<(), FollowError> {
        let Some(group) = self.group_of(home).filter(|_| self.is_outside(home)) else {
            self.knocking = Knocking::default();
            return Ok(());
        };
        let now = Instant::now();
        let since = *self.knocking.since.get_or_insert(now);
        let asked = self.knocking.asked.is_some_and(|asked| now.duration_since(asked) < ASK_EVERY);
        if now.duration_since(since) < PATIENCE || asked || home.vault().is_read_only() {
            return Ok(());
        }
        self.knocking.asked = Some(now);
        let mut packages = key_packages::load(home)?;
        let package = match self.knocking.package.clone() {
            Some(package) => package,
            None => packages.generate(home.identity(), home.chain(), clock::now())?,
        };
        self.knocking.package = Some(package.clone());
        let last = home.vault().record(ASKED).and_then(|bytes| bytes.try_into().ok()).map(u64::from_be_bytes);
        let time = unix_seconds().max(last.map_or(0, |last| last.saturating_add(1)));
        home.vault_mut().put(ASKED, Zeroizing::new(time.to_be_bytes().to_vec()));
        key_packages::save(home, &packages)?;
        let request = home.identity().sign_rejoin(&home.household(), &group, time, package);
        let text = match signaling.ask_to_rejoin(group, &request).await {
            Ok(()) => "asked the camera to put this device into its group anew".to_owned(),
            Err(error) => format!("the camera could not be asked to put this device into its group: {error}"),
        };
        found.push(Followed::Said(text));
        Ok(())
    }

    /// The group that the list gives to the camera, when this device may be in it.
    fn group_of(&self, home: &Home) -> Option<GroupId> {
        let (list, device) = (home.list().ok()?, home.device());
        let generation = list.generation(self.camera)?;
        let may = list.may(device, Right::See, self.camera, unix_seconds());
        let is_camera = list.device(device).is_none_or(|entry| entry.role == Role::Camera);
        (may && !is_camera).then(|| GroupId::new(self.camera, generation))
    }
}

/// How long the camera has to let a device in by itself.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it is asked; the server passes on one request a minute.
const ASK_EVERY: Duration = Duration::from_secs(61);
/// Record of the time that the last request named.
const ASKED: &str = "rejoin-asked";
