//! `devices`: who belongs to the household, with names that only its members can read; and changing it.

mod edit;

use std::io::{IsTerminal, Write};

use clap::{Args, Subcommand};
use latchkey_api::device_list::{DeviceEntry, Role};
use latchkey_household::notice::{right_names, role_word};
use serde::Serialize;

use crate::cli::config::Settings;
use crate::cli::devices::edit::{ChangeArgs, RemoveArgs, RenameArgs};
use crate::cli::failure::{Failure, plain};
use crate::cli::moment::written;
use crate::home::{self, Home, HomeError};

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  latchkey devices\n  latchkey devices add --image photo.jpg --name \"Front door\"\n  \
    latchkey devices remove \"Bob's phone\"\n  \
    latchkey devices change Nanny --rights see --cameras \"Front door\" --until 3d\n  \
    latchkey devices rename \"Bob's phone\" \"Bob's new phone\""
)]
pub(super) struct DevicesArgs {
    #[command(subcommand)]
    command: Option<DevicesCommand>,
}

#[derive(Debug, Subcommand)]
enum DevicesCommand {
    /// Show who belongs to the household, as without a command
    List,
    /// Let in a new device that shows a QR code, a text, or a number (on an admin)
    Add(super::add::AddArgs),
    /// Take a device out; waits until the cameras have changed their keys
    Remove(RemoveArgs),
    /// Change what a device may do, with which cameras, until when
    Change(ChangeArgs),
    /// Give a device another name
    Rename(RenameArgs),
}

/// One line of the table.
#[derive(Serialize)]
struct Line {
    name: String,
    role: &'static str,
    device: String,
    rights: Vec<&'static str>,
    /// The cameras it may use by name; absent for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    cameras: Option<Vec<String>>,
    /// Until when, in seconds since the Unix epoch; absent without an end.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_after: Option<u64>,
    /// When it was put on the list, in seconds since the Unix epoch, by whom, and in which version.
    added_at: u64,
    added_by: String,
    added_in: u64,
    /// Whether a camera is connected; absent for others, and when the server does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    live: Option<bool>,
    this_device: bool,
}

pub(super) async fn run(settings: &Settings, args: DevicesArgs) -> Result<(), Failure> {
    match args.command {
        None | Some(DevicesCommand::List) => list(settings).await,
        Some(DevicesCommand::Add(args)) => super::add::run(settings, args).await,
        Some(DevicesCommand::Remove(args)) => edit::remove(settings, args).await,
        Some(DevicesCommand::Change(args)) => edit::change(settings, args).await,
        Some(DevicesCommand::Rename(args)) => edit::rename(settings, args).await,
    }
}

async fn list(settings: &Settings) -> Result<(), Failure> {
    // Only looks, so that it works beside a running camera or viewer.
    let mut home = home::look(&settings.home)?;
    let signaling = home.signaling();
    let mut warning = None;
    match home.refresh(&signaling).await {
        Ok(_) => {}
        Err(HomeError::Signaling(error)) => {
            warning = Some(format!("this is the list as last seen: {}", Failure::from(error)));
        }
        Err(error) => return Err(error.into()),
    }
    let live = match warning {
        None => signaling.cameras().await.unwrap_or_default(),
        Some(_) => Vec::new(),
    };
    let list = home.list()?;
    let lines: Vec<Line> = list
        .devices
        .iter()
        .map(|entry| {
            let live = live.iter().find(|status| status.camera == entry.device).map(|status| status.live);
            Line::new(&home, entry, live)
        })
        .collect();
    let mut said: Vec<String> = home.take_news().into_iter().map(|notice| notice.text).collect();
    if home.chain().rival().is_some() {
        said.push(
            "TWO HISTORIES: a second signed list of this version was seen; an admin joins them with any change, \
            and until then only those on both are let in"
                .to_owned(),
        );
    }
    said.extend(warning);
    for sentence in said {
        let _ = writeln!(std::io::stderr(), "latchkey: {}", plain(&sentence));
    }
    write(settings.json, home.list()?.version, &lines)
        .map_err(|error| Failure::other(format!("cannot write to standard output: {error}")))
}

fn write(json: bool, version: u64, lines: &[Line]) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    if json {
        let object = serde_json::json!({ "event": "devices", "list_version": version, "devices": lines });
        return writeln!(out, "{object}");
    }
    // At a terminal every row is two lines, so that it fits; elsewhere it is one, for other programs.
    let (heads, rows): (&[&str], Vec<Vec<String>>) = if std::io::stdout().is_terminal() {
        (&HEADS[..NARROW], lines.iter().map(|line| line.row()[..NARROW].to_vec()).collect())
    } else {
        (&HEADS, lines.iter().map(|line| line.row().to_vec()).collect())
    };
    let heads: Vec<String> = heads.iter().map(|&head| head.to_owned()).collect();
    let widths: Vec<usize> = (0..heads.len())
        .map(|column| {
            let widths = rows.iter().chain([&heads]).map(|row| row[column].chars().count());
            widths.max().unwrap_or(0)
        })
        .collect();
    for (at, row) in [&heads].into_iter().chain(&rows).enumerate() {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        writeln!(out, "{}", cells.join("  ").trim_end())?;
        if let Some(line) = at.checked_sub(1).and_then(|at| lines.get(at)).filter(|_| heads.len() == NARROW) {
            let [.., added, id] = line.row();
            writeln!(out, "    {id}, added {added}")?;
        }
    }
    writeln!(out, "\nlist version {version}; names are sealed, the server cannot read them")
}

impl Line {
    fn new(home: &Home, entry: &DeviceEntry, live: Option<bool>) -> Self {
        // The first of the lists that have had it without a gap up to now.
        let lists: Vec<_> = home.chain().lists().map(|list| list.list()).collect();
        let has = |list: &&&latchkey_api::device_list::DeviceList| list.device(entry.device).is_some();
        let added = lists.iter().rev().take_while(has).last();
        let named = entry.cameras.as_ref();
        Self {
            name: home.label(entry),
            role: role_word(entry.role),
            device: entry.device.to_string(),
            rights: right_names(entry),
            cameras: named.map(|cameras| cameras.iter().map(|camera| home.name_of(*camera)).collect()),
            not_after: entry.not_after,
            added_at: added.map_or(0, |list| list.issued_at),
            added_by: added.map_or_else(String::new, |list| home.names().signer(list.signer)),
            added_in: added.map_or(0, |list| list.version),
            live,
            this_device: entry.device == home.device(),
        }
    }

    /// The cells of the table.
    fn row(&self) -> [String; COLUMNS] {
        let now = match (self.this_device, self.live) {
            (true, _) => "(this device)",
            (false, Some(true)) => "live",
            (false, Some(false)) => "not connected",
            (false, None) => "",
        };
        let rights = if self.rights.is_empty() { "-".to_owned() } else { self.rights.join(" ") };
        let cameras = match &self.cameras {
            _ if self.rights.is_empty() => "-".to_owned(),
            None => "all".to_owned(),
            Some(cameras) if cameras.is_empty() => "none".to_owned(),
            Some(cameras) => cameras.join(", "),
        };
        let until = self.not_after.map_or_else(|| "-".to_owned(), written);
        let added = format!("{} by {}", written(self.added_at), self.added_by);
        let cells = [
            self.name.clone(),
            self.role.to_owned(),
            rights,
            cameras,
            until,
            now.to_owned(),
            added,
            self.device.clone(),
        ];
        // Who named a device may not command the terminals of others.
        cells.map(|cell| cell.replace(char::is_control, "?"))
    }
}

/// Returns a role in one word.
pub(super) fn role_name(role: Role) -> &'static str {
    role_word(role)
}

const COLUMNS: usize = 8;
const HEADS: [&str; COLUMNS] = ["NAME", "ROLE", "RIGHTS", "CAMERAS", "UNTIL", "NOW", "ADDED", "ID"];
/// The columns that stand in the first line of a row at a terminal.
const NARROW: usize = 6;
