//! Conducts a run: asks the schedule what to do, has it done, cuts the time into seconds, and ends everything in order.

mod seconds;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use latchkey_relay_floor::cores;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::fleet::viewers::Viewers;
use crate::measure::line::{Line, Verdict, VerdictLine};
use crate::observe::process;
use crate::observe::server::{Sample, ServerWatch};
use crate::run::account::{Account, Cut, Mark};
use crate::run::court::{self, Circumstances};
use crate::run::faults::Faults;
use crate::run::fleets::{Fleets, Parts};
use crate::run::knock::{Heard, Knock};
use crate::run::opening::{self, Opened};
use crate::run::schedule::{Activity, Do, Phase, Schedule};
use crate::run::stage::{Done, Plan, Stage};
use crate::run::target::{Layout, Stand};
use crate::run::vigil::Vigil;
use crate::run::{Order, RunError, Witness};
use crate::scenario::Viewers as Watching;

pub(crate) fn conduct(
    order: &Order,
    plan: &mut dyn Plan,
    witness: &mut dyn Witness,
    stop: &CancellationToken,
) -> Result<VerdictLine, RunError> {
    let layout = Layout::of(&order.scenario, &order.target, cores::allowed());
    let cameras = order.scenario.households.count * order.scenario.households.cameras;
    cores::allow_sockets(u64::from(order.scenario.most_viewers() * 2 + cameras))?;
    // Whatever starts from here on stays on the driver's processors; the server is started on its own.
    cores::pin_this_thread(&layout.driver)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mut stand = Stand::start(&order.target, &order.scenario, &layout)?;
    let verdict = runtime.block_on(go(order, &mut stand, &layout, plan, witness, stop));
    stand.stop();
    // What still waits for a server that does not answer is not waited for.
    runtime.shutdown_timeout(Duration::from_millis(500));
    verdict
}

async fn go(
    order: &Order,
    stand: &mut Stand,
    layout: &Layout,
    plan: &mut dyn Plan,
    witness: &mut dyn Witness,
    stop: &CancellationToken,
) -> Result<VerdictLine, RunError> {
    let began = Instant::now();
    let opened = tokio::select! {
        opened = opening::open(order, stand, layout, witness) => opened?,
        () = stop.cancelled() => return Err(RunError::Stopped),
    };
    let Opened { crew, entrance, cameras, exits, intruders, cast, mut line } = opened;
    line.max_loss_pct = plan.bounds().map(|bounds| bounds.loss_pct);
    line.max_p99_ms = plan.bounds().map(|bounds| bounds.p99_ms);
    let threads = order.drivers.unwrap_or_else(|| layout.driver.len().saturating_sub(1)).max(1);
    let viewers = Viewers::start(threads, &layout.driver)?;
    let Watching { opens_one_in, player_delay, .. } = order.scenario.viewers;
    let fleets = Fleets::new(Parts {
        cameras,
        viewers,
        cast,
        entrance,
        crew,
        intruders,
        camera_exits: exits,
        opens_one_in,
        player_delay: player_delay.0,
        frame_time: Duration::from_secs_f64(1.0 / line.fps.max(0.1)),
    });
    let first = stand.watch.sample().await;
    let knock = match stand.door.clone() {
        Some(door) => Knock::at(door).await,
        None => None,
    };
    let mut conductor = Conductor {
        order,
        account: Account::open(stand.name.clone(), first),
        fleets,
        stand,
        faults: Faults::default(),
        book: Book { witness, lines: Vec::new() },
        began,
        threads,
        driver_cores: layout.driver.len().max(1) as u64,
        cut_at: Instant::now(),
        looked_at: Instant::now(),
        own_cpu: process::own_cpu(),
        joins: (0, 0),
        viewer_cpu: Duration::ZERO,
        waits: [Duration::ZERO; 2],
        circumstances: Circumstances::default(),
        vigil: Vigil::new(began, knock),
        seen_at: 0.0,
    };
    conductor.book.write(Line::Run(Box::new(line)));
    conductor.play(plan, stop).await;
    Ok(conductor.end(plan).await)
}

struct Conductor<'a> {
    order: &'a Order,
    stand: &'a mut Stand,
    account: Account,
    fleets: Fleets,
    faults: Faults,
    book: Book<'a>,
    began: Instant,
    threads: usize,
    driver_cores: u64,
    cut_at: Instant,
    looked_at: Instant,
    own_cpu: Duration,
    /// Joins that went well and that failed, since the run began.
    joins: (u64, u64),
    /// CPU of the viewers' threads since the step's figures count.
    viewer_cpu: Duration,
    /// The two longest that a datagram waited for these threads since then, of different seconds, the longest first.
    waits: [Duration; 2],
    circumstances: Circumstances,
    vigil: Vigil,
    /// When a picture was seen last, or nobody watched, seconds since the run began.
    seen_at: f64,
}

/// All lines so far, and who hears of them.
struct Book<'a> {
    witness: &'a mut dyn Witness,
    lines: Vec<Line>,
}

impl Book<'_> {
    fn write(&mut self, line: Line) {
        self.witness.line(&line);
        self.lines.push(line);
    }
}

/// Looks at the server when told to, and brings back what it saw in the same order.
struct Sampler {
    asked: VecDeque<Cut>,
    /// Where a step ends, the server's door is knocked at, too.
    ask: mpsc::UnboundedSender<Option<Knock>>,
    samples: mpsc::UnboundedReceiver<(Sample, Option<Heard>)>,
}

impl Conductor<'_> {
    /// Plays all stages of the plan, or until something ends the run before.
    async fn play(&mut self, plan: &mut dyn Plan, stop: &CancellationToken) {
        let (ask, mut asked) = mpsc::unbounded_channel();
        let (bring, samples) = mpsc::unbounded_channel();
        let mut sampler = Sampler { asked: VecDeque::new(), ask, samples };
        let Some(first) = plan.next(None) else { return };
        let mut schedule = self.begin(first);
        // The watch is lent to the loop that asks it; the stand keeps the child.
        let watch = std::mem::replace(&mut self.stand.watch, ServerWatch::new(None, None));
        let watching = async move {
            while let Some(knock) = asked.recv().await {
                let knocked = async {
                    match knock {
                        Some(knock) => Some(knock.knock().await),
                        None => None,
                    }
                };
                if bring.send(tokio::join!(watch.sample(), knocked)).is_err() {
                    break;
                }
            }
        };
        let watching = tokio::spawn(watching);
        let (tell, mut knocks) = mpsc::unbounded_channel();
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => {
                    self.circumstances.interrupted = true;
                    break;
                }
                came = self.fleets.next() => self.fleets.take_in(came, &mut self.faults),
                Some(heard) = knocks.recv() => self.vigil.hear(heard, &mut self.faults),
                Some((sample, heard)) = sampler.samples.recv() => {
                    heard.into_iter().for_each(|heard| self.vigil.hear(heard, &mut self.faults));
                    let Some(cut) = sampler.asked.pop_front() else { continue };
                    let Some(done) = self.account_for(&cut, sample, &schedule, plan) else { continue };
                    if self.vigil.is_gone() {
                        break;
                    }
                    let parties = self.faults.take_parties();
                    match plan.next(Some(Done { line: &done, parties: &parties })) {
                        Some(stage) => schedule = self.begin(stage),
                        None => break,
                    }
                }
                _ = tick.tick() => {
                    self.turn(&mut schedule, &mut sampler);
                    self.knock_where_it_is_silent(&tell);
                    if self.server_is_gone() {
                        break;
                    }
                }
            }
        }
        // What was counted since the last cut is told, too.
        self.cut(Mark::Within, &mut sampler);
        let patience = tokio::time::Instant::now() + SAMPLE_LIMIT;
        while let Some(cut) = sampler.asked.pop_front() {
            match tokio::time::timeout_at(patience, sampler.samples.recv()).await {
                Ok(Some((sample, _))) => drop(self.account_for(&cut, sample, &schedule, plan)),
                _ => break,
            }
        }
        watching.abort();
    }

    fn begin(&mut self, stage: Stage) -> Schedule {
        let activity = Activity::of(&self.order.scenario, self.fleets.removals());
        Schedule::begin(stage, activity, self.began.elapsed(), self.fleets.crowd())
    }

    /// Does what is due now.
    fn turn(&mut self, schedule: &mut Schedule, sampler: &mut Sampler) {
        let now = Instant::now();
        let waits = schedule.phase() == Phase::Ramp || self.fleets.crowd().joining > 0;
        if now - self.looked_at >= if waits { LOOK } else { SECOND } {
            self.looked_at = now;
            self.fleets.look(now, &mut self.faults);
        }
        for act in schedule.next(self.began.elapsed(), self.fleets.crowd()) {
            match act {
                Do::Join(count) => self.fleets.join(count),
                Do::Leave(count) => self.fleets.leave(count),
                Do::Storm(count) => self.fleets.storm(count),
                Do::Remove(count) => self.fleets.remove_members(count),
                Do::Measure => {
                    let Stage { number, viewers, .. } = schedule.stage();
                    self.cut(Mark::Begins { step: number, viewers: u64::from(viewers) }, sampler);
                    self.fleets.begin();
                    (self.viewer_cpu, self.waits) = (Duration::ZERO, [Duration::ZERO; 2]);
                }
                Do::End => self.cut(Mark::Ends { viewers_ok: 0 }, sampler),
            }
        }
        if now - self.cut_at >= SECOND {
            self.cut(Mark::Within, sampler);
        }
    }

    fn server_is_gone(&mut self) -> bool {
        if let Some(words) = self.stand.last_words() {
            let last = words.lines().rev().find(|line| !line.trim().is_empty());
            let words = last.map_or(" without a word".to_owned(), |last| format!("; its last words: {last}"));
            self.vigil.process_ended(&words, &mut self.faults);
        }
        self.vigil.is_gone()
    }

    /// Knocks at the server's door where no viewer has received anything for a while, or somebody found nobody there.
    fn knock_where_it_is_silent(&mut self, tell: &mpsc::UnboundedSender<Heard>) {
        let Some(knock) = self.vigil.due(&mut self.fleets.found_nobody) else { return };
        let tell = tell.clone();
        tokio::spawn(async move {
            // Whoever is told may have ended meanwhile.
            let _ = tell.send(knock.knock().await);
        });
    }

    /// Tells of the whole run, sends everybody home, and judges.
    async fn end(self, plan: &dyn Plan) -> VerdictLine {
        let around = self.surroundings();
        let at_s = self.began.elapsed().as_secs_f64();
        let Self { order, account, fleets, mut faults, mut book, vigil, circumstances, .. } = self;
        let circumstances = Circumstances { server_gone: vigil.is_gone(), ..circumstances };
        for fault in faults.tell(at_s) {
            book.write(Line::Fault(fault));
        }
        let whole = account.whole(around, fleets.well());
        fleets.close(CLOSE_LIMIT).await;
        if plan.adds_up() {
            book.write(Line::Step(Box::new(whole.clone())));
        }
        let mut verdict = court::judge(&order.scenario, &whole, circumstances, &book.lines);
        if account.steps().is_empty() && verdict.verdict == Verdict::Pass {
            verdict.verdict = Verdict::Inconclusive;
        }
        let limit = verdict.limit.clone();
        let mut verdict = plan.judge(verdict);
        if circumstances.server_gone {
            // Whatever a search found until then.
            (verdict.verdict, verdict.limit) = (Verdict::Fail, limit);
        }
        book.write(Line::Verdict(Box::new(verdict.clone())));
        verdict
    }
}

/// How often the schedule is asked.
const TICK: Duration = Duration::from_millis(10);
/// How often viewers are looked at while some of them join.
const LOOK: Duration = Duration::from_millis(200);
const SECOND: Duration = Duration::from_secs(1);
/// How long the last look at the server may take.
const SAMPLE_LIMIT: Duration = Duration::from_secs(3);
/// How long it may take to end all sessions at the server.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);
