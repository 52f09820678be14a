//! The messages of a group in their order: commits, notes, records, and what each means for this member.

use latchkey_api::group::{GroupMessage, MessageKind};
use latchkey_api::id::DeviceId;
use latchkey_e2ee::gossip::{Difference, Known};
use latchkey_e2ee::group::{EpochChange, GroupError, Member, Processed, Refusal};
use latchkey_e2ee::note::Note;
use latchkey_e2ee::record::{EpochRecord, EpochView, RecordError, Taken};
use web_time::Instant;

use crate::alarm::{Alarm, name_of};
use crate::follower::judge::{alarm_of, explain, withheld};
use crate::follower::{FollowError, Followed, Follower, refresh};
use crate::home::Home;
use crate::signaling::Signaling;

impl Follower {
    pub(super) async fn read_messages(
        &mut self,
        home: &mut Home,
        signaling: &Signaling,
        found: &mut Vec<Followed>,
    ) -> Result<(), FollowError> {
        let Some(group) = self.member.as_ref().filter(|member| !member.is_removed()).map(Member::group_id)
        else {
            return Ok(());
        };
        let mut news = false;
        for message in signaling.messages_after(group, self.stuck.unwrap_or(self.seq)).await? {
            news = true;
            let bytes = message.message.as_slice();
            let mut processed = self.process(home, bytes);
            if let Err(GroupError::Refused(Refusal::UnknownList { version })) = processed {
                refresh(home, signaling, found).await?;
                processed = self.process(home, bytes);
                if matches!(processed, Err(GroupError::Refused(Refusal::UnknownList { .. }))) {
                    // Nothing after it can be judged before that list is there.
                    found.push(Followed::Alarm(withheld(home, version, self.camera)));
                    break;
                }
            }
            match processed {
                Ok(processed) => self.take(home, signaling, processed, found).await?,
                Err(error) => {
                    found.extend(self.explain(home, &message, &error).map(Followed::Alarm));
                    if message.kind == MessageKind::Commit {
                        self.stuck.get_or_insert(message.seq.saturating_sub(1));
                    }
                    if matches!(error, GroupError::Gap { .. }) {
                        self.lost = true;
                        break;
                    }
                }
            }
            self.seq = message.seq;
            if self.member.as_ref().is_some_and(Member::is_removed) {
                break;
            }
        }
        if news {
            self.save(home)?;
        }
        Ok(())
    }

    fn process(&mut self, home: &Home, message: &[u8]) -> Result<Processed, GroupError> {
        match &mut self.member {
            Some(member) => member.process(message, home.chain()),
            None => Ok(Processed::Stale),
        }
    }

    async fn take(
        &mut self,
        home: &mut Home,
        signaling: &Signaling,
        processed: Processed,
        found: &mut Vec<Followed>,
    ) -> Result<(), FollowError> {
        match processed {
            Processed::Epoch(change) => {
                if let Some(acting) = home.chain().effective() {
                    self.old_list.committed(&change, acting, Instant::now());
                }
                let EpochChange { removed, .. } = change;
                (self.stuck, self.lost) = (None, false);
                self.epoch_began(!removed.is_empty(), found)?;
            }
            Processed::Removed => found.push(Followed::Removed),
            Processed::Note { from, note } => {
                match &note {
                    Note::Record(bytes) if from == self.camera => {
                        let taken = self.take_record(home, bytes);
                        found.extend(taken);
                        return Ok(());
                    }
                    Note::Record(_) => {
                        let text = format!("{} sent a record as if it were the camera", name_of(home, from));
                        found.push(Followed::Said(text));
                        return Ok(());
                    }
                    Note::Answer(_) if from != self.camera => return Ok(()),
                    note => self.compare(home, signaling, from, note, found).await?,
                }
                found.push(Followed::Note { from, note });
            }
            _ => {}
        }
        Ok(())
    }

    /// Verifies the camera's record and checks it against the own group.
    fn take_record(&mut self, home: &Home, bytes: &[u8]) -> Option<Followed> {
        let checked = EpochRecord::from_bytes(bytes).and_then(|record| {
            let lists = home.chain();
            let list = lists.at(record.list().version).or(lists.head());
            let camera = list.and_then(|list| list.list().device(self.camera));
            record.verify(&camera.ok_or(RecordError::BadSignature)?.mls_public)?;
            if let Some(own) = self.views.iter().find(|view| view.epoch == record.epoch()) {
                record.check(own)?;
            }
            let taken = self.records.take(record.clone())?;
            Ok((record, taken))
        });
        match checked {
            Ok((_, Taken::Known)) => None,
            Ok((record, _)) => Some(Followed::Record(record)),
            Err(RecordError::Forked { epoch } | RecordError::OtherPast { epoch }) => {
                Some(Followed::Alarm(Alarm::GroupForked { epoch, by: name_of(home, self.camera) }))
            }
            Err(error) => Some(Followed::Said(format!("a record of the camera was refused: {error}"))),
        }
    }

    /// Holds what a member names against what is known here.
    async fn compare(
        &self,
        home: &mut Home,
        signaling: &Signaling,
        from: DeviceId,
        note: &Note,
        found: &mut Vec<Followed>,
    ) -> Result<(), FollowError> {
        let views: Vec<EpochView> = self.views.iter().cloned().collect();
        let differences = {
            let known = Known { lists: home.chain(), views: &views, records: &self.records };
            match note {
                Note::Question(question) => known.compare_question(question),
                Note::Answer(answer) => known.compare_answer(answer),
                _ => Vec::new(),
            }
        };
        for difference in differences {
            if matches!(difference, Difference::ListAhead { .. }) {
                refresh(home, signaling, found).await?;
            }
            found.extend(alarm_of(home, difference, from).map(Followed::Alarm));
        }
        Ok(())
    }

    /// The alarm for a message that could not be used.
    fn explain(&self, home: &Home, message: &GroupMessage, error: &GroupError) -> Option<Alarm> {
        let epoch = self.member.as_ref().map_or(0, Member::epoch);
        explain(message, error, epoch, &name_of(home, self.camera), self.stuck.is_some())
    }
}
