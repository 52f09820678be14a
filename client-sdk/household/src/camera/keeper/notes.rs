//! What camera and members say to each other inside the group: messages in their order, records, questions, answers.

use latchkey_api::id::DeviceId;
use latchkey_api::problem::ProblemCode;
use latchkey_e2ee::gossip::{Difference, Known};
use latchkey_e2ee::group::{GroupError, Processed, Refusal};
use latchkey_e2ee::note::{Note, Question};
use web_time::Instant;

use crate::alarm::{Alarm, name_of};
use crate::camera::keeper::{Keeper, LONGEST_PAUSE};
use crate::event::Event;
use crate::follower::{self, FollowError};
use crate::home::Home;

impl Keeper {
    /// Tells the group what it has to know: the record of the present epoch, and answers to questions.
    pub(super) async fn tell_group(&mut self, home: &mut Home) -> Result<(), FollowError> {
        if let Err(error) = self.chronicle.sign_due(home, &self.sealing.counters) {
            self.teller.note(format!("an epoch got no record: {error}"));
        }
        let epoch = self.group.epoch();
        if let Some(record) = self.chronicle.unsent(epoch) {
            let list = record.list().version;
            let note = Note::Record(record.as_bytes().to_vec());
            if !self.send(home, &note).await? {
                return Ok(());
            }
            self.chronicle.mark_sent(epoch);
            self.save(home)?;
            self.teller.tell(Event::EpochRecord { epoch, list });
        }
        while let Some((device, answer)) = self.chronicle.next_answer(home, &self.sealing.counters) {
            if !self.send(home, &Note::Answer(answer)).await? {
                return Ok(());
            }
            self.chronicle.answered(device);
        }
        Ok(())
    }

    /// Seals a note, saves, and posts it. Returns false when a commit has to be made first.
    pub(super) async fn send(&mut self, home: &mut Home, note: &Note) -> Result<bool, FollowError> {
        let message = match self.group.send_note(note) {
            Err(GroupError::CommitFirst) => return Ok(false),
            sealed => sealed?,
        };
        self.save(home)?;
        self.signaling.post_message(self.group.group_id(), message).await?;
        Ok(true)
    }

    /// Takes the messages of the group. Returns whether anything is to be done about them beside answering.
    pub(super) async fn read_messages(&mut self, home: &mut Home) -> Result<bool, FollowError> {
        let messages = match self.signaling.messages_after(self.group.group_id(), self.seq).await {
            Ok(messages) => messages,
            // No commit was ever posted: there is nothing to read.
            Err(error) if error.code() == Some(ProblemCode::NotFound) => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        let mut changed = false;
        let any = !messages.is_empty();
        for message in messages {
            let bytes = message.message.as_slice();
            let mut processed = self.group.process(bytes, home.chain());
            if let Err(GroupError::Refused(Refusal::UnknownList { version })) = processed {
                // An admin's list and removal came between reading lists and reading messages, or a list is withheld.
                changed |= self.refresh(home).await?;
                processed = self.group.process(bytes, home.chain());
                if let Err(GroupError::Refused(Refusal::UnknownList { .. })) = processed {
                    // Nothing after it can be judged before that list is there: this is its place.
                    let shown = home.list()?.version;
                    let by = "a commit of the group".to_owned();
                    self.teller.alarm(Alarm::ListWithheld { named: version, shown, by });
                    self.look_again = self.look_again.min(Instant::now() + LONGEST_PAUSE);
                    break;
                }
            }
            self.seq = message.seq;
            match processed {
                Ok(Processed::Epoch(change)) => {
                    changed = true;
                    self.epoch_began(home, &change)?;
                }
                Ok(Processed::Proposal) => changed = true,
                Ok(Processed::Note { from, note }) => changed |= self.take_note(home, from, note).await?,
                Ok(_) => {}
                // What breaks a rule, or cannot be read, is passed over; the group is as it was.
                Err(error) => {
                    let (epoch, camera) = (self.group.epoch(), name_of(home, home.device()));
                    match follower::explain(&message, &error, epoch, &camera, false) {
                        Some(alarm) => self.teller.alarm(alarm),
                        None => self.teller.note(format!("a message of the group was refused: {error}")),
                    }
                }
            }
        }
        if any {
            self.save(home)?;
        }
        Ok(changed)
    }

    /// Takes what a member tells. Returns whether there are new lists.
    pub(super) async fn take_note(
        &mut self,
        home: &mut Home,
        from: DeviceId,
        note: Note,
    ) -> Result<bool, FollowError> {
        let (mut lists, mut watchers) = (false, false);
        match note {
            Note::Question(question) => {
                let differences = self.compare(home, &question)?;
                if differences.iter().any(|found| matches!(found, Difference::ListAhead { .. })) {
                    lists = self.refresh(home).await?;
                }
                for difference in differences {
                    if let Some(alarm) = follower::alarm_of(home, difference, from) {
                        self.teller.alarm(alarm);
                    }
                }
                watchers = self.chronicle.asked(from, question);
            }
            Note::Goodbye => watchers = self.chronicle.left(from),
            Note::Record(_) | Note::Answer(_) => {
                let who = name_of(home, from);
                self.teller
                    .note(format!("{who} sent a note that only the camera may send; it was left alone"));
            }
            _ => {}
        }
        if watchers {
            self.watchers_changed(home)?;
        }
        Ok(lists)
    }

    /// Holds what a member names against what the camera knows.
    pub(super) fn compare(&self, home: &Home, question: &Question) -> Result<Vec<Difference>, GroupError> {
        let view = self.group.view()?;
        let views = std::slice::from_ref(&view);
        let known = Known { lists: home.chain(), views, records: self.chronicle.records() };
        Ok(known.compare_question(question))
    }

    pub(super) fn watchers_changed(&mut self, home: &mut Home) -> Result<(), FollowError> {
        self.teller.tell(self.chronicle.watching(home));
        self.save(home)?;
        Ok(())
    }
}
