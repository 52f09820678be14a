//! What a step's figures say about the limit, one sentence for each thing that it may have been.

use crate::measure::line::StepLine;
use crate::report::limit::{FULL_PCT, Kind, Limit, Overload, overload};
use crate::report::number::{count, percent, rough, short};
use crate::report::run::Run;
use crate::report::served::{Bounds, Broken};

/// A run whose limit is looked for, with the step that decides.
pub(super) struct Judge<'a> {
    pub(super) run: &'a Run<'a>,
    pub(super) step: &'a StepLine,
    pub(super) broken: Option<Broken>,
}

impl Judge<'_> {
    pub(super) fn driver(&self) -> Option<Limit> {
        let (viewers, cores) = (count(self.step.viewers), self.run.driver_cores(self.step));
        let (used, late) = (short(self.step.driver_cpu_pct), percent(self.step.driver_late_pct));
        let sentence = match overload(self.run, self.step)? {
            // Frames that left late and still were in time hide nothing.
            Overload::Late if self.broken.is_none() => return None,
            Overload::Busy => format!(
                "the driver, not the server, was the limit at {viewers} viewers: it used {used} % of {}, and {late} % of \
                 the packets left it more than 2 ms late; give it more processors or ask for fewer viewers",
                cores_word(cores),
            ),
            Overload::Late => format!(
                "the driver, not the server, was the limit at {viewers} viewers: {late} % of the packets left it more than \
                 2 ms late although it used {used} % of {}; something else kept the machine busy (load average {})",
                cores_word(cores),
                short(self.step.load_average),
            ),
            Overload::Told(text) => {
                format!("the driver, not the server, was the limit at {viewers} viewers: {text}")
            }
        };
        Some(Limit { kind: Kind::Driver, sentence })
    }

    pub(super) fn server_cpu(&self) -> Option<Limit> {
        let server = self.step.server.as_ref()?;
        let cores = self.run.server_cores()?;
        let viewers = count(self.step.viewers);
        if server.cpu_pct >= FULL_PCT * cores as f64 {
            let sentence = format!(
                "the server's CPU: at {viewers} viewers it used {} % of {}{}",
                short(server.cpu_pct),
                cores_word(cores),
                self.what_broke(),
            );
            return Some(Limit { kind: Kind::ServerCpu, sentence });
        }
        if self.broken.is_some() && cores > 1 && (FULL_PCT..=115.0).contains(&server.cpu_pct) {
            let sentence = format!(
                "probably one busy thread of the server: at {viewers} viewers it used {} % of one core although it may use \
                 {cores}{}",
                short(server.cpu_pct),
                self.what_broke(),
            );
            return Some(Limit { kind: Kind::ServerThread, sentence });
        }
        None
    }

    pub(super) fn machine(&self) -> Option<Limit> {
        let server = self.step.server.as_ref().filter(|_| self.run.run.server_is_child)?;
        let cores = self.run.run.machine.cores;
        let together = server.cpu_pct + self.step.driver_cpu_pct;
        if self.broken.is_none() || cores == 0 || together < FULL_PCT * cores as f64 {
            return None;
        }
        let sentence = format!(
            "the machine as a whole: at {} viewers server ({} %) and driver ({} %) together used up its {}{}; a driver on \
             another machine would leave more to the server",
            count(self.step.viewers),
            short(server.cpu_pct),
            short(self.step.driver_cpu_pct),
            cores_word(cores),
            self.what_broke(),
        );
        Some(Limit { kind: Kind::Machine, sentence })
    }

    pub(super) fn broken(&self) -> Option<Limit> {
        let broken = self.broken?;
        let drops = self.step.server.as_ref().map_or(0, |server| server.socket_drops);
        Some(match broken {
            Broken::Loss | Broken::Viewers if drops > 0 && self.lost() => self.sockets(drops),
            Broken::Loss => self.loss(),
            Broken::Latency => self.latency(),
            Broken::Viewers => self.viewers(),
        })
    }

    fn sockets(&self, drops: u64) -> Limit {
        let sentence = format!(
            "the server's socket buffers: {} datagrams found one full at {} viewers while its CPU was at {}; {} % of the \
             packets were lost before repair, {} % for good",
            count(drops),
            count(self.step.viewers),
            self.cpu(),
            percent(self.step.first_loss_pct),
            percent(self.step.loss_pct),
        );
        Limit { kind: Kind::SocketBuffers, sentence }
    }

    fn loss(&self) -> Limit {
        let lost = format!(
            "{} % of the packets were lost before repair and {} % for good at {} viewers",
            percent(self.step.first_loss_pct),
            percent(self.step.loss_pct),
            count(self.step.viewers),
        );
        match self.lossy_networks() {
            Some(networks) => {
                let sentence = format!("the network that the scenario asked for ({networks}): {lost}");
                Limit { kind: Kind::Network, sentence }
            }
            None => {
                let sentence = format!(
                    "packet loss without a busy server (CPU at {}): {lost}; look at the network between the two, and at \
                     the socket buffers of both",
                    self.cpu()
                );
                Limit { kind: Kind::Loss, sentence }
            }
        }
    }

    fn latency(&self) -> Limit {
        let bound = Bounds::of(self.run)
            .p99_ms
            .map_or(String::new(), |bound| format!(" (asked: at most {} ms)", short(bound)));
        let forward = self.step.server.as_ref().map(|server| server.forward_p99_ms);
        // Read from buckets it is an upper bound, which may lie above what was measured.
        let forward = forward.filter(|ms| *ms > 0.0 && *ms <= self.step.frame_latency.p99_ms);
        let forward = forward
            .map_or(String::new(), |ms| format!(", of which the server says it took {} ms", short(ms)));
        let networks = self.networks().map_or(String::new(), |names| format!(" over {names}"));
        let sentence = format!(
            "latency: 1 % of the frames took longer than {} ms at {} viewers{networks}{bound}{forward}, with \
             the server's CPU at {}",
            short(self.step.frame_latency.p99_ms),
            count(self.step.viewers),
            self.cpu(),
        );
        Limit { kind: Kind::Latency, sentence }
    }

    fn viewers(&self) -> Limit {
        let (step, tally) = (self.step, &self.step.viewer);
        let missing = step.viewers.saturating_sub(step.viewers_ok);
        let head = format!("{} of {} viewers were not well served", count(missing), count(step.viewers));
        let server = format!("with the server's CPU at {}", self.cpu());
        if step.joins.failed > 0 {
            let sentence = format!("joins: {} failed, so {head}, {server}", count(step.joins.failed));
            return Limit { kind: Kind::Joins, sentence };
        }
        if tally.frames_refused > 0 {
            let sentence = format!(
                "frames that came whole and did not open ({}): {head}, {server}",
                count(tally.frames_refused)
            );
            return Limit { kind: Kind::Frames, sentence };
        }
        let sentence = format!(
            "frames that never came whole: {} % were opened, so {head}, {server}",
            percent(step.opened_pct)
        );
        Limit { kind: Kind::Loss, sentence }
    }

    pub(super) fn nothing(&self) -> Limit {
        let viewers = self.step.viewers;
        let head = format!(
            "nothing was at its limit: {} {}",
            count(viewers),
            if viewers == 1 { "viewer" } else { "viewers" }
        );
        let sentence = match self.step.server.as_ref().map(|server| server.cpu_pct) {
            None => {
                format!("{head} were served; the server's CPU could not be watched, so no more can be told")
            }
            Some(cpu) if !cpu.is_finite() || cpu <= 0.0 || viewers < FEW => {
                let used = if cpu > 0.0 {
                    format!("{} % of a core", short(cpu))
                } else {
                    "no CPU to speak of".into()
                };
                format!("{head} used {used}, too little to say how many would fit")
            }
            Some(cpu) if cpu < TELLING_PCT => {
                let room = if cpu < IDLE_PCT { "was nearly idle" } else { "had room" };
                let further = if self.run.is_search() {
                    format!("--up-to {}", viewers * 2)
                } else {
                    format!("--from {viewers}")
                };
                format!(
                    "{head} were served and the server {room} ({} % of one core); to find its limit: latchkey-loadtest \
                     breakpoint {further}",
                    short(cpu),
                )
            }
            Some(cpu) => format!(
                "{head} used {} % of a core; by that figure {} {} would fill one core (extrapolated, not measured)",
                short(cpu),
                if cpu * FARTHEST < 100.0 { "more than" } else { "about" },
                count(rough(viewers as f64 * (100.0 / cpu).min(FARTHEST))),
            ),
        };
        let sentence = match overload(self.run, self.step) {
            Some(Overload::Late) => format!(
                "{sentence}; the driver sent {} % of its packets late, so the real latency may be lower",
                percent(self.step.driver_late_pct)
            ),
            _ => sentence,
        };
        Limit { kind: Kind::Nothing, sentence }
    }

    /// Returns what a full processor has led to.
    fn what_broke(&self) -> String {
        match self.broken {
            None => ", and everything still held".into(),
            Some(Broken::Loss) => {
                format!(", and {} % of the packets never came", percent(self.step.loss_pct))
            }
            Some(Broken::Latency) => {
                format!(
                    ", and 1 % of the frames took longer than {} ms",
                    short(self.step.frame_latency.p99_ms)
                )
            }
            Some(Broken::Viewers) => format!(
                ", and only {} of {} viewers were well served",
                count(self.step.viewers_ok),
                count(self.step.viewers)
            ),
        }
    }

    fn cpu(&self) -> String {
        match &self.step.server {
            Some(server) => format!("{} % of a core", short(server.cpu_pct)),
            None => "a figure that could not be watched".into(),
        }
    }

    fn lost(&self) -> bool {
        self.step.first_loss_pct > 0.0 || self.step.loss_pct > 0.0
    }

    fn lossy_networks(&self) -> Option<String> {
        self.networks().filter(|_| self.lost())
    }

    fn networks(&self) -> Option<String> {
        let profiles = self.run.run.networks.iter();
        let harmful = profiles.filter(|(name, share)| *share > 0.0 && !CLEAN.contains(&name.as_str()));
        let named: Vec<&str> = harmful.map(|(name, _)| name.as_str()).collect();
        (!named.is_empty()).then(|| named.join(", "))
    }
}

fn cores_word(cores: u64) -> String {
    if cores == 1 { "one core".into() } else { format!("{cores} cores (of {cores}00 %)") }
}

/// Use of one processor by the server, percent, from which on it says something about more viewers.
const TELLING_PCT: f64 = 40.0;
/// Use of one processor, percent, below which a server does next to nothing.
const IDLE_PCT: f64 = 10.0;
/// No further than so many times what was measured is anything told.
const FARTHEST: f64 = 2.0;
/// Fewer viewers than these say nothing about many.
const FEW: u64 = 10;
/// Profiles that lose nothing.
const CLEAN: [&str; 5] = ["", "clean", "fair", "loopback", "none"];
