//! `invite`: a code for a machine without a screen; and what every new device is let in with.

use std::io::Write;

use clap::{Args, ValueEnum};
use latchkey_api::device_list::{Right, Rights, Role};
use latchkey_e2ee::enrol::Terms;
use latchkey_household::clock::unix_seconds;
use latchkey_household::devices::find_camera;
use serde_json::json;

use crate::cli::config::Settings;
use crate::cli::failure::Failure;
use crate::cli::show::{Lines, Show};
use crate::cli::{moment, name, open_or_look, told_to_stop};
use crate::home::Home;
use crate::household::Invitation;

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  latchkey invite --role camera --name \"Front door\"\n  \
    latchkey invite --role guest --name Sitter --cameras \"Front door\" --days 3 --rights see,talk\n\n\
    The code is a secret and good once, for 10 minutes, while this command waits.\n\
    Where the new device has a screen, `latchkey join --as camera|viewer` there and\n\
    `latchkey devices add` here are safer: nothing secret leaves the two machines.")]
pub(super) struct InviteArgs {
    /// What the new device will be
    #[arg(long, value_enum)]
    role: InviteRole,
    /// What the new device will be called; the server cannot read it
    #[arg(long, value_parser = name)]
    name: String,
    #[command(flatten)]
    limits: Limits,
}

/// What a new device will be.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum InviteRole {
    /// Sends its picture and sound; sees nothing
    Camera,
    /// Watches all cameras, or those named with --cameras
    Viewer,
    /// Watches all cameras and lets devices in and out
    Admin,
    /// Watches the cameras named with --cameras, for 1 to 30 days
    Guest,
}

impl From<InviteRole> for Role {
    fn from(role: InviteRole) -> Self {
        match role {
            InviteRole::Camera => Self::Camera,
            InviteRole::Viewer => Self::Viewer,
            InviteRole::Admin => Self::Admin,
            InviteRole::Guest => Self::Guest,
        }
    }
}

/// What a new device may do, where, and for how long.
#[derive(Debug, Default, Args)]
pub(super) struct Limits {
    /// The cameras it may use, by name or id; all others stay closed to it [default: all; guests need some]
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    cameras: Vec<String>,
    /// How many days it may stay [default: for ever; guests need 1 to 30]
    #[arg(long, value_name = "N", conflicts_with = "until", value_parser = clap::value_parser!(u64).range(1..=3650))]
    days: Option<u64>,
    /// Until when it may stay: 12h, 3d, 2026-12-24, 2026-12-24T18:00 (UTC)
    #[arg(long, value_name = "WHEN", visible_alias = "guest-until")]
    until: Option<String>,
    /// What it may do [default: see,talk,history; for cameras nothing]
    #[arg(long, value_enum, value_name = "RIGHT,…", value_delimiter = ',')]
    rights: Vec<RightName>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum RightName {
    /// See and hear live
    See,
    /// Speak
    Talk,
    /// Read recordings
    History,
}

impl From<RightName> for Right {
    fn from(name: RightName) -> Self {
        match name {
            RightName::See => Self::See,
            RightName::Talk => Self::Talk,
            RightName::History => Self::History,
        }
    }
}

impl Limits {
    /// Returns the terms on which a device is let in.
    pub(super) fn terms(&self, home: &Home, role: Role, name: &str) -> Result<Terms, Failure> {
        let mut terms = Terms::unlimited(role, name);
        if !self.rights.is_empty() {
            let rights: Vec<Right> = self.rights.iter().copied().map(Right::from).collect();
            terms.rights = Rights::of(&rights);
        }
        if !self.cameras.is_empty() {
            let found = self.cameras.iter().map(|name| find_camera(home, name.trim()));
            let mut cameras =
                found.collect::<Result<Vec<_>, _>>().map_err(|error| Failure::usage(error.to_string()))?;
            cameras.sort_unstable();
            cameras.dedup();
            terms.cameras = Some(cameras);
        }
        let now = unix_seconds();
        if let Some(days) = self.days {
            terms.not_after = Some(now + days * 24 * 3600);
        }
        if let Some(until) = &self.until {
            terms.not_after = moment::end(until, now).map_err(Failure::usage)?;
        }
        if terms.not_after.is_some_and(|end| end <= now) {
            return Err(Failure::usage("--until is in the past: name a later end"));
        }
        terms.check(now).map_err(|error| Failure::usage(error.to_string()))?;
        Ok(terms)
    }
}

pub(super) async fn run(settings: &Settings, args: InviteArgs) -> Result<(), Failure> {
    let mut home = open_or_look(settings)?;
    let signaling = home.signaling();
    home.refresh(&signaling).await?;
    let terms = args.limits.terms(&home, args.role.into(), &args.name)?;
    let invitation = Invitation::with_terms(&home, terms)?;
    let code = invitation.code().reveal();
    let told = told_to_stop();
    if settings.json {
        print(&json!({ "event": "invite", "code": code.as_str() }));
    } else {
        let mut out = std::io::stdout();
        let _ = writeln!(out, "{}", code.as_str()).and_then(|()| out.flush());
    }
    let show = Show::new(settings.json, Lines::Stdout);
    show.say("On the new device: latchkey join -     and paste the code. It is a secret, good once, for 10 minutes.");
    show.doing("waiting for the new device ...");
    let invited = tokio::select! {
        invited = invitation.wait(&mut home) => invited,
        () = told => {
            show.finish();
            return Err(Failure::other("stopped; nobody has joined, and the code is good no more"));
        }
    };
    show.finish();
    let invited = invited?;
    show.object(&json!({
        "event": "joined",
        "device": invited.device.to_string(),
        "list_version": invited.list_version,
    }));
    show.say(&format!("{:?} has joined (list version {}).", args.name, invited.list_version));
    Ok(())
}

/// Writes one object and makes sure that it is out.
pub(super) fn print(object: &serde_json::Value) {
    let mut out = std::io::stdout();
    let _ = writeln!(out, "{object}").and_then(|()| out.flush());
}
