//! `doctor`: goes the whole way as a real client does, and says where it ends, why, and what to do.

mod outside;
mod report;
mod sheet;

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use latchkey_api::device_list::Role;
use latchkey_api::id::DeviceId;
use latchkey_api::session::SessionScope;
use latchkey_e2ee::record::EpochRecord;
use latchkey_household::clock::unix_seconds;
use latchkey_household::event::Event;
use latchkey_household::follower::stored_records;
use latchkey_household::signaling::Signaling;
use latchkey_household::story::{Step, StepState};
use latchkey_wire::codec::Codec;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{sleep, timeout};

use crate::cli::config::Settings;
use crate::cli::doctor::report::{Check, Report};
use crate::cli::failure::Failure;
use crate::cli::moment::written;
use crate::cli::{DoctorArgs, told_to_stop};
use crate::door::relay_door;
use crate::home::{self, Home, HomeError};
use crate::transport::LinkEvent;
use crate::transport::webrtc::Publisher;
use crate::vault::{VaultError, status};
use crate::viewer::{Ended, Viewer, ViewerConfig, ViewerHandle};

pub(super) async fn run(settings: &Settings, args: DoctorArgs) -> Result<(), Failure> {
    if let Some(address) = &args.from_outside {
        return outside::run(settings, address, args.patience).await;
    }
    let mut report = Report::begin(settings.json);
    let outcome = examine(&mut report, settings, args).await;
    let said = report.end();
    outcome.and(said)
}

async fn examine(report: &mut Report, settings: &Settings, args: DoctorArgs) -> Result<(), Failure> {
    let began = Instant::now();
    let mut home = match this_device(&settings.home) {
        Ok(home) => home,
        Err(error) => {
            report.bad(Check::DEVICE, began.elapsed(), &error.to_string(), None);
            return Err(error.into());
        }
    };
    let role = home.role()?;
    let lock = status(&settings.home).map_err(HomeError::from)?;
    let about = format!(
        "{} {:?}, keys locked by {}",
        super::devices::role_name(role),
        home.label(home.entry()?),
        super::vault::lock_of(&lock)
    );
    report.ok(Check::DEVICE, began.elapsed(), &about);

    let began = Instant::now();
    let signaling = home.signaling();
    report.doing("signing in at the server ...");
    if let Err(error) = signaling.sign_in().await {
        report.bad_step(Step::Signalling, began.elapsed(), &error.to_string());
        return Ok(());
    }
    report.ok(Step::Signalling.into(), began.elapsed(), home.server().url().as_str());
    if !clock(report, &signaling).await {
        return Ok(());
    }

    let began = Instant::now();
    if let Err(error) = home.refresh(&signaling).await {
        let advice =
            matches!(error, HomeError::List(_)).then_some("do not trust this server before you know why");
        report.bad(Check::LIST, began.elapsed(), &error.to_string(), advice);
        return Ok(());
    }
    if let Err(error) = home.entry() {
        report.bad(Check::LIST, began.elapsed(), &error.to_string(), None);
        return Ok(());
    }
    let list = home.list()?;
    let about = format!(
        "version {}, {} devices, signed {}, verified from the root",
        list.version,
        list.devices.len(),
        written(list.issued_at)
    );
    if let Some(rival) = home.chain().rival() {
        let reason =
            format!("a second signed list {} was seen: there are two histories", rival.list().version);
        let advice =
            "ask the admins who signed which; any change by an admin joins them (`latchkey devices`)";
        report.bad(Check::LIST, began.elapsed(), &reason, Some(advice));
    } else {
        report.ok(Check::LIST, began.elapsed(), &about);
    }
    for notice in home.take_news() {
        report.note(&notice.text);
    }

    match home::open(&settings.home) {
        Ok(held) => drop(held),
        Err(error) if matches!(VaultError::of(&error), Some(VaultError::InUse(_))) => {
            report.note("this device is running in another process: look at what that one shows, or stop it and run the doctor again; the way of the media is not tried");
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    }
    if role == Role::Camera {
        as_camera(report, &home, args.patience).await;
        return Ok(());
    }
    as_viewer(report, settings, &home, args).await
}

/// Reads what is kept of this device and checks that its last known list has it.
fn this_device(dir: &Path) -> Result<Home, HomeError> {
    let home = home::look(dir)?;
    home.entry()?;
    Ok(home)
}

/// Compares this machine's clock with the server's; returns whether the server could be asked.
async fn clock(report: &mut Report, signaling: &Signaling) -> bool {
    let began = Instant::now();
    let server = match signaling.server_seconds().await {
        Ok(server) => server,
        Err(error) => {
            report.bad_step(Step::Signalling, began.elapsed(), &error.to_string());
            return false;
        }
    };
    let own = unix_seconds();
    let side = if own < server { "behind" } else { "ahead of" };
    let about = match own.abs_diff(server) {
        0..=2 => "as the server's".to_owned(),
        apart => format!("{apart} s {side} the server's"),
    };
    if own.abs_diff(server) > CLOCK_LIMIT {
        let advice = "set the clock of this machine, or ask whoever runs the server to set that one";
        report.bad(Check::CLOCK, began.elapsed(), &about, Some(advice));
    } else {
        report.ok(Check::CLOCK, began.elapsed(), &about);
    }
    true
}

/// Looks at the newest record that the camera, which is live, has signed; the viewer keeps what comes.
async fn record(report: &mut Report, settings: &Settings, camera: DeviceId) {
    let began = Instant::now();
    report.doing("waiting for the camera's signed record ...");
    let head = loop {
        let kept = home::look(&settings.home).ok().and_then(|home| stored_records(&home, camera));
        let head = kept.as_ref().and_then(|records| records.head()).cloned();
        let is_new = |head: &EpochRecord| unix_seconds().saturating_sub(head.time()) <= RECORD_STALE;
        if head.as_ref().is_some_and(is_new) || began.elapsed() > RECORD_LIMIT {
            break head.map(|head| (is_new(&head), head));
        }
        sleep(Duration::from_millis(100)).await;
    };
    let advice = Some(
        "start the camera anew; if it stays so, somebody keeps its records back: compare safety numbers",
    );
    let Some((is_new, head)) = head else {
        return report.bad(Check::RECORD, began.elapsed(), "none has come", advice);
    };
    let (epoch, list) = (head.epoch(), head.list().version);
    let about = format!("epoch {epoch} on device list {list}, signed {}", written(head.time()));
    if !is_new {
        let reason = format!("the newest is more than a day old although the camera is live: {about}");
        return report.bad(Check::RECORD, began.elapsed(), &reason, advice);
    }
    report.ok(Check::RECORD, began.elapsed(), &about);
}

/// Opens a publishing session and sends nothing: shows that the relay can be reached from the camera.
async fn as_camera(report: &mut Report, home: &Home, patience: f64) {
    let began = Instant::now();
    let signaling = home.signaling();
    report.doing("asking for leave to send ...");
    let door = match signaling.open_session(home.device(), SessionScope::Publish).await {
        Ok(opened) => relay_door(opened, SessionScope::Publish),
        Err(error) => return report.bad_step(Step::Relay, began.elapsed(), &error.to_string()),
    };
    let connected = match door {
        Ok(door) => Publisher::connect(home.server().http().clone(), door, &[Codec::H264]).await,
        Err(error) => Err(error),
    };
    let (publisher, mut events) = match connected {
        Ok(connected) => connected,
        Err(error) => return report.bad_step(Step::Relay, began.elapsed(), &error.to_string()),
    };
    report.ok(Step::Relay.into(), began.elapsed(), "");
    report.doing("looking for a path to the relay ...");
    let mut next = Step::Ice;
    let secured = timeout(Duration::from_secs_f64(patience), async {
        while let Some(event) = events.recv().await {
            match event {
                LinkEvent::PathFound if next == Step::Ice => {
                    report.ok(Step::Ice.into(), began.elapsed(), "");
                    next = Step::Dtls;
                }
                LinkEvent::Secured => {
                    if next == Step::Ice {
                        report.ok(Step::Ice.into(), began.elapsed(), "");
                    }
                    report.ok(Step::Dtls.into(), began.elapsed(), "");
                    return true;
                }
                LinkEvent::Closed => return false,
                _ => {}
            }
        }
        false
    })
    .await;
    match secured {
        Ok(true) => {
            report.note("the way from this camera to the relay is open: `latchkey camera` can send");
        }
        Ok(false) => report.bad_step(next, began.elapsed(), "the relay closed the connection"),
        Err(_) => report.bad_step(next, began.elapsed(), "nothing came back over UDP"),
    }
    publisher.close().await;
}

/// Watches the camera until a frame is opened.
async fn as_viewer(
    report: &mut Report,
    settings: &Settings,
    home: &Home,
    args: DoctorArgs,
) -> Result<(), Failure> {
    let Some(camera) = camera_to_try(home, args.camera)? else {
        report.note(
            "this household has no camera yet: add one with `latchkey invite --role camera --name NAME`",
        );
        return Ok(());
    };
    report.doing("connecting ...");
    let began = Instant::now();
    let viewer = Viewer::start(ViewerConfig::new(&settings.home, camera)).await?;
    let reasons = follow(report, &viewer, Duration::from_secs_f64(args.patience)).await;
    let story = viewer.story();
    let stats = viewer.stats();
    if report.has(Step::FirstFrame) {
        record(report, settings, viewer.camera()).await;
    }
    viewer.stop().await;
    let open: Vec<Step> = MEDIA.into_iter().filter(|step| !report.has(*step)).collect();
    for step in &open {
        let reason = match story.state(*step) {
            StepState::Trying { reason } => Some(reason),
            _ => reasons.get(step),
        };
        match reason {
            Some(reason) => report.bad_step(*step, began.elapsed(), reason),
            None if open.first() == Some(step) => {
                report.bad_step(*step, began.elapsed(), "nothing was heard of it");
            }
            None => report.unreached((*step).into()),
        }
    }
    if let Some(age) = stats.age_ms.filter(|age| age.abs() > CLOCKS_APART) {
        report.note(&format!(
            "the picture is {age} ms old by the clocks of camera and this machine: set both clocks"
        ));
    }
    Ok(())
}

/// Returns the camera that is named, or the only one; nothing when there is none.
fn camera_to_try(home: &Home, named: Option<String>) -> Result<Option<String>, Failure> {
    if let Some(named) = named {
        return Ok(Some(home.find_camera(&named)?.to_string()));
    }
    let mut cameras = home.list()?.cameras();
    match (cameras.next(), cameras.next()) {
        (None, _) => Ok(None),
        (Some(only), None) => Ok(Some(only.device.to_string())),
        _ => {
            Err(Failure::usage("there are several cameras: name one, like `latchkey doctor \"Front door\"`"))
        }
    }
}

/// Reports steps as they are done, until the first frame, the end of patience, or Ctrl-C.
///
/// Returns the last reason heard for each step that was not done at some time.
async fn follow(report: &mut Report, viewer: &ViewerHandle, patience: Duration) -> HashMap<Step, String> {
    let mut reasons = HashMap::new();
    let mut events = viewer.events();
    let (limit, told) = (sleep(patience), told_to_stop());
    tokio::pin!(limit, told);
    loop {
        let story = viewer.story();
        let done = MEDIA.into_iter().filter_map(|step| Some((step, story.done_after(step)?)));
        let mut news: Vec<(Step, Duration)> = done.filter(|(step, _)| !report.has(*step)).collect();
        news.sort_by_key(|(_, after)| *after);
        for (step, after) in news {
            report.ok(step.into(), after, "");
        }
        if report.has(Step::FirstFrame) {
            return reasons;
        }
        tokio::select! {
            event = events.recv() => match event {
                Ok(Event::Trying { step, reason }) => {
                    report.doing(&format!("{}: {reason} ...", step.title()));
                    reasons.insert(step, reason);
                }
                Ok(Event::Reconnecting { reason }) => report.doing(&format!("connecting again: {reason} ...")),
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return reasons,
            },
            ended = viewer.wait() => {
                if let Ended::Removed(reason) = ended {
                    reasons.insert(story.open_step().unwrap_or(Step::Relay), reason);
                }
                return reasons;
            }
            () = &mut limit => return reasons,
            () = &mut told => return reasons,
        }
    }
}

/// The steps after signing in.
const MEDIA: [Step; 6] =
    [Step::Relay, Step::Ice, Step::Dtls, Step::FirstPacket, Step::KeyKnown, Step::FirstFrame];
/// Seconds between two clocks at which devices refuse to sign.
const CLOCK_LIMIT: u64 = 300;
/// How long a record of the present epoch may take; the camera signs it within a second.
const RECORD_LIMIT: Duration = Duration::from_secs(10);
/// Seconds after which a record is too old for a camera that is live: it changes keys each day, and has a while for it.
const RECORD_STALE: u64 = 24 * 3600 + 900;
/// Milliseconds of age, in either direction, that no network explains.
const CLOCKS_APART: i64 = 10_000;
