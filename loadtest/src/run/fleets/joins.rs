//! Joins among the fleets: who asks to be let in, who is given keys and a place, and who leaves it again.

use std::time::Instant;

use crate::fleet::ViewerId;
use crate::fleet::viewer::{Frames, NewViewer};
use crate::run::cast::{Part, Standing};
use crate::run::entrance::{Entered, EntranceError, Exit};
use crate::run::faults::Faults;
use crate::run::fleets::Fleets;

impl Fleets {
    pub(crate) fn join(&mut self, count: u32) {
        for _ in 0..count {
            if let Some((id, part)) = self.cast.join(&self.pending) {
                self.ask(id, part);
            }
        }
    }

    pub(crate) fn leave(&mut self, count: u32) {
        let mut leaving = self.cast.first(count);
        // Where fewer watch, those go who are about to.
        let missing = (count as usize).saturating_sub(leaving.len());
        leaving.extend(self.since.keys().copied().take(missing).collect::<Vec<_>>());
        for id in leaving {
            self.send_away(id);
            self.window.joins.left += 1;
        }
    }

    /// Lets viewers lose their connection and come back at once.
    pub(crate) fn storm(&mut self, count: u32) {
        for id in self.cast.spread(count) {
            let Some((part, _)) = self.cast.leave(id) else { continue };
            // No word to the server: its session is what is left of the connection.
            self.exits.remove(&id);
            self.viewers.leave(id);
            let again = self.cast.rejoin(part);
            self.window.viewer.reconnects += 1;
            self.ask(again, part);
        }
    }

    fn ask(&mut self, id: ViewerId, part: Part) {
        self.window.joins.begun += 1;
        self.since.insert(id, Instant::now());
        let Some(camera) = self.cast.camera(part.camera) else { return };
        let entrance = self.entrance.clone();
        self.joining.spawn(async move { (id, entrance.view(part.camera, camera, part.member).await) });
    }

    pub(super) fn joined(
        &mut self,
        id: ViewerId,
        entered: Result<Entered, EntranceError>,
        faults: &mut Faults,
    ) {
        let Some((part, standing)) = self.cast.get(id) else {
            // It left before it was let in.
            if let Ok(Entered { exit: Some(exit), .. }) = entered {
                self.part(exit);
            }
            return;
        };
        if standing == Standing::Removed {
            // Whether the server lets it in is what the crew asks when it removes a device.
            self.give_up(id);
            return;
        }
        match entered.and_then(|entered| self.frames(part).map(|frames| (entered, frames))) {
            Ok((Entered { peer, asked, exit }, frames)) => {
                self.since.insert(id, asked);
                self.exits.extend(exit.map(|exit| (id, exit)));
                let network =
                    part.network.map(|profile| profile.conditions(u64::from(id.0))).unwrap_or_default();
                let new = NewViewer {
                    peer,
                    camera: part.camera,
                    network,
                    opens_one_in: self.opens_one_in,
                    player_delay: self.player_delay,
                    frames,
                    asked,
                };
                self.viewers.join(id, new);
            }
            Err(error) => {
                self.found_nobody |= error.found_nobody();
                faults.note(error.party(), error.code(), format!("a viewer did not get in: {error}"));
                self.window.joins.failed += 1;
                self.give_up(id);
            }
        }
    }

    fn frames(&self, part: Part) -> Result<Frames, EntranceError> {
        match (&self.crew, self.cast.camera(part.camera)) {
            (Some(crew), Some(camera)) => Ok(Frames::Sealed(crew.keys(camera, part.member)?)),
            _ => Ok(Frames::Plain),
        }
    }

    pub(super) fn send_away(&mut self, id: ViewerId) {
        self.viewers.leave(id);
        if let Some(exit) = self.exits.remove(&id) {
            self.part(exit);
        }
        self.give_up(id);
    }

    pub(super) fn give_up(&mut self, id: ViewerId) {
        self.cast.leave(id);
        self.health.forget(id);
        self.since.remove(&id);
    }

    fn part(&mut self, exit: Exit) {
        let entrance = self.entrance.clone();
        // One that the server has forgotten already is as gone.
        self.parting.spawn(async move { drop(entrance.end(&exit).await) });
    }
}
