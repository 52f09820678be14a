//! `devices remove`, `change`, `rename`: an admin signs the next list.

use std::time::Duration;

use clap::{Args, ValueEnum};
use latchkey_api::device_list::{Right, Rights};
use latchkey_household::clock::unix_seconds;
use latchkey_household::devices::pending::{Outcome, wait_for_cameras};
use latchkey_household::devices::{self, Change, Signed};
use serde_json::json;

use crate::cli::config::Settings;
use crate::cli::failure::{Failure, plain};
use crate::cli::show::{Lines, Show};
use crate::cli::{moment, open_or_look};

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  latchkey devices remove \"Bob's phone\"\n\n\
    The device is off the list at once: the server lets it in no more. Each camera then changes its\n\
    keys, and signs that it did; until that has come, the removal is pending. A camera that is off\n\
    does it when it is on again.")]
pub(super) struct RemoveArgs {
    /// Name or id of the device, as `latchkey devices` shows it
    name: String,
    /// How long to wait for the cameras: 30s, 2m, 0s
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = wait)]
    wait: Duration,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  latchkey devices change Nanny --rights see,talk\n  \
    latchkey devices change Nanny --cameras \"Front door\" --cameras Garden --until 2026-12-24T18:00")]
pub(super) struct ChangeArgs {
    /// Name or id of the device, as `latchkey devices` shows it
    name: String,
    /// What it may do: see, talk, history, with commas between; or none
    #[arg(long, value_enum, value_name = "RIGHTS", value_delimiter = ',')]
    rights: Vec<RightName>,
    /// A camera that it may use, by name or id; again for another; `all` for all
    #[arg(long, value_name = "NAME")]
    cameras: Vec<String>,
    /// Until when: 12h, 3d, 2026-12-24, 2026-12-24T18:00 (UTC), or never
    #[arg(long, value_name = "END")]
    until: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  latchkey devices rename \"Bob's phone\" \"Bob's new phone\"")]
pub(super) struct RenameArgs {
    /// Name or id of the device, as `latchkey devices` shows it
    name: String,
    /// What it is called from now on; the server cannot read it
    #[arg(value_parser = crate::cli::name)]
    new_name: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum RightName {
    /// See and hear it live
    See,
    /// Speak through it
    Talk,
    /// Read its recordings
    History,
    /// Nothing at all
    None,
}

pub(super) async fn remove(settings: &Settings, args: RemoveArgs) -> Result<(), Failure> {
    let mut home = open_or_look(settings)?;
    let signaling = home.signaling();
    devices::refresh(&mut home, &signaling).await?;
    let device = devices::find(&home, &args.name)?;
    let before = home.list()?.clone();
    let signed = devices::remove(&mut home, &signaling, device).await?;
    let show = Show::new(settings.json, Lines::Stdout);
    show.object(&json!({
        "event": "removed",
        "device": device.to_string(),
        "list_version": signed.list.version,
        "joined_histories": signed.joined,
    }));
    tell_joined(&show, signed);
    show.say(&format!("{:?} is off the list (list version {}).", args.name, signed.list.version));
    if device == home.device() {
        show.finish();
        show.say("This device has left the household: it opens nothing from now on.");
        return Ok(());
    }
    show.doing("removal pending: waiting for the cameras to change their keys ...");
    let home = home.shared();
    let outcome = wait_for_cameras(&home, &signaling, &before, device, args.wait, |_| {}).await;
    show.finish();
    report(&show, &outcome);
    Ok(())
}

pub(super) async fn change(settings: &Settings, args: ChangeArgs) -> Result<(), Failure> {
    if args.rights.is_empty() && args.cameras.is_empty() && args.until.is_none() {
        return Err(Failure::usage("say what to change: --rights, --cameras or --until"));
    }
    let end = args.until.as_deref().map(|text| moment::end(text, unix_seconds()));
    let not_after = end.transpose().map_err(Failure::usage)?;
    let mut home = open_or_look(settings)?;
    let signaling = home.signaling();
    devices::refresh(&mut home, &signaling).await?;
    let device = devices::find(&home, &args.name)?;
    let cameras = match args.cameras.as_slice() {
        [] => None,
        [all] if all == "all" => Some(None),
        names => {
            let found: Result<_, _> = names.iter().map(|name| devices::find_camera(&home, name)).collect();
            Some(Some(found?))
        }
    };
    let rights = rights(&args.rights)?;
    let signed =
        devices::change(&mut home, &signaling, device, &Change { rights, cameras, not_after }).await?;
    tell_change(settings, signed, &format!("{:?} is changed", args.name));
    Ok(())
}

pub(super) async fn rename(settings: &Settings, args: RenameArgs) -> Result<(), Failure> {
    let mut home = open_or_look(settings)?;
    let signaling = home.signaling();
    devices::refresh(&mut home, &signaling).await?;
    let device = devices::find(&home, &args.name)?;
    let signed = devices::rename(&mut home, &signaling, device, &args.new_name).await?;
    tell_change(settings, signed, &format!("{:?} is called {:?} from now on", args.name, args.new_name));
    Ok(())
}

fn tell_change(settings: &Settings, signed: Signed, sentence: &str) {
    let show = Show::new(settings.json, Lines::Stdout);
    show.object(&json!({
        "event": "changed",
        "list_version": signed.list.version,
        "joined_histories": signed.joined,
    }));
    tell_joined(&show, signed);
    show.say(&format!("{sentence} (list version {}).", signed.list.version));
    show.finish();
}

fn tell_joined(show: &Show, signed: Signed) {
    if signed.joined {
        show.say(
            "There were two histories of the device list; this list joins them: removals of both stay, additions of neither. \
            Compare safety numbers, and add again who is missing.",
        );
    }
}

fn report(show: &Show, outcome: &Outcome) {
    for alarm in &outcome.alarms {
        show.object(&json!({ "event": "alarm", "code": alarm.code(), "text": alarm.to_string() }));
        show.say(&format!("    ALARM  {} ({})", plain(&alarm.to_string()), alarm.code()));
    }
    for changed in &outcome.changed {
        show.object(&json!({
            "event": "camera_changed_keys",
            "camera": changed.camera,
            "epoch": changed.epoch,
            "ms": u64::try_from(changed.after.as_millis()).unwrap_or(u64::MAX),
        }));
        show.say(&format!(
            "{:?} seals for the others only since {} ms after the list (epoch {}, signed by the camera).",
            changed.camera,
            changed.after.as_millis(),
            changed.epoch
        ));
    }
    for pending in &outcome.pending {
        show.object(
            &json!({ "event": "removal_pending", "camera": pending.camera, "reason": pending.reason }),
        );
    }
    if !outcome.pending.is_empty() {
        let cameras: Vec<String> = outcome
            .pending
            .iter()
            .map(|pending| format!("{:?} ({})", pending.camera, pending.reason))
            .collect();
        show.say(&format!(
            "removal pending at: {}. A camera that is off sends nothing, and changes its keys before it does.",
            cameras.join(", ")
        ));
    }
}

fn rights(names: &[RightName]) -> Result<Option<Rights>, Failure> {
    if names.contains(&RightName::None) {
        return match names.len() {
            1 => Ok(Some(Rights::NONE)),
            _ => Err(Failure::usage("`none` cannot stand beside other rights: say either")),
        };
    }
    let rights: Vec<Right> = names
        .iter()
        .filter_map(|name| match name {
            RightName::See => Some(Right::See),
            RightName::Talk => Some(Right::Talk),
            RightName::History => Some(Right::History),
            RightName::None => None,
        })
        .collect();
    Ok((!rights.is_empty()).then(|| Rights::of(&rights)))
}

fn wait(text: &str) -> Result<Duration, String> {
    let (number, unit) = match text {
        _ if text.ends_with("ms") => return Err("write a time like 30s or 2m".to_owned()),
        _ if text.ends_with('m') => (text.trim_end_matches('m'), 60),
        _ => (text.trim_end_matches('s'), 1),
    };
    let number: u64 = number.parse().map_err(|_| "write a time like 30s or 2m".to_owned())?;
    number
        .checked_mul(unit)
        .filter(|seconds| *seconds <= 24 * 3600)
        .map(Duration::from_secs)
        .ok_or_else(|| "write at most a day, like 30s or 2m".to_owned())
}
