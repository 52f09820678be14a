//! `camera reset` and `camera transfer`: giving a camera away; `camera renew`: a new group for one that is stuck.

use std::io::Write;

use clap::{Args, Subcommand};
use serde_json::json;

use crate::cli::config::Settings;
use crate::cli::failure::Failure;
use crate::cli::open_or_look;
use crate::devices;
use crate::handover::{reset, transfer};

#[derive(Debug, Subcommand)]
pub(super) enum Task {
    /// Make this camera as new: erase its keys and its household (on the camera)
    Reset(ResetArgs),
    /// Take a camera off the household to give it away (on an admin)
    Transfer(TransferArgs),
    /// Have a camera begin a new group, when its present one is stuck or lost (on an admin)
    Renew(RenewArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  latchkey --home door camera reset --yes\n\n\
    Its keys are erased: nothing that it sealed so far can be opened with it, and it seals for nobody of the household.")]
pub(super) struct ResetArgs {
    /// Really erase its keys
    #[arg(long)]
    yes: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  latchkey camera transfer \"Front door\"\n\n\
    Afterwards nobody of this household can open what the camera seals, and its new owner nothing from before.")]
pub(super) struct TransferArgs {
    /// Name or id of the camera, as `latchkey devices` shows it
    camera: String,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  latchkey camera renew \"Front door\"\n\n\
    The camera keeps its place and its name; all who may see it are let into its new group.")]
pub(super) struct RenewArgs {
    /// Name or id of the camera, as `latchkey devices` shows it
    camera: String,
}

pub(super) async fn run(settings: &Settings, task: Task) -> Result<(), Failure> {
    match task {
        Task::Reset(args) => reset_camera(settings, &args),
        Task::Transfer(args) => give_away(settings, &args).await,
        Task::Renew(args) => renew(settings, &args).await,
    }
}

fn reset_camera(settings: &Settings, args: &ResetArgs) -> Result<(), Failure> {
    if !args.yes {
        return Err(Failure::usage(
            "this erases the camera's keys for good, and it has to be added to a household again: if that is meant, say --yes",
        ));
    }
    let forgotten = reset(&settings.home)?;
    if settings.json {
        return print(
            &json!({
                "event": "camera_reset",
                "device": forgotten.device.to_string(),
                "still_listed": forgotten.still_listed,
            })
            .to_string(),
        );
    }
    let listed = match forgotten.still_listed {
        true => format!(
            "\nThe household still lists it: an admin takes it off with `latchkey devices remove {}`.",
            forgotten.device
        ),
        false => String::new(),
    };
    print(&format!(
        "The camera is as new: its keys and its household are erased.{listed}\n\
        To add it to a household: `latchkey invite --role camera --name NAME` on an admin, then on the camera \
        `latchkey {}join -`",
        settings.home_flag()
    ))
}

async fn give_away(settings: &Settings, args: &TransferArgs) -> Result<(), Failure> {
    let mut home = open_or_look(settings)?;
    let signaling = home.signaling();
    let (camera, signed) = transfer(&mut home, &signaling, &args.camera).await?;
    if settings.json {
        return print(
            &json!({
                "event": "camera_transferred",
                "camera": camera.to_string(),
                "list_version": signed.list.version,
            })
            .to_string(),
        );
    }
    print(&format!(
        "{:?} is off the household (list version {}): its group is closed on every device, and nobody of the household can open what it seals from now on.\n\
        1. On the camera: latchkey camera reset --yes      erases its keys, so that nothing of yours leaves with it\n\
        2. Its new owner:  latchkey invite --role camera --name NAME      and on the camera: latchkey join -\n\
        The new owner opens nothing from before.",
        args.camera, signed.list.version
    ))
}

async fn renew(settings: &Settings, args: &RenewArgs) -> Result<(), Failure> {
    let mut home = open_or_look(settings)?;
    let signaling = home.signaling();
    devices::refresh(&mut home, &signaling).await?;
    let camera = devices::find_camera(&home, &args.camera)?;
    let signed = devices::renew_camera(&mut home, &signaling, camera).await?;
    if settings.json {
        let version = signed.list.version;
        return print(
            &json!({ "event": "camera_renewed", "camera": camera.to_string(), "list_version": version })
                .to_string(),
        );
    }
    print(&format!(
        "{:?} begins a new group (list version {}) as soon as it is connected; viewers are let in by themselves.",
        args.camera, signed.list.version
    ))
}

fn print(text: &str) -> Result<(), Failure> {
    writeln!(std::io::stdout(), "{text}")
        .map_err(|error| Failure::other(format!("cannot write to standard output: {error}")))
}
