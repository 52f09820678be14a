//! No sentence that may reach a page names a command or a flag: a page has neither.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

/// Crates whose sentences pages show.
const CRATES: [&str; 3] = ["../household/src", "../e2ee/src", "src"];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") && !path.ends_with("tests.rs") {
            found.push(path);
        }
    }
}

/// The strings of a source without its comments and tests.
fn strings(source: &str) -> Vec<String> {
    let code = source.split("#[cfg(test)]\nmod tests").next().unwrap();
    let code: String = code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .map(|line| format!("{line}\n"))
        .collect();
    code.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

fn names_a_command(text: &str) -> bool {
    let flag = |word: &str| {
        let word = word.trim_start_matches(['`', '(']);
        word.strip_prefix("--").is_some_and(|flag| flag.starts_with(|first: char| first.is_ascii_lowercase()))
    };
    text.contains("`latchkey") || text.split_whitespace().any(flag)
}

#[test]
fn the_search_finds_commands_and_flags() {
    assert!(names_a_command("run `latchkey invite` again"));
    assert!(names_a_command("join with a new --home"));
    assert!(names_a_command("name one with (--ca FILE)"));
    assert!(!names_a_command("latchkey1- begins a code -- and this is a dash"));
    let source = "//! `latchkey x`\nfn a() { b(\"one `latchkey y`\", \"two\") }\n#[cfg(test)]\nmod tests { \"--three\" }";
    assert_eq!(strings(source), ["one `latchkey y`", "two"]);
}

#[test]
fn no_sentence_names_a_command_or_a_flag() {
    let (mut files, mut wrong) = (Vec::new(), Vec::new());
    for folder in CRATES {
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut files);
    }
    let mut looked = 0;
    for file in files {
        for text in strings(&std::fs::read_to_string(&file).unwrap()) {
            looked += 1;
            if names_a_command(&text) {
                wrong.push(format!("{}: {text}", file.display()));
            }
        }
    }
    assert!(looked > 500, "only {looked} strings were found");
    assert!(wrong.is_empty(), "{wrong:#?}");
}
