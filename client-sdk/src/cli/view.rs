//! `view`: watches until stopped, and writes what it opens.

use std::fs::OpenOptions;
use std::path::Path;

use latchkey_household::event::Event;
use latchkey_household::story::Step;

use crate::cli::config::Settings;
use crate::cli::failure::Failure;
use crate::cli::show::{Lines, Show, nothing};
use crate::cli::{ViewArgs, stop_after, told_to_stop};
use crate::sink::Target;
use crate::viewer::{Ended, Viewer, ViewerConfig, ViewerHandle};

pub(super) async fn run(settings: &Settings, args: ViewArgs) -> Result<(), Failure> {
    let targets: Vec<Target> = args.out.iter().map(|out| Target::parse(out)).collect();
    let lines = if targets.contains(&Target::Stdout) { Lines::Stderr } else { Lines::Stdout };
    check(&targets)?;
    let mut config = ViewerConfig::new(&settings.home, &args.camera);
    config.targets = targets;
    config.stop_after = args.frames;

    let mut show = Show::new(settings.json, lines);
    show.doing("connecting ...");
    let viewer = match Viewer::start(config).await {
        Ok(viewer) => viewer,
        Err(error) => {
            show.finish();
            return Err(error.into());
        }
    };
    let ended = watch(&mut show, &viewer, args.duration).await;
    let story = viewer.story();
    let wanted = args.frames;
    let last = {
        let stats = viewer.stats();
        viewer.stop().await;
        stats
    };
    show.event(&Event::Stats(last.clone()));
    let outcome = outcome(ended, wanted, &story, last.opened_video);
    match &outcome {
        Ok(()) => show.event(&Event::Ended { reason: "stopped".to_owned() }),
        Err(failure) => show.object(&Event::Ended { reason: failure.to_string() }),
    }
    show.finish();
    outcome
}

/// Shows events until something ends it; nothing when that was the person or the clock.
async fn watch(show: &mut Show, viewer: &ViewerHandle, duration: Option<f64>) -> Option<Ended> {
    let mut events = viewer.events();
    let story = viewer.story();
    for step in Step::ALL {
        if let Some(after) = story.done_after(step) {
            let ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
            show.event(&Event::Step { step, ms });
        }
    }
    let limit = stop_after(duration);
    let told = told_to_stop();
    tokio::pin!(limit, told);
    let ended = loop {
        tokio::select! {
            biased;
            event = events.recv() => match event {
                Ok(event) => show.event(&event),
                Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => {}
                Err(tokio::sync::broadcast::error::RecvError::Closed) => break None,
            },
            ended = viewer.wait() => break Some(ended),
            () = &mut limit => break None,
            () = &mut told => break None,
        }
    };
    show.rest(&mut events);
    ended
}

/// A viewer that never saw anything has failed, whoever stopped it.
fn outcome(
    ended: Option<Ended>,
    wanted: Option<u64>,
    story: &latchkey_household::story::Story,
    opened: u64,
) -> Result<(), Failure> {
    match ended {
        Some(Ended::Enough | Ended::ReaderGone) => Ok(()),
        Some(Ended::Output(error)) => Err(error.into()),
        Some(Ended::Removed(reason)) => Err(Failure::other(reason)),
        // The story knows of the first frame before the figures do.
        None if wanted.is_some_and(|wanted| opened < wanted)
            || opened == 0 && story.done_after(Step::FirstFrame).is_none() =>
        {
            if story.open_step().is_none() {
                return Err(Failure::other(format!(
                    "only {opened} frames were opened in that time: give it more"
                )));
            }
            Err(Failure::other(nothing("no picture", story)))
        }
        None => Ok(()),
    }
}

/// Refuses outputs that cannot be written before anything is connected. Leaves what is there as it is.
fn check(targets: &[Target]) -> Result<(), Failure> {
    for target in targets {
        let Target::File(path) = target else { continue };
        let refused = |why: &str| Err(Failure::usage(format!("cannot write {}: {why}", path.display())));
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        if folder.is_some_and(|folder| !folder.is_dir()) {
            return refused("its folder does not exist; make it first or name another");
        }
        if path.is_dir() {
            return refused("it is a folder; name a file in it");
        }
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        if CONTAINERS.contains(&extension.to_ascii_lowercase().as_str()) {
            return refused(
                "name the picture *.h264 or *.ivf and the sound *.ogg; `ffmpeg -i picture.h264 -c copy picture.mp4` makes the rest",
            );
        }
        if let Err(error) = try_to_write(path) {
            return refused(&format!("{error}; name a file that this user may write"));
        }
    }
    Ok(())
}

fn try_to_write(path: &Path) -> std::io::Result<()> {
    match std::fs::metadata(path) {
        Ok(there) if there.is_file() => OpenOptions::new().append(true).open(path).map(drop),
        // Opening a pipe would wait for its reader.
        Ok(_) => Ok(()),
        Err(_) => {
            OpenOptions::new().write(true).create_new(true).open(path)?;
            std::fs::remove_file(path)
        }
    }
}

/// Extensions of what players open and this does not write.
const CONTAINERS: [&str; 8] = ["mp4", "m4v", "mov", "mkv", "webm", "avi", "ts", "flv"];
