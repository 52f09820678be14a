//! `camera`: sends until stopped.

use latchkey_household::event::Event;
use serde_json::json;

use crate::camera::{Camera, CameraConfig, CameraHandle};
use crate::cli::config::Settings;
use crate::cli::failure::Failure;
use crate::cli::show::{Lines, Show, nothing};
use crate::cli::{CameraArgs, SourceTransport, stop_after, told_to_stop};
use crate::source::spec::{Credentials, RtspTransport, SourceOptions, SourceSpec};

pub(super) async fn run(settings: &Settings, args: CameraArgs) -> Result<(), Failure> {
    let duration = args.duration;
    let config = config(settings, &args)?;
    let mut show = Show::new(settings.json, Lines::Stdout);
    show.doing("opening the source ...");
    let camera = match Camera::start(config).await {
        Ok(camera) => camera,
        Err(error) => {
            show.finish();
            return Err(error.into());
        }
    };
    introduce(&show, &camera);
    let mut events = camera.events();
    // What happened before there was a listener.
    let story = camera.story();
    let limit = stop_after(duration);
    let told = told_to_stop();
    tokio::pin!(limit, told);
    for step in crate::story::Step::ALL {
        if let Some(after) = story.done_after(step) {
            show.event(&Event::Step { step, ms: u64::try_from(after.as_millis()).unwrap_or(u64::MAX) });
        }
    }
    let reason = loop {
        tokio::select! {
            event = events.recv() => match event {
                Ok(event) => show.event(&event),
                Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => {}
                Err(tokio::sync::broadcast::error::RecvError::Closed) => break None,
            },
            reason = camera.wait() => break Some(reason),
            () = &mut limit => break None,
            () = &mut told => break None,
        }
    };
    show.rest(&mut events);
    let (stats, story) = (camera.stats(), camera.story());
    let sealed = stats.aead_calls;
    camera.stop().await;
    show.event(&Event::Sending(stats));
    show.event(&Event::Ended { reason: reason.clone().unwrap_or_else(|| "stopped".to_owned()) });
    show.finish();
    match reason {
        Some(reason) if reason.contains("removed") => Err(Failure::other(reason)),
        // A camera that never sent anything has failed, whoever stopped it.
        _ if sealed == 0 => Err(Failure::other(nothing("nothing was sent", &story))),
        _ => Ok(()),
    }
}

fn config(settings: &Settings, args: &CameraArgs) -> Result<CameraConfig, Failure> {
    let written = &settings.camera;
    let sources = if args.source.is_empty() { &written.source } else { &args.source };
    let source = SourceSpec::parse(sources)?;
    let password = args.source_password_file.as_ref().or(written.source_password_file.as_ref());
    let credentials = match password {
        Some(path) => Some(Credentials::from_file(path)?),
        None => Credentials::from_environment(),
    };
    let transport = match args.source_transport.or(written.source_transport) {
        Some(SourceTransport::Udp) => RtspTransport::Udp,
        _ => RtspTransport::Tcp,
    };
    let fps = args.fps.or(written.fps);
    if fps.is_some_and(|fps| !(fps > 0.0 && fps <= 240.0)) {
        return Err(Failure::usage("--fps must be above 0 and at most 240, like --fps 25"));
    }
    let mut config = CameraConfig::new(&settings.home, source);
    config.source_options =
        SourceOptions { fps, looped: !args.once, transport, credentials, ..SourceOptions::default() };
    Ok(config)
}

fn introduce(show: &Show, camera: &CameraHandle) {
    let source = camera.source();
    let mut parts = Vec::new();
    if let Some(video) = source.video {
        let fps = video.fps.map_or(String::new(), |fps| format!(" at {fps:.0} fps"));
        parts.push(format!("{} {}x{}{fps}", video.codec, video.width, video.height));
    }
    if let Some(audio) = source.audio {
        parts.push(audio.to_string());
    }
    show.say(&format!("sealing    {}", parts.join(" and ")));
    show.object(&json!({
        "event": "camera",
        "camera": camera.device().to_string(),
        "video": source.video.map(|video| video.codec.to_string()),
        "audio": source.audio.map(|audio| audio.to_string()),
    }));
}
