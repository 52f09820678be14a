//! The order of the sources, and what is said of mistakes.

use std::collections::BTreeSet;
use std::io::Write as _;

use super::*;

fn arguments(words: &[&str]) -> Arguments {
    Arguments::from_words(std::iter::once("latchkey-relay").chain(words.iter().copied())).unwrap()
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn with_file(text: &str, words: &[&str]) -> Result<RelayConfig, ConfigError> {
    let file = file(text);
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
fn without_anything_the_defaults_hold() {
    assert_eq!(arguments(&[]).resolve(), Ok(RelayConfig::default()));
}

#[test]
fn the_file_beats_the_defaults_and_flags_beat_the_file() {
    let text = "audience = \"garden\"\nshards = 3\nops = \"off\"\npublic_address = [\"203.0.113.7\"]\n";
    let config = with_file(text, &["--shards", "5"]).unwrap();
    assert_eq!(config.audience, "garden", "no flag, so the file counts");
    assert_eq!(config.shards, 5, "the flag counts");
    assert_eq!(config.ops, None);
    assert_eq!(config.public_address, ["203.0.113.7".parse().unwrap()]);
    assert_eq!(config.bind, RelayConfig::default().bind);
    let config = with_file(text, &["--public-address", "198.51.100.1,stun:stun.example.org:3478"]).unwrap();
    assert_eq!(config.public_address.len(), 2, "a list is replaced, not joined");
    let config = with_file("srtp_profiles = [\"gcm128\"]\n", &["--srtp-profiles", "sha1_80,gcm128"]).unwrap();
    assert_eq!(config.srtp_profiles, [SrtpProfile::Aes128CmSha1, SrtpProfile::Aes128Gcm]);
}

#[test]
fn every_field_has_a_flag_and_a_variable() {
    let fields: BTreeSet<String> = flat(&RelayConfig::default().to_toml()).keys().cloned().collect();
    let command = Arguments::command();
    let variables: BTreeSet<String> = command
        .get_arguments()
        .filter_map(|arg| arg.get_env()?.to_str()?.strip_prefix("LATCHKEY_RELAY_").map(str::to_lowercase))
        .filter(|name| name != "config")
        .collect();
    assert_eq!(fields, variables);
}

#[test]
fn help_names_the_true_defaults() {
    let defaults = flat(&RelayConfig::default().to_toml());
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
    let said = with_file("max_room = 3\n", &[]).unwrap_err().to_string();
    assert!(
        said.contains("unknown key \"max_room\"") && said.contains("did you mean \"max_rooms\"?"),
        "{said}"
    );
    let said = with_file("weather = 3\n", &[]).unwrap_err().to_string();
    assert!(said.contains("unknown key \"weather\"") && !said.contains("did you mean"), "{said}");
}

#[test]
fn a_wrong_value_is_refused_by_its_key() {
    for (text, key) in [
        ("shards = \"many\"\n", "shards"),
        ("bind = \"somewhere\"\n", "bind"),
        ("door = \"9601\"\n", "door"),
        ("grant_keys = [\"nokey\"]\n", "grant_keys"),
        ("srtp_profiles = [\"aes\"]\n", "srtp_profiles"),
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
        assert_eq!(said.to_string().lines().count(), 1, "one sentence: {said}");
    }
    let said = arguments(&["--config", "/nonexistent/relay.toml"]).resolve().unwrap_err().to_string();
    assert!(said.contains("/nonexistent/relay.toml"), "{said}");
}

#[test]
fn a_variable_that_means_nothing_is_refused_but_not_those_of_kubernetes() {
    let check = |names: &[&str]| {
        let names = names.iter().map(|name| (*name).to_owned());
        arguments(&[]).sources().refuse_unknown_variables(&Arguments::command(), names)
    };
    let said = check(&["PATH", "LATCHKEY_RELAY_SHARD"]).unwrap_err().to_string();
    assert!(said.contains("LATCHKEY_RELAY_SHARD;") && said.contains("\"LATCHKEY_RELAY_SHARDS\""), "{said}");
    let fine = [
        "LATCHKEY_RELAY_SHARDS",
        "LATCHKEY_RELAY_SERVICE_HOST",
        "LATCHKEY_RELAY_PORT_9601_TCP",
        "LATCHKEY_SERVER_X",
    ];
    assert_eq!(check(&fine), Ok(()));
}

#[test]
fn the_example_lists_every_key_and_equals_the_defaults() {
    let example = include_str!("../../relay.example.toml");
    let config = with_file(example, &[]).unwrap();
    assert_eq!(config, RelayConfig::default());
    let keys = |text: &str| flat(text).keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(keys(example), keys(&RelayConfig::default().to_toml()));
}

#[test]
fn what_is_printed_is_read_again() {
    let config = with_file(
        "",
        &["--door", "off", "--grant-key", "k:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "--json"],
    )
    .unwrap();
    assert_eq!(with_file(&config.to_toml(), &[]), Ok(config));
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
