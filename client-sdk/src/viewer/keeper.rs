//! Keeps the viewer's state: joins the camera's group by Welcome and follows its commits in order.
//!
//! State is saved before the server is told that a Welcome was used.

use std::sync::Arc;
use std::time::Duration;

use latchkey_api::event::Event as ServerEvent;
use latchkey_api::group::PendingWelcome;
use latchkey_api::id::{DeviceId, GroupId};
use latchkey_api::problem::ProblemCode;
use latchkey_e2ee::group::{GroupError, KeyPackages, Member, Processed, Refusal};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use crate::alarm::Alarm;
use crate::event::{Event, Teller};
use crate::home::{Home, HomeError};
use crate::key_packages;
use crate::signaling::{SignalUpdate, Signaling, SignalingError};
use crate::story::Step;
use crate::viewer::news::News;
use crate::viewer::{Ended, Ender, ViewerError};

/// The viewer's state.
pub(super) struct Keeper {
    home: Home,
    signaling: Signaling,
    camera: DeviceId,
    packages: KeyPackages,
    member: Option<Member>,
    keys: mpsc::UnboundedSender<News>,
    teller: Arc<Teller>,
    look_again: Instant,
    pause: Duration,
    /// The server said that this device is removed, or its rights changed.
    told_removed: bool,
}

/// Why following the group stopped for now.
#[derive(Debug, thiserror::Error)]
enum KeepError {
    #[error(transparent)]
    Home(#[from] HomeError),
    #[error(transparent)]
    Group(#[from] GroupError),
}

impl KeepError {
    /// The server lets this device in no more.
    fn is_shut_out(&self) -> bool {
        let Self::Home(HomeError::Signaling(error)) = self else { return false };
        matches!(error.code(), Some(ProblemCode::SignInFailed | ProblemCode::NotSignedIn))
    }
}

impl From<SignalingError> for KeepError {
    fn from(error: SignalingError) -> Self {
        Self::Home(error.into())
    }
}

impl Keeper {
    /// Restores this device's membership in the camera's group, where there is one, and gives out its keys.
    pub(super) fn new(
        home: Home,
        signaling: Signaling,
        camera: DeviceId,
        teller: Arc<Teller>,
        keys: mpsc::UnboundedSender<News>,
    ) -> Result<Self, ViewerError> {
        let packages = key_packages::load(&home)?;
        let stored = home.vault().record(&group_record(camera));
        let member = stored.map(|bytes| Member::restore(bytes, home.chain())).transpose()?;
        let keeper = Self {
            home,
            signaling,
            camera,
            packages,
            member,
            keys,
            teller,
            look_again: Instant::now() + LONGEST_PAUSE,
            pause: SHORTEST_PAUSE,
            told_removed: false,
        };
        keeper.give_keys();
        Ok(keeper)
    }

    /// Follows list and group until stopped, or until this device or the camera is removed.
    pub(super) async fn run(mut self, stop: CancellationToken, ender: Ender) {
        let mut events = self.signaling.events();
        loop {
            let update = tokio::select! {
                update = events.next() => match update {
                    Some(update) => Some(update),
                    None => return,
                },
                () = sleep_until(self.look_again) => None,
                () = stop.cancelled() => return,
            };
            let worked = tokio::select! {
                worked = self.react(update) => worked,
                () = stop.cancelled() => return,
            };
            let shut_out = worked.as_ref().is_err_and(|error| self.told_removed && error.is_shut_out());
            if let Err(error) = worked
                && !shut_out
            {
                self.report(&error);
            }
            let said = shut_out
                .then(|| "the server says that this device was removed from the household".to_owned());
            if let Some(reason) = self.removed().or(said) {
                ender.end(Ended::Removed(reason));
                return;
            }
        }
    }

    async fn react(&mut self, update: Option<SignalUpdate>) -> Result<(), KeepError> {
        let hint = match update {
            None | Some(SignalUpdate::Connected) => return self.catch_up().await,
            Some(SignalUpdate::Disconnected(error)) => {
                self.teller.trying(Step::Signalling, &error.to_string());
                return Ok(());
            }
            Some(SignalUpdate::Event(hint)) => hint,
        };
        match hint {
            ServerEvent::Message { group, .. } if group.camera() != self.camera => Ok(()),
            ServerEvent::KeyPackagesLow { .. } => {
                key_packages::top_up(&mut self.home, &self.signaling, &mut self.packages).await?;
                Ok(())
            }
            ServerEvent::Unknown => Ok(()),
            ServerEvent::Removed => {
                self.told_removed = true;
                self.catch_up().await?;
                // Still signed in: only rights have changed.
                self.told_removed = false;
                Ok(())
            }
            _ => self.catch_up().await,
        }
    }

    async fn catch_up(&mut self) -> Result<(), KeepError> {
        // Should anything fail on the way, it is looked at again soon.
        self.look_again_soon();
        self.home.refresh(&self.signaling).await?;
        self.teller.done(Step::Signalling);
        if self.removed().is_some() {
            return Ok(());
        }
        if self.packages.is_empty() {
            key_packages::top_up(&mut self.home, &self.signaling, &mut self.packages).await?;
        }
        for welcome in self.signaling.welcomes().await? {
            self.take_welcome(&welcome).await?;
        }
        self.read_messages().await?;
        if self.is_in() {
            self.pause = SHORTEST_PAUSE;
            self.look_again = Instant::now() + ROUTINE;
        } else {
            let reason =
                "the camera has not let this device into its group yet: is it connected to the server?";
            self.teller.trying(Step::KeyKnown, reason);
        }
        Ok(())
    }

    /// Joins by a Welcome of any camera; what cannot be used is reported and thrown away.
    async fn take_welcome(&mut self, welcome: &PendingWelcome) -> Result<(), KeepError> {
        let camera = welcome.group.camera();
        let joined = match self.join(camera, welcome) {
            Err(GroupError::Refused(Refusal::UnknownList { .. })) => {
                self.home.refresh(&self.signaling).await?;
                self.join(camera, welcome)
            }
            other => other,
        };
        match joined {
            Ok(member) => self.keep(camera, member, welcome.seq)?,
            // It may become usable: the list it rests on is still on its way.
            Err(error @ GroupError::Refused(Refusal::UnknownList { .. })) => return Err(error.into()),
            Err(GroupError::Refused(refusal)) => {
                self.teller.alarm(Alarm::GroupRuleBroken { what: "Welcome", refusal });
            }
            Err(error) => self.teller.note(format!("a Welcome could not be used: {error}")),
        }
        self.signaling.acknowledge_welcome(welcome.id).await?;
        Ok(())
    }

    fn join(&mut self, camera: DeviceId, welcome: &PendingWelcome) -> Result<Member, GroupError> {
        let bytes = welcome.welcome.as_slice();
        Member::join(self.home.identity(), self.home.chain(), &mut self.packages, camera, bytes)
    }

    /// Saves a new membership, unless it leads back to where this device was already.
    fn keep(&mut self, camera: DeviceId, member: Member, seq: u64) -> Result<(), KeepError> {
        let before = self.stored_member(camera)?;
        key_packages::save(&mut self.home, &self.packages)?;
        if before.is_some_and(|before| !before.is_removed() && !member.supersedes(&before)) {
            self.teller.note("a Welcome to where this device has been already was left alone");
            return Ok(());
        }
        self.save_member(&member, seq)?;
        if camera == self.camera {
            let (epoch, members) = (member.epoch(), member.members().len());
            self.member = Some(member);
            self.give_keys();
            self.teller.tell(Event::NewEpoch { epoch, members });
        }
        Ok(())
    }

    async fn read_messages(&mut self) -> Result<(), KeepError> {
        let Some(group) = self.member.as_ref().filter(|member| !member.is_removed()).map(Member::group_id)
        else {
            return Ok(());
        };
        let seq = self.seq(group);
        for message in self.signaling.messages_after(group, seq).await? {
            let bytes = message.message.as_slice();
            let processed = match self.process(bytes) {
                Err(GroupError::Refused(Refusal::UnknownList { .. })) => {
                    self.home.refresh(&self.signaling).await?;
                    self.process(bytes)
                }
                other => other,
            };
            match processed {
                Ok(Processed::Epoch(change)) => {
                    let members = self.member.as_ref().map_or(0, |member| member.members().len());
                    self.give_keys();
                    self.teller.tell(Event::NewEpoch { epoch: change.epoch, members });
                }
                Ok(Processed::Removed) => self.teller.note("the camera took this device out of its group"),
                Ok(_) => {}
                // Not what it must be: the group stays as it was, and messages after it are of no use.
                Err(error) => return Err(error.into()),
            }
            if let Some(member) = self.member.take() {
                self.save_member(&member, message.seq)?;
                self.member = Some(member);
            }
        }
        Ok(())
    }

    fn process(&mut self, message: &[u8]) -> Result<Processed, GroupError> {
        match &mut self.member {
            Some(member) => member.process(message, self.home.chain()),
            None => Ok(Processed::Stale),
        }
    }

    fn give_keys(&self) {
        let Some(member) = self.member.as_ref().filter(|member| !member.is_removed()) else { return };
        match member.frame_keys() {
            // Nobody listening means that everything is ending.
            Ok(keys) => drop(self.keys.send(News::Epoch { keys, removed: false })),
            Err(error) => self.teller.note(format!("the frame keys cannot be made: {error}")),
        }
    }

    fn is_in(&self) -> bool {
        let chain = self.home.chain();
        self.member.as_ref().is_some_and(|member| !member.is_removed() && !member.is_closed(chain))
    }

    /// Why this viewer is over, if it is.
    fn removed(&self) -> Option<String> {
        let list = self.home.list().ok()?;
        if list.device(self.home.device()).is_none() {
            return Some("this device was removed from the household".to_owned());
        }
        if list.generation(self.camera).is_none() {
            return Some("the camera was removed from the household".to_owned());
        }
        None
    }

    fn stored_member(&self, camera: DeviceId) -> Result<Option<Member>, GroupError> {
        let stored = self.home.vault().record(&group_record(camera));
        stored.map(|bytes| Member::restore(bytes, self.home.chain())).transpose()
    }

    fn save_member(&mut self, member: &Member, seq: u64) -> Result<(), HomeError> {
        let group = member.group_id();
        let vault = self.home.vault_mut();
        vault.put(&group_record(group.camera()), member.save());
        vault.put(&seq_record(group), Zeroizing::new(seq.to_be_bytes().to_vec()));
        Ok(vault.save()?)
    }

    fn seq(&self, group: GroupId) -> u64 {
        let stored = self.home.vault().record(&seq_record(group)).and_then(|bytes| bytes.try_into().ok());
        stored.map_or(0, u64::from_be_bytes)
    }

    fn look_again_soon(&mut self) {
        self.look_again = Instant::now() + self.pause;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }

    fn report(&self, error: &KeepError) {
        let text = format!("the group could not be followed: {error}");
        let alarm = match error {
            KeepError::Home(HomeError::List(error)) => Alarm::of_lists(&self.home, error),
            KeepError::Group(GroupError::Refused(refusal))
                if !matches!(refusal, Refusal::GroupClosed | Refusal::UnknownList { .. }) =>
            {
                Alarm::GroupRuleBroken { what: "commit", refusal: *refusal }
            }
            _ => return self.teller.note(text),
        };
        self.teller.trying(Step::KeyKnown, &text);
        self.teller.alarm(alarm);
    }
}

/// Record of this device's membership in a camera's group.
fn group_record(camera: DeviceId) -> String {
    format!("group/{camera}")
}

/// Record of the place of the last message taken from a group.
fn seq_record(group: GroupId) -> String {
    format!("group-seq/{group}")
}

/// First and longest wait until what failed is tried again.
const SHORTEST_PAUSE: Duration = Duration::from_millis(300);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// How often everything is looked at without being told.
const ROUTINE: Duration = Duration::from_secs(15 * 60);
