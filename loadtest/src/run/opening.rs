//! Before the first viewer: the server is there, the households are founded, the cameras send.

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::crew::{CameraRef, Crew, CrewPlan, MemberRef, Progress, Seat};
use crate::fleet::CameraId;
use crate::fleet::camera::{NewCamera, Sealing};
use crate::fleet::cameras::Cameras;
use crate::fleet::content::{Content, Shape};
use crate::fleet::intruder::{Grants, IntruderPlan, Intruders, RealGrant};
use crate::measure::line::{Party, RunLine, SYNTHETIC};
use crate::observe::machine;
use crate::run::cast::Cast;
use crate::run::entrance::{Entered, Entrance, Exit, House, local_address};
use crate::run::target::{Layout, Stand, Target};
use crate::run::{Order, RunError, Witness};
use crate::scenario::{DOORBELL, Intruders as Intruding, Scenario};

/// Everything that stands before the first viewer joins.
pub(crate) struct Opened {
    pub(crate) crew: Option<Crew>,
    pub(crate) entrance: Entrance,
    pub(crate) cameras: Cameras,
    pub(crate) exits: Vec<Exit>,
    pub(crate) intruders: Option<Intruders>,
    pub(crate) cast: Cast,
    pub(crate) line: RunLine,
}

/// Founds the households at the server, lets their cameras in and waits until all of them send.
pub(crate) async fn open(
    order: &Order,
    stand: &Stand,
    layout: &Layout,
    witness: &mut dyn Witness,
) -> Result<Opened, RunError> {
    let scenario = &order.scenario;
    let content = content(order).await?;
    let (crew, cameras, members) = match (&stand.signaling, &order.target) {
        (_, Target::Foreign(foreign)) => {
            let cameras = scenario.households.count * scenario.households.cameras;
            let apart = foreign.whip.tells_cameras_apart() && foreign.whep.tells_cameras_apart();
            if cameras > 1 && !apart {
                return Err(RunError::OneAddress { cameras });
            }
            let all = (0..cameras).map(|camera| CameraRef { household: 0, camera }).collect();
            (None, all, vec![MemberRef { household: 0, member: 0 }])
        }
        (signaling, target) => {
            let url = signaling.clone().unwrap_or_default();
            let crew = found(scenario, &url, target, witness).await?;
            let members =
                (0..scenario.households.count).flat_map(|household| crew.members(household)).collect();
            let cameras = crew.cameras();
            (Some(crew), cameras, members)
        }
    };
    let house = match (&crew, &order.target) {
        (None, Target::Foreign(foreign)) => House::Foreign(Arc::new((**foreign).clone())),
        (Some(crew), _) => House::Crew(crew.clone()),
        (None, _) => unreachable!("only a foreign server has no crew"),
    };
    let burst = scenario.camera.shape().pace == crate::fleet::content::Pace::Burst;
    let entrance = Entrance::new(house, content.codec(), local(&order.target), burst)?;
    let (fleet, exits, suite) =
        start_cameras(&entrance, &crew, &cameras, &content, scenario, layout, witness).await?;
    let intruders = match &crew {
        Some(crew) => let_loose(scenario, stand, crew, &cameras)?,
        None => None,
    };
    let line = describe(order, stand, layout, &content, cameras.len(), suite);
    let cast = Cast::new(cameras, members, &scenario.network);
    Ok(Opened { crew, entrance, cameras: fleet, exits, intruders, cast, line })
}

async fn found(
    scenario: &Scenario,
    url: &str,
    target: &Target,
    witness: &mut dyn Witness,
) -> Result<Crew, RunError> {
    let households = &scenario.households;
    let plan = CrewPlan {
        server_url: url.to_owned(),
        households: households.count,
        cameras_per_household: households.cameras,
        members_per_household: households.members,
        invite_code: match target {
            Target::Latchkey(running) => running.invite_code.clone(),
            _ => None,
        },
        ..CrewPlan::default()
    };
    witness.prepare("founding households", 0, u64::from(households.count));
    let (tell, mut told) = mpsc::unbounded_channel();
    // Whoever listens is gone when the run is stopped.
    let mut progress = move |progress: Progress| {
        let _ = tell.send(progress);
    };
    let mut founding = pin!(Crew::found(&plan, &mut progress));
    let mut done = 0;
    loop {
        let progress = tokio::select! {
            crew = &mut founding => {
                let crew = crew?;
                witness.prepare("founding households", u64::from(households.count), u64::from(households.count));
                return Ok(crew);
            }
            Some(progress) = told.recv() => progress,
        };
        match progress {
            Progress::Founded { done: now, of } => {
                done = u64::from(now);
                witness.prepare("founding households", done, u64::from(of));
            }
            Progress::Waiting { doing, wait } => {
                let phase = format!("{doing}, waiting {} s as the server asks", wait.as_secs().max(1));
                witness.prepare(&phase, done, u64::from(households.count));
            }
        }
    }
}

async fn start_cameras(
    entrance: &Entrance,
    crew: &Option<Crew>,
    cameras: &[CameraRef],
    content: &Content,
    scenario: &Scenario,
    layout: &Layout,
    witness: &mut dyn Witness,
) -> Result<(Cameras, Vec<Exit>, Option<&'static str>), RunError> {
    let mut fleet = Cameras::start(&layout.driver)?;
    let (mut exits, mut entering, all) = (Vec::new(), JoinSet::new(), cameras.len() as u64);
    let mut waiting = (0..).map(CameraId).zip(cameras.iter().copied());
    let mut in_by_now = 0;
    loop {
        while entering.len() < AT_ONCE
            && let Some((id, camera)) = waiting.next()
        {
            let entrance = entrance.clone();
            entering.spawn(async move { (id, camera, entrance.publish(id, camera).await) });
        }
        let Some(entered) = entering.join_next().await else { break };
        let (id, camera, entered) = entered.map_err(std::io::Error::other)?;
        let refused = |reason: String, party| RunError::NoCamera { number: id.0, reason, party };
        let Entered { peer, exit, .. } =
            entered.map_err(|error| refused(error.to_string(), error.party()))?;
        exits.extend(exit);
        let sealing = match crew {
            Some(crew) => Sealing::from(crew.sealer(camera)?),
            None => Sealing::Plain,
        };
        fleet.add(id, NewCamera { peer, sealing, content: content.clone(), shape: scenario.camera.shape() });
        in_by_now += 1;
        witness.prepare("starting cameras", in_by_now, all);
    }
    let suite = wait_until_all_send(&fleet).await?;
    Ok((fleet, exits, suite))
}

/// Returns the SRTP suite of the first of them.
async fn wait_until_all_send(fleet: &Cameras) -> Result<Option<&'static str>, RunError> {
    let deadline = Instant::now() + CAMERA_LIMIT;
    loop {
        let states = fleet.states();
        let refused = |number: CameraId, reason: String| RunError::NoCamera {
            number: number.0,
            reason,
            party: Party::Server,
        };
        if let Some((id, reason)) = states.iter().find_map(|state| Some((state.id, state.ended.clone()?))) {
            return Err(refused(id, reason));
        }
        let Some(late) = states.iter().find(|state| state.frames == 0) else {
            return Ok(states.iter().find_map(|state| state.srtp));
        };
        if Instant::now() > deadline {
            let seconds = CAMERA_LIMIT.as_secs();
            let reason =
                format!("its connection does not come about within {seconds} s (is UDP to the server open?)");
            return Err(refused(late.id, reason));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Lets the scenario's intruders loose; the real grants that they spoil are those of members, in turn.
fn let_loose(
    scenario: &Scenario,
    stand: &Stand,
    crew: &Crew,
    cameras: &[CameraRef],
) -> Result<Option<Intruders>, RunError> {
    let Intruding { per_s, garbage_per_s } = scenario.intruders;
    if per_s <= 0.0 && garbage_per_s <= 0.0 {
        return Ok(None);
    }
    let plan = IntruderPlan {
        bad_grants_per_second: per_s,
        garbage_per_second: garbage_per_s,
        media: stand.media,
        ..IntruderPlan::default()
    };
    let (crew, cameras, turn) = (crew.clone(), Arc::<[CameraRef]>::from(cameras), AtomicUsize::new(0));
    let grants: Grants = Arc::new(move || {
        let (crew, turn) = (crew.clone(), turn.fetch_add(1, Ordering::Relaxed));
        let camera = cameras[turn % cameras.len()];
        Box::pin(async move {
            let member = *crew.members(camera.household).first()?;
            // A device that is being removed is given no grant; the next one will be.
            let granted = crew.session(Seat::View(camera, member)).await.ok()?;
            Some(RealGrant { url: granted.url, bearer: granted.bearer })
        })
    });
    Intruders::start(&plan, grants).map(Some).map_err(|error| RunError::Driver(std::io::Error::other(error)))
}

async fn content(order: &Order) -> Result<Content, RunError> {
    let camera = &order.scenario.camera;
    // Nothing but made-up pictures goes anywhere unsealed.
    if camera.clip == SYNTHETIC || matches!(order.target, Target::Foreign(_)) {
        return Ok(Content::synthetic(camera.shape()));
    }
    let read = async |path: &Path| {
        let refused = |error: crate::fleet::content::ClipError| RunError::Clip {
            path: path.to_owned(),
            reason: error.to_string(),
        };
        Content::clip(path).await.map_err(refused)
    };
    if camera.clip == DOORBELL {
        let mut file = tempfile::Builder::new().suffix(".ivf").tempfile()?;
        file.write_all(DOORBELL_CLIP)?;
        return read(file.path()).await;
    }
    read(Path::new(&camera.clip)).await
}

fn local(target: &Target) -> IpAddr {
    match target {
        Target::Child => Ipv4Addr::LOCALHOST.into(),
        Target::Latchkey(running) => local_address(&running.url),
        Target::Foreign(foreign) => foreign.local.unwrap_or_else(|| local_address(&foreign.whep.of(0))),
    }
}

fn describe(
    order: &Order,
    stand: &Stand,
    layout: &Layout,
    content: &Content,
    cameras: usize,
    suite: Option<&str>,
) -> RunLine {
    let scenario = &order.scenario;
    let shape = content.shape(scenario.camera.shape());
    let foreign = matches!(order.target, Target::Foreign(_));
    let clip = Path::new(&scenario.camera.clip).file_name().map(|name| name.to_string_lossy().into_owned());
    RunLine {
        server: stand.name.clone(),
        server_is_child: matches!(order.target, Target::Child),
        transport: "webrtc".to_owned(),
        srtp: suite.map_or_else(|| "SRTP".to_owned(), |suite| format!("SRTP {suite}")),
        sealed: !foreign,
        households: if foreign { 0 } else { u64::from(scenario.households.count) },
        cameras: cameras as u64,
        members: if foreign { 0 } else { u64::from(scenario.households.count * scenario.households.members) },
        content: if foreign { SYNTHETIC.to_owned() } else { clip.unwrap_or_default() },
        opens_one_in: u64::from(scenario.viewers.opens_one_in),
        player_delay_ms: scenario.viewers.player_delay.0.as_secs_f64() * 1e3,
        networks: scenario.network.iter().map(|given| (given.profile.clone(), given.share.0)).collect(),
        server_cores: numbers(&stand.cores),
        ..work(scenario, &shape, layout)
    }
}

/// Returns what a run says of the work alone, whoever does it: shape, viewers, time, and the machine that drives.
pub(crate) fn work(scenario: &Scenario, shape: &Shape, layout: &Layout) -> RunLine {
    RunLine {
        scenario: scenario.name.clone(),
        about: scenario.about.clone(),
        started_at: SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |at| at.as_secs()),
        viewers: u64::from(scenario.most_viewers()),
        fps: shape.fps,
        packets_per_frame: shape.packets_per_frame(),
        packet_bytes: u64::from(shape.packet_bytes),
        mbit_per_camera: shape.bitrate_bps as f64 / 1e6,
        gop: u64::from(shape.gop),
        shape: shape.pace.name().to_owned(),
        step_seconds: scenario.phases.steady.0.as_secs_f64(),
        driver_cores: numbers(&layout.driver),
        machine: machine::machine(),
        ..RunLine::default()
    }
}

/// Returns processors as lines name them.
pub(crate) fn numbers(cores: &[usize]) -> Vec<u64> {
    cores.iter().map(|core| *core as u64).collect()
}

/// The clip that comes with the program.
const DOORBELL_CLIP: &[u8] = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/clips/doorbell-vp8.ivf"));
/// Cameras that ask for entrance at the same time.
const AT_ONCE: usize = 16;
/// How long a camera may take to connect and send.
const CAMERA_LIMIT: Duration = Duration::from_secs(15);
