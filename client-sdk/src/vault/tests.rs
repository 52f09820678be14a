//! A vault in its folder: made, opened, locked, moved, damaged, and changed.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::sync::Mutex;

use latchkey_household::vault::records::{self, Records};
use proptest::prelude::*;
use zeroize::Zeroizing;

use super::error::UnlockError;
use super::header::{Header, VaultId, Way};
use super::plain;
use super::sealed::{Sealed, VaultKey, seal};
use super::{Asker, Choice, Cost, Method, Passphrase, Unlock, Vault, VaultError, disk, file_of, status};

fn secret(bytes: &[u8]) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(bytes.to_vec())
}

/// Argon2id as cheap as it goes.
const CHEAP: Cost = Cost { memory_kib: 8, passes: 1, lanes: 1 };

fn by(method: Method) -> Unlock {
    Unlock::new(Choice::Only(method)).cost(CHEAP)
}

fn with_passphrase(dir: &Path, passphrase: &str) -> Unlock {
    let file = dir.join(format!("{passphrase}.txt"));
    fs::write(&file, format!("{passphrase}\nanother line\n")).unwrap();
    by(Method::Passphrase).passphrase_file(Some(file))
}

fn made(dir: &Path, unlock: &Unlock) {
    let mut vault = Vault::create_with(dir, unlock).unwrap();
    vault.put("identity", secret(b"a private key"));
    vault.save().unwrap();
}

fn refused(result: Result<Vault, VaultError>) -> UnlockError {
    match result.unwrap_err() {
        VaultError::Unlock(error) => error,
        other => panic!("{other}"),
    }
}

#[cfg(unix)]
fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn records_come_back_and_are_private() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("home");
    let mut vault = Vault::create(&home).unwrap();
    vault.put("identity", secret(&[7; 64]));
    vault.put("group/a", secret(b""));
    vault.save().unwrap();
    vault.put("identity", secret(&[8; 64]));
    vault.save().unwrap();
    drop(vault);

    let vault = Vault::open(&home).unwrap();
    assert_eq!(vault.record("identity"), Some([8; 64].as_slice()));
    assert_eq!(vault.names("group/").collect::<Vec<_>>(), ["group/a"]);
    assert_eq!(vault.record("none"), None);
    let file = fs::read(file_of(&home)).unwrap();
    assert!(!file.windows(8).any(|window| window == [8; 8]), "the secret stands in the file");
    assert!(!file.windows(8).any(|window| window == b"identity"), "its name stands in the file");
    #[cfg(unix)]
    {
        assert_eq!(mode(&file_of(&home)), 0o600);
        assert_eq!(mode(&home.join("device.key")), 0o600);
        assert_eq!(mode(&home), 0o700);
    }
}

#[test]
fn two_holders_refuse_each_other_and_a_look_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let vault = Vault::create(dir.path()).unwrap();
    vault.save().unwrap();
    assert_eq!(Vault::open(dir.path()).unwrap_err(), VaultError::InUse(dir.path().to_owned()));
    let look = Vault::look(dir.path()).unwrap();
    assert_eq!(look.save().unwrap_err(), VaultError::ReadOnly(dir.path().to_owned()));
    drop(vault);
    Vault::open(dir.path()).unwrap();
}

#[test]
fn a_second_device_is_not_put_over_the_first() {
    let dir = tempfile::tempdir().unwrap();
    Vault::create(dir.path()).unwrap().save().unwrap();
    assert_eq!(Vault::create(dir.path()).unwrap_err(), VaultError::Occupied(dir.path().to_owned()));
    let empty = dir.path().join("empty");
    assert_eq!(Vault::open(&empty).unwrap_err(), VaultError::Missing(empty));
}

#[test]
fn nothing_is_left_of_a_vault_that_was_begun_in_vain() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("home");
    drop(Vault::create(&home).unwrap());
    assert!(!file_of(&home).exists() && !home.join("device.key").exists(), "nothing before the first save");
    made(&home, &Unlock::default());
    Vault::discard(&home);
    assert!(!home.exists());

    let short = with_passphrase(dir.path(), "short");
    assert_eq!(refused(Vault::create_with(&home, &short)), UnlockError::ShortPassphrase);
    assert!(!home.exists());
}

#[test]
fn a_key_of_another_vault_is_neither_replaced_nor_taken_away() {
    let dir = tempfile::tempdir().unwrap();
    let (one, other) = (dir.path().join("one"), dir.path().join("other"));
    made(&one, &Unlock::default());
    let key = one.join("device.key");
    let bytes = fs::read(&key).unwrap();
    let apart = by(Method::KeyFile).key_file(Some(key.clone()));
    assert_eq!(refused(Vault::create_with(&other, &apart)), UnlockError::KeyFileTaken(key.clone()));
    made(&other, &Unlock::default());
    let mut vault = Vault::open(&other).unwrap();
    assert_eq!(vault.change(&apart).unwrap_err(), UnlockError::KeyFileTaken(key.clone()).into());
    vault.save().unwrap();
    assert_eq!(fs::read(&key).unwrap(), bytes);
    // A vault that was moved away has left its key.
    fs::remove_file(file_of(&one)).unwrap();
    assert_eq!(refused(Vault::create(&one)), UnlockError::KeyFileTaken(key.clone()));
    Vault::discard(&one);
    assert_eq!(fs::read(&key).unwrap(), bytes);
}

#[test]
fn a_key_file_that_is_missing_foreign_damaged_or_exposed_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let (home, other) = (dir.path().join("home"), dir.path().join("other"));
    made(&home, &Unlock::default());
    made(&other, &Unlock::default());
    let (key, vault) = (home.join("device.key"), fs::read(file_of(&home)).unwrap());
    let good = fs::read(&key).unwrap();

    #[cfg(unix)]
    {
        set_mode(&key, 0o640);
        assert_eq!(refused(Vault::open(&home)), UnlockError::KeyFileExposed(key.clone()));
        set_mode(&key, 0o600);
    }
    fs::write(&key, &good[..good.len() - 1]).unwrap();
    assert_eq!(refused(Vault::open(&home)), UnlockError::KeyFileDamaged(key.clone()));
    fs::copy(other.join("device.key"), &key).unwrap();
    assert_eq!(refused(Vault::open(&home)), UnlockError::KeyFileForeign(key.clone()));
    let mut wrong = good.clone();
    *wrong.last_mut().unwrap() ^= 1;
    fs::write(&key, wrong).unwrap();
    let error = Vault::open(&home).unwrap_err();
    assert!(matches!(error, VaultError::Damaged { what: "its own key does not open it", .. }), "{error}");

    let moved = dir.path().join("stick.key");
    fs::rename(&key, &moved).unwrap();
    assert_eq!(refused(Vault::look(&home)), UnlockError::KeyFileMissing(key));
    fs::write(&moved, &good).unwrap();
    Vault::open_with(&home, &by(Method::KeyFile).key_file(Some(moved))).unwrap();
    assert_eq!(fs::read(file_of(&home)).unwrap(), vault, "nothing was changed");
}

#[test]
fn a_passphrase_opens_and_another_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("home");
    let right = with_passphrase(dir.path(), "correct horse");
    made(&home, &right);
    assert!(!home.join("device.key").exists());
    let vault = fs::read(file_of(&home)).unwrap();

    let wrong = with_passphrase(dir.path(), "wrong horse");
    assert_eq!(refused(Vault::open_with(&home, &wrong)), UnlockError::WrongPassphrase(home.clone()));
    assert_eq!(refused(Vault::open_with(&home, &by(Method::KeyFile))), UnlockError::NoPassphrase);
    assert_eq!(fs::read(file_of(&home)).unwrap(), vault, "nothing was changed");
    let fresh = with_passphrase(dir.path(), "correct horse");
    assert_eq!(
        Vault::open_with(&home, &fresh).unwrap().record("identity"),
        Some(b"a private key".as_slice())
    );

    let empty = dir.path().join("empty.txt");
    fs::write(&empty, "\n").unwrap();
    for file in [empty, dir.path().join("nowhere.txt")] {
        let unlock = by(Method::Passphrase).passphrase_file(Some(file.clone()));
        let error = refused(Vault::open_with(&home, &unlock));
        assert!(
            matches!(&error, UnlockError::PassphraseFile { from, .. } if *from == file.display().to_string())
        );
    }
}

/// Answers from a list, last one first.
struct Answers(Mutex<Vec<&'static str>>);

impl Answers {
    fn boxed(answers: &[&'static str]) -> Option<Box<dyn Asker>> {
        Some(Box::new(Self(Mutex::new(answers.iter().rev().copied().collect()))))
    }
}

impl Asker for Answers {
    fn ask(&self, _: &str) -> Result<Passphrase, UnlockError> {
        let answer = self.0.lock().unwrap().pop().ok_or(UnlockError::Stopped)?;
        Ok(Zeroizing::new(answer.as_bytes().to_vec()))
    }
}

#[test]
fn a_person_is_asked_twice_for_a_new_one_and_three_times_for_an_old_one() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("home");
    let asking = |answers: &[&'static str]| by(Method::Passphrase).asking(Answers::boxed(answers));
    let error = refused(Vault::create_with(&home, &asking(&["correct horse", "correct house"])));
    assert_eq!(error, UnlockError::PassphrasesDiffer);
    assert_eq!(refused(Vault::create_with(&home, &asking(&[]))), UnlockError::Stopped);
    assert_eq!(refused(Vault::create_with(&home, &asking(&["", ""]))), UnlockError::ShortPassphrase);
    made(&home, &asking(&["correct horse", "correct horse"]));

    let error = refused(Vault::open_with(&home, &asking(&["a", "b", "c", "correct horse"])));
    assert_eq!(error, UnlockError::WrongPassphrase(home.clone()));
    let unlock = asking(&["a", "correct horse"]);
    Vault::open_with(&home, &unlock).unwrap();
    // Whoever has said it once is not asked again.
    Vault::look_with(&home, &unlock).unwrap();
}

#[test]
fn without_a_keyring_auto_asks_who_is_there_or_takes_a_key_file() {
    if super::keyring::is_likely() {
        // The keyring of whoever runs the tests is theirs.
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let auto = |asker| Unlock::new(Choice::Auto).cost(CHEAP).asking(asker);
    let cases = [
        (auto(None), Method::KeyFile),
        (auto(Answers::boxed(&[""])), Method::KeyFile),
        (auto(Answers::boxed(&["correct horse", "correct horse"])), Method::Passphrase),
    ];
    for (number, (unlock, method)) in cases.into_iter().enumerate() {
        let home = dir.path().join(number.to_string());
        unlock.prepare(&home).unwrap();
        assert!(!home.exists(), "nothing is written before there is a vault");
        made(&home, &unlock);
        assert_eq!(status(&home).unwrap().method, Some(method));
    }
}

#[test]
fn a_vault_moves_from_each_way_to_each_and_leaves_no_key_behind() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("home");
    let ways = || {
        let apart = Some(dir.path().join("apart.key"));
        [
            (by(Method::KeyFile), Method::KeyFile),
            (by(Method::KeyFile).key_file(apart), Method::KeyFile),
            (with_passphrase(dir.path(), "correct horse"), Method::Passphrase),
            (with_passphrase(dir.path(), "better horse"), Method::Passphrase),
        ]
    };
    for (from, (old, _)) in ways().iter().enumerate() {
        for (to, (new, method)) in ways().iter().enumerate() {
            made(&home, old);
            let before = fs::read(home.join("device.key")).ok();
            let mut vault = Vault::open_with(&home, old).unwrap();
            vault.change(new).unwrap();
            assert_eq!(status(&home).unwrap().method, Some(*method), "{from} to {to}");
            assert_eq!(home.join("device.key").exists(), to == 0, "{from} to {to}");
            assert_eq!(dir.path().join("apart.key").exists(), to == 1, "{from} to {to}");
            assert!(
                before.is_none() || before != fs::read(home.join("device.key")).ok(),
                "the key is a new one"
            );
            vault.put("more", secret(b"later"));
            vault.save().unwrap();
            drop(vault);
            let again = ways().into_iter().nth(to).unwrap().0;
            let vault = Vault::open_with(&home, &again).unwrap();
            assert_eq!(vault.record("identity"), Some(b"a private key".as_slice()), "{from} to {to}");
            assert_eq!(vault.record("more"), Some(b"later".as_slice()), "{from} to {to}");
            drop(vault);
            Vault::discard(&home);
            assert!(!home.exists() && !dir.path().join("apart.key").exists(), "{from} to {to}");
        }
    }
}

#[test]
fn a_change_that_fails_leaves_the_old_key_in_use() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("home");
    made(&home, &Unlock::default());
    let mut vault = Vault::open(&home).unwrap();
    let nowhere = by(Method::KeyFile).key_file(Some(dir.path().join("no folder/x.key")));
    let error = vault.change(&nowhere).unwrap_err();
    assert!(matches!(error, VaultError::Unlock(UnlockError::KeyFile { .. })), "{error}");
    vault.put("more", secret(b"later"));
    vault.save().unwrap();
    drop(vault);
    assert_eq!(Vault::open(&home).unwrap().record("more"), Some(b"later".as_slice()));
}

#[test]
fn a_crash_between_vault_and_key_is_made_good() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("home");
    made(&home, &Unlock::default());
    let key = home.join("device.key");
    let old = fs::read(&key).unwrap();
    Vault::open(&home).unwrap().change(&by(Method::KeyFile)).unwrap();
    // The new vault is in place, its key is not yet.
    fs::rename(&key, disk::draft_of(&key)).unwrap();
    fs::write(&key, &old).unwrap();
    Vault::look(&home).unwrap();
    Vault::open(&home).unwrap();
    assert!(!disk::draft_of(&key).exists());
    assert_ne!(fs::read(&key).unwrap(), old);
    Vault::open(&home).unwrap();
    // The new key waits, but the vault never came.
    let vault = fs::read(file_of(&home)).unwrap();
    fs::write(disk::draft_of(&key), &old).unwrap();
    fs::write(disk::draft_of(&file_of(&home)), &vault[..vault.len() / 2]).unwrap();
    let opened = Vault::open(&home).unwrap();
    assert_eq!(opened.record("identity"), Some(b"a private key".as_slice()));
    opened.save().unwrap();
}

#[test]
fn a_plain_file_of_before_is_read_and_encrypted_at_the_next_save() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("home");
    fs::create_dir(&home).unwrap();
    let records = Records::from([("identity".to_owned(), secret(b"a private key"))]);
    let plain = plain::encode_plain(&records);
    fs::write(file_of(&home), &plain).unwrap();

    assert_eq!(status(&home).unwrap().method, None);
    assert_eq!(Vault::look(&home).unwrap().record("identity"), Some(b"a private key".as_slice()));
    let vault = Vault::open(&home).unwrap();
    assert_eq!(fs::read(file_of(&home)).unwrap(), plain, "opening changes nothing");
    vault.save().unwrap();
    drop(vault);
    assert_eq!(status(&home).unwrap().method, Some(Method::KeyFile));
    assert!(!fs::read(file_of(&home)).unwrap().windows(13).any(|window| window == b"a private key"));
    assert_eq!(Vault::open(&home).unwrap().record("identity"), Some(b"a private key".as_slice()));

    fs::write(file_of(&home), &plain).unwrap();
    fs::remove_file(home.join("device.key")).unwrap();
    let mut vault = Vault::open(&home).unwrap();
    vault.change(&with_passphrase(dir.path(), "correct horse")).unwrap();
    assert_eq!(status(&home).unwrap().method, Some(Method::Passphrase));
    assert!(!home.join("device.key").exists());
}

fn a_header(way: u8, id: [u8; 16], cost: (u32, u32, u32), text: &str) -> Header {
    let way = match way % 4 {
        0 => Way::Keyring,
        1 => Way::Passphrase { cost: Cost { memory_kib: cost.0, passes: cost.1, lanes: cost.2 }, salt: id },
        2 => Way::KeyFile { apart: None },
        _ => Way::KeyFile { apart: Some(format!("/{text}").into()) },
    };
    Header { id: VaultId(id), way }
}

proptest! {
    #[test]
    fn what_is_sealed_comes_back_and_any_changed_byte_is_noticed(
        (way, id, cost, text) in (any::<u8>(), any::<[u8; 16]>(), (512_u32..1 << 20, 1_u32..64, 1_u32..64), "[a-z]{0,20}"),
        content in prop::collection::btree_map("[a-z/0-9]{0,40}", prop::collection::vec(any::<u8>(), 0..200), 0..6),
        place in any::<prop::sample::Index>(),
        bit in 0..8_u8,
    ) {
        let records: Records = content.into_iter().map(|(name, value)| (name, Zeroizing::new(value))).collect();
        let (header, key) = (a_header(way, id, cost, &text), VaultKey::generate());
        let file = seal(&header, &key, &records);
        let sealed = Sealed::parse(&file).unwrap();
        prop_assert!(sealed.header == header);
        prop_assert_eq!(&sealed.open(&key).unwrap().unwrap(), &records);
        prop_assert!(sealed.open(&VaultKey::generate()).is_err());
        prop_assert_ne!(seal(&header, &key, &records), file.clone(), "no nonce is used twice");

        let mut bad = file.clone();
        let at = place.index(file.len());
        bad[at] ^= 1 << bit;
        prop_assert!(Sealed::parse(&bad).is_err(), "byte {}", at);
        prop_assert!(Sealed::parse(&file[..at]).is_err(), "cut at {}", at);
        // Whoever changes the file on purpose makes its checksum good again, and still does not get through.
        let end = bad.len() - 32;
        if at < end {
            let digest = <sha2::Sha256 as sha2::Digest>::digest(&bad[..end]);
            bad[end..].copy_from_slice(&digest);
            if let Ok(sealed) = Sealed::parse(&bad) {
                prop_assert!(sealed.open(&key).is_err(), "byte {}", at);
            }
        }
    }

    #[test]
    fn arbitrary_bytes_are_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(Sealed::parse(&bytes).is_err());
        let _ = Header::decode(&bytes);
        let _ = records::decode(&bytes);
        for magic in [b"latchkey vault 1\n", b"latchkey vault 2\n"] {
            let mut file = [magic.as_slice(), &bytes].concat();
            let digest = <sha2::Sha256 as sha2::Digest>::digest(&file);
            file.extend_from_slice(&digest);
            let _ = plain::decode(&file);
            if let Ok(sealed) = Sealed::parse(&file) {
                prop_assert!(sealed.open(&VaultKey::generate()).is_err());
            }
        }
    }
}
