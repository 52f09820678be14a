//! How the vaults of a process are unlocked, and how new ones are locked.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use latchkey_household::vault::Records;

use crate::vault::error::{UnlockError, VaultError};
use crate::vault::header::{Cost, Header, Method, VaultId, Way};
use crate::vault::lockbox::Lockbox;
use crate::vault::passphrase::{Asker, Passphrase};
use crate::vault::sealed::{Sealed, VaultKey};
use crate::vault::{keyfile, keyring, passphrase};

/// How a new vault is to be locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// By a passphrase where one is given in a file; else by the keyring where one answers; else by a passphrase where
    /// somebody can be asked; else by a key file. It never waits for anybody who is not there.
    Auto,
    /// In this way and no other.
    Only(Method),
}

/// What unlocks vaults, and how new ones are locked.
///
/// By default a new vault gets a key file beside it and nobody is asked anything, which is right for tests and machines;
/// programs for people say more and [`install`](Unlock::install) it. A vault's own file says what unlocks it.
pub struct Unlock {
    choice: Choice,
    key_file: Option<PathBuf>,
    passphrase_file: Option<PathBuf>,
    asker: Option<Box<dyn Asker>>,
    cost: Cost,
    /// Keys by the headers of their files, so that a person is asked once.
    known: Mutex<Vec<(Header, VaultKey)>>,
    /// For the next new vault in this folder, made before it.
    ready: Mutex<Option<(PathBuf, Lockbox)>>,
}

impl Default for Unlock {
    fn default() -> Self {
        Self::new(Choice::Only(Method::KeyFile))
    }
}

impl Unlock {
    /// Locks new vaults by this choice.
    pub fn new(choice: Choice) -> Self {
        Self {
            choice,
            key_file: None,
            passphrase_file: None,
            asker: None,
            cost: Cost::default(),
            known: Mutex::default(),
            ready: Mutex::default(),
        }
    }

    /// Names the file for the key of new vaults, and where keys are looked for that are not where they were.
    #[must_use]
    pub fn key_file(self, path: Option<PathBuf>) -> Self {
        Self { key_file: path, ..self }
    }

    /// Takes passphrases from the first line of a file; `-` is standard input.
    #[must_use]
    pub fn passphrase_file(self, path: Option<PathBuf>) -> Self {
        Self { passphrase_file: path, ..self }
    }

    /// Asks somebody for passphrases that stand in no file.
    #[must_use]
    pub fn asking(self, asker: Option<Box<dyn Asker>>) -> Self {
        Self { asker, ..self }
    }

    /// Makes trying new passphrases cost this.
    #[must_use]
    pub fn cost(self, cost: Cost) -> Self {
        Self { cost, ..self }
    }

    /// Makes this what [`Vault::open`](crate::vault::Vault::open) and its like use in this process, from now on.
    pub fn install(self) {
        *INSTALLED.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(self));
    }

    /// Returns what is installed, or the default.
    pub fn installed() -> Arc<Self> {
        let installed = INSTALLED.read().unwrap_or_else(PoisonError::into_inner);
        installed.clone().unwrap_or_default()
    }

    /// Chooses how the next new vault, in `dir`, is locked, so that whoever must be asked is asked now.
    ///
    /// Fails like [`Vault::create`](crate::vault::Vault::create).
    pub fn prepare(&self, dir: &Path) -> Result<(), VaultError> {
        let lockbox = self.lock(dir, None)?;
        *self.ready.lock().unwrap_or_else(PoisonError::into_inner) = Some((dir.to_owned(), lockbox));
        Ok(())
    }

    /// Returns a new key for a new vault in `dir`, and what will unlock it.
    pub(super) fn lock_new(&self, dir: &Path) -> Result<Lockbox, UnlockError> {
        let ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner).take();
        match ready {
            Some((prepared, lockbox)) if prepared == dir => Ok(lockbox),
            _ => self.lock(dir, None),
        }
    }

    /// The same for a vault that is there already without encryption: nobody is asked where nothing was chosen.
    pub(super) fn lock_plain(&self, dir: &Path) -> Result<Lockbox, UnlockError> {
        match self.choice {
            Choice::Auto if keyring::is_likely() => {
                Self::by_keyring(dir).or_else(|_| self.by_key_file(dir, None))
            }
            Choice::Auto => self.by_key_file(dir, None),
            Choice::Only(_) => self.lock(dir, None),
        }
    }

    /// The same for a vault that is locked already; its old key file may be replaced.
    pub(super) fn lock_again(&self, dir: &Path, old: &Header) -> Result<Lockbox, UnlockError> {
        self.lock(dir, Some(old))
    }

    /// Returns the key of a vault's file and its records.
    pub(super) fn open(&self, dir: &Path, sealed: &Sealed<'_>) -> Result<(VaultKey, Records), VaultError> {
        let header = &sealed.header;
        let known = self.known().iter().find(|(known, _)| known == header).map(|(_, key)| key.clone());
        let key = match (known, &header.way) {
            (Some(key), _) => key,
            (None, Way::Passphrase { cost, salt }) => return self.try_passphrases(dir, sealed, *cost, salt),
            (None, Way::Keyring) => keyring::fetch(header.id)?,
            (None, Way::KeyFile { .. }) => self.read_key_file(dir, header)?,
        };
        let records = opened(dir, sealed, &key)?.ok_or_else(|| damaged(dir, CHANGED))?;
        // A key file is read and checked again every time.
        if header.method() != Method::KeyFile {
            self.remember(header, &key);
        }
        Ok((key, records))
    }

    /// Remembers a key for the rest of the process.
    fn remember(&self, header: &Header, key: &VaultKey) {
        let mut known = self.known();
        known.retain(|(old, _)| old.id != header.id);
        known.push((header.clone(), key.clone()));
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Vec<(Header, VaultKey)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self, dir: &Path, old: Option<&Header>) -> Result<Lockbox, UnlockError> {
        match self.choice {
            Choice::Auto => self.lock_somehow(dir, old),
            Choice::Only(Method::Keyring) => Self::by_keyring(dir),
            Choice::Only(Method::Passphrase) => {
                let passphrase = self.new_passphrase(NEW_PASSPHRASE)?;
                passphrase::check_new(&passphrase)?;
                self.by_passphrase(dir, &passphrase)
            }
            Choice::Only(Method::KeyFile) => self.by_key_file(dir, old),
        }
    }

    fn lock_somehow(&self, dir: &Path, old: Option<&Header>) -> Result<Lockbox, UnlockError> {
        if self.passphrase_file.is_none()
            && keyring::is_likely()
            && let Ok(lockbox) = Self::by_keyring(dir)
        {
            return Ok(lockbox);
        }
        if self.passphrase_file.is_none() && self.asker.is_none() {
            return self.by_key_file(dir, old);
        }
        let passphrase = self.new_passphrase(NEW_PASSPHRASE_OR_NOT)?;
        if passphrase.is_empty() {
            return self.by_key_file(dir, old);
        }
        passphrase::check_new(&passphrase)?;
        self.by_passphrase(dir, &passphrase)
    }

    fn by_keyring(dir: &Path) -> Result<Lockbox, UnlockError> {
        let (id, key) = (new_id(), VaultKey::generate());
        keyring::keep(id, &key)?;
        Ok(Lockbox::fresh(dir, Header { id, way: Way::Keyring }, key))
    }

    fn by_passphrase(&self, dir: &Path, passphrase: &Passphrase) -> Result<Lockbox, UnlockError> {
        let (id, salt, cost) = (new_id(), random(), self.cost);
        let key = passphrase::derive(passphrase, cost, &salt)?;
        let header = Header { id, way: Way::Passphrase { cost, salt } };
        self.remember(&header, &key);
        Ok(Lockbox::fresh(dir, header, key))
    }

    fn by_key_file(&self, dir: &Path, old: Option<&Header>) -> Result<Lockbox, UnlockError> {
        let apart = match &self.key_file {
            // The header must mean the same from every folder.
            Some(path) => Some(std::path::absolute(path).map_err(|error| unusable(path, &error))?),
            None => None,
        };
        if apart.as_ref().is_some_and(|path| path.to_str().is_none()) {
            let reason = "its name is not UTF-8".to_owned();
            return Err(UnlockError::KeyFile { path: apart.unwrap_or_default(), reason });
        }
        let header = Header { id: new_id(), way: Way::KeyFile { apart } };
        let path = header.key_file(dir).expect("this way has a key file");
        // Beside a vault that is there, only a key of its own can be: one that a crash has left.
        let beside_it = old.is_some() && header.way == Way::KeyFile { apart: None };
        if !beside_it {
            keyfile::check_free(&path, old.map(|old| old.id))?;
        }
        Ok(Lockbox::fresh(dir, header, VaultKey::generate()))
    }

    fn new_passphrase(&self, sentence: &str) -> Result<Passphrase, UnlockError> {
        if let Some(file) = &self.passphrase_file {
            return passphrase::read(file);
        }
        let asker = self.asker.as_ref().ok_or(UnlockError::NoPassphrase)?;
        let passphrase = asker.ask(sentence)?;
        if passphrase.is_empty() {
            return Ok(passphrase);
        }
        passphrase::check_new(&passphrase)?;
        match asker.ask("The same passphrase again: ")? == passphrase {
            true => Ok(passphrase),
            false => Err(UnlockError::PassphrasesDiffer),
        }
    }

    fn read_key_file(&self, dir: &Path, header: &Header) -> Result<VaultKey, UnlockError> {
        let path = header.key_file(dir).expect("this way has a key file");
        let refused = match keyfile::read(&path, header.id) {
            Err(refused @ (UnlockError::KeyFileMissing(_) | UnlockError::KeyFileForeign(_))) => refused,
            settled => return settled,
        };
        match &self.key_file {
            Some(moved) => keyfile::read(moved, header.id),
            None => Err(refused),
        }
    }

    fn try_passphrases(
        &self,
        dir: &Path,
        sealed: &Sealed<'_>,
        cost: Cost,
        salt: &[u8; 16],
    ) -> Result<(VaultKey, Records), VaultError> {
        let attempt = |passphrase: &Passphrase| -> Result<Option<(VaultKey, Records)>, VaultError> {
            let key = passphrase::derive(passphrase, cost, salt)?;
            let records = opened(dir, sealed, &key)?;
            Ok(records.map(|records| {
                self.remember(&sealed.header, &key);
                (key, records)
            }))
        };
        let wrong = || UnlockError::WrongPassphrase(dir.to_owned()).into();
        if let Some(file) = &self.passphrase_file {
            return attempt(&passphrase::read(file)?)?.ok_or_else(wrong);
        }
        let asker = self.asker.as_ref().ok_or(UnlockError::NoPassphrase)?;
        let mut sentence = format!("Passphrase of {}: ", dir.display());
        for _ in 0..TRIES {
            if let Some(right) = attempt(&asker.ask(&sentence)?)? {
                return Ok(right);
            }
            sentence = "That is not it. Try again: ".to_owned();
        }
        Err(wrong())
    }
}

/// Returns the records, or `None` when the key does not fit.
fn opened(dir: &Path, sealed: &Sealed<'_>, key: &VaultKey) -> Result<Option<Records>, VaultError> {
    match sealed.open(key) {
        Ok(Ok(records)) => Ok(Some(records)),
        Ok(Err(what)) => Err(damaged(dir, what)),
        Err(_) => Ok(None),
    }
}

fn damaged(dir: &Path, what: &'static str) -> VaultError {
    VaultError::Damaged { path: super::file_of(dir), what }
}

fn unusable(path: &Path, error: &std::io::Error) -> UnlockError {
    UnlockError::KeyFile { path: path.to_owned(), reason: error.to_string() }
}

fn new_id() -> VaultId {
    VaultId(random())
}

fn random() -> [u8; 16] {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system gives random bytes");
    bytes
}

static INSTALLED: RwLock<Option<Arc<Unlock>>> = RwLock::new(None);

/// How often a person may try.
const TRIES: usize = 3;
const NEW_PASSPHRASE: &str = "Choose a passphrase for this device's keys: ";
const NEW_PASSPHRASE_OR_NOT: &str =
    "Choose a passphrase for this device's keys (Enter alone: a key file beside them instead): ";
const CHANGED: &str = "its own key does not open it";
