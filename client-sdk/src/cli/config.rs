//! Settings: flags win over LATCHKEY_* variables, these over the settings file, this over what is built in.

use std::path::{Path, PathBuf};

use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use serde::{Deserialize, Serialize};

use crate::cli::failure::Failure;
use crate::cli::{Global, SourceTransport};

/// What every command works with.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) home: PathBuf,
    pub(super) json: bool,
    pub(super) log: String,
    pub(super) server: Option<String>,
    pub(super) camera: CameraSettings,
}

/// The settings file: every key is optional, others are refused.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(skip_serializing_if = "Option::is_none")]
    home: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    json: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    log: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<String>,
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
            home: global.home.clone(),
            json: global.json.then_some(true),
            log: global.log.clone(),
            ..Written::default()
        };
        let mut figment = Figment::new();
        if let Some(file) = file(global)? {
            figment = figment.merge(Toml::file_exact(file));
        }
        let written: Written = figment
            .merge(Env::prefixed("LATCHKEY_").only(&["home", "json", "log", "server"]))
            .merge(Serialized::defaults(flags))
            .extract()
            .map_err(|error| Failure::usage(explain(&error)))?;
        let home = match written.home {
            Some(home) => home,
            None => default_home()?,
        };
        Ok(Self {
            home,
            json: written.json.unwrap_or(false),
            log: written.log.unwrap_or_else(|| "error".to_owned()),
            server: written.server,
            camera: written.camera,
        })
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

/// One sentence for the first thing that is wrong.
fn explain(error: &figment::Error) -> String {
    let from = match error.metadata.as_ref().map(|metadata| (&metadata.source, metadata.name.as_ref())) {
        Some((Some(source), _)) => format!(" in {source}"),
        Some((None, name)) => format!(" in {name}"),
        None => String::new(),
    };
    let key = error.path.join(".");
    let key = if key.is_empty() { String::new() } else { format!(" {key:?}") };
    format!("the setting{key}{from} cannot be used: {}", error.kind)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn load(text: &str) -> Result<Settings, Failure> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        std::fs::write(&path, text).unwrap();
        Settings::load(&Global { home: None, json: false, config: Some(path), log: None })
    }

    #[test]
    fn a_file_is_read_and_flags_win() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        std::fs::write(&path, "home = \"/from/file\"\nlog = \"info\"\n[camera]\nsource = [\"a.mp4\"]\nsource_transport = \"udp\"\n").unwrap();
        let settings = Settings::load(&Global {
            home: Some("/from/flag".into()),
            json: true,
            config: Some(path),
            log: None,
        })
        .unwrap();
        assert_eq!(settings.home, PathBuf::from("/from/flag"));
        assert!(settings.json);
        assert_eq!(settings.log, "info");
        assert_eq!(settings.camera.source, ["a.mp4"]);
        assert_eq!(settings.camera.source_transport, Some(SourceTransport::Udp));
    }

    #[test]
    fn unknown_keys_wrong_types_and_missing_files_are_named() {
        let sentence = load("sauce = 1\n").unwrap_err().to_string();
        assert!(sentence.contains("sauce"), "{sentence}");
        let sentence = load("[camera]\nfrmae = 1\n").unwrap_err().to_string();
        assert!(sentence.contains("frmae"), "{sentence}");
        let sentence = load("json = \"maybe\"\n").unwrap_err().to_string();
        assert!(sentence.contains("json") && sentence.contains("config.toml"), "{sentence}");
        let sentence = load("json = \n").unwrap_err().to_string();
        assert!(sentence.contains("config.toml") || sentence.contains("TOML"), "{sentence}");
        let missing = Global { home: None, json: false, config: Some("/nowhere/c.toml".into()), log: None };
        let sentence = Settings::load(&missing).unwrap_err().to_string();
        assert!(sentence.contains("/nowhere/c.toml"), "{sentence}");
    }
}
