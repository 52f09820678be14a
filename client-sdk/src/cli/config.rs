//! Settings: flags win over LATCHKEY_* variables, these over the settings file, this over what is built in.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use figment::Figment;
use figment::error::Kind;
use figment::providers::{Format, Serialized, Toml};
use serde::{Deserialize, Serialize};

use crate::cli::failure::Failure;
use crate::cli::{Global, SourceTransport, VaultLock};

/// What every command works with.
#[derive(Debug)]
pub(super) struct Settings {
    /// CAs to trust beside the system's.
    pub(super) ca: Option<PathBuf>,
    pub(super) home: PathBuf,
    /// The flag for it, where it was given.
    home_given: Option<PathBuf>,
    pub(super) json: bool,
    pub(super) log: String,
    pub(super) server: Option<String>,
    pub(super) vault: VaultLock,
    pub(super) vault_key_file: Option<PathBuf>,
    /// `-` is standard input.
    pub(super) vault_passphrase_file: Option<PathBuf>,
    pub(super) camera: CameraSettings,
}

/// The settings file: every key is optional, others are refused.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(skip_serializing_if = "Option::is_none")]
    ca: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    home: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    json: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    log: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vault: Option<VaultLock>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vault_key_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vault_passphrase_file: Option<PathBuf>,
    #[serde(default, skip_serializing)]
    camera: CameraSettings,
}

/// The part of the settings file that `latchkey camera` takes where its flags are silent.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct CameraSettings {
    pub(super) source: Vec<String>,
    pub(super) source_password_file: Option<PathBuf>,
    pub(super) source_transport: Option<SourceTransport>,
    pub(super) fps: Option<f64>,
}

impl Settings {
    /// Fails with a sentence that names the key or file that cannot be used.
    pub(super) fn load(global: &Global) -> Result<Self, Failure> {
        let flags = Written {
            ca: global.ca.clone(),
            home: global.home.clone(),
            json: global.json.then_some(true),
            log: global.log.clone(),
            vault: global.vault,
            vault_key_file: global.vault_key_file.clone(),
            ..Written::default()
        };
        let mut figment = Figment::new();
        if let Some(file) = file(global)? {
            figment = figment.merge(Toml::file_exact(file));
        }
        let written: Written = figment
            .merge(Serialized::defaults(variables(std::env::vars_os())?))
            .merge(Serialized::defaults(flags))
            .extract()
            .map_err(|error| Failure::usage(explain(&error)))?;
        let home = match written.home {
            Some(home) => home,
            None => default_home()?,
        };
        Ok(Self {
            ca: written.ca,
            home,
            home_given: global.home.clone(),
            json: written.json.unwrap_or(false),
            log: written.log.unwrap_or_else(|| "error".to_owned()),
            server: written.server,
            vault: written.vault.unwrap_or(VaultLock::Auto),
            vault_key_file: written.vault_key_file,
            vault_passphrase_file: written.vault_passphrase_file,
            camera: written.camera,
        })
    }

    /// Returns `--home DIR ` as it must stand in the next command, too, or nothing where it was not given.
    pub(super) fn home_flag(&self) -> String {
        let Some(home) = &self.home_given else { return String::new() };
        let home = home.display().to_string();
        if home.chars().all(|letter| letter.is_alphanumeric() || "/._-+@:,".contains(letter)) {
            return format!("--home {home} ");
        }
        format!("--home '{}' ", home.replace('\'', "'\\''"))
    }
}

/// The settings file to read: the one named, which must be there, or the usual one if it is there.
fn file(global: &Global) -> Result<Option<PathBuf>, Failure> {
    if let Some(named) = &global.config {
        std::fs::File::open(named).map_err(|error| {
            Failure::usage(format!("cannot read the settings file {}: {error}", named.display()))
        })?;
        return Ok(Some(named.clone()));
    }
    let usual = folder("XDG_CONFIG_HOME", ".config").map(|folder| folder.join("latchkey/config.toml"));
    Ok(usual.filter(|path| path.is_file()))
}

fn default_home() -> Result<PathBuf, Failure> {
    folder("XDG_DATA_HOME", ".local/share")
        .map(|folder| folder.join("latchkey"))
        .ok_or_else(|| Failure::usage("there is no home folder on this machine: name one with --home DIR"))
}

fn folder(variable: &str, below_home: &str) -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    set(variable).or_else(|| set("HOME").map(|home: PathBuf| home.join(Path::new(below_home))))
}

/// Reads the variables that stand for settings. One that looks like a slip of the pen is refused; others are
/// somebody else's (a container runtime sets LATCHKEY_SERVICE_HOST for a service called latchkey).
fn variables(all: impl Iterator<Item = (OsString, OsString)>) -> Result<Written, Failure> {
    let mut written = Written::default();
    for (name, value) in all {
        let Some(name) = name.to_str().filter(|name| name.starts_with("LATCHKEY_")) else { continue };
        // Empty is how a variable is taken back where it cannot be unset.
        if value.is_empty() {
            continue;
        }
        let text = || {
            let refused =
                || Failure::usage(format!("the environment variable {name} cannot be used: it is not UTF-8"));
            value.to_str().map(str::to_owned).ok_or_else(refused)
        };
        match name {
            // Read where a code is wanted.
            "LATCHKEY_CODE" => {}
            "LATCHKEY_CA" => written.ca = Some(text()?.into()),
            "LATCHKEY_HOME" => written.home = Some(text()?.into()),
            "LATCHKEY_JSON" => written.json = Some(yes_or_no(name, &text()?)?),
            "LATCHKEY_LOG" => written.log = Some(text()?),
            "LATCHKEY_SERVER" => written.server = Some(text()?),
            "LATCHKEY_VAULT" => written.vault = Some(lock(name, &text()?)?),
            "LATCHKEY_VAULT_KEY_FILE" => written.vault_key_file = Some(text()?.into()),
            "LATCHKEY_VAULT_PASSPHRASE_FILE" => written.vault_passphrase_file = Some(text()?.into()),
            other => {
                if let Some(meant) = VARIABLES.iter().find(|known| is_slip(other, known)) {
                    return Err(Failure::usage(format!(
                        "the environment variable {other} means nothing to latchkey: did you mean {meant}?"
                    )));
                }
            }
        }
    }
    Ok(written)
}

fn yes_or_no(name: &str, text: &str) -> Result<bool, Failure> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err(Failure::usage(format!(
            "the environment variable {name} cannot be {text:?}: write true or false"
        ))),
    }
}

fn lock(name: &str, text: &str) -> Result<VaultLock, Failure> {
    VaultLock::from_str(text, false).map_err(|_| {
        Failure::usage(format!(
            "the environment variable {name} cannot be {text:?}: write auto, keyring, passphrase or keyfile"
        ))
    })
}

fn is_slip(given: &str, known: &str) -> bool {
    given != known && strsim::damerau_levenshtein(given, known) <= 2
}

/// One sentence for the first thing that is wrong.
fn explain(error: &figment::Error) -> String {
    let place = match error.metadata.as_ref().map(|metadata| (&metadata.source, metadata.name.as_ref())) {
        Some((Some(source), _)) => format!("the settings file {source}"),
        Some((None, name)) => name.to_owned(),
        None => "what was given".to_owned(),
    };
    if let Kind::UnknownField(key, known) = &error.kind {
        // The last part of the path is the key itself.
        let section = error.path.len().checked_sub(2).and_then(|at| error.path.get(at));
        let inside = section.map_or(String::new(), |section| format!(" in [{section}]"));
        return format!(
            "{place} has an unknown key {key:?}{inside}: {}",
            nearest(key, known, section.is_none())
        );
    }
    // The TOML reader draws a picture of the line; its first and last words are enough.
    let reason = error.kind.to_string();
    let mut lines = reason.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or("it cannot be read");
    let reason = lines.next_back().map_or(first.to_owned(), |last| format!("{first}: {last}"));
    if error.path.is_empty() {
        return format!("{place} cannot be used: {reason}");
    }
    format!("the key {:?} of {place} cannot be used: {reason}", error.path.join("."))
}

/// Says which key was meant, or which there are.
fn nearest(key: &str, known: &[&str], outside: bool) -> String {
    if outside && CAMERA_KEYS.contains(&key) {
        return format!("it belongs under [camera], as in `[camera]` and below it `{key} = ...`");
    }
    let likeness = |known: &str| match strsim::damerau_levenshtein(key, known) {
        0 | 1 => 1.0,
        _ => strsim::jaro_winkler(key, known),
    };
    let ranked = known.iter().map(|known| (likeness(known), known));
    match ranked.max_by(|a, b| a.0.total_cmp(&b.0)).filter(|(likeness, _)| *likeness > 0.75) {
        Some((_, known)) => format!("did you mean {known:?}?"),
        None => format!("there are {}", known.join(", ")),
    }
}

/// Variables that this program reads.
const VARIABLES: [&str; 12] = [
    "LATCHKEY_CA",
    "LATCHKEY_CODE",
    "LATCHKEY_CONFIG",
    "LATCHKEY_HOME",
    "LATCHKEY_JSON",
    "LATCHKEY_LOG",
    "LATCHKEY_SERVER",
    "LATCHKEY_SOURCE_PASSWORD",
    "LATCHKEY_SOURCE_USER",
    "LATCHKEY_VAULT",
    "LATCHKEY_VAULT_KEY_FILE",
    "LATCHKEY_VAULT_PASSPHRASE_FILE",
];
/// Keys of [`CameraSettings`].
const CAMERA_KEYS: [&str; 4] = ["source", "source_password_file", "source_transport", "fps"];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn load(text: &str) -> Result<Settings, Failure> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        std::fs::write(&path, text).unwrap();
        Settings::load(&Global { config: Some(path), ..Global::default() })
    }

    #[test]
    fn a_file_is_read_and_flags_win() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        std::fs::write(&path, "home = \"/from/file\"\nvault = \"passphrase\"\nlog = \"info\"\n[camera]\nsource = [\"a.mp4\"]\nsource_transport = \"udp\"\n").unwrap();
        let settings = Settings::load(&Global {
            home: Some("/from/flag".into()),
            json: true,
            config: Some(path),
            ..Global::default()
        })
        .unwrap();
        assert_eq!(settings.home, PathBuf::from("/from/flag"));
        assert!(settings.json);
        assert_eq!(settings.log, "info");
        assert_eq!(settings.vault, VaultLock::Passphrase);
        assert_eq!(settings.camera.source, ["a.mp4"]);
        assert_eq!(settings.camera.source_transport, Some(SourceTransport::Udp));
    }

    #[test]
    fn unknown_keys_wrong_types_and_missing_files_are_named() {
        let sentence = load("sauce = 1\n").unwrap_err().to_string();
        assert!(sentence.contains("\"sauce\": there are ca, home, json"), "{sentence}");
        let sentence = load("hoem = \"x\"\n").unwrap_err().to_string();
        assert!(sentence.contains("\"hoem\": did you mean \"home\"?"), "{sentence}");
        let sentence = load("fps = 25\n").unwrap_err().to_string();
        assert!(sentence.contains("\"fps\": it belongs under [camera]"), "{sentence}");
        let sentence = load("[camera]\nsorce = 1\n").unwrap_err().to_string();
        assert!(sentence.contains("\"sorce\" in [camera]: did you mean \"source\"?"), "{sentence}");
        let sentence = load("json = \"maybe\"\n").unwrap_err().to_string();
        assert!(sentence.contains("json") && sentence.contains("config.toml"), "{sentence}");
        let sentence = load("json = \n").unwrap_err().to_string();
        assert!(!sentence.contains('\n') && sentence.contains("line 1"), "{sentence}");
        assert!(sentence.contains("config.toml") || sentence.contains("TOML"), "{sentence}");
        let missing = Global { config: Some("/nowhere/c.toml".into()), ..Global::default() };
        let sentence = Settings::load(&missing).unwrap_err().to_string();
        assert!(sentence.contains("/nowhere/c.toml"), "{sentence}");
    }

    fn said(name: &str, value: &str) -> Result<Written, String> {
        let mut all = std::iter::once((name.into(), value.into()));
        variables(&mut all).map_err(|failure| failure.to_string())
    }

    #[test]
    fn variables_are_read_and_slips_of_the_pen_refused() {
        assert_eq!(said("LATCHKEY_HOME", "123").unwrap().home, Some("123".into()));
        assert_eq!(said("LATCHKEY_JSON", "1").unwrap().json, Some(true));
        assert!(said("LATCHKEY_JSON", "maybe").unwrap_err().contains("LATCHKEY_JSON"));
        assert_eq!(said("LATCHKEY_VAULT", "keyfile").unwrap().vault, Some(VaultLock::Keyfile));
        assert!(said("LATCHKEY_VAULT", "safe").unwrap_err().ends_with("keyring, passphrase or keyfile"));
        assert!(said("LATCHKEY_VALUT", "x").unwrap_err().ends_with("did you mean LATCHKEY_VAULT?"));
        assert!(said("LATCHKEY_HOEM", "x").unwrap_err().ends_with("did you mean LATCHKEY_HOME?"));
        for not_ours in
            ["LATCHKEY_SERVICE_HOST", "LATCHKEY_PORT", "LATCHKEY_SERVER_LISTEN", "LATCHKEY_CLIP", "HOEM"]
        {
            assert!(said(not_ours, "x").unwrap().home.is_none(), "{not_ours}");
        }
    }

    #[test]
    fn every_camera_key_is_listed() {
        let error = load("[camera]\nqqqq = 1\n").unwrap_err().to_string();
        assert!(error.ends_with(&format!("there are {}", CAMERA_KEYS.join(", "))), "{error}");
    }
}
