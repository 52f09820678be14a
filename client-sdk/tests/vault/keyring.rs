//! The keyring itself: GNOME's Secret Service in a session bus of its own, with a home of its own.
//!
//! Left out, saying so, where `dbus-run-session`, `dbus-send` or `gnome-keyring-daemon` is not installed.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use keyring::{Entry, Error};
use latchkey::vault::{Choice, Method, Unlock, UnlockError, Vault, VaultError, status};

use crate::program::{ended, start};
use crate::{by, made, secret, this_test};

const DIR: &str = "VAULT_TEST_DIR";

#[test]
fn keys_rest_in_a_secret_service_and_outlive_its_restart() {
    let programs = ["dbus-run-session", "dbus-send", "gnome-keyring-daemon"];
    if let Some(missing) = programs.into_iter().find(|program| !is_installed(program)) {
        println!("vault keyring: LEFT OUT, {missing} is not installed (Debian: gnome-keyring, dbus)");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    in_a_session(dir.path(), "keyring::in_the_first_session");
    in_a_session(dir.path(), "keyring::in_the_next_session");
    println!("vault keyring: kept, fetched after a restart, locked, lost, changed");
}

fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// Runs a test of this file in a session with a keyring whose password is known.
fn in_a_session(dir: &Path, name: &str) {
    let runtime = dir.join("run");
    std::fs::create_dir_all(&runtime).unwrap();
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&runtime, std::fs::Permissions::from_mode(0o700)).unwrap();
    let test = this_test(name);
    let mut session = Command::new("dbus-run-session");
    session.args(["--", "sh", "-c", SESSION, "sh"]).arg(test.get_program()).args(test.get_args());
    session.env("HOME", dir).env("XDG_RUNTIME_DIR", runtime).env(DIR, dir);
    for variable in ["XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "DISPLAY", "WAYLAND_DISPLAY"] {
        session.env_remove(variable);
    }
    session.stdin(Stdio::null());
    let status = ended(&mut start(&mut session));
    assert!(status.success(), "{name}: {status}");
}

/// Starts the keyring unlocked, waits until it has its name on the bus, runs the test, ends the keyring.
const SESSION: &str = r#"
printf %s "password of the keyring" | gnome-keyring-daemon --foreground --unlock --components=secrets >/dev/null 2>&1 &
keyring=$!
tries=0
until dbus-send --session --print-reply --dest=org.freedesktop.DBus / org.freedesktop.DBus.NameHasOwner \
  string:org.freedesktop.secrets 2>/dev/null | grep -q true
do
  tries=$((tries + 1))
  test $tries -lt 300 || { echo "the keyring does not start" >&2; break; }
  sleep 0.1
done
"$@"
code=$?
kill $keyring
wait $keyring
exit $code
"#;

fn dir() -> PathBuf {
    std::env::var_os(DIR).expect("only the test above runs this").into()
}

fn refused(result: Result<Vault, VaultError>) -> UnlockError {
    match result.unwrap_err() {
        VaultError::Unlock(error) => error,
        other => panic!("{other}"),
    }
}

fn entry(home: &Path) -> Entry {
    Entry::new("latchkey", &status(home).unwrap().keyring_user.unwrap()).unwrap()
}

#[test]
#[ignore = "needs a session of its own"]
fn in_the_first_session() {
    let home = dir().join("home");
    // Where a keyring answers it is taken, and nobody is asked.
    made(&home, &Unlock::new(Choice::Auto));
    assert_eq!(status(&home).unwrap().method, Some(Method::Keyring));
    let mut files: Vec<_> = std::fs::read_dir(&home)
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    assert_eq!(files, ["device.lock", "device.vault"], "no key is on the disk");
    let vault = Vault::open(&home).unwrap();
    assert_eq!(vault.record("identity"), Some(b"a private key".as_slice()));
    assert_eq!(entry(&home).get_secret().unwrap().len(), 32);
    drop(vault);

    let other = dir().join("other");
    made(&other, &by(Method::KeyFile));
    let mut vault = Vault::open(&other).unwrap();
    vault.change(&by(Method::Keyring)).unwrap();
    assert!(!other.join("device.key").exists());
    let old = entry(&other);
    assert!(old.get_secret().is_ok());
    vault.change(&by(Method::KeyFile)).unwrap();
    assert!(matches!(old.get_secret(), Err(Error::NoEntry)), "the old key is taken away");
    drop(vault);
    Vault::open(&other).unwrap();

    // A vault that was begun in vain leaves nothing in the keyring either.
    let before = entries();
    drop(Vault::create_with(&dir().join("never"), &by(Method::Keyring)).unwrap());
    assert_eq!(entries(), before);
    assert_eq!(before, 1);
}

/// How many keys of vaults the keyring holds.
fn entries() -> usize {
    let output = Command::new("dbus-send")
        .args(["--session", "--print-reply", "--dest=org.freedesktop.secrets", "/org/freedesktop/secrets"])
        .args(["org.freedesktop.Secret.Service.SearchItems", "dict:string:string:service,latchkey"])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}");
    said.matches("object path").count()
}

#[test]
#[ignore = "needs a session of its own"]
fn in_the_next_session() {
    let home = dir().join("home");
    let mut vault = Vault::open(&home).unwrap();
    assert_eq!(vault.record("identity"), Some(b"a private key".as_slice()));
    vault.put("more", secret(b"later"));
    vault.save().unwrap();
    drop(vault);
    let file = std::fs::read(home.join("device.vault")).unwrap();

    let (entry, user) = (entry(&home), status(&home).unwrap().keyring_user.unwrap());
    let key = entry.get_secret().unwrap();
    entry.delete_credential().unwrap();
    assert_eq!(refused(Vault::look(&home)), UnlockError::KeyringForgot(user));
    entry.set_secret(&[7; 32]).unwrap();
    let error = Vault::open(&home).unwrap_err();
    assert!(matches!(error, VaultError::Damaged { .. }), "{error}");
    entry.set_secret(&key).unwrap();
    assert_eq!(Vault::open(&home).unwrap().record("more"), Some(b"later".as_slice()));

    lock_the_keyring();
    let error = refused(Vault::open(&home));
    println!("{error}");
    assert_eq!(error, UnlockError::KeyringLocked);
    assert_eq!(std::fs::read(home.join("device.vault")).unwrap(), file, "nothing was changed");
}

fn lock_the_keyring() {
    let locked = Command::new("dbus-send")
        .args(["--session", "--print-reply", "--dest=org.freedesktop.secrets", "/org/freedesktop/secrets"])
        .args([
            "org.freedesktop.Secret.Service.Lock",
            "array:objpath:/org/freedesktop/secrets/collection/login",
        ])
        .stdout(Stdio::null())
        .status();
    assert!(locked.unwrap().success());
}

#[test]
fn a_bus_that_is_not_there_is_no_keyring() {
    let dir = tempfile::tempdir().unwrap();
    let mut test = this_test("keyring::without_a_bus");
    test.env(DIR, dir.path()).env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent/bus");
    let status = ended(&mut start(test.stdin(Stdio::null())));
    assert!(status.success(), "{status}");
}

#[test]
#[ignore = "needs an environment of its own"]
fn without_a_bus() {
    let began = std::time::Instant::now();
    let home = dir().join("home");
    made(&home, &Unlock::new(Choice::Auto));
    println!("vault keyring: auto takes a key file after {} ms", began.elapsed().as_millis());
    assert_eq!(status(&home).unwrap().method, Some(Method::KeyFile));
    let error = refused(Vault::create_with(&dir().join("other"), &by(Method::Keyring)));
    println!("{error}");
    assert!(matches!(error, UnlockError::KeyringSilent(_)));
    let mut vault = Vault::open(&home).unwrap();
    assert!(matches!(vault.change(&by(Method::Keyring)), Err(VaultError::Unlock(_))));
    vault.save().unwrap();
    drop(vault);
    Vault::open(&home).unwrap();
}
