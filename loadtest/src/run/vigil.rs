//! Whether the server is still there: by its process, by what viewers receive, and by knocking at its door.

use std::time::{Duration, Instant};

use crate::measure::line::Party;
use crate::run::faults::Faults;
use crate::run::knock::{Heard, Knock};

/// What is known of the server's presence.
pub(crate) struct Vigil {
    began: Instant,
    /// How to see whether it still answers; none where it never did.
    knock: Option<Knock>,
    knocked_at: Instant,
    /// When a viewer received anything, to the second.
    heard_at: Instant,
    saw_process: bool,
    is_gone: bool,
}

impl Vigil {
    /// Begins with a server that is there.
    pub(crate) fn new(began: Instant, knock: Option<Knock>) -> Self {
        let now = Instant::now();
        Self { began, knock, knocked_at: now, heard_at: now, saw_process: false, is_gone: false }
    }

    /// Returns whether the server has gone.
    pub(crate) fn is_gone(&self) -> bool {
        self.is_gone
    }

    /// Returns how to ask the server whether it is there.
    pub(crate) fn knock(&self) -> Option<Knock> {
        self.knock.clone()
    }

    /// As [`Vigil::knock`], where it is time to: no viewer has received anything for a while, or somebody found nobody there,
    /// which is forgotten with it.
    pub(crate) fn due(&mut self, found_nobody: &mut bool) -> Option<Knock> {
        let wanted = self.heard_at.elapsed() >= SILENT || *found_nobody;
        let knock = self.knock.clone().filter(|_| wanted && self.knocked_at.elapsed() >= SILENT)?;
        (self.knocked_at, *found_nobody) = (Instant::now(), false);
        Some(knock)
    }

    /// Viewers have received something by now.
    pub(crate) fn received(&mut self, now: Instant) {
        self.heard_at = now;
    }

    /// Takes what came of a knock: one that does not answer and sends nothing is gone; one that only does not answer is busy.
    pub(crate) fn hear(&mut self, heard: Heard, faults: &mut Faults) {
        let silent = heard == Heard::Silence && self.heard_at.elapsed() > QUIET;
        if silent || heard == Heard::Refusal {
            let at = (self.heard_at - self.began).as_secs_f64();
            self.gone(format!("the server stopped answering {at:.0} s into the run"), faults);
        }
    }

    /// Takes whether the server's process was there when it was looked at.
    pub(crate) fn look(&mut self, has_process: bool, faults: &mut Faults) {
        self.saw_process |= has_process;
        if self.saw_process && !has_process {
            self.process_ended("", faults);
        }
    }

    /// The server's process has ended, with these words behind the sentence that says so.
    pub(crate) fn process_ended(&mut self, words: &str, faults: &mut Faults) {
        let at = self.began.elapsed().as_secs_f64();
        self.gone(format!("the server's process ended {at:.0} s into the run{words}"), faults);
    }

    fn gone(&mut self, text: String, faults: &mut Faults) {
        if !std::mem::replace(&mut self.is_gone, true) {
            faults.note(Party::Server, "server-gone", text);
        }
    }
}

/// How long nobody may have received anything until the server is asked whether it is there.
const SILENT: Duration = Duration::from_secs(3);
/// How long nothing came where a server that does not answer sends nothing, either; what comes is counted each second.
const QUIET: Duration = Duration::from_millis(1500);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_gone_once_and_a_busy_one_is_not() {
        let (mut vigil, mut faults) = (Vigil::new(Instant::now(), None), Faults::default());
        vigil.look(false, &mut faults);
        vigil.hear(Heard::Silence, &mut faults);
        vigil.hear(Heard::Answer, &mut faults);
        assert!(!vigil.is_gone(), "pictures came a moment ago, and no process was ever seen");
        vigil.hear(Heard::Refusal, &mut faults);
        vigil.process_ended("", &mut faults);
        assert!(vigil.is_gone());
        assert_eq!(faults.total(), 1);
    }

    #[test]
    fn a_process_that_was_there_is_missed() {
        let (mut vigil, mut faults) = (Vigil::new(Instant::now(), None), Faults::default());
        vigil.look(true, &mut faults);
        assert!(!vigil.is_gone());
        vigil.look(false, &mut faults);
        assert!(vigil.is_gone());
    }
}
