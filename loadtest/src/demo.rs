//! The demo: a server, a household, a camera and two viewers as real processes, and an outsider who gets every byte;
//! then an admin takes one of the viewers out. Who opens the link that it shows watches in a browser.

mod ear;
mod link;
mod removal;
mod told;

use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

pub use crate::demo::removal::Removed;

use crate::demo::ear::Ear;
use crate::demo::link::{Link, Page};
use crate::demo::removal::Removal;
use crate::demo::told::{figures, say};
use crate::household::{Device, Household, Role, is};
use crate::outsider::{Outcome, Tries};
use crate::place::Place;
use crate::process::Process;
use crate::scratch::Scratch;
use crate::server::{Server, Setup};

/// The longest until a first picture before the demo gives up.
const PICTURE_LIMIT: Duration = Duration::from_secs(30);
/// When one of the viewers is taken out: so long after the start, or at half the time that the demo has.
const REMOVE_AFTER: Duration = Duration::from_secs(10);
/// How often the figures are told.
const TELL_EVERY: Duration = Duration::from_secs(5);

/// What the demo is told.
pub struct Options {
    /// Ends by itself after so long, counted from the start; none: when it is stopped.
    pub duration: Option<Duration>,
    /// What the camera plays.
    pub clip: PathBuf,
    /// Folder of the built web app; none: no link is shown.
    pub web: Option<PathBuf>,
    /// Whether browsers on other devices of this network can open the link: by HTTPS with a CA of the household.
    pub lan: bool,
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
    /// What the removal of one of the viewers has shown; none when the demo was stopped before.
    pub removed: Option<Removed>,
}

impl Shown {
    /// Returns the demo's last line: what it showed, or why it failed.
    ///
    /// # Errors
    /// With the reason, when something did not hold.
    pub fn verdict(&self) -> anyhow::Result<String> {
        let Self { first_picture_ms, frames_opened, outsider, removed } = self;
        anyhow::ensure!(outsider.opened == 0, "the outsider opened {} frames", outsider.opened);
        anyhow::ensure!(outsider.received > 0, "the outsider received nothing, so it shows nothing");
        anyhow::ensure!(*frames_opened > 0, "no frame was opened");
        let removed = match removed {
            None => String::new(),
            Some(Removed { ms, opened_after: 0, .. }) => {
                format!(" removed_in_ms={ms} removed_opened_after=0")
            }
            Some(Removed { opened_after, .. }) => {
                anyhow::bail!("the removed device opened {opened_after} frames under the new keys")
            }
        };
        Ok(format!(
            "demo ok: first_picture_ms={first_picture_ms} viewers=2 frames_opened={frames_opened} outsider_opened=0{removed}"
        ))
    }
}

/// One viewer of the demo, as it was last heard of.
struct Watching {
    process: Process,
    name: String,
    first_picture_ms: Option<u64>,
    opened: u64,
    age_ms: Option<i64>,
    /// Why it is over.
    ended: Option<String>,
}

/// Runs the demo until its time is over or `stop` is cancelled, and returns what it showed.
///
/// # Errors
/// With one sentence for the person who started it.
pub fn run(options: &Options, stop: &CancellationToken) -> anyhow::Result<Shown> {
    let started = Instant::now();
    let dir = Scratch::new("latchkey-demo-").context("no temporary folder")?;
    say("Latchkey demo", &format!("all of it on this machine, in {}", dir.path().display()));
    let server = Server::start_with(dir.path(), setup(options))?;
    let doors = server.doors().clone();
    let page = Page::of(&doors);
    anyhow::ensure!(
        !options.lan || page.url.starts_with("https://"),
        "this machine has no address of a home network (such as 192.168.…), so no other device can open a link: leave DEMO_LAN away"
    );
    say("server", &format!("signaling and relay run: {}  media udp {}", page.url, doors.media));
    say("metrics", &format!("{}/metrics", doors.ops_url.trim_end_matches('/')));

    let household = Household::create_at(&place(&server), dir.path(), &page.url, "Ada's laptop")?;
    say("household", "founded by \"Ada's laptop\"; its keys were made there and stay there");
    let camera = household.enrol(Role::Camera, "Front door")?;
    let phone = household.enrol(Role::Viewer, "Ada's phone")?;
    let tablet = household.enrol(Role::Viewer, "Kitchen tablet")?;
    say(
        "enrolled",
        "camera \"Front door\", viewers \"Ada's phone\" and \"Kitchen tablet\": on the list that the laptop signed",
    );

    let mut link = match options.web {
        Some(_) => Some(Link::new(page, household.enrol(Role::Admin, "Ada's desk")?)),
        None => {
            say("browser", "no link: the web app is not built (make web)");
            None
        }
    };

    let clip = options.clip.to_string_lossy().into_owned();
    let mut sending = camera.camera(dir.path(), &[&clip])?;
    let title = options.clip.file_name().unwrap_or_default().to_string_lossy();
    say("camera", &format!("plays {title} over and over; each frame is sealed once, for everybody"));
    let mut viewers =
        [Watching::start(&phone, dir.path(), &camera)?, Watching::start(&tablet, dir.path(), &camera)?];
    let mut tries = Tries::new()?;
    let outsider = Ear::start((&server, &household, &camera), Outcome::default(), move |outcome, frame| {
        *outcome = tries.take(frame);
    });

    let end = options.duration.map(|duration| started + duration);
    let remove_after = options.duration.map_or(REMOVE_AFTER, |duration| (duration / 2).min(REMOVE_AFTER));
    let mut removal: Option<Removal> = None;
    let mut told = Instant::now();
    loop {
        while let Some(event) = sending.next_event(Duration::ZERO)? {
            alarm("camera", &event);
        }
        for viewer in &mut viewers {
            // A browser of the household may remove devices, too.
            let visited = link.as_ref().is_some_and(Link::was_used);
            viewer.listen(started, visited || removal.is_some() && viewer.name == tablet.name)?;
        }
        if let Some(error) = outsider.failure() {
            anyhow::bail!("the outsider could not watch, so it shows nothing: {error}");
        }
        let all_see = viewers.iter().all(|viewer| viewer.first_picture_ms.is_some() && viewer.opened > 0);
        if all_see && let Some(link) = &mut link {
            link.go_on(&household)?;
        }
        match &mut removal {
            Some(removal) => removal.go_on(dir.path(), &household.admin, &tablet)?,
            None if all_see && started.elapsed() >= remove_after => {
                removal = Some(Removal::begin(dir.path(), &server, &household, &camera, &tablet)?);
            }
            None => {}
        }
        // The removal is shown to its end, also where it takes longer than the demo has.
        let shown = removal.as_ref().is_some_and(|removal| removal.shown().is_some());
        let over = end.is_some_and(|end| Instant::now() >= end) && shown && viewers[1].ended.is_some();
        if stop.is_cancelled() || over {
            break;
        }
        if !all_see && removal.is_none() && started.elapsed() > PICTURE_LIMIT {
            anyhow::bail!("a viewer has no picture after {} s", PICTURE_LIMIT.as_secs());
        }
        if told.elapsed() >= TELL_EVERY {
            told = Instant::now();
            tell(&viewers, outsider.heard(|outcome| *outcome), removal.as_ref());
        }
    }
    let outsider = *outsider.finish().lock().unwrap_or_else(PoisonError::into_inner);
    for viewer in &mut viewers {
        viewer.finish(started)?;
    }
    tell(&viewers, outsider, removal.as_ref());
    let removed = removal.and_then(Removal::finish);
    let first = viewers
        .iter()
        .filter_map(|viewer| viewer.first_picture_ms)
        .min()
        .context("no viewer had a picture")?;
    anyhow::ensure!(viewers.iter().all(|viewer| viewer.opened > 0), "one of the viewers opened no frame");
    let frames_opened = viewers.iter().map(|viewer| viewer.opened).sum();
    Ok(Shown { first_picture_ms: first, frames_opened, outsider, removed })
}

/// The server that the demo wants: browsers take media from an address of the machine's own more readily than from loopback.
fn setup(options: &Options) -> Setup {
    let web = options.web.as_deref().map_or("off".into(), Path::to_string_lossy);
    let mut setup = Setup { media: "0.0.0.0:0".to_owned(), ..Setup::default() };
    setup.more = vec!["--web-dir".to_owned(), web.into_owned()];
    if options.lan {
        setup.listen = "0.0.0.0:0".to_owned();
        setup.more.extend(["--tls", "local-ca", "--tls-install", "0.0.0.0:0"].map(str::to_owned));
    }
    setup
}

/// Where the devices of this machine run: with trust in the household CA, where there is one.
fn place(server: &Server) -> Place {
    let ca = server.data_dir().join("household-ca/ca.crt");
    if !ca.exists() {
        return Place::default();
    }
    let mut trust = std::ffi::OsString::from("LATCHKEY_CA=");
    trust.push(ca);
    Place::entered_by(["env".into(), trust])
}

impl Watching {
    fn start(device: &Device, dir: &Path, camera: &Device) -> anyhow::Result<Self> {
        let process = device.view(dir, &camera.id, &[])?;
        let name = device.name.clone();
        Ok(Self { process, name, first_picture_ms: None, opened: 0, age_ms: None, ended: None })
    }

    /// Takes what the viewer has said, waiting a moment for news. It may end by itself only when that is expected.
    fn listen(&mut self, started: Instant, may_end: bool) -> anyhow::Result<()> {
        if self.ended.is_some() {
            std::thread::sleep(Duration::from_millis(5));
            return Ok(());
        }
        loop {
            match self.process.next_event(Duration::from_millis(5)) {
                Ok(Some(event)) => self.note(&event, started),
                Ok(None) => return Ok(()),
                Err(_) if may_end && self.ended.is_some() => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn note(&mut self, event: &Value, started: Instant) {
        alarm(&self.name, event);
        if is(event, "first_frame_opened") && self.first_picture_ms.is_none() {
            let ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
            self.first_picture_ms = Some(ms);
            self.opened = self.opened.max(1);
            let own = event["ms"].as_u64().unwrap_or_default();
            say(
                &self.name,
                &format!("first picture opened {ms} ms after the demo's start, {own} ms after its own"),
            );
        }
        if is(event, "stats") {
            self.opened = event["opened_video"].as_u64().unwrap_or(self.opened);
            self.age_ms = event["age_ms"].as_i64().or(self.age_ms);
        }
        if is(event, "ended") {
            let reason = event["reason"].as_str().unwrap_or_default();
            if reason != "stopped" {
                say(&self.name, &format!("is cut: {reason}"));
            }
            self.ended = Some(reason.to_owned());
        }
    }

    /// Lets the viewer end in order, so that its last figures are heard.
    fn finish(&mut self, started: Instant) -> anyhow::Result<()> {
        if self.ended.is_some() {
            return Ok(());
        }
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

fn tell(viewers: &[Watching], outsider: Outcome, removal: Option<&Removal>) {
    let mut all = Vec::new();
    for viewer in viewers {
        let age = viewer.age_ms.map_or(String::new(), |age| format!(", the picture is {age} ms old"));
        let now = if viewer.ended.as_deref().is_some_and(|reason| reason != "stopped") {
            ", none since it is off the list".to_owned()
        } else {
            age
        };
        all.push((viewer.name.as_str(), format!("{} frames opened{now}", viewer.opened)));
    }
    let Outcome { received, tried, opened } = outsider;
    all.push((
        "outsider",
        format!("on no list: {received} frames received, {tried} tried with its own keys, {opened} opened"),
    ));
    all.extend(removal.and_then(Removal::figures).map(|figures| ("thief", figures)));
    figures(&all);
}

fn alarm(who: &str, event: &Value) {
    if is(event, "alarm") {
        say(who, &format!("ALARM: {}", event["text"].as_str().unwrap_or_default()));
    }
}
