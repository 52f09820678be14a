//! Where a configuration comes from: flags beat environment, environment beats the file, the file beats the defaults.
//!
//! It serves every server of the project: each brings its flags and defaults, what is read and said is the same.

use std::fmt;
use std::path::{Path, PathBuf};

use clap::Command;
use figment::Figment;
use figment::error::Kind;
use figment::providers::{Format, Serialized, Toml};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The sources of one program.
#[derive(Debug, Clone, Copy)]
pub struct Sources<'a> {
    /// Its name, whose `--help` lists what there is.
    pub program: &'static str,
    /// What its environment variables begin with: `LATCHKEY_RELAY_`.
    pub variables: &'static str,
    /// The TOML file, when one was named.
    pub file: Option<&'a Path>,
}

/// Why there is no configuration. The operator's fault; each sentence says what to change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file named by `--config` cannot be read.
    #[error("cannot read the configuration {path}: {reason}")]
    Unreadable {
        /// As given.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// The file has a key that means nothing.
    #[error("{place} has an unknown key \"{key}\"{suggestion}")]
    UnknownKey {
        /// The file, or what else it was read from.
        place: String,
        /// The key.
        key: String,
        /// The key that was probably meant.
        suggestion: Suggestion,
    },
    /// An environment variable looks like ours and means nothing.
    #[error("the environment has an unknown variable {name}{suggestion}")]
    UnknownVariable {
        /// The variable.
        name: String,
        /// The variable that was probably meant.
        suggestion: Suggestion,
    },
    /// A value cannot be used.
    #[error("{place}: {key}: {reason}")]
    Value {
        /// The file, or what else it was read from.
        place: String,
        /// The key, or `syntax` when the file is no TOML.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// The nearest valid name, if one is near, and where all of them are listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suggestion {
    program: &'static str,
    nearest: Option<String>,
}

impl Sources<'_> {
    /// Puts flags, environment, file and defaults together. `command` is the parser that made `flags` from the command line
    /// and the environment; `flags` leaves out what nobody said.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn resolve<C>(&self, command: &Command, flags: &impl Serialize) -> Result<C, ConfigError>
    where
        C: Default + Serialize + DeserializeOwned,
    {
        let ours = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
        self.refuse_unknown_variables(command, ours)?;
        let mut figment = Figment::from(Serialized::defaults(C::default()));
        if let Some(path) = self.file {
            figment = figment.merge(Toml::string(&read(path)?));
        }
        figment.merge(Serialized::defaults(flags)).extract().map_err(|error| self.explain(error))
    }

    /// Says that `key` has a value which its type cannot refuse.
    #[must_use]
    pub fn refuse(&self, key: &str, reason: &str) -> ConfigError {
        ConfigError::Value { place: self.place(), key: key.to_owned(), reason: reason.to_owned() }
    }

    /// Refuses names of variables that look like this program's and that no flag of `command` reads. Kubernetes sets variables
    /// like `LATCHKEY_RELAY_SERVICE_HOST` for a Service named latchkey-relay; those are not ours.
    ///
    /// # Errors
    /// [`ConfigError::UnknownVariable`].
    pub fn refuse_unknown_variables(
        &self,
        command: &Command,
        names: impl Iterator<Item = String>,
    ) -> Result<(), ConfigError> {
        let known: Vec<&str> = command.get_arguments().filter_map(|arg| arg.get_env()?.to_str()).collect();
        for name in names {
            let Some(rest) = name.strip_prefix(self.variables) else { continue };
            let of_kubernetes = rest.starts_with("SERVICE_") || rest == "PORT" || rest.starts_with("PORT_");
            if !of_kubernetes && !known.contains(&name.as_str()) {
                let suggestion = self.nearest(&name, known.iter().copied());
                return Err(ConfigError::UnknownVariable { name, suggestion });
            }
        }
        Ok(())
    }

    fn explain(&self, error: figment::Error) -> ConfigError {
        let Some(error) = error.into_iter().next() else {
            return self.refuse(SYNTAX, "cannot be read");
        };
        if let Kind::UnknownField(key, known) = &error.kind {
            let suggestion = self.nearest(key, known.iter().copied());
            return ConfigError::UnknownKey { place: self.place(), key: key.clone(), suggestion };
        }
        let key = if error.path.is_empty() { SYNTAX.to_owned() } else { error.path.join(".") };
        self.refuse(&key, &error.kind.to_string().trim_end().replace('\n', "; "))
    }

    fn place(&self) -> String {
        self.file.map_or("the configuration".to_owned(), |path| path.display().to_string())
    }

    fn nearest<'a>(&self, given: &str, known: impl Iterator<Item = &'a str>) -> Suggestion {
        let ranked = known.map(|name| (strsim::jaro_winkler(given, name), name));
        let best = ranked.max_by(|a, b| a.0.total_cmp(&b.0)).filter(|(likeness, _)| *likeness > ALIKE);
        Suggestion { program: self.program, nearest: best.map(|(_, name)| name.to_owned()) }
    }
}

impl fmt::Display for Suggestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.nearest {
            Some(name) => write!(f, "; did you mean \"{name}\"? "),
            None => write!(f, "; "),
        }?;
        write!(f, "{} --help lists all", self.program)
    }
}

fn read(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path)
        .map_err(|error| ConfigError::Unreadable { path: path.to_owned(), reason: error.to_string() })
}

/// Stands for the key when the file is no TOML.
const SYNTAX: &str = "syntax";
/// Jaro-Winkler likeness, from 0 to 1, from which on a name is suggested for another.
const ALIKE: f64 = 0.75;
