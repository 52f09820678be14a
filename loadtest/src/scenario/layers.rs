//! Where a scenario comes from: flags beat the environment, the environment beats the file, the file beats the defaults.

use std::path::PathBuf;

use figment::error::Kind;
use figment::providers::{Format, Serialized, Toml};
use figment::value::{Dict, Map};
use figment::{Figment, Metadata, Profile, Provider};

use crate::scenario::Scenario;
use crate::scenario::shipped::{self, SHIPPED, Shipped};
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
    /// No file is there and no shipped scenario has the name.
    #[error(
        "there is no scenario {given:?}: name a TOML file, or one of those that are shipped: {}",
        names()
    )]
    NotFound {
        /// As given.
        given: String,
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
    /// [`ScenarioError::NotFound`].
    pub fn find(given: &str) -> Result<Self, ScenarioError> {
        let path = PathBuf::from(given);
        if path.is_file() {
            return Ok(Self::File(path));
        }
        shipped::find(given)
            .map(Self::Shipped)
            .ok_or_else(|| ScenarioError::NotFound { given: given.to_owned() })
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

/// One sentence for the first thing that is wrong.
fn explain(error: figment::Error, file: &str) -> ScenarioError {
    let Some(error) = error.into_iter().next() else {
        return ScenarioError::Value {
            place: file.to_owned(),
            key: "scenario".to_owned(),
            reason: "cannot be read".to_owned(),
        };
    };
    let place = error.metadata.as_ref().map_or(file.to_owned(), |metadata| metadata.name.to_string());
    if let Kind::UnknownField(key, known) = &error.kind {
        let section = error.path.len().checked_sub(2).and_then(|at| error.path.get(at));
        return ScenarioError::UnknownKey {
            place,
            key: key.clone(),
            section: section.map_or(String::new(), |section| format!(" in [{section}]")),
            suggestion: nearest(key, known),
        };
    }
    let key = if error.path.is_empty() { "scenario".to_owned() } else { error.path.join(".") };
    ScenarioError::Value { place, key, reason: error.kind.to_string().trim_end().replace('\n', "; ") }
}

/// Says which key was meant, or which there are.
fn nearest(key: &str, known: &[&str]) -> String {
    let likeness = |known: &str| match strsim::damerau_levenshtein(key, known) {
        0 | 1 => 1.0,
        _ => strsim::jaro_winkler(key, known),
    };
    let ranked = known.iter().map(|known| (likeness(known), known));
    match ranked.max_by(|a, b| a.0.total_cmp(&b.0)).filter(|(likeness, _)| *likeness > ALIKE) {
        Some((_, known)) => format!("did you mean {known:?}?"),
        None => format!("there are {}", known.join(", ")),
    }
}

fn names() -> String {
    SHIPPED.iter().map(|shipped| shipped.name).collect::<Vec<_>>().join(", ")
}

/// What variables of the environment begin with; then the section, `_`, and the key: `LATCHKEY_LOADTEST_VIEWERS_COUNT`.
pub const PREFIX: &str = "LATCHKEY_LOADTEST_";
/// Jaro-Winkler likeness, from 0 to 1, from which on a name is suggested for another.
const ALIKE: f64 = 0.75;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::scenario::Pace;
    use crate::scenario::units::{BitRate, Percent, Span};

    fn file(text: &str) -> (tempfile::TempDir, Layers) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("evening.toml");
        std::fs::write(&path, text).unwrap();
        (dir, Layers { source: Source::File(path), ..Layers::default() })
    }

    fn refused(text: &str) -> String {
        file(text).1.resolve().unwrap_err().to_string()
    }

    fn pairs(of: &[(&str, &str)]) -> Vec<(String, String)> {
        of.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn units_are_read_and_the_rest_is_as_the_defaults_say() {
        let (_dir, layers) = file(
            "name = \"x\"\n[camera]\nbitrate = \"500 kbit/s\"\npace = \"spread\"\n[phases]\nsteady = \"500 ms\"\n\
             [[network]]\nprofile = \"wifi\"\nshare = \"50 %\"\n[assert]\np99_ms = 20\n",
        );
        let scenario = layers.resolve().unwrap();
        assert_eq!((scenario.camera.bitrate, scenario.camera.pace), (BitRate(500_000), Pace::Spread));
        assert_eq!(scenario.phases.steady, Span(Duration::from_millis(500)));
        assert_eq!(scenario.network[0].share, Percent(50.0));
        assert_eq!((scenario.assert.p99_ms, scenario.assert.let_in), (Some(20.0), Some(0.0)));
        assert_eq!(scenario.camera.fps, Scenario::default().camera.fps);
    }

    #[test]
    fn flags_beat_the_environment_and_that_beats_the_file() {
        let (_dir, mut layers) = file("[viewers]\ncount = 5\n[camera]\nfps = 10\ngop = 7\n");
        layers.variables = pairs(&[
            ("LATCHKEY_LOADTEST_CAMERA_FPS", "15"),
            ("LATCHKEY_LOADTEST_VIEWERS_OPENS_ONE_IN", "4"),
            ("LATCHKEY_LOADTEST_CAMERA_GOP", ""),
            ("PATH", "x"),
        ]);
        layers.set = pairs(&[("camera.fps", "20"), ("phases.steady", "3 s"), ("viewers.steps", "2,4")]);
        let scenario = layers.resolve().unwrap();
        assert_eq!((scenario.camera.fps, scenario.camera.gop, scenario.viewers.opens_one_in), (20.0, 7, 4));
        assert_eq!(scenario.phases.steady, Span(Duration::from_secs(3)));
        assert_eq!((scenario.viewers.steps.as_slice(), scenario.viewers.count), ([2, 4].as_slice(), 4));
    }

    #[test]
    fn a_single_step_needs_no_list() {
        let (_dir, mut layers) = file("[viewers]\nsteps = [25, 50]\ncount = 50\n");
        for said in ["5", "[5]", "5,"] {
            layers.set = pairs(&[("viewers.steps", said)]);
            let viewers = layers.resolve().unwrap().viewers;
            assert_eq!((viewers.steps.as_slice(), viewers.count), ([5].as_slice(), 5), "{said}");
        }
        let (_dir, layers) = file("[viewers]\nsteps = 7\n");
        assert_eq!(layers.resolve().unwrap().viewers.steps, [7]);
        for wrong in ["-5", "many", "5.5"] {
            let (_dir, mut layers) = file("");
            layers.set = pairs(&[("viewers.steps", wrong)]);
            let sentence = layers.resolve().unwrap_err().to_string();
            assert!(sentence.contains("viewers.steps") && sentence.contains("25,50,100"), "{sentence}");
        }
    }

    #[test]
    fn more_or_fewer_viewers_keep_the_steps_below() {
        let (_dir, mut layers) = file("[viewers]\nsteps = [25, 50, 100]\ncount = 100\n");
        layers.set = pairs(&[("viewers.count", "60")]);
        assert_eq!(layers.resolve().unwrap().viewers.steps, [25, 50, 60]);
        layers.set = pairs(&[("viewers.count", "200")]);
        assert_eq!(layers.resolve().unwrap().viewers.steps, [25, 50, 100, 200]);
    }

    #[test]
    fn unknown_keys_are_refused_with_the_nearest() {
        let sentence = refused("[viewers]\ncuont = 5\n");
        assert!(
            sentence
                .ends_with("evening.toml has an unknown key \"cuont\" in [viewers]: did you mean \"count\"?"),
            "{sentence}"
        );
        assert!(refused("[viewer]\ncount = 5\n").ends_with("did you mean \"viewers\"?"));
        assert!(refused("[storm]\nqqq = 5\n").ends_with("there are at, share"));
        let (_dir, mut layers) = file("");
        layers.variables = pairs(&[("LATCHKEY_LOADTEST_VIEWERS_COUNTS", "5")]);
        let sentence = layers.resolve().unwrap_err().to_string();
        assert!(
            sentence.contains("variable LATCHKEY_LOADTEST_VIEWERS_COUNTS has an unknown key"),
            "{sentence}"
        );
        layers.variables.clear();
        layers.set = pairs(&[("assert.p99ms", "5")]);
        let sentence = layers.resolve().unwrap_err().to_string();
        assert!(sentence.starts_with("the command line") && sentence.ends_with("\"p99_ms\"?"), "{sentence}");
    }

    #[test]
    fn values_that_make_no_sense_are_named_with_their_key() {
        for (text, wanted) in [
            ("[phases]\nsteady = \"10 parsecs\"\n", "phases.steady: \"10 parsecs\" is no time"),
            ("[phases]\nsteady = 0\n", "phases.steady: nothing is measured"),
            ("[camera]\nfps = 0\n", "camera: a camera sends 1 to 240 frames a second, not 0"),
            ("[camera]\npace = \"slow\"\n", "camera.pace"),
            ("[households]\nmembers = 70\n", "households.members: 70 is not from 1 to 60"),
            ("[households]\ncameras = 10\nmembers = 60\n", "holds 64 devices, and 71 are asked for"),
            ("[[network]]\nprofile = \"wify\"\nshare = 5\n", "there is no profile \"wify\"; there are"),
            (
                "[[network]]\nprofile = \"wifi\"\nshare = 60\n[[network]]\nprofile = \"fair\"\nshare = 60\n",
                "120 %",
            ),
            ("[removals]\ncount = 3\nper_s = 1\n", "2 devices can be removed"),
            ("[removals]\ncount = 1\n", "removals.per_s"),
            ("[storm]\nat = \"20 s\"\nshare = 5\n", "storm.at: 20 s is not within phases.steady, 10 s"),
            ("[viewers]\nsteps = [5, 10]\ncount = 7\n", "the last step is 10, and viewers.count is 7"),
            ("[assert]\nloss_pct = -1\n", "assert.loss_pct: -1 is no bound"),
            ("[viewers\n", "line 1"),
        ] {
            let sentence = refused(text);
            assert!(sentence.contains(wanted) && !sentence.contains('\n'), "{text:?}: {sentence}");
            assert!(sentence.contains("evening.toml"), "{sentence}");
        }
    }

    #[test]
    fn a_printed_scenario_reads_as_itself() {
        for shipped in SHIPPED {
            let layers = Layers { source: Source::Shipped(*shipped), ..Layers::default() };
            let scenario = layers.resolve().unwrap();
            let (_dir, again) = file(&scenario.to_toml());
            assert_eq!(again.resolve().unwrap(), scenario, "{}", shipped.name);
        }
    }

    #[test]
    fn every_key_is_described() {
        let guide = include_str!("../../docs/scenarios.md");
        let all: toml::Table = toml::from_str(&Scenario::default().to_toml()).unwrap();
        let sections = all.iter().filter_map(|(name, value)| Some((name, value.as_table()?)));
        for (name, section) in sections {
            let described = guide.split(&format!("**`[{name}]`**")).nth(1);
            let described = described.unwrap_or_else(|| panic!("[{name}] is not described"));
            let here = described.split("**`[").next().unwrap();
            for key in section.keys().filter(|_| name != "assert") {
                assert!(here.contains(&format!("`{key}`")), "{name}.{key} is not described");
            }
        }
        for key in crate::scenario::assert::Assert::KEYS {
            assert!(guide.contains(&format!("`{key}`")), "assert.{key} is not described");
        }
        for profile in crate::fleet::network::Profile::ALL {
            assert!(guide.contains(&format!("`{}`", profile.name())), "{profile:?} is not described");
        }
    }

    #[test]
    fn a_scenario_that_is_nowhere_is_said_so() {
        let sentence = Source::find("no-such").unwrap_err().to_string();
        assert!(sentence.contains("\"no-such\"") && sentence.contains("doorbell-evening"), "{sentence}");
    }
}
