//! The README names every event and alarm that programs may read: what is not there is found here.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn source(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The first cells of the tables of events.
fn named_in_readme() -> BTreeSet<String> {
    let readme = source("README.md");
    let json = readme.split("### JSON").nth(1).unwrap().split("\n## ").next().unwrap();
    let cells = json.lines().filter_map(|line| line.strip_prefix("| ")?.split(" |").next());
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>()).collect()
}

fn snake(variant: &str) -> String {
    let mut name = String::new();
    for letter in variant.chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.extend(letter.to_lowercase());
    }
    name
}

fn sources_below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources_below(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn every_event_of_a_running_camera_or_viewer_is_in_the_readme() {
    let text = source("household/src/event.rs");
    let body = text.split("pub enum Event {").nth(1).unwrap().split("\n}\n").next().unwrap();
    let variants: Vec<String> = body
        .lines()
        .filter_map(|line| line.strip_prefix("    "))
        .filter(|line| line.starts_with(|first: char| first.is_ascii_uppercase()))
        .map(|line| snake(line.split(|c: char| !c.is_alphanumeric()).next().unwrap()))
        .collect();
    assert!(variants.len() >= 14 && variants.iter().any(|name| name == "new_epoch"), "{variants:?}");
    let named = named_in_readme();
    let missing: Vec<_> = variants.iter().filter(|name| !named.contains(*name)).collect();
    assert!(missing.is_empty(), "not in the README: {missing:?}");
}

#[test]
fn every_object_of_the_other_commands_is_in_the_readme_and_none_besides() {
    let mut files = Vec::new();
    sources_below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cli"), &mut files);
    let mut written = BTreeSet::new();
    for file in files {
        let text = std::fs::read_to_string(file).unwrap();
        for rest in text.split("\"event\": \"").skip(1) {
            written.insert(rest.split('"').next().unwrap().to_owned());
        }
    }
    assert!(written.len() > 20, "{written:?}");
    let named = named_in_readme();
    let missing: Vec<_> = written.difference(&named).collect();
    assert!(missing.is_empty(), "not in the README: {missing:?}");
    let events = source("household/src/event.rs");
    let gone: Vec<_> = named
        .iter()
        .filter(|name| !written.contains(*name))
        .filter(|name| {
            !events.lines().any(|line| snake(line.trim().split([' ', '(', ',']).next().unwrap()) == **name)
        })
        .collect();
    assert!(gone.is_empty(), "in the README, and nowhere else: {gone:?}");
}

#[test]
fn every_alarm_is_in_the_readme() {
    let text = source("household/src/alarm.rs");
    let body = text.split("fn code(").nth(1).unwrap().split("\n    }\n").next().unwrap();
    let codes: Vec<&str> = body.split("=> \"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert!(codes.len() >= 13, "{codes:?}");
    let readme = source("README.md");
    let missing: Vec<_> = codes.iter().filter(|code| !readme.contains(&format!("`{code}`"))).collect();
    assert!(missing.is_empty(), "not in the README: {missing:?}");
}
