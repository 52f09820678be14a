//! Removals among the fleets: who is told when a device goes, who gets the next keys, and who takes the places left.

use std::time::{Duration, Instant};

use crate::crew::{CrewError, CrewNews, MemberRef, Removal};
use crate::run::faults::Faults;
use crate::run::fleets::Fleets;

impl Fleets {
    pub(super) fn hear(&mut self, news: CrewNews) {
        match news {
            CrewNews::Hold { camera } => {
                if let Some(id) = self.cast.number_of(camera) {
                    self.cameras.hold(id, true);
                }
            }
            CrewNews::Release { camera } => {
                if let Some(id) = self.cast.number_of(camera) {
                    self.cameras.hold(id, false);
                }
            }
            CrewNews::Removed { member } => {
                self.leaving.insert(member);
                self.take_out(member);
            }
            CrewNews::Rekey { camera, keys } => {
                let Some(id) = self.cast.number_of(camera) else { return };
                self.cameras.rekey(id, keys);
                let out = self.leaving.iter().filter(|member| member.household == camera.household);
                for viewer in out.flat_map(|member| self.cast.at(id, *member)) {
                    self.viewers.removed(viewer);
                }
            }
            CrewNews::Keys { camera, member } => {
                let (Some(crew), Some(id)) = (&self.crew, self.cast.number_of(camera)) else { return };
                for viewer in self.cast.at(id, member) {
                    // One that was removed meanwhile has no keys to be given.
                    if let Ok(keys) = crew.keys(camera, member) {
                        self.viewers.keys(viewer, keys);
                    }
                }
            }
        }
    }

    pub(super) fn removal_done(
        &mut self,
        member: MemberRef,
        done: Result<Removal, CrewError>,
        faults: &mut Faults,
    ) {
        self.pending.remove(&member);
        match done {
            Ok(removal) => {
                for (_, took) in &removal.took {
                    self.window.removal.record(took.as_micros() as u64);
                }
                for fault in &removal.faults {
                    faults.note(fault.party(), fault.code(), fault.to_string());
                }
            }
            Err(error) => {
                faults.note(error.party(), "removal-failed", format!("a device was not removed: {error}"));
            }
        }
        self.leaving.remove(&member);
    }

    /// A member's viewers are watched for a while, to see that they open nothing; others of the household take their places.
    fn take_out(&mut self, member: MemberRef) {
        let viewers = self.cast.remove(member);
        let until = Instant::now() + WATCHED_AFTER_REMOVAL;
        self.sent_away.extend(viewers.iter().map(|id| (until, *id)));
        viewers.iter().for_each(|id| {
            self.since.remove(id);
        });
        let cut_off = self.cut_off.remove(&member).unwrap_or(0);
        self.join(viewers.len() as u32 + cut_off);
    }
}

/// How long viewers of a removed device are watched.
const WATCHED_AFTER_REMOVAL: Duration = Duration::from_secs(3);
