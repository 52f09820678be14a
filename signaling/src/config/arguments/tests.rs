//! The order of the sources, and what is said of mistakes.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::io::Write as _;

use super::*;

fn arguments(words: &[&str]) -> Arguments {
    Arguments::from_words(std::iter::once("latchkey-server").chain(words.iter().copied())).unwrap()
}

fn with_file(text: &str, words: &[&str]) -> Result<ServerConfig, ConfigError> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    let path = file.path().to_str().unwrap();
    arguments(&[&["--config", path], words].concat()).resolve()
}

/// Every key with its value; those of tables stand beside the others, as their flags do.
fn flat(text: &str) -> toml::Table {
    let mut keys = toml::Table::new();
    for (key, value) in toml::from_str::<toml::Table>(text).unwrap() {
        match value {
            toml::Value::Table(more) => keys.extend(more),
            value => drop(keys.insert(key, value)),
        }
    }
    keys
}

#[test]
fn the_file_beats_the_defaults_and_flags_beat_the_file() {
    assert_eq!(arguments(&[]).resolve(), Ok(ServerConfig::default()));
    let text = "public_url = \"https://a.example\"\nshards = 3\npublic_address = [\"203.0.113.7\"]\n";
    let config = with_file(text, &["--shards", "5", "--behind-proxy"]).unwrap();
    assert_eq!(
        (config.public_url.as_str(), config.shards, config.behind_proxy),
        ("https://a.example", 5, true)
    );
    assert_eq!(config.public_address, ["203.0.113.7".parse().unwrap()]);
    assert_eq!(config.listen, ServerConfig::default().listen);
}

#[test]
fn every_field_has_a_flag_and_a_variable() {
    let defaults = flat(&ServerConfig::default().to_toml());
    let fields: BTreeSet<String> = defaults.keys().cloned().collect();
    let command = Arguments::command();
    let variables: BTreeSet<String> = command
        .get_arguments()
        .filter_map(|arg| arg.get_env()?.to_str()?.strip_prefix("LATCHKEY_SERVER_").map(str::to_lowercase))
        .filter(|name| name != "config")
        .collect();
    assert_eq!(fields, variables);
}

#[test]
fn help_names_the_true_defaults() {
    let defaults = flat(&ServerConfig::default().to_toml());
    let command = Arguments::command();
    for arg in command.get_arguments() {
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        let Some((_, said)) = help.split_once("[default: ") else { continue };
        let value = &defaults[arg.get_id().as_str()];
        let truth = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        if value.as_array().is_none() {
            assert_eq!(said.trim_end_matches(']'), truth, "{}", arg.get_id());
        }
    }
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest_valid_one() {
    let said = with_file("public_uri = \"x\"\n", &[]).unwrap_err().to_string();
    assert!(said.contains("unknown key \"public_uri\"") && said.contains("mean \"public_url\"?"), "{said}");
    let said = with_file("weather = 3\n", &[]).unwrap_err().to_string();
    assert!(said.contains("unknown key \"weather\"") && !said.contains("did you mean"), "{said}");
}

#[test]
fn an_unknown_variable_is_refused_but_not_those_of_kubernetes() {
    let names = |name: &str| {
        let names = std::iter::once(name.to_owned());
        arguments(&[]).sources().refuse_unknown_variables(&Arguments::command(), names)
    };
    let said = names("LATCHKEY_SERVER_DATADIR").unwrap_err().to_string();
    assert!(said.contains("mean \"LATCHKEY_SERVER_DATA_DIR\"?"), "{said}");
    assert_eq!(names("LATCHKEY_SERVER_SERVICE_HOST"), Ok(()));
    assert_eq!(names("PATH"), Ok(()));
}

#[test]
fn a_wrong_value_is_refused_by_its_key_in_one_sentence() {
    for (text, key) in [
        ("shards = \"many\"\n", "shards"),
        ("listen = \"somewhere\"\n", "listen"),
        ("public_address = [\"x\"]\n", "public_address"),
        ("public_url = \"cam.example\"\n", "public_url"),
        ("open_rate = 0.0\n", "open_rate"),
        ("device_burst = 0\n", "device_burst"),
        ("max_session_hours = 0\n", "max_session_hours"),
        ("max_session_hours = 9000\n", "max_session_hours"),
        ("max_connections = 0\n", "max_connections"),
        ("max_sessions_per_device = 0\n", "max_sessions_per_device"),
        ("[limits]\nmax_control_packets_per_second = 0\n", "limits.max_control_packets_per_second"),
        ("[limits]\nlongest_hold_us = 30000\n", "limits.longest_hold_us"),
        ("[limits]\nlongest_hold_us = \"long\"\n", "limits.longest_hold_us"),
        ("shards = \n", "syntax"),
    ] {
        let said = with_file(text, &[]).unwrap_err();
        assert!(
            matches!(&said, ConfigError::Value { key: found, .. } if found.starts_with(key)),
            "{text}: {said}"
        );
        assert_eq!(said.to_string().lines().count(), 1, "{said}");
    }
    let said = arguments(&["--config", "/nonexistent/server.toml"]).resolve().unwrap_err().to_string();
    assert!(said.starts_with("cannot read the configuration /nonexistent/server.toml"), "{said}");
}

#[test]
fn limits_come_from_the_file_and_flags_beat_it() {
    let text = "[limits]\nlongest_hold_us = 0\nmax_publisher_packets_per_second = 9000\n";
    let config = with_file(text, &["--longest-hold-us", "5000"]).unwrap();
    assert_eq!(config.limits.longest_hold_us, 5000);
    assert_eq!(config.limits.max_publisher_packets_per_second, 9000);
    assert_eq!(config.limits.max_control_bytes_per_second, 250_000, "the default");
    let said = with_file("[limits]\nlongest_hold = 2\n", &[]).unwrap_err().to_string();
    assert!(said.contains("unknown key \"longest_hold\"") && said.contains("\"longest_hold_us\"?"), "{said}");
}
