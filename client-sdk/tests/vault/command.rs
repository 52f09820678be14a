//! `--vault`, `latchkey vault status` and `latchkey vault change`.

use std::path::Path;
use std::process::Stdio;

use latchkey::home;
use latchkey::vault::{Method, Unlock, Vault, status};
use serde_json::Value;

use crate::house::House;
use crate::program::{aside, latchkey, one_sentence, refused, refused_by, run};
use crate::{by, made};

/// Runs what must go well and returns its one line of JSON.
fn json(home: &Path, words: &[&str]) -> Value {
    let output = run(latchkey(home, words).arg("--json"));
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_device_is_locked_as_it_is_told() {
    let house = House::open().await;
    let (url, homes) = (house.url().to_owned(), house.home("x").parent().unwrap().to_owned());
    aside(move || {
        let words = homes.join("words.txt");
        std::fs::write(&words, "correct horse battery\n").unwrap();
        let key = homes.join("apart.key");
        let (words, key) = (words.to_str().unwrap(), key.to_str().unwrap());
        let cases: [(&str, &[&str], bool); 4] = [
            ("keyfile", &["--vault", "keyfile"], false),
            ("keyfile", &["--vault-key-file", key], false),
            ("passphrase", &["--vault", "passphrase"], true),
            // Whoever names a passphrase wants it.
            ("passphrase", &["--vault", "auto"], true),
        ];
        for (number, (method, flags, is_named)) in cases.into_iter().enumerate() {
            let home = homes.join(number.to_string());
            let environment = is_named.then_some(("LATCHKEY_VAULT_PASSPHRASE_FILE", words));
            let mut create = latchkey(&home, &["household", "create", "--server", &url, "--name", "Ada"]);
            let output = run(create.args(flags).envs(environment));
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let told = json(&home, &["vault", "status"]);
            println!("{told}");
            assert_eq!(told["method"], method);
            assert_eq!(
                told["key_file"],
                match number {
                    0 => Value::from(home.join("device.key").to_str()),
                    1 => key.into(),
                    _ => Value::Null,
                }
            );
            let output = run(latchkey(&home, &["devices"]).envs(environment));
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            if method == "passphrase" {
                assert_eq!(told["opens"], Value::Null);
                let sentence = refused(&home, &["devices"]);
                assert!(sentence.contains("LATCHKEY_VAULT_PASSPHRASE_FILE"), "{sentence}");
            } else {
                assert_eq!(told["opens"], true);
            }
        }
    })
    .await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_without_what_unlocks_it_is_refused_by_every_command_and_loses_nothing() {
    let house = House::open().await;
    house.found("ada").await;
    let ada = house.home("ada");
    let key = ada.join("device.key");
    aside(move || {
        let good = std::fs::read(&key).unwrap();
        let away = ada.with_file_name("away.key");
        let commands: [&[&str]; 4] = [
            &["devices"],
            &["invite", "--role", "viewer", "--name", "Bob"],
            &["view", "door", "--out", "-"],
            &["vault", "change", "keyfile"],
        ];
        let each = |said: &str| {
            for words in commands {
                let sentence = refused(&ada, words);
                assert!(sentence.contains(said), "{said} is not in: {sentence}");
            }
        };
        std::fs::rename(&key, &away).unwrap();
        each("is not there: put it back, or name where it is with --vault-key-file");
        let output =
            run(&mut latchkey(&ada, &["vault", "status", "--vault-key-file", away.to_str().unwrap()]));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        std::fs::write(&key, b"no key").unwrap();
        each("is damaged");
        std::fs::copy(&away, &key).unwrap();
        std::fs::write(&key, &good).unwrap();
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
        each("chmod 600");
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
        home::open(&ada).unwrap();
    })
    .await;
    house.close().await;
}

#[test]
fn a_lock_is_changed_by_command() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("home");
    made(&home, &Unlock::default());
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (one, two, short) =
        (file("one", "correct horse\n"), file("two", "better horse\r\n"), file("short", "horse\n"));
    const FILE: &str = "LATCHKEY_VAULT_PASSPHRASE_FILE";

    let sentence = refused(&home, &["vault", "change", "passphrase"]);
    assert!(sentence.contains("--passphrase-file"), "{sentence}");
    let sentence = refused(&home, &["vault", "change", "passphrase", "--passphrase-file", &short]);
    assert!(sentence.contains("at least 8"), "{sentence}");
    let sentence = refused(&home, &["vault", "change", "passphrase", "--passphrase-file", "/nowhere/x"]);
    assert!(sentence.contains("/nowhere/x"), "{sentence}");
    let told = json(&home, &["vault", "change", "passphrase", "--passphrase-file", &one]);
    assert_eq!(told["method"], "passphrase");
    assert!(!home.join("device.key").exists());

    let again = ["vault", "change", "passphrase", "--passphrase-file", &two];
    let sentence = refused_by(2, &home, latchkey(&home, &again).env(FILE, &two));
    assert!(sentence.contains("is not the passphrase"), "{sentence}");
    // Both from standard input, one line each.
    let mut change = latchkey(&home, &["vault", "change", "passphrase", "--passphrase-file", "-"]);
    let mut child = crate::program::start(change.env(FILE, "-").stdin(Stdio::piped()));
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"correct horse\nbetter horse\n").unwrap();
    assert!(child.wait().unwrap().success());
    let sentence = refused_by(2, &home, latchkey(&home, &["devices"]).env(FILE, &one));
    assert!(sentence.contains("is not the passphrase"), "{sentence}");

    let output = run(latchkey(&home, &["vault", "change", "keyfile"]).env(FILE, &two));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(status(&home).unwrap().method, Some(Method::KeyFile));
    let vault = Vault::open(&home).unwrap();
    assert_eq!(vault.record("identity"), Some(b"a private key".as_slice()));
    // One that holds it keeps others from changing it.
    let sentence = refused(&home, &["vault", "change", "keyfile"]);
    assert!(sentence.contains("is in use by another latchkey process"), "{sentence}");
}

#[test]
fn the_state_of_a_lock_is_told_in_words() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("home");
    let sentence = refused(&home, &["vault", "status"]);
    assert!(sentence.contains("there is no device"), "{sentence}");
    let sentence = refused(&home, &["vault", "change", "safe"]);
    assert!(sentence.contains("keyring"), "{sentence}");
    made(&home, &by(Method::KeyFile));
    let output = run(&mut latchkey(&home, &["vault", "status"]));
    let said = String::from_utf8(output.stdout).unwrap();
    print!("{said}");
    for part in ["device.vault", "the key file", "device.key", "yes", "Whoever can read both files"] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    std::fs::remove_file(home.join("device.key")).unwrap();
    let output = run(&mut latchkey(&home, &["vault", "status"]));
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stdout).unwrap().contains("NO"));
    assert!(one_sentence(&String::from_utf8(output.stderr).unwrap()).contains("is not there"));
}
