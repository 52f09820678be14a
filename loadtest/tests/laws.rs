//! Keeps the laws of the house: which crate may reach which, read from cargo's own dependency graph.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Packages of the two servers' wings.
const RELAY: &[&str] = &["latchkey-wire", "latchkey-relay-core", "latchkey-relay"];
/// What the relay is measured against: kernel and cipher, nothing of ours.
const FLOOR: &str = "latchkey-relay-floor";
const SIGNALING: &[&str] = &["latchkey-api", "latchkey-signaling-core", "latchkey-signaling"];
/// Packages that must stay free of I/O and clocks.
const SANS_IO: &[&str] =
    &["latchkey-wire", "latchkey-relay-core", "latchkey-api", "latchkey-signaling-core", "latchkey-e2ee"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("loadtest has a parent").to_path_buf()
}

/// Names of every crate that `package` reaches in a shipped build, with all features.
fn reach(package: &str) -> BTreeSet<String> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let out = Command::new(cargo)
        .current_dir(root())
        .args(["tree", "--locked", "-p", package, "-e", "normal,build", "--all-features", "--prefix", "none"])
        .args(["--format", "{p}"])
        .output()
        .expect("cargo runs");
    assert!(out.status.success(), "cargo tree -p {package}: {}", String::from_utf8_lossy(&out.stderr));
    let names: BTreeSet<String> = String::from_utf8(out.stdout)
        .expect("cargo prints UTF-8")
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .collect();
    assert!(names.contains(package), "cargo tree lists the package itself");
    names
}

fn is_decryption(name: &str) -> bool {
    name == "sframe"
        || name.starts_with("mls-rs")
        || name == "openmls"
        || name == "latchkey-e2ee"
        || name == "latchkey-cipher"
        || name == "latchkey-household"
        || name == "latchkey"
}

#[test]
fn servers_cannot_contain_decryption() {
    for package in RELAY.iter().chain(SIGNALING) {
        let found: Vec<_> = reach(package).into_iter().filter(|name| is_decryption(name)).collect();
        assert!(found.is_empty(), "{package} reaches {found:?}: a server must not be able to open a frame");
    }
    // The same question must be able to fail: the client does reach them.
    let client = reach("latchkey");
    assert!(client.contains("sframe") && client.contains("mls-rs"), "the client seals frames");
}

#[test]
fn the_floor_has_no_crate_of_ours_in_it_and_no_server_has_the_floor() {
    let ours: Vec<_> =
        reach(FLOOR).into_iter().filter(|name| name.starts_with("latchkey") && name != FLOOR).collect();
    assert!(ours.is_empty(), "{FLOOR} reaches {ours:?}: it would measure us by ourselves");
    for package in RELAY.iter().chain(SIGNALING) {
        assert!(!reach(package).contains(FLOOR), "{package} ships what only measures it");
    }
}

#[test]
fn relay_knows_nobody() {
    for package in RELAY {
        let found: Vec<_> =
            reach(package).into_iter().filter(|name| SIGNALING.contains(&name.as_str())).collect();
        assert!(found.is_empty(), "{package} reaches {found:?}: the relay never calls signaling");
    }
}

#[test]
fn cores_name_no_runtime_socket_or_exporter() {
    for package in SANS_IO {
        let banned = ["tokio", "mio", "socket2", "prometheus", "axum", "reqwest", "hyper"];
        let found: Vec<_> =
            reach(package).into_iter().filter(|name| banned.contains(&name.as_str())).collect();
        assert!(found.is_empty(), "{package} reaches {found:?}");
    }
}

#[test]
fn cores_forbid_clocks_by_lint() {
    for folder in ["relay/wire", "relay/core", "signaling/api", "signaling/core", "client-sdk/e2ee"] {
        let text =
            std::fs::read_to_string(root().join(folder).join("clippy.toml")).expect("clippy.toml is there");
        for method in ["std::time::Instant::now", "std::time::SystemTime::now"] {
            assert!(text.contains(method), "{folder}/clippy.toml allows {method}");
        }
    }
}

/// Names of every crate that `package` reaches when it is built for a page.
fn reach_in_a_page(package: &str) -> BTreeSet<String> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let out = Command::new(cargo)
        .current_dir(root())
        .args(["tree", "--locked", "-p", package, "-e", "normal", "--all-features", "--prefix", "none"])
        .args(["--target", PAGE, "--format", "{p}"])
        .output()
        .expect("cargo runs");
    assert!(out.status.success(), "cargo tree -p {package}: {}", String::from_utf8_lossy(&out.stderr));
    let text = String::from_utf8(out.stdout).expect("cargo prints UTF-8");
    text.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

#[test]
fn a_household_stands_between_the_client_and_encryption() {
    assert!(reach("latchkey").contains("latchkey-household"));
    let below = reach("latchkey-household");
    for needed in ["latchkey-e2ee", "latchkey-api", "latchkey-wire"] {
        assert!(below.contains(needed), "a household rests on {needed}");
    }
    for banned in ["latchkey", "webrtc", "rtc", "keyring", "clap", "image", "retina", "h264-reader"] {
        assert!(
            !below.contains(banned),
            "latchkey-household reaches {banned}: media, files and terminal are above it"
        );
    }
    let page = reach_in_a_page("latchkey-household");
    assert!(page.contains("web-sys") && page.contains("latchkey-e2ee"), "cargo tells what a page gets");
    for banned in ["mio", "socket2", "tokio-tungstenite", "rustls", "aws-lc-rs", "hyper", "wasm-bindgen-test"]
    {
        assert!(!page.contains(banned), "latchkey-household brings {banned} into a page");
    }
}

#[test]
fn a_household_asks_no_machine_for_time_files_or_sockets() {
    let clippy =
        std::fs::read_to_string(root().join("client-sdk/household/clippy.toml")).expect("it is there");
    for method in ["std::time::SystemTime::now", "tokio::spawn", "tokio::time::sleep", "std::thread::spawn"] {
        assert!(clippy.contains(method), "client-sdk/household/clippy.toml allows {method}");
    }
    // Each with the one file that may, natively.
    let machine = [
        ("std::fs", ""),
        ("std::thread", ""),
        ("std::net", ""),
        ("tokio::fs", ""),
        ("tokio::time", "clock.rs"),
        ("SystemTime::now", "clock.rs"),
        ("tokio::spawn", "task.rs"),
        ("tokio::net", "signaling/socket/native.rs"),
    ];
    let own = Path::new("client-sdk/household/src");
    let mut looked_at = 0;
    for (path, text) in sources() {
        let Ok(within) = path.strip_prefix(own) else { continue };
        if within.ends_with("tests.rs") {
            continue;
        }
        looked_at += 1;
        let shipped = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        for (name, place) in machine {
            let named =
                shipped.lines().any(|line| line.split("//").next().unwrap_or_default().contains(name));
            assert!(
                !named || within == Path::new(place),
                "{} names {name}, which no page has",
                path.display()
            );
        }
        // A page has no `std::time::Instant`: it is `web_time`'s.
        let imported = shipped.lines().filter(|line| line.starts_with("use std::time"));
        for line in imported {
            assert!(!line.contains("Instant"), "{}: {line}", path.display());
        }
        assert!(!shipped.contains("std::time::Instant"), "{}", path.display());
    }
    assert!(looked_at > 40, "the walk found the household");
}

// That it really builds for a page is `make wasm`, which `make test` runs.
const PAGE: &str = "wasm32-unknown-unknown";

#[test]
fn one_crypto_back_end() {
    for package in ["latchkey", "latchkey-signaling", "latchkey-relay"] {
        let names = reach(package);
        for banned in ["ring", "openssl", "native-tls"] {
            assert!(!names.contains(banned), "{package} reaches {banned}; aws-lc-rs is the one back end");
        }
    }
}

/// What cargo would build of `package` by default, one line for each crate and each feature of one.
fn features(package: &str, edges: &str) -> String {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let out = Command::new(cargo)
        .current_dir(root())
        .args(["tree", "--locked", "-p", package, "-e", edges, "--prefix", "none"])
        .output()
        .expect("cargo runs");
    assert!(out.status.success(), "cargo tree -p {package}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).expect("cargo prints UTF-8")
}

#[test]
fn no_check_can_be_switched_off_in_what_ships() {
    let switch = "feature \"check-switches\"";
    for package in RELAY.iter().chain(SIGNALING).chain(&["latchkey-e2ee", "latchkey", "latchkey-loadtest"]) {
        let built = features(package, "normal,build,features");
        assert!(built.contains("feature \"default\""), "cargo tells {package}'s features");
        assert!(!built.contains(switch), "{package} is built with checks that can be switched off");
    }
    // The same question must be able to fail: the tests of this crate do switch checks off.
    assert!(features("latchkey-loadtest", "normal,dev,features").contains(switch));
}

/// Every Rust source of the project that ships, with its path from the root.
fn sources() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut todo: Vec<PathBuf> =
        ["relay", "signaling", "client-sdk", "loadtest"].iter().map(|wing| root().join(wing)).collect();
    while let Some(folder) = todo.pop() {
        for entry in std::fs::read_dir(&folder).expect("folder is readable").flatten() {
            let path = entry.path();
            if path.is_dir() {
                let name = entry.file_name();
                if !["target", "fuzz", "node_modules"].contains(&name.to_string_lossy().as_ref()) {
                    todo.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).expect("source is UTF-8");
                found.push((path.strip_prefix(root()).expect("below the root").to_path_buf(), text));
            }
        }
    }
    assert!(found.len() > 50, "the walk found the sources");
    found
}

#[test]
fn no_grab_bag_modules() {
    for (path, _) in sources() {
        let stem = path.file_stem().expect("a file has a name").to_string_lossy().into_owned();
        let folder = path.parent().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
        for name in [Some(stem), folder].into_iter().flatten() {
            assert!(
                !["utils", "util", "common", "prelude", "helpers", "misc", "shared"].contains(&name.as_str()),
                "{}: name the module for what it does",
                path.display()
            );
        }
    }
}

#[test]
fn imports_come_from_the_defining_module() {
    for (path, text) in sources() {
        if !path.components().any(|part| part.as_os_str() == "src") {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            let Some(rest) = line.trim().strip_prefix("use crate::") else { continue };
            let first = rest.chars().next().unwrap_or(' ');
            assert!(
                !first.is_uppercase() && first != '{' && first != '*',
                "{}:{}: `{}` goes through the crate root; import from the module that defines it",
                path.display(),
                number + 1,
                line.trim()
            );
        }
    }
}

#[test]
fn every_file_says_first_what_it_is_for() {
    for (path, text) in sources() {
        let first = text.lines().find(|line| !line.starts_with("#!")).unwrap_or_default();
        assert!(
            first.starts_with("//!"),
            "{} opens with `{first}`, not with a sentence of purpose",
            path.display()
        );
    }
}

#[test]
fn dashmap_stays_off_the_packet_path() {
    for (path, text) in sources() {
        if path.starts_with("relay/core")
            || path.starts_with("relay/src/shard")
            || path.ends_with("relay/src/batch.rs")
        {
            for lock in ["dashmap", "DashMap", "RwLock"] {
                assert!(
                    !text.contains(lock),
                    "{} names {lock}: one owner per room, no lock there",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn unsafe_code_lives_in_named_places_only() {
    // System calls for batches of datagrams, and the kernel floor; clocks of whoever measures; programs that end with theirs.
    let allowed = [
        "relay/src/batch",
        "relay/floor/src/cores",
        "relay/floor/src/kernel",
        "loadtest/src/process/starter",
    ];
    for (path, text) in sources() {
        let speaks = text.lines().any(|line| {
            let code = line.split("//").next().unwrap_or_default();
            code.contains("unsafe {") || code.contains("unsafe impl") || code.contains("unsafe fn")
        });
        let here = path.to_string_lossy().into_owned();
        assert!(
            !speaks || allowed.iter().any(|place| here.starts_with(place)) || here.ends_with("tests/laws.rs"),
            "{here} has unsafe code"
        );
    }
}
