//! `devices`: who belongs to the household, with names that only its members can read.

use std::io::Write;

use latchkey_api::device_list::{DeviceEntry, Right, Role};
use serde::Serialize;

use crate::cli::config::Settings;
use crate::cli::failure::{Failure, plain};
use crate::home::{Home, HomeError};

/// One line of the table.
#[derive(Serialize)]
struct Line {
    name: String,
    role: &'static str,
    device: String,
    rights: Vec<&'static str>,
    /// Whether a camera is connected; absent for others, and when the server does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    live: Option<bool>,
    this_device: bool,
}

pub(super) async fn run(settings: &Settings) -> Result<(), Failure> {
    // Only looks, so that it works beside a running camera or viewer.
    let mut home = Home::look(&settings.home)?;
    let signaling = home.signaling();
    let mut warning = None;
    match home.refresh(&signaling).await {
        Ok(_) => {}
        Err(HomeError::Signaling(error)) => warning = Some(format!("this is the list as last seen: {error}")),
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
        .map(|entry| Line {
            name: home.label(entry),
            role: role_name(entry.role),
            device: entry.device.to_string(),
            rights: rights(entry),
            live: live.iter().find(|status| status.camera == entry.device).map(|status| status.live),
            this_device: entry.device == home.device(),
        })
        .collect();
    if let Some(warning) = warning {
        let _ = writeln!(std::io::stderr(), "latchkey: {}", plain(&warning));
    }
    write(settings.json, list.version, &lines)
        .map_err(|error| Failure::other(format!("cannot write to standard output: {error}")))
}

fn write(json: bool, version: u64, lines: &[Line]) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    if json {
        let object = serde_json::json!({ "event": "devices", "list_version": version, "devices": lines });
        return writeln!(out, "{object}");
    }
    let rows: Vec<[String; 5]> = lines.iter().map(Line::row).collect();
    let heads = ["NAME", "ROLE", "RIGHTS", "NOW", "ID"].map(str::to_owned);
    let widths: [usize; 5] = std::array::from_fn(|column| {
        let widths = rows.iter().chain([&heads]).map(|row| row[column].chars().count());
        widths.max().unwrap_or(0)
    });
    for row in [&heads].into_iter().chain(&rows) {
        let cells: Vec<String> =
            row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        writeln!(out, "{}", cells.join("  ").trim_end())?;
    }
    writeln!(out, "\nlist version {version}; names are sealed, the server cannot read them")
}

impl Line {
    /// The cells of the table.
    fn row(&self) -> [String; 5] {
        let now = match (self.this_device, self.live) {
            (true, _) => "(this device)",
            (false, Some(true)) => "live",
            (false, Some(false)) => "not connected",
            (false, None) => "",
        };
        let rights = if self.rights.is_empty() { "-".to_owned() } else { self.rights.join(" ") };
        // Who named a device may not command the terminals of others.
        let name = self.name.replace(char::is_control, "?");
        [name, self.role.to_owned(), rights, now.to_owned(), self.device.clone()]
    }
}

/// Returns a role in one word.
pub(super) fn role_name(role: Role) -> &'static str {
    match role {
        Role::Camera => "camera",
        Role::Admin => "admin",
        Role::Viewer => "viewer",
        Role::Guest => "guest",
    }
}

fn rights(entry: &DeviceEntry) -> Vec<&'static str> {
    [(Right::See, "see"), (Right::Talk, "talk"), (Right::History, "history")]
        .into_iter()
        .filter(|(right, _)| entry.rights.contains(*right))
        .map(|(_, name)| name)
        .collect()
}
