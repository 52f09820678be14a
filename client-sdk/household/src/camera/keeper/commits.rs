//! Commits: what makes the group equal to the list, how the server takes them, and the keys that come of it.

use std::sync::Arc;

use latchkey_api::problem::ProblemCode;
use latchkey_e2ee::group::{ClaimedPackage, CommitTime, EpochChange, PendingCommit};

use crate::alarm::{Alarm, name_of};
use crate::camera::keeper::{Keeper, SenderKeys};
use crate::event::Event;
use crate::follower::FollowError;
use crate::home::Home;
use crate::story::Step;

impl Keeper {
    /// Commits until the group equals the list. Returns whether every entitled device is in it.
    pub(super) async fn sync(&mut self, home: &mut Home) -> Result<bool, FollowError> {
        for _ in 0..ATTEMPTS {
            if let Some(pending) = self.group.pending().cloned() {
                self.post(home, &pending).await?;
                continue;
            }
            let now = self.commit_time(home)?;
            let (claimed, all_there) = self.claim(home, now).await;
            let synced = self.group.sync(home.chain(), &claimed, now)?;
            for refused in &synced.refused {
                let device = name_of(home, refused.device);
                self.teller.alarm(Alarm::WrongKeyPackage { device, why: refused.error.to_string() });
            }
            // Before the commit is sent.
            self.save(home)?;
            if synced.commit.is_none() && self.session.is_some() {
                return Ok(all_there);
            }
            if synced.commit.is_none() {
                self.group.renew(home.chain(), now)?;
                self.save(home)?;
            }
        }
        Ok(false)
    }

    /// Takes a key package of every device that is missing; says whether all had one.
    /// A server that gives none keeps nobody in: removals go on.
    pub(super) async fn claim(&mut self, home: &mut Home, now: CommitTime) -> (Vec<ClaimedPackage>, bool) {
        let mut claimed = self.rejoins.packages();
        let mut all_there = true;
        for device in self.group.missing(home.chain(), now) {
            if claimed.iter().any(|package| package.device == device) {
                continue;
            }
            match self.signaling.claim_key_package(device).await {
                Ok(key_package) => claimed.push(ClaimedPackage { device, key_package }),
                Err(error) => {
                    all_there = false;
                    if error.code() != Some(ProblemCode::NoKeyPackage) {
                        let who = name_of(home, device);
                        self.teller.note(format!("no key of {who} could be had to let it in: {error}"));
                    }
                    if error.code().is_none() {
                        // Nobody answers: the others would only take as long.
                        break;
                    }
                }
            }
        }
        (claimed, all_there)
    }

    /// Sends a commit. From here until the answer no frame is sealed: none of the epoch that ends may follow the commit that
    /// ended it.
    pub(super) async fn post(&mut self, home: &mut Home, pending: &PendingCommit) -> Result<(), FollowError> {
        self.hold.send_modify(|hold| hold.changing = true);
        let posted = self.post_and_take(home, pending).await;
        self.hold.send_modify(|hold| hold.changing = false);
        posted
    }

    pub(super) async fn post_and_take(
        &mut self,
        home: &mut Home,
        pending: &PendingCommit,
    ) -> Result<(), FollowError> {
        let group = self.group.group_id();
        match self.signaling.post_commit(group, &pending.to_post()).await {
            Ok(seq) => {
                let change = self.group.confirm()?;
                // Messages in between, if any, are still to be read.
                if seq == self.seq + 1 {
                    self.seq = seq;
                }
                self.epoch_began(home, &change)
            }
            Err(error)
                if matches!(error.code(), Some(ProblemCode::EpochTaken | ProblemCode::EpochNotCurrent)) =>
            {
                // Perhaps by this very commit, sent before a crash: then reading confirms it.
                self.read_messages(home).await?;
                if self.group.pending().is_some_and(|still| still.commit == pending.commit) {
                    self.group.discard()?;
                    self.save(home)?;
                    return Err(FollowError::Home(error.into()));
                }
                Ok(())
            }
            Err(error) if error.is_passing() => Err(error.into()),
            Err(error) => {
                self.group.discard()?;
                self.save(home)?;
                Err(error.into())
            }
        }
    }

    pub(super) fn epoch_began(&mut self, home: &mut Home, change: &EpochChange) -> Result<(), FollowError> {
        if self.session.is_none() {
            self.session = Some(self.group.next_session()?);
        }
        self.save(home)?;
        self.give_keys(home)?;
        self.chronicle.epoch_began(self.group.view()?);
        self.teller.tell(Event::NewEpoch { epoch: change.epoch, members: self.group.members().len() });
        Ok(())
    }

    /// Tells the media task until when the present epoch is good.
    pub(super) fn tell_end(&self, home: &Home) {
        let end = self.group.next_end(home.chain());
        self.hold.send_if_modified(|hold| std::mem::replace(&mut hold.end, end) != end);
    }

    pub(super) fn give_keys(&self, home: &Home) -> Result<(), FollowError> {
        self.tell_end(home);
        if let Some(session) = self.session {
            let keys = self.group.frame_keys()?;
            self.keys.send_replace(Some(Arc::new(SenderKeys { keys, session })));
            self.teller.done(Step::KeyKnown);
        }
        Ok(())
    }
}

/// Commits in one go before something else gets its turn.
const ATTEMPTS: usize = 4;
