//! The command line: what can be said, and how it ends (0 well, 2 the person can fix it, 1 anything else).

mod add;
mod camera;
mod commands;
mod config;
mod devices;
mod doctor;
mod failure;
mod household;
mod household_words;
mod invite;
mod join;
mod join_input;
mod moment;
mod recover;
mod show;
mod transfer;
mod usage;
mod vault;
mod verify;
mod view;

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use tracing_subscriber::EnvFilter;

use crate::cli::config::Settings;
use crate::cli::failure::Failure;
use crate::home::{self, Home, HomeError};
use crate::trust::trust_also;
use crate::vault::VaultError;

/// Reads the command line, runs it, and returns the exit code.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage::answer(&error),
    };
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let _ = writeln!(std::io::stderr(), "latchkey: {failure}");
            failure.code()
        }
    }
}

fn run(cli: Cli) -> Result<(), Failure> {
    let settings = Settings::load(&cli.global)?;
    if let Some(ca) = &settings.ca {
        trust_also(ca).map_err(|error| Failure::usage(error.to_string()))?;
    }
    init_log(&settings)?;
    vault::install(&settings, &cli.command)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::other(format!("cannot start: {error}")))?;
    let outcome = runtime.block_on(async {
        match cli.command {
            Command::Household { command } => household::run(&settings, command).await,
            Command::Invite(args) => invite::run(&settings, args).await,
            Command::Join(args) => join::run(&settings, args).await,
            Command::Camera(CameraArgs { task: Some(task), .. }) => transfer::run(&settings, task).await,
            Command::Camera(args) => camera::run(&settings, args).await,
            Command::View(args) => view::run(&settings, args).await,
            Command::Devices(args) => devices::run(&settings, args).await,
            Command::Recover(args) => recover::run(&settings, args).await,
            Command::SafetyNumber(args) => verify::safety_number(&settings, args).await,
            Command::Verify => verify::run(&settings).await,
            Command::Doctor(args) => doctor::run(&settings, args).await,
            Command::Vault { command } => vault::run(&settings, command),
        }
    });
    // A sink that waits for its reader must not hold up the end.
    runtime.shutdown_background();
    vault::finish();
    outcome
}

/// Diagnosis for those who run it; on standard error, off unless asked for.
fn init_log(settings: &Settings) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(&settings.log).map_err(|_| {
        Failure::usage(format!(
            "{:?} is not a log filter: write it like info or latchkey=debug",
            settings.log
        ))
    })?;
    // A second subscriber in one process keeps the first: harmless.
    let coloured = std::io::stderr().is_terminal();
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let _ = log.with_ansi(coloured).try_init();
    Ok(())
}

/// End-to-end encrypted cameras: the server in the middle carries, and cannot see.
#[derive(Debug, Parser)]
#[command(name = "latchkey", version, propagate_version = true, after_help = EXAMPLES)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Debug, Default, Args)]
struct Global {
    /// Folder of this device's keys; one folder is one device [env: LATCHKEY_HOME=] [default:
    /// ~/.local/share/latchkey]
    #[arg(long, global = true, value_name = "DIR", help_heading = "Global options")]
    home: Option<PathBuf>,
    /// Trust the CAs of this file (PEM or DER), too, when a server is dialled by https://: for a household CA, or one of your
    /// own [env: LATCHKEY_CA=]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global options")]
    ca: Option<PathBuf>,
    /// Say everything as JSON, one object per line
    #[arg(long, global = true, help_heading = "Global options")]
    json: bool,
    /// Settings file (TOML) [default: ~/.config/latchkey/config.toml, if it is there]
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "LATCHKEY_CONFIG",
        help_heading = "Global options"
    )]
    config: Option<PathBuf>,
    /// What to log on standard error: error, warn, info, debug, or a filter like latchkey=debug
    #[arg(long, global = true, value_name = "FILTER", help_heading = "Global options")]
    log: Option<String>,
    /// How a new device's keys are locked; `latchkey vault change` for one that is there [env: LATCHKEY_VAULT=]
    /// [default: auto]
    #[arg(long, global = true, value_enum, value_name = "HOW", help_heading = "Global options")]
    vault: Option<VaultLock>,
    /// Where the key file is, if not beside the vault [env: LATCHKEY_VAULT_KEY_FILE=]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global options")]
    vault_key_file: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
enum VaultLock {
    /// By the keyring where one answers, else by a passphrase where somebody can be asked, else by a key file
    Auto,
    /// By the keyring of the desktop
    Keyring,
    /// By a passphrase, asked for at every start [env: LATCHKEY_VAULT_PASSPHRASE_FILE names a file that holds it, or
    /// - for standard input]
    Passphrase,
    /// By a key in a file that only this user can read
    Keyfile,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a new household (the first thing to do), export it, or delete it
    Household {
        #[command(subcommand)]
        command: HouseholdCommand,
    },
    /// Let in a device without a screen, by a code that it pastes (on an admin)
    Invite(invite::InviteArgs),
    /// Make this a device of a household: show a QR code, or paste an invite code
    Join(join::JoinArgs),
    /// Be a camera: seal what the source gives and send it
    Camera(CameraArgs),
    /// Watch a camera: open its frames and write them
    View(ViewArgs),
    /// Show who belongs to the household; remove, change or rename a device
    Devices(devices::DevicesArgs),
    /// Get back into a household whose admins are lost, with its twelve words
    Recover(recover::RecoverArgs),
    /// Show sixty digits that are the same on all devices of the household, or compare another device's
    SafetyNumber(verify::SafetyNumberArgs),
    /// Check everything this device can check: lists, groups, the server's log
    Verify,
    /// Connect step by step and say what is wrong, and what to do
    Doctor(DoctorArgs),
    /// How this device's keys are locked
    Vault {
        #[command(subcommand)]
        command: VaultCommand,
    },
}

#[derive(Debug, Subcommand)]
enum VaultCommand {
    /// Show how they are locked, and whether they open
    Status,
    /// Lock them in another way, or anew with another key or passphrase
    Change(VaultChangeArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  latchkey vault change passphrase\n  \
    latchkey --home door vault change keyfile --vault-key-file /media/stick/door.key")]
struct VaultChangeArgs {
    /// How they are locked from now on
    #[arg(value_enum, value_name = "HOW")]
    how: VaultLock,
    /// File with the new passphrase on its first line, or - for standard input
    #[arg(long, value_name = "FILE|-")]
    passphrase_file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum HouseholdCommand {
    /// Make keys for a new household; this device becomes its first admin
    Create(household::CreateArgs),
    /// Write everything the server has about the household as one JSON document (on an admin)
    Export(household::export::ExportArgs),
    /// Delete everything the server has about the household, for good (on an admin, or by the twelve words)
    Delete(household::delete::DeleteArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  latchkey camera --source door.mp4\n  \
    latchkey camera --source picture.ivf --source sound.ogg\n  \
    latchkey camera --source rtsp://cam@192.168.1.20:554/stream1 --source-password-file ./password")]
#[command(args_conflicts_with_subcommands = true)]
struct CameraArgs {
    #[command(subcommand)]
    task: Option<transfer::Task>,
    /// File (MP4, raw H.264, IVF, Ogg Opus; starts over at its end) or rtsp:// address; again for sound
    #[arg(long, value_name = "FILE|URL")]
    source: Vec<String>,
    /// File with the RTSP camera's password, or user:password [env: LATCHKEY_SOURCE_USER and
    /// LATCHKEY_SOURCE_PASSWORD hold them, too]
    #[arg(long, value_name = "FILE", visible_alias = "password-file")]
    source_password_file: Option<PathBuf>,
    /// How the RTSP camera sends its packets [default: tcp]
    #[arg(long, value_enum, value_name = "HOW")]
    source_transport: Option<SourceTransport>,
    /// Frames per second of a raw H.264 file that does not say it [default: 25]
    #[arg(long, value_name = "N")]
    fps: Option<f64>,
    /// End at the end of the file instead of starting over
    #[arg(long)]
    once: bool,
    /// Stop after this many seconds
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    duration: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
enum SourceTransport {
    /// Inside the RTSP connection: nothing is lost
    Tcp,
    /// In packets of their own: less delay
    Udp,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  latchkey view \"Front door\" --out - | ffplay -\n  \
    latchkey view \"Front door\" --out door.h264 --out door.ogg --duration 60")]
struct ViewArgs {
    /// Name or id of the camera, as `latchkey devices` shows it
    camera: String,
    /// Where to write: `-` for standard output, or a file (.h264, .ivf, .ogg); again for sound
    #[arg(long, value_name = "FILE|-")]
    out: Vec<String>,
    /// Stop after this many video frames
    #[arg(long, value_name = "N")]
    frames: Option<u64>,
    /// Stop after this many seconds
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    duration: Option<f64>,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  latchkey doctor \"Front door\"\n  \
    latchkey doctor --from-outside https://cam.example.org      on a machine in another network")]
struct DoctorArgs {
    /// Look, from this machine, which ways to a server are open: name, TCP port, certificate, WebSocket, media port. Needs no
    /// device. Run it in another network than the server's, such as a phone's
    #[arg(long, value_name = "URL", conflicts_with = "camera")]
    from_outside: Option<String>,
    /// Camera to try; by default the only one, or this device when it is a camera
    camera: Option<String>,
    /// How many seconds to wait for a picture
    #[arg(long, default_value_t = 15.0, value_name = "SECONDS", value_parser = seconds)]
    patience: f64,
}

/// Opens the device; only looks while another process holds it: what is signed then, that one reads from the server.
fn open_or_look(settings: &Settings) -> Result<Home, HomeError> {
    match home::open(&settings.home) {
        Err(error) if matches!(VaultError::of(&error), Some(VaultError::InUse(_))) => {
            home::look(&settings.home)
        }
        other => other,
    }
}

/// Listens from now on for Ctrl-C and for what a service manager sends, and waits for either when awaited.
#[cfg(unix)]
fn told_to_stop() -> impl Future<Output = ()> {
    use tokio::signal::unix::{SignalKind, signal};
    let listening = signal(SignalKind::interrupt())
        .and_then(|interrupt| Ok((interrupt, signal(SignalKind::terminate())?)));
    async move {
        // Without ears the signals end the process as they always do.
        let Ok((mut interrupt, mut terminate)) = listening else { return std::future::pending().await };
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }
}

/// Waits for Ctrl-C.
#[cfg(not(unix))]
async fn told_to_stop() {
    let _ = tokio::signal::ctrl_c().await;
}

fn name(text: &str) -> Result<String, String> {
    let name = text.trim();
    if name.is_empty() {
        return Err("write a name, like \"Front door\"".to_owned());
    }
    if name.contains(char::is_control) {
        return Err("write a name on one line, without control characters".to_owned());
    }
    Ok(name.to_owned())
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| "write a number of seconds, like 20".to_owned())?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if duration > Duration::ZERO => Ok(seconds),
        _ => Err("write a number of seconds above 0, like 20".to_owned()),
    }
}

/// Waits for as long as `--duration` says, or for ever.
async fn stop_after(seconds: Option<f64>) {
    match seconds.map(Duration::try_from_secs_f64) {
        Some(Ok(duration)) => tokio::time::sleep(duration).await,
        _ => std::future::pending().await,
    }
}

const EXAMPLES: &str = "\
From nothing to a picture, each --home a device of its own:
  latchkey-server &
  latchkey --home ada household create --server http://127.0.0.1:9601 --name Ada
  latchkey --home door join --server http://127.0.0.1:9601 --as camera      shows a QR code and text
  latchkey --home ada devices add --code - --name \"Front door\"      elsewhere: paste the text
  latchkey --home door camera --source door.mp4
  latchkey --home ada view \"Front door\" --out - | ffplay -

Settings come from flags, then from LATCHKEY_CA, LATCHKEY_HOME, LATCHKEY_JSON, LATCHKEY_LOG, LATCHKEY_SERVER,
LATCHKEY_VAULT, LATCHKEY_VAULT_KEY_FILE and LATCHKEY_VAULT_PASSPHRASE_FILE, then from the settings
file. Exit codes: 0 well; 1 something is wrong; 2 what was given must be changed.
When there is no picture: latchkey doctor. When you doubt the server: latchkey verify";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_is_in_the_readme() {
        use clap::CommandFactory;
        let readme = include_str!("../README.md");
        let table = readme.split("| command |").nth(1).unwrap_or_default();
        let table = table.split("\n\n").next().unwrap_or_default();
        for command in Cli::command().get_subcommands() {
            for name in std::iter::once(command).chain(command.get_subcommands()).map(clap::Command::get_name)
            {
                let shown = name == "list" || table.contains(name);
                assert!(shown, "{name:?} of {:?} is not in the table", command.get_name());
            }
        }
    }
}
