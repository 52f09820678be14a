//! Killed at random moments, a process loses nothing that it had saved.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use latchkey::vault::{Method, Unlock, Vault};

use crate::{by, made, program, secret, this_test};

const ROUNDS: u32 = 40;
const DIR: &str = "VAULT_TEST_DIR";

#[test]
fn a_save_that_is_killed_loses_nothing() {
    let saves = killed_again_and_again("crash::child_saves");
    println!("vault crash: {ROUNDS} kills during {saves} saves, nothing lost");
}

#[test]
fn a_change_of_the_lock_that_is_killed_loses_nothing() {
    let changes = killed_again_and_again("crash::child_changes");
    println!("vault crash: {ROUNDS} kills during {changes} changes of the lock, nothing lost");
}

/// Starts the child, kills it, looks at what is left; returns how many saves there were in all.
fn killed_again_and_again(child: &str) -> u64 {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(passphrase(dir.path()), "correct horse").unwrap();
    let home = dir.path().join("home");
    made(&home, &by(Method::KeyFile));
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
    println!("seed {seed}");
    let mut random = seed;
    let mut saved = 0;
    for round in 0..ROUNDS {
        let mut process = program::start(
            this_test(child).env(DIR, dir.path()).stdout(Stdio::piped()).stderr(Stdio::null()),
        );
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        // It has begun when it has saved once; then it lives for up to 20 ms.
        let first = lines.by_ref().map_while(Result::ok).find_map(|line| number(&line));
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        std::thread::sleep(Duration::from_micros((random >> 33) % 20_000));
        process.kill().unwrap();
        process.wait().unwrap();
        let first = first.unwrap_or_else(|| panic!("{child} does not save in round {round}"));
        let last = lines.map_while(Result::ok).filter_map(|line| number(&line)).last().unwrap_or(first);
        assert!(last > saved, "it goes on where it was");

        let vault = Vault::open_with(&home, &unlock(dir.path()))
            .unwrap_or_else(|error| panic!("round {round} after save {last}: {error}"));
        let kept = u64::from_be_bytes(vault.record("n").unwrap().try_into().unwrap());
        assert!(kept == last || kept == last + 1, "round {round}: {last} was saved, {kept} is there");
        assert_eq!(vault.record("filler"), Some(filler(kept).as_slice()), "round {round}");
        assert_eq!(vault.record("identity"), Some(b"a private key".as_slice()));
        saved = kept;
    }
    saved
}

fn number(line: &str) -> Option<u64> {
    line.split_once("saved ")?.1.parse().ok()
}

fn passphrase(dir: &Path) -> PathBuf {
    dir.join("passphrase.txt")
}

fn unlock(dir: &Path) -> Unlock {
    by(Method::Passphrase).passphrase_file(Some(passphrase(dir)))
}

/// Something that tells a torn file, and is of another length every time.
fn filler(n: u64) -> Vec<u8> {
    let length = 10_000 + n * 7919 % 50_000;
    (0..length).map(|at| (at ^ n) as u8).collect()
}

/// Saves with `save` until it is killed, and says each time that it has.
fn until_killed(mut save: impl FnMut(&Path, &mut Vault, u64)) {
    let dir = PathBuf::from(std::env::var_os(DIR).expect("only the tests above run this"));
    let mut vault = Vault::open_with(&dir.join("home"), &unlock(&dir)).unwrap();
    let before = vault.record("n").map_or(0, |n| u64::from_be_bytes(n.try_into().unwrap()));
    for n in before + 1.. {
        vault.put("n", secret(&n.to_be_bytes()));
        vault.put("filler", secret(&filler(n)));
        save(&dir, &mut vault, n);
        println!("\nsaved {n}");
    }
}

#[test]
#[ignore = "the process that is killed"]
fn child_saves() {
    until_killed(|_, vault, _| vault.save().unwrap());
}

#[test]
#[ignore = "the process that is killed"]
fn child_changes() {
    until_killed(|dir, vault, n| {
        let lock = match n % 4 {
            0 => unlock(dir),
            1 => by(Method::KeyFile).key_file(Some(dir.join(format!("apart-{n}.key")))),
            // Twice, so that the key file beside it is replaced by its successor, too.
            _ => by(Method::KeyFile),
        };
        vault.change(&lock).unwrap();
    });
}
