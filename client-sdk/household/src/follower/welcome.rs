//! Welcomes: how a device gets into a camera's group, and what becomes of one that cannot be used.

use latchkey_api::group::PendingWelcome;
use latchkey_e2ee::group::{GroupError, Refusal};
use latchkey_e2ee::record::RecordChain;

use crate::alarm::Alarm;
use crate::follower::judge::withheld;
use crate::follower::stored::join;
use crate::follower::{FollowError, Followed, Follower, refresh};
use crate::home::Home;
use crate::signaling::Signaling;

impl Follower {
    /// Joins by a Welcome of any camera, and returns whether it is done with; what cannot be used is reported and done with.
    pub(super) async fn take_welcome(
        &mut self,
        home: &mut Home,
        signaling: &Signaling,
        welcome: &PendingWelcome,
        found: &mut Vec<Followed>,
    ) -> Result<bool, FollowError> {
        let joined = match join(home, welcome) {
            Err(FollowError::Group(GroupError::Refused(Refusal::UnknownList { .. }))) => {
                refresh(home, signaling, found).await?;
                join(home, welcome)
            }
            other => other,
        };
        match joined {
            Ok(Some(member)) if welcome.group.camera() == self.camera => {
                self.member = Some(member);
                self.seq = welcome.seq;
                (self.stuck, self.lost) = (None, false);
                if self.records.head().is_some_and(|head| head.group() != welcome.group) {
                    self.records = RecordChain::default();
                }
                self.views.clear();
                self.save(home)?;
                self.epoch_began(false, found)?;
            }
            Ok(Some(_)) => {}
            Ok(None) => {
                let text = "a Welcome to where this device has been already was left alone";
                found.push(Followed::Said(text.to_owned()));
            }
            // It may become usable: the list it rests on is still on its way.
            Err(FollowError::Group(GroupError::Refused(Refusal::UnknownList { version }))) => {
                found.push(Followed::Alarm(withheld(home, version, welcome.group.camera())));
                return Ok(false);
            }
            Err(FollowError::Group(GroupError::Refused(refusal))) => {
                found.push(Followed::Alarm(Alarm::GroupRuleBroken { what: "Welcome", refusal }));
            }
            Err(FollowError::Group(error)) => {
                found.push(Followed::Said(format!("a Welcome could not be used: {error}")));
            }
            Err(error) => return Err(error),
        }
        Ok(true)
    }
}
