//! The fleets of a run and everybody in them: lets viewers join and leave, has devices removed, and passes keys on.

mod joins;
mod removals;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::crew::{Crew, CrewError, CrewNews, MemberRef, Removal};
use crate::fleet::ViewerId;
use crate::fleet::camera::CameraState;
use crate::fleet::cameras::Cameras;
use crate::fleet::intruder::Intruders;
use crate::fleet::viewers::{Taken, Viewers};
use crate::measure::line::Party;
use crate::measure::window::Window;
use crate::run::account::Health;
use crate::run::cast::{Cast, Standing};
use crate::run::entrance::{Entered, Entrance, EntranceError, Exit};
use crate::run::faults::Faults;
use crate::run::schedule::{Crowd, JOIN_LIMIT};

/// What came of something that was begun earlier.
pub(crate) enum Came {
    /// A join was answered.
    Joined(ViewerId, Box<Result<Entered, EntranceError>>),
    /// Something changed in the crew.
    News(CrewNews),
    /// A removal is done.
    Removed(MemberRef, Box<Result<Removal, CrewError>>),
}

/// The fleets and everybody in them.
pub(crate) struct Fleets {
    pub(crate) cameras: Cameras,
    viewers: Viewers,
    pub(crate) cast: Cast,
    pub(crate) health: Health,
    /// What joins and removals counted since it was taken last, and what the fleets counted by then.
    window: Window,
    /// How its threads did, since it was taken last.
    drive: Drive,
    /// Packets expected and lost at first by viewers on each network, since [`Fleets::begin`].
    pub(crate) networks: BTreeMap<&'static str, (u64, u64)>,
    entrance: Entrance,
    crew: Option<Crew>,
    intruders: Option<Intruders>,
    news: Option<mpsc::UnboundedReceiver<CrewNews>>,
    opens_one_in: u32,
    player_delay: Duration,
    joining: JoinSet<(ViewerId, Result<Entered, EntranceError>)>,
    removing: JoinSet<(MemberRef, Result<Removal, CrewError>)>,
    parting: JoinSet<()>,
    exits: HashMap<ViewerId, Exit>,
    camera_exits: Vec<Exit>,
    /// When each viewer that has seen nothing yet began to join.
    since: BTreeMap<ViewerId, Instant>,
    pending: HashSet<MemberRef>,
    /// Members that are out and whose viewers are told so with the camera's next keys.
    leaving: HashSet<MemberRef>,
    /// Viewers of members that are being removed, which the server cut off before.
    cut_off: HashMap<MemberRef, u32>,
    /// When viewers of removed members are sent away.
    sent_away: Vec<(Instant, ViewerId)>,
    removed: u32,
    camera_faults: HashSet<u32>,
    /// Somebody who wanted to join found nobody there, since this was asked last.
    pub(crate) found_nobody: bool,
}

/// How the threads that drive viewers did.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Drive {
    /// CPU that they used.
    pub(crate) cpu: Duration,
    /// The longest that a datagram lay in its socket before it was read.
    pub(crate) longest_wait: Duration,
}

/// What the fleets are made of.
pub(crate) struct Parts {
    pub(crate) cameras: Cameras,
    pub(crate) viewers: Viewers,
    pub(crate) cast: Cast,
    pub(crate) entrance: Entrance,
    pub(crate) crew: Option<Crew>,
    pub(crate) intruders: Option<Intruders>,
    pub(crate) camera_exits: Vec<Exit>,
    pub(crate) opens_one_in: u32,
    /// How far each viewer's player stays behind.
    pub(crate) player_delay: Duration,
    /// From one frame of a camera to the next.
    pub(crate) frame_time: Duration,
}

impl Fleets {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts {
            cameras,
            viewers,
            cast,
            entrance,
            crew,
            intruders,
            camera_exits,
            opens_one_in,
            player_delay,
            frame_time,
        } = parts;
        let news = crew.as_ref().map(Crew::news);
        Self {
            cameras,
            viewers,
            cast,
            health: Health::new(frame_time),
            window: Window::default(),
            drive: Drive::default(),
            networks: BTreeMap::new(),
            entrance,
            crew,
            intruders,
            news,
            opens_one_in,
            player_delay,
            joining: JoinSet::new(),
            removing: JoinSet::new(),
            parting: JoinSet::new(),
            exits: HashMap::new(),
            camera_exits,
            since: BTreeMap::new(),
            pending: HashSet::new(),
            leaving: HashSet::new(),
            cut_off: HashMap::new(),
            sent_away: Vec::new(),
            removed: 0,
            camera_faults: HashSet::new(),
            found_nobody: false,
        }
    }

    pub(crate) fn crowd(&self) -> Crowd {
        self.cast.crowd()
    }

    /// How many devices were removed or are being removed.
    pub(crate) fn removals(&self) -> u32 {
        self.removed
    }

    /// Waits for the next thing that comes; forever where nothing was begun.
    pub(crate) async fn next(&mut self) -> Came {
        loop {
            let news = async {
                match &mut self.news {
                    Some(news) => news.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                // News go first: what they say holds for whoever joins after.
                biased;
                news = news => match news {
                    Some(news) => return Came::News(news),
                    None => self.news = None,
                },
                Some(Ok((id, entered))) = self.joining.join_next() => return Came::Joined(id, Box::new(entered)),
                Some(Ok((member, done))) = self.removing.join_next() => return Came::Removed(member, Box::new(done)),
                Some(_) = self.parting.join_next() => {}
                else => std::future::pending().await,
            }
        }
    }

    pub(crate) fn take_in(&mut self, came: Came, faults: &mut Faults) {
        match came {
            Came::Joined(id, entered) => self.joined(id, *entered, faults),
            Came::News(news) => self.hear(news),
            Came::Removed(member, done) => self.removal_done(member, *done, faults),
        }
    }

    pub(crate) fn remove_members(&mut self, count: u32) {
        for _ in 0..count {
            let Some((crew, member)) = self.crew.clone().zip(self.cast.to_remove(&self.pending)) else {
                return;
            };
            self.pending.insert(member);
            self.removed += 1;
            self.removing.spawn(async move { (member, crew.remove(member).await) });
        }
    }

    /// Looks at everybody: who has seen a first frame, who has ended, who was given its time.
    pub(crate) fn look(&mut self, now: Instant, faults: &mut Faults) {
        let cameras = self.cameras.states();
        self.viewers.sent(cameras.iter().map(|camera| (camera.id, camera.frames)));
        let Taken { mut window, states, longest_wait } = self.viewers.take();
        self.health.look(now);
        self.drive.cpu += window.driver_cpu;
        self.drive.longest_wait = self.drive.longest_wait.max(longest_wait);
        // Joins are counted here: the fleet does not know of those that the server refused.
        window.joins = crate::measure::tally::JoinTally::default();
        window.length = Duration::ZERO;
        self.window.then(&window);
        for state in states {
            self.health.add(state.id, state.frames_expected, state.frames_opened, state.last_frame_at);
            if let Some(profile) = self.cast.get(state.id).and_then(|(part, _)| part.network) {
                let (expected, lost) = self.networks.entry(profile.name()).or_default();
                *expected += state.expected;
                *lost += state.lost_first;
            }
            if state.first_frame_at.is_some() && self.cast.sees(state.id) {
                self.since.remove(&state.id);
                self.window.joins.seen += 1;
            }
            if let Some(reason) = state.ended {
                self.ended(state.id, state.party.unwrap_or(Party::Viewer), &reason, faults);
            }
        }
        let late: Vec<ViewerId> = self
            .since
            .iter()
            .filter(|(_, since)| now.saturating_duration_since(**since) > JOIN_LIMIT)
            .map(|(id, _)| *id)
            .collect();
        for id in late {
            let network = self.cast.get(id).and_then(|(part, _)| part.network);
            let party = if network.is_some() { Party::Network } else { Party::Server };
            let seconds = JOIN_LIMIT.as_secs();
            let text = format!("viewer {} was let in and saw no picture within {seconds} s", id.0);
            faults.note(party, "join-saw-nothing", text);
            self.window.joins.failed += 1;
            self.send_away(id);
        }
        let due: Vec<ViewerId> =
            self.sent_away.iter().filter(|(at, _)| *at <= now).map(|(_, id)| *id).collect();
        self.sent_away.retain(|(at, _)| *at > now);
        due.into_iter().for_each(|id| self.send_away(id));
        self.look_at_cameras(cameras, faults);
    }

    /// What is told of the viewers themselves counts from now on.
    pub(crate) fn begin(&mut self) {
        self.health.begin();
        self.networks.clear();
    }

    /// Returns what was counted since this was asked last, cameras too, and how the viewers' threads did.
    pub(crate) fn take(&mut self, now: Instant, faults: &mut Faults) -> (Window, Drive) {
        self.look(now, faults);
        let mut cameras = self.cameras.take();
        // Who is there is what the fleets here say; the window of the cameras knows of none.
        cameras.viewers = 0;
        let mut window = std::mem::take(&mut self.window);
        window.beside(&cameras);
        if let Some(intruders) = &self.intruders {
            window.intruders = intruders.take();
            if window.intruders.let_in > 0 {
                let through = intruders.outcomes().into_iter().filter(|(_, outcome)| outcome.let_in > 0);
                let tricks: Vec<String> = through.map(|(trick, _)| format!("{trick:?}")).collect();
                faults.note(
                    Party::Server,
                    "intruder-let-in",
                    format!("the door opened to: {}", tricks.join(", ")),
                );
            }
        }
        window.viewers = u64::from(self.crowd().watching);
        window.cameras = cameras.cameras;
        (window, std::mem::take(&mut self.drive))
    }

    /// Returns how many of those who watch are well served.
    pub(crate) fn well(&self) -> u64 {
        let watching = self.cast.first(u32::MAX);
        watching.into_iter().filter(|id| self.health.is_well(*id)).count() as u64
    }

    /// Sends everybody home, and ends the sessions at the server; at most so long.
    pub(crate) async fn close(mut self, limit: Duration) {
        self.joining.abort_all();
        let all: Vec<ViewerId> = self.cast.all().collect();
        all.into_iter().for_each(|id| self.send_away(id));
        let entrance = self.entrance.clone();
        for exit in std::mem::take(&mut self.camera_exits) {
            let entrance = entrance.clone();
            self.parting.spawn(async move { drop(entrance.end(&exit).await) });
        }
        let parting = async { while self.parting.join_next().await.is_some() {} };
        // A server that does not answer any more has nothing to be told.
        let _ = tokio::time::timeout(limit, parting).await;
    }

    fn ended(&mut self, id: ViewerId, party: Party, reason: &str, faults: &mut Faults) {
        let Some((_, standing)) = self.cast.get(id) else { return };
        let member = self.cast.get(id).map(|(part, _)| part.member).filter(|it| self.pending.contains(it));
        if let Some(member) = member.filter(|_| standing != Standing::Removed) {
            // The server was quicker than the news of the removal.
            *self.cut_off.entry(member).or_default() += 1;
        } else if standing != Standing::Removed {
            faults.note(party, "viewer-ended", format!("viewer {} ended: {reason}", id.0));
            if standing == Standing::Joining {
                self.window.joins.failed += 1;
            }
        }
        self.exits.remove(&id);
        self.give_up(id);
    }

    fn look_at_cameras(&mut self, states: Vec<CameraState>, faults: &mut Faults) {
        for state in states {
            if let Some(reason) = state.ended.filter(|_| self.camera_faults.insert(state.id.0)) {
                let party = if reason.contains(SERVER_CLOSED) { Party::Server } else { Party::Driver };
                faults.note(party, "camera-ended", format!("camera {} sends no more: {reason}", state.id.0));
            }
        }
    }
}

/// What fleets say where it was the server that ended a connection.
const SERVER_CLOSED: &str = "the server closed";
