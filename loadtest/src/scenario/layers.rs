//! Where a scenario comes from: flags beat the environment, the environment beats the file, the file beats the defaults.

mod explain;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use figment::providers::{Format, Serialized, Toml};
use figment::value::{Dict, Map};
use figment::{Figment, Metadata, Profile, Provider};

use crate::scenario::Scenario;
use crate::scenario::layers::explain::explain;
use crate::scenario::shipped::{self, Shipped};
use crate::scenario::validate;

/// Everything that has a say in a scenario.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    /// The file.
    pub source: Source,
    /// The environment, as it is or as a test wants it.
    pub variables: Vec<(String, String)>,
    /// Keys and values of flags, such as `viewers.count` and `100`, the later ones winning.
    pub set: Vec<(String, String)>,
}

/// Where the file is.
#[derive(Clone, Debug, Default)]
pub enum Source {
    /// There is none: the defaults.
    #[default]
    Defaults,
    /// Somewhere on this machine.
    File(PathBuf),
    /// Inside the program.
    Shipped(Shipped),
}

/// Why there is no scenario. The caller's fault; each sentence says what to change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScenarioError {
    /// No file is there.
    #[error("there is no file {given}{}", if given.starts_with('/') { "" } else { " here" })]
    NoFile {
        /// As given.
        given: String,
    },
    /// No file is there and no shipped scenario has the name.
    #[error("there is no scenario {given:?}: {suggestion}")]
    NotFound {
        /// As given.
        given: String,
        /// The scenario that was probably meant, or all there are.
        suggestion: String,
    },
    /// The file cannot be read.
    #[error("cannot read the scenario {}: {reason}", .path.display())]
    Unreadable {
        /// As given.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// A key means nothing.
    #[error("{place} has an unknown key {key:?}{section}: {suggestion}")]
    UnknownKey {
        /// Where it stands.
        place: String,
        /// The key.
        key: String,
        /// ` in [viewers]`, or nothing outside of a section.
        section: String,
        /// The key that was probably meant, or all there are.
        suggestion: String,
    },
    /// A value cannot be used.
    #[error("{place}: {key}: {reason}")]
    Value {
        /// Where it stands.
        place: String,
        /// The key.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
    /// `--set` without its `=`.
    #[error("--set {given:?} says no value: write it like --set viewers.count=200")]
    NoValue {
        /// As given.
        given: String,
    },
}

impl Source {
    /// Returns where the scenario `given` on the command line is: a file, or a shipped one by its bare name.
    ///
    /// # Errors
    /// [`ScenarioError::NoFile`] and [`ScenarioError::NotFound`].
    pub fn find(given: &str) -> Result<Self, ScenarioError> {
        let path = PathBuf::from(given);
        if path.is_file() {
            return Ok(Self::File(path));
        }
        shipped::find(given).map(Self::Shipped).ok_or_else(|| {
            let given = given.to_owned();
            if given.contains('/') || given.ends_with(".toml") {
                return ScenarioError::NoFile { given };
            }
            let suggestion = explain::scenario(&given);
            ScenarioError::NotFound { given, suggestion }
        })
    }

    fn place(&self) -> String {
        match self {
            Self::Defaults => "the scenario".to_owned(),
            Self::File(path) => path.display().to_string(),
            Self::Shipped(shipped) => format!("the scenario {}", shipped.name),
        }
    }

    fn text(&self) -> Result<String, ScenarioError> {
        match self {
            Self::Defaults => Ok(String::new()),
            Self::File(path) => std::fs::read_to_string(path)
                .map_err(|error| ScenarioError::Unreadable { path: path.clone(), reason: error.to_string() }),
            Self::Shipped(shipped) => Ok(shipped.toml.to_owned()),
        }
    }
}

impl Layers {
    /// Puts all layers together and checks the whole.
    ///
    /// # Errors
    /// [`ScenarioError::Unreadable`], [`ScenarioError::UnknownKey`] and [`ScenarioError::Value`].
    pub fn resolve(&self) -> Result<Scenario, ScenarioError> {
        let place = self.source.place();
        let text = self.source.text()?;
        let document: toml::Table = toml::from_str(&text).map_err(|error| syntax(&place, &text, &error))?;
        let mut figment = Figment::from(Serialized::defaults(Scenario::default()));
        figment =
            figment.merge(Named { name: place.clone(), data: Toml::string(&document.to_string()).data() });
        for (key, text, place) in self.spoken() {
            figment =
                figment.merge(Named { name: place, data: Serialized::default(&key, read(&text)).data() });
        }
        let mut scenario: Scenario = figment.extract().map_err(|error| explain(error, &place))?;
        self.count_follows_steps(&mut scenario);
        match validate::first_fault(&scenario) {
            None => Ok(scenario),
            Some((key, reason)) => {
                let place =
                    self.spoken().rev().find(|(said, ..)| *said == key).map_or(place, |(.., place)| place);
                Err(ScenarioError::Value { place, key, reason })
            }
        }
    }

    /// Every key that environment and flags set, in rising order, and who says so.
    fn spoken(&self) -> impl DoubleEndedIterator<Item = (String, String, String)> {
        let mut spoken = Vec::new();
        for (name, value) in &self.variables {
            let Some(rest) = name.strip_prefix(PREFIX) else { continue };
            // Empty is how a variable is taken back where it cannot be unset.
            if !value.is_empty() {
                let key = rest.to_ascii_lowercase().replacen('_', ".", 1);
                spoken.push((key, value.clone(), format!("the environment variable {name}")));
            }
        }
        for (key, value) in &self.set {
            spoken.push((key.clone(), value.clone(), "the command line".to_owned()));
        }
        spoken.into_iter()
    }

    /// Steps and count say the same; where only one was said by a later layer, the other follows it.
    fn count_follows_steps(&self, scenario: &mut Scenario) {
        let last = |wanted: &str| self.spoken().enumerate().filter(|(_, (key, ..))| key == wanted).last();
        let (count, steps) = (last("viewers.count"), last("viewers.steps"));
        match (count, steps) {
            // `--viewers 100` of a scenario with steps: those below it, and then it.
            (Some((at, _)), other) if other.as_ref().is_none_or(|(steps_at, _)| at > *steps_at) => {
                let count = scenario.viewers.count;
                if !scenario.viewers.steps.is_empty() {
                    scenario.viewers.steps.retain(|step| *step < count);
                    scenario.viewers.steps.push(count);
                }
            }
            (None, None) if scenario.viewers.count != 1 => {}
            _ => {
                if let Some(last) = scenario.viewers.steps.last() {
                    scenario.viewers.count = *last;
                }
            }
        }
    }
}

/// One layer, and what it is called where it is wrong.
struct Named {
    name: String,
    data: Result<Map<Profile, Dict>, figment::Error>,
}

impl Provider for Named {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        self.data.clone()
    }
}

/// Reads what was said outside of a file: as TOML where it is some, and as plain text where not.
fn read(text: &str) -> figment::value::Value {
    #[derive(serde::Deserialize)]
    struct Said {
        value: figment::value::Value,
    }
    let list = format!("value = [{text}]");
    let attempts = [format!("value = {text}"), if text.contains(',') { list } else { String::new() }];
    let said = attempts.iter().find_map(|attempt| toml::from_str::<Said>(attempt).ok());
    said.map_or_else(|| figment::value::Value::from(text), |said| said.value)
}

fn syntax(place: &str, text: &str, error: &toml::de::Error) -> ScenarioError {
    let line = error.span().map_or(1, |span| text[..span.start.min(text.len())].lines().count().max(1));
    let reason = error.message().trim().replace('\n', "; ");
    ScenarioError::Value { place: place.to_owned(), key: format!("line {line}"), reason }
}

/// What variables of the environment begin with; then the section, `_`, and the key: `LATCHKEY_LOADTEST_VIEWERS_COUNT`.
pub const PREFIX: &str = "LATCHKEY_LOADTEST_";
