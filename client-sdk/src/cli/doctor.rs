//! `doctor`: goes the whole way as a real client does, and says where it ends, why, and what to do.

use std::io::Write;
use std::time::{Duration, Instant};

use latchkey_api::device_list::Role;
use latchkey_api::session::SessionScope;
use latchkey_wire::codec::Codec;
use serde_json::json;
use tokio::time::timeout;

use crate::cli::DoctorArgs;
use crate::cli::config::Settings;
use crate::cli::failure::Failure;
use crate::door::relay_door;
use crate::home::{Home, HomeError};
use crate::story::Step;
use crate::transport::LinkEvent;
use crate::transport::webrtc::Publisher;
use crate::vault::VaultError;
use crate::viewer::{Viewer, ViewerConfig};

pub(super) async fn run(settings: &Settings, args: DoctorArgs) -> Result<(), Failure> {
    let mut report = Report { json: settings.json, failed: false };
    let began = Instant::now();
    let mut home = Home::look(&settings.home)?;
    let role = home.role()?;
    report.ok(
        "device",
        began,
        &format!("{} {:?}", super::devices::role_name(role), home.label(home.entry()?)),
    );

    let began = Instant::now();
    let signaling = home.signaling();
    if let Err(error) = signaling.sign_in().await {
        report.bad("signed in at the server", &error.to_string(), Step::Signalling.advice());
        return report.end();
    }
    report.ok("signed in at the server", began, home.server().url().as_str());

    let began = Instant::now();
    match home.refresh(&signaling).await {
        Ok(_) => {
            let list = home.list()?;
            let about =
                format!("version {}, {} devices, verified from the root", list.version, list.devices.len());
            report.ok("device list", began, &about);
        }
        Err(error) => {
            report.bad("device list", &error.to_string(), "do not trust this server before you know why");
            return report.end();
        }
    }
    if home.entry().is_err() {
        report.bad("on the list", &HomeError::NotListed.to_string(), "ask an admin for a new invite");
        return report.end();
    }
    match Home::open(&settings.home) {
        Ok(held) => drop(held),
        Err(HomeError::Vault(VaultError::InUse(_))) => {
            report.note("this device is running in another process: the media path is not tried, look at what that one shows, or stop it and run the doctor again");
            return report.end();
        }
        Err(error) => return Err(error.into()),
    }
    if role == Role::Camera {
        as_camera(&mut report, &home, args.patience).await;
    } else {
        as_viewer(&mut report, settings, &home, args).await?;
    }
    report.end()
}

/// Opens a publishing session and sends nothing: shows that the relay can be reached from the camera.
async fn as_camera(report: &mut Report, home: &Home, patience: f64) {
    let began = Instant::now();
    let signaling = home.signaling();
    let door = match signaling.open_session(home.device(), SessionScope::Publish).await {
        Ok(opened) => relay_door(opened, SessionScope::Publish),
        Err(error) => return report.bad("leave to send", &error.to_string(), Step::Signalling.advice()),
    };
    report.ok("leave to send", began, "");
    let began = Instant::now();
    let connected = match door {
        Ok(door) => Publisher::connect(home.server().http().clone(), door, &[Codec::H264]).await,
        Err(error) => Err(error),
    };
    let (publisher, mut events) = match connected {
        Ok(connected) => connected,
        Err(error) => return report.bad(Step::Relay.title(), &error.to_string(), Step::Relay.advice()),
    };
    report.ok(Step::Relay.title(), began, "");
    let mut next = Step::Ice;
    let secured = timeout(Duration::from_secs_f64(patience), async {
        while let Some(event) = events.recv().await {
            match event {
                LinkEvent::PathFound => {
                    report.ok(Step::Ice.title(), began, "");
                    next = Step::Dtls;
                }
                LinkEvent::Secured => {
                    report.ok(Step::Dtls.title(), began, "");
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
        Ok(true) => report.note("the way from this camera to the relay is open; `latchkey camera` can send"),
        Ok(false) => report.bad(next.title(), "the relay closed the connection", next.advice()),
        Err(_) => report.bad(next.title(), &format!("nothing within {patience} s"), next.advice()),
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
    let camera = match args.camera {
        Some(camera) => camera,
        None => {
            let mut cameras = home.list()?.cameras();
            match (cameras.next(), cameras.next()) {
                (Some(only), None) => only.device.to_string(),
                (None, _) => {
                    report.note("this household has no camera yet: add one with `latchkey invite --role camera --name NAME`");
                    return Ok(());
                }
                _ => {
                    return Err(Failure::usage(
                        "there are several cameras: name one, like `latchkey doctor \"Front door\"`",
                    ));
                }
            }
        }
    };
    let viewer = Viewer::start(ViewerConfig::new(&settings.home, camera)).await?;
    viewer.wait_first_frame(Duration::from_secs_f64(args.patience)).await;
    let story = viewer.story();
    let stats = viewer.stats();
    viewer.stop().await;
    // Steps may come in another order than they are listed: all that is done is shown.
    for step in Step::ALL.into_iter().skip(1) {
        if let Some(after) = story.done_after(step) {
            report.done(step.title(), after, "");
        }
    }
    if let Some(step) = story.open_step() {
        let reason = story.open_reason().unwrap_or("nothing was heard of it");
        report.bad(step.title(), reason, step.advice());
    } else if let Some(age) = stats.age_ms.filter(|age| age.abs() > 10_000) {
        report.note(&format!(
            "the picture is {age} ms old by the clocks of camera and this machine: set both clocks"
        ));
    }
    Ok(())
}

/// Prints steps as they come.
struct Report {
    json: bool,
    failed: bool,
}

impl Report {
    fn ok(&self, step: &str, began: Instant, about: &str) {
        self.done(step, began.elapsed(), about);
    }

    fn done(&self, step: &str, after: Duration, about: &str) {
        let ms = after.as_millis();
        let object = json!({ "event": "doctor", "step": step, "ok": true, "ms": ms as u64, "about": about });
        self.write(&object, &format!("  ok    {step:<28} {ms:>6} ms  {about}"));
    }

    fn bad(&mut self, step: &str, reason: &str, advice: &str) {
        self.failed = true;
        let object =
            json!({ "event": "doctor", "step": step, "ok": false, "reason": reason, "advice": advice });
        self.write(&object, &format!("  FAIL  {step:<28} {reason}\n        what to do: {advice}"));
    }

    fn note(&self, text: &str) {
        self.write(&json!({ "event": "note", "text": text }), &format!("  note  {text}"));
    }

    fn write(&self, object: &serde_json::Value, line: &str) {
        let mut out = std::io::stdout();
        let _ = if self.json { writeln!(out, "{object}") } else { writeln!(out, "{}", line.trim_end()) };
    }

    fn end(self) -> Result<(), Failure> {
        if self.failed {
            return Err(Failure::other("the doctor found something; see above"));
        }
        Ok(())
    }
}
