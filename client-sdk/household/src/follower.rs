//! Follows the group of one camera from a member's side: Welcomes, commits, records and notes, in their order.
//!
//! Used by a running viewer and by commands that wait for a camera. What cannot be used is an alarm and is passed
//! over; the state that is kept leads back to the first commit that could not be used, until one could.

mod doubts;
mod judge;
mod knock;
mod messages;
mod stored;
mod welcome;

pub(crate) use doubts::{LIMIT as DOUBT_LIMIT, RecordDue};
pub(crate) use judge::{alarm_of, explain};
pub(crate) use stored::records_record;
pub use stored::stored_records;

use std::collections::VecDeque;

use latchkey_api::device_list::ListError;
use latchkey_api::id::DeviceId;
use latchkey_api::problem::ProblemCode;
use latchkey_e2ee::group::{GroupError, Member};
use latchkey_e2ee::key_schedule::EpochKeys;
use latchkey_e2ee::note::Note;
use latchkey_e2ee::record::{EpochRecord, EpochView, RecordChain};
use web_time::Instant;
use zeroize::Zeroizing;

use crate::alarm::Alarm;
use crate::clock::unix_seconds;
use crate::follower::doubts::OldListUsed;
use crate::follower::knock::Knocking;
use crate::follower::stored::{put_member, stored_member, stored_seq};
use crate::home::{Home, HomeError};
use crate::signaling::{Signaling, SignalingError};

/// This device's membership in one camera's group.
pub(crate) struct Follower {
    camera: DeviceId,
    member: Option<Member>,
    records: RecordChain,
    /// The own group in the last epochs, the present one last.
    views: VecDeque<EpochView>,
    /// Place of the last message before a commit that could not be used.
    stuck: Option<u64>,
    /// Place of the last message that was looked at.
    seq: u64,
    /// The place that the server was told.
    told: u64,
    /// Messages before the next one are gone.
    lost: bool,
    knocking: Knocking,
    old_list: OldListUsed,
}

/// Something that was found by [`Follower::catch_up`], in the order in which it happened.
pub(crate) enum Followed {
    /// A new epoch.
    Epoch {
        /// Its keys.
        keys: EpochKeys,
        /// How many devices hold them.
        members: usize,
        /// The commit removed a member.
        removed: bool,
    },
    /// The camera took this device out.
    Removed,
    /// The camera's record of an epoch; it is signed and agrees with the own group.
    Record(EpochRecord),
    /// A member tells something.
    Note {
        /// The member.
        from: DeviceId,
        /// What.
        note: Note,
    },
    /// Something that an honest server and honest members never do.
    Alarm(Alarm),
    /// Something to know, in one sentence.
    Said(String),
}

/// Why following the group stopped for now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FollowError {
    /// What the device keeps, or the server.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The own state.
    #[error(transparent)]
    Group(#[from] GroupError),
}

impl FollowError {
    /// Returns whether the server lets this device in no more.
    pub fn is_shut_out(&self) -> bool {
        let Self::Home(HomeError::Signaling(error)) = self else { return false };
        matches!(error.code(), Some(ProblemCode::SignInFailed | ProblemCode::NotSignedIn))
    }
}

impl From<SignalingError> for FollowError {
    fn from(error: SignalingError) -> Self {
        Self::Home(error.into())
    }
}

impl Follower {
    /// Restores the membership that the vault holds, if any.
    pub(crate) fn new(home: &Home, camera: DeviceId) -> Result<Self, GroupError> {
        let mut follower = Self {
            camera,
            member: None,
            records: RecordChain::default(),
            views: VecDeque::new(),
            stuck: None,
            seq: 0,
            told: 0,
            lost: false,
            knocking: Knocking::default(),
            old_list: OldListUsed::default(),
        };
        follower.restore(home)?;
        Ok(follower)
    }

    fn restore(&mut self, home: &Home) -> Result<(), GroupError> {
        self.member = stored_member(home, self.camera)?;
        self.seq = self.member.as_ref().map_or(0, |member| stored_seq(home, member.group_id()));
        self.stuck = None;
        let group = self.member.as_ref().map(Member::group_id);
        self.records = stored_records(home, self.camera)
            .filter(|records| records.head().map(EpochRecord::group) == group)
            .unwrap_or_default();
        self.remember_view();
        Ok(())
    }

    /// Reads lists, Welcomes and messages, and returns what they brought. A server that does not answer is an error;
    /// what it shows and ought not to is an [`Followed::Alarm`].
    pub(crate) async fn catch_up(
        &mut self,
        home: &mut Home,
        signaling: &Signaling,
    ) -> Result<Vec<Followed>, FollowError> {
        let mut found = Vec::new();
        refresh(home, signaling, &mut found).await?;
        if self.member.as_ref().is_none_or(Member::is_removed) {
            // Another follower of this device may have taken the Welcome.
            self.restore(home)?;
        }
        for welcome in signaling.welcomes().await? {
            let camera = welcome.group.camera();
            if camera != self.camera && home.is_followed(camera) {
                // Its own follower takes it.
                continue;
            }
            if self.take_welcome(home, signaling, &welcome, &mut found).await? {
                signaling.acknowledge_welcome(welcome.id).await?;
            }
        }
        self.read_messages(home, signaling, &mut found).await?;
        self.renew_leaf(home, signaling).await?;
        self.tell_cursor(signaling).await;
        self.settle(home, &mut found);
        self.knock(home, signaling, &mut found).await?;
        Ok(found)
    }

    /// Reads as [`Follower::catch_up`] does and leaves everything at the server as it is: for a copy of a device that another
    /// process holds, which finds Welcome and messages there when it follows the group itself.
    pub(crate) async fn read_along(
        &mut self,
        home: &mut Home,
        signaling: &Signaling,
    ) -> Result<Vec<Followed>, FollowError> {
        let mut found = Vec::new();
        refresh(home, signaling, &mut found).await?;
        for welcome in signaling.welcomes().await? {
            if welcome.group.camera() == self.camera {
                self.take_welcome(home, signaling, &welcome, &mut found).await?;
            }
        }
        self.read_messages(home, signaling, &mut found).await?;
        Ok(found)
    }

    /// Reads messages only, when the server said that there is one at place `seq`.
    pub(crate) async fn read_to(
        &mut self,
        home: &mut Home,
        signaling: &Signaling,
        seq: u64,
    ) -> Result<Vec<Followed>, FollowError> {
        let mut found = Vec::new();
        if self.stuck.is_some() || seq > self.seq {
            self.read_messages(home, signaling, &mut found).await?;
            if self.seq.saturating_sub(self.told) >= CURSOR_EVERY {
                self.tell_cursor(signaling).await;
            }
        }
        Ok(found)
    }

    /// Reads lists and the messages up to the newest, and nothing else: for a device in the group that is told of a list, as
    /// all followers of this device are at once. A list that is known is read again, too, so that one taken back is noticed.
    pub(crate) async fn read_list(
        &mut self,
        home: &mut Home,
        signaling: &Signaling,
    ) -> Result<Vec<Followed>, FollowError> {
        let mut found = Vec::new();
        refresh(home, signaling, &mut found).await?;
        self.read_messages(home, signaling, &mut found).await?;
        self.settle(home, &mut found);
        Ok(found)
    }

    /// Seals a note, saves, and posts it.
    pub(crate) async fn send(
        &mut self,
        home: &mut Home,
        signaling: &Signaling,
        note: &Note,
    ) -> Result<(), FollowError> {
        let Some(member) = &mut self.member else { return Err(GroupError::Removed.into()) };
        let message = member.send_note(note)?;
        let group = member.group_id();
        self.save(home)?;
        signaling.post_message(group, message).await?;
        Ok(())
    }

    /// The frame keys of the present epoch, `None` while this device is not in the group.
    pub(crate) fn keys(&self) -> Option<Result<EpochKeys, GroupError>> {
        self.member.as_ref().filter(|member| !member.is_removed()).map(Member::frame_keys)
    }

    /// How many devices hold the keys of the present epoch.
    pub(crate) fn members(&self) -> usize {
        self.member.as_ref().map_or(0, |member| member.members().len())
    }

    /// Whether this device is in the camera's group as the newest list has it.
    pub(crate) fn is_in(&self, home: &Home) -> bool {
        let is_in = |member: &Member| !member.is_removed() && !member.is_closed(home.chain());
        self.member.as_ref().is_some_and(is_in)
    }

    /// Whether this device waits to be let in, or to be put in anew.
    pub(crate) fn is_outside(&self, home: &Home) -> bool {
        self.lost || !self.is_in(home)
    }

    /// The camera's records, as far as they came.
    pub(crate) fn records(&self) -> &RecordChain {
        &self.records
    }

    /// The present epoch and those before, with the hashes of their authenticators, the newest last.
    pub(crate) fn epochs(&self) -> Vec<(u64, [u8; 32])> {
        self.views.iter().map(|view| (view.epoch, view.authenticator)).collect()
    }

    pub(super) fn epoch_began(&mut self, removed: bool, found: &mut Vec<Followed>) -> Result<(), GroupError> {
        self.remember_view();
        if let Some(keys) = self.keys() {
            found.push(Followed::Epoch { keys: keys?, members: self.members(), removed });
        }
        Ok(())
    }

    /// Whether it is to be looked again within [`DOUBT_LIMIT`] whether the camera knows the newest list.
    pub(crate) fn is_in_doubt(&self) -> bool {
        self.old_list.is_open()
    }

    /// Everything was read that the camera posted before it knew of the newest list.
    fn settle(&mut self, home: &Home, found: &mut Vec<Followed>) {
        self.old_list.settled(home.chain().head().map_or(0, |head| head.list().version));
        if let Some((named, shown)) = self.old_list.judge(Instant::now()) {
            let by = "this device, and not the camera,".to_owned();
            found.push(Followed::Alarm(Alarm::ListWithheld { named, shown, by }));
        }
    }

    fn remember_view(&mut self) {
        let Some(view) = self.member.as_ref().and_then(|member| member.view().ok()) else { return };
        if self.views.back().is_some_and(|last| last.epoch == view.epoch) {
            return;
        }
        self.views.push_back(view);
        if self.views.len() > VIEWS {
            self.views.pop_front();
        }
    }

    /// Proposes to renew this device's own leaf once a week; the camera takes it in.
    async fn renew_leaf(&mut self, home: &mut Home, signaling: &Signaling) -> Result<(), FollowError> {
        if !self.is_in(home) {
            return Ok(());
        }
        let Some(member) = &mut self.member else { return Ok(()) };
        let (group, now) = (member.group_id(), unix_seconds());
        let name = format!("group-renewed/{group}");
        let renewed =
            home.vault().record(&name).and_then(|bytes| bytes.try_into().ok()).map(u64::from_be_bytes);
        let due = renewed.is_some_and(|renewed| now.saturating_sub(renewed) >= WEEK);
        if renewed.is_some() && !due {
            return Ok(());
        }
        let proposal = if due { Some(member.propose_update()?) } else { None };
        home.vault_mut().put(&name, Zeroizing::new(now.to_be_bytes().to_vec()));
        self.save(home)?;
        if let Some(proposal) = proposal {
            signaling.post_message(group, proposal).await?;
        }
        Ok(())
    }

    /// Tells the server how far this device has read, so that it need not keep what all have.
    async fn tell_cursor(&mut self, signaling: &Signaling) {
        let Some(member) = self.member.as_ref().filter(|member| !member.is_removed()) else { return };
        if self.stuck.is_some() || self.told == self.seq {
            return;
        }
        // What it did not hear it is told the next time.
        if signaling.post_cursor(member.group_id(), self.seq).await.is_ok() {
            self.told = self.seq;
        }
    }

    pub(super) fn save(&self, home: &mut Home) -> Result<(), HomeError> {
        home.vault_mut().put(&records_record(self.camera), Zeroizing::new(self.records.to_bytes()));
        if let Some(member) = &self.member {
            put_member(home, member, self.stuck.unwrap_or(self.seq));
        }
        Ok(home.vault().save()?)
    }
}

/// Reads new lists. What the server shows and ought not to becomes an alarm; the lists that are known stay in force.
pub(crate) async fn refresh(
    home: &mut Home,
    signaling: &Signaling,
    found: &mut Vec<Followed>,
) -> Result<bool, HomeError> {
    match home.refresh(signaling).await {
        Err(HomeError::List(error)) => {
            let news = matches!(error, ListError::TwoHistories { .. });
            found.push(Followed::Alarm(Alarm::of_lists(home, &error)));
            Ok(news)
        }
        Err(HomeError::RolledBack { shown, pinned }) => {
            found.push(Followed::Alarm(Alarm::ListRolledBack { shown, pinned }));
            Ok(false)
        }
        other => other,
    }
}

/// Epochs whose own view is remembered; a question names as many.
const VIEWS: usize = latchkey_e2ee::note::MAX_EPOCHS;
/// Messages after which the cursor is told without anything else being looked at.
const CURSOR_EVERY: u64 = 64;
/// Seconds of a week.
const WEEK: u64 = 7 * 24 * 3600;
