//! The demo: a server, a household, a camera and two viewers as real processes, and an outsider who gets every byte.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::household::{Device, Household, Role, is};
use crate::outsider::{self, Outcome};
use crate::process::Process;
use crate::server::Server;

/// The longest until a first picture before the demo gives up.
const PICTURE_LIMIT: Duration = Duration::from_secs(30);
/// How often the figures are told.
const TELL_EVERY: Duration = Duration::from_secs(5);

/// What the demo is told.
pub struct Options {
    /// Ends by itself after so long, counted from the start; none: on Ctrl-C.
    pub duration: Option<Duration>,
    /// What the camera plays.
    pub clip: PathBuf,
}

/// What the demo has shown.
#[derive(Debug, Clone, Copy)]
pub struct Shown {
    /// From the demo's start to the first opened picture, milliseconds.
    pub first_picture_ms: u64,
    /// Video frames opened by both viewers together.
    pub frames_opened: u64,
    /// What the outsider got.
    pub outsider: Outcome,
}

impl Shown {
    /// Returns the demo's last line: what it showed, or why it failed.
    ///
    /// # Errors
    /// With the reason, when something did not hold.
    pub fn verdict(&self) -> anyhow::Result<String> {
        let Self { first_picture_ms, frames_opened, outsider } = self;
        anyhow::ensure!(outsider.opened == 0, "the outsider opened {} frames", outsider.opened);
        anyhow::ensure!(outsider.received > 0, "the outsider received nothing, so it shows nothing");
        anyhow::ensure!(*frames_opened > 0, "no frame was opened");
        Ok(format!(
            "demo ok: first_picture_ms={first_picture_ms} viewers=2 frames_opened={frames_opened} outsider_opened=0"
        ))
    }
}

/// One viewer of the demo, as it was last heard of.
struct Watching {
    process: Process,
    name: &'static str,
    first_picture_ms: Option<u64>,
    opened: u64,
    age_ms: Option<i64>,
}

/// Runs the demo until its time is over or `stop` is cancelled, and returns what it showed.
///
/// # Errors
/// With one sentence for the person who started it.
pub fn run(options: &Options, stop: &CancellationToken) -> anyhow::Result<Shown> {
    let started = Instant::now();
    let dir = tempfile::Builder::new().prefix("latchkey-demo-").tempdir().context("no temporary folder")?;
    say("Latchkey demo", &format!("all of it on this machine, in {}", dir.path().display()));
    let server = Server::start(dir.path())?;
    let doors = server.doors().clone();
    say("server", &format!("signaling and relay run: {}  media udp {}", doors.signaling_url, doors.media));
    say("metrics", &format!("{}/metrics", doors.ops_url.trim_end_matches('/')));

    let household = Household::create(dir.path(), &doors.signaling_url, "Ada's phone")?;
    say("household", "founded by \"Ada's phone\"; its keys were made there and stay there");
    let camera = household.enrol(Role::Camera, "Front door")?;
    let tablet = household.enrol(Role::Viewer, "Kitchen tablet")?;
    say(
        "enrolled",
        "camera \"Front door\", viewer \"Kitchen tablet\": both stand on the list the phone signed",
    );

    let clip = options.clip.to_string_lossy().into_owned();
    let mut sending = camera.camera(dir.path(), &[&clip])?;
    let title = options.clip.file_name().unwrap_or_default().to_string_lossy();
    say("camera", &format!("plays {title} over and over; each frame is sealed once, for everybody"));
    let mut viewers = [
        Watching::start(&household.admin, "Ada's phone", dir.path(), &camera)?,
        Watching::start(&tablet, "Kitchen tablet", dir.path(), &camera)?,
    ];
    let outsider = Outsider::start(&server, &household, &camera);

    let end = options.duration.map(|duration| started + duration);
    let mut told = Instant::now();
    loop {
        while let Some(event) = sending.next_event(Duration::ZERO)? {
            alarm("camera", &event);
        }
        for viewer in &mut viewers {
            viewer.listen(started)?;
        }
        if let Some(error) = outsider.failure() {
            anyhow::bail!("the outsider could not watch, so it shows nothing: {error}");
        }
        if stop.is_cancelled() || end.is_some_and(|end| Instant::now() >= end) {
            break;
        }
        if viewers.iter().any(|viewer| viewer.first_picture_ms.is_none()) && started.elapsed() > PICTURE_LIMIT
        {
            anyhow::bail!("a viewer has no picture after {} s", PICTURE_LIMIT.as_secs());
        }
        if told.elapsed() >= TELL_EVERY {
            told = Instant::now();
            tell(&viewers, outsider.outcome());
        }
    }
    let outsider = outsider.stop();
    for viewer in &mut viewers {
        viewer.finish(started)?;
    }
    tell(&viewers, outsider);
    let first = viewers
        .iter()
        .filter_map(|viewer| viewer.first_picture_ms)
        .min()
        .context("no viewer had a picture")?;
    anyhow::ensure!(viewers.iter().all(|viewer| viewer.opened > 0), "one of the viewers opened no frame");
    let frames_opened = viewers.iter().map(|viewer| viewer.opened).sum();
    Ok(Shown { first_picture_ms: first, frames_opened, outsider })
}

/// Cancels `stop` when Ctrl-C is pressed.
pub fn stop_on_ctrl_c(stop: CancellationToken) {
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        if let Ok(runtime) = runtime {
            runtime.block_on(async {
                let _ = tokio::signal::ctrl_c().await;
                stop.cancel();
            });
        }
    });
}

impl Watching {
    fn start(
        device: &Device,
        name: &'static str,
        dir: &std::path::Path,
        camera: &Device,
    ) -> anyhow::Result<Self> {
        let process = device.view(dir, &camera.id, &[])?;
        Ok(Self { process, name, first_picture_ms: None, opened: 0, age_ms: None })
    }

    /// Takes what the viewer has said, waiting a moment for news.
    fn listen(&mut self, started: Instant) -> anyhow::Result<()> {
        while let Some(event) = self.process.next_event(Duration::from_millis(5))? {
            self.note(&event, started);
        }
        Ok(())
    }

    fn note(&mut self, event: &Value, started: Instant) {
        alarm(self.name, event);
        if is(event, "first_frame_opened") && self.first_picture_ms.is_none() {
            let ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
            self.first_picture_ms = Some(ms);
            let own = event["ms"].as_u64().unwrap_or_default();
            say(
                self.name,
                &format!("first picture opened {ms} ms after the demo's start, {own} ms after its own"),
            );
        }
        if is(event, "stats") {
            self.opened = event["opened_video"].as_u64().unwrap_or(self.opened);
            self.age_ms = event["age_ms"].as_i64().or(self.age_ms);
        }
    }

    /// Lets the viewer end in order, so that its last figures are heard.
    fn finish(&mut self, started: Instant) -> anyhow::Result<()> {
        self.process.interrupt();
        let deadline = Instant::now() + PICTURE_LIMIT;
        while Instant::now() < deadline {
            match self.process.next_event(Duration::from_millis(200)) {
                Ok(Some(event)) => self.note(&event, started),
                Ok(None) => {}
                Err(_) => return Ok(()),
            }
        }
        anyhow::bail!("{} did not end when asked to", self.name)
    }
}

/// The outsider on a thread of its own.
struct Outsider {
    outcome: Arc<Mutex<Outcome>>,
    failure: Arc<Mutex<Option<String>>>,
    stop: CancellationToken,
    thread: std::thread::JoinHandle<()>,
}

impl Outsider {
    /// Tries until the camera is live, then watches.
    fn start(server: &Server, household: &Household, camera: &Device) -> Self {
        let (outcome, failure) = (Arc::new(Mutex::new(Outcome::default())), Arc::new(Mutex::new(None)));
        let stop = CancellationToken::new();
        let (data, door) = (server.data_dir(), server.doors().door_url.clone());
        let (household, camera) = (household.id.clone(), camera.id.clone());
        let (shared, failed, stopped) = (outcome.clone(), failure.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            let work = async {
                let deadline = Instant::now() + PICTURE_LIMIT;
                loop {
                    let (room, grant) = outsider::steal_grant(&data, &household, &camera, None)?;
                    let share = |now: Outcome| *shared.lock().unwrap_or_else(PoisonError::into_inner) = now;
                    match outsider::watch(&door, &room, grant, stopped.clone(), share).await {
                        Ok(_) => return Ok(()),
                        Err(error) if stopped.is_cancelled() || Instant::now() > deadline => {
                            return Err(error);
                        }
                        Err(_) => tokio::time::sleep(Duration::from_millis(250)).await,
                    }
                }
            };
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
            let result = runtime.map_err(anyhow::Error::from).and_then(|runtime| runtime.block_on(work));
            if let Err(error) = result {
                *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(format!("{error:#}"));
            }
        });
        Self { outcome, failure, stop, thread }
    }

    fn outcome(&self) -> Outcome {
        *self.outcome.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failure(&self) -> Option<String> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn stop(self) -> Outcome {
        self.stop.cancel();
        let _ = self.thread.join();
        *self.outcome.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn tell(viewers: &[Watching], outsider: Outcome) {
    for viewer in viewers {
        let age = viewer.age_ms.map_or(String::new(), |age| format!(", the picture is {age} ms old"));
        say(viewer.name, &format!("{} frames opened{age}", viewer.opened));
    }
    let Outcome { received, tried, opened } = outsider;
    say(
        "outsider",
        &format!("on no list: {received} frames received, {tried} tried with its own keys, {opened} opened"),
    );
}

fn alarm(who: &str, event: &Value) {
    if is(event, "alarm") {
        say(who, &format!("ALARM: {}", event["reason"].as_str().unwrap_or_default()));
    }
}

fn say(who: &str, what: &str) {
    let mut out = std::io::stdout().lock();
    // Nobody reading is no reason to stop.
    let _ = writeln!(out, "  {who:<15} {what}");
    let _ = out.flush();
}
