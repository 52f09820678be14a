//! `vault`: how this device's keys are locked; and what every command unlocks them with.

#[cfg(unix)]
mod terminal;

use std::io::Write;

use serde_json::json;

use crate::cli::config::Settings;
use crate::cli::failure::Failure;
use crate::cli::{Command, HouseholdCommand, VaultChangeArgs, VaultCommand, VaultLock};
use crate::vault::{Asker, Choice, Method, Status, Unlock, UnlockError, Vault, VaultError, status};

impl From<VaultLock> for Choice {
    fn from(how: VaultLock) -> Self {
        match how {
            VaultLock::Auto => Self::Auto,
            VaultLock::Keyring => Self::Only(Method::Keyring),
            VaultLock::Passphrase => Self::Only(Method::Passphrase),
            VaultLock::Keyfile => Self::Only(Method::KeyFile),
        }
    }
}

/// Makes the settings what vaults of this process are locked and unlocked with.
///
/// Whoever must be asked for a passphrase is asked here, before anything else happens or is shown.
pub(super) fn install(settings: &Settings, command: &Command) -> Result<(), Failure> {
    let unlock = unlock(settings).asking(asker());
    let makes_device = matches!(
        command,
        Command::Household { command: HouseholdCommand::Create(_) } | Command::Join(_) | Command::Recover(_)
    );
    let needs_no_key = match command {
        Command::Vault { command: VaultCommand::Status } => true,
        Command::Household { command: HouseholdCommand::Delete(args) } => args.is_by_words(),
        _ => false,
    };
    match status(&settings.home) {
        Err(VaultError::Missing(_)) if makes_device && asker().is_some() => unlock.prepare(&settings.home)?,
        Ok(Status { method: Some(Method::Passphrase), .. }) if !makes_device && !needs_no_key => {
            // Anything else the command says in its own way.
            if let Err(VaultError::Unlock(error)) = Vault::look_with(&settings.home, &unlock) {
                return Err(VaultError::Unlock(error).into());
            }
        }
        _ => {}
    }
    unlock.install();
    Ok(())
}

/// Takes back what was prepared for a vault that did not come about.
pub(super) fn finish() {
    Unlock::default().install();
}

pub(super) fn run(settings: &Settings, command: VaultCommand) -> Result<(), Failure> {
    match command {
        VaultCommand::Status => show(settings),
        VaultCommand::Change(args) => change(settings, args),
    }
}

fn change(settings: &Settings, args: VaultChangeArgs) -> Result<(), Failure> {
    let mut vault = Vault::open(&settings.home)?;
    let old = status(&settings.home)?.method;
    // A passphrase that unlocks the old vault is not the new one.
    let named = settings.vault_passphrase_file.clone().filter(|_| old != Some(Method::Passphrase));
    let unlock = Unlock::new(args.how.into())
        .key_file(settings.vault_key_file.clone())
        .passphrase_file(args.passphrase_file.or(named))
        .asking(asker());
    vault.change(&unlock).map_err(|error| match error {
        VaultError::Unlock(UnlockError::NoPassphrase) => Failure::usage(
            "a new passphrase is needed: run this at a terminal, or name a file that holds it with --passphrase-file",
        ),
        error => error.into(),
    })?;
    drop(vault);
    let now = status(&settings.home)?;
    if settings.json {
        return print(
            &json!({ "event": "vault_changed", "method": now.method.map(Method::name) }).to_string(),
        );
    }
    print(&format!(
        "This device's keys are now locked by {}; the old key opens nothing any more.",
        lock_of(&now)
    ))
}

fn show(settings: &Settings) -> Result<(), Failure> {
    let status = status(&settings.home)?;
    let opens = match Vault::look_with(&settings.home, &unlock(settings)) {
        Ok(_) => Ok(true),
        Err(VaultError::Unlock(UnlockError::NoPassphrase)) => Ok(false),
        Err(error) => Err(Failure::from(error)),
    };
    if settings.json {
        let cost = status
            .cost
            .map(|cost| json!({ "memory_kib": cost.memory_kib, "passes": cost.passes, "lanes": cost.lanes }));
        print(
            &json!({
                "event": "vault",
                "file": status.file,
                "encrypted": status.method.is_some(),
                "method": status.method.map(Method::name),
                "key_file": status.key_file,
                "keyring_user": status.keyring_user,
                "argon2id": cost,
                "opens": match &opens { Ok(true) => Some(true), Ok(false) => None, Err(_) => Some(false) },
            })
            .to_string(),
        )?;
    } else {
        let opens = match &opens {
            Ok(true) => "yes",
            Ok(false) => "with the passphrase",
            Err(_) => "NO",
        };
        let rows = [
            ("file", status.file.display().to_string()),
            ("locked by", lock_of(&status)),
            ("opens", opens.to_owned()),
        ];
        for (name, value) in rows {
            print(&format!("{name:<10} {value}"))?;
        }
        print(&format!("\n{}", who_gets_in(status.method)))?;
    }
    opens.map(drop)
}

/// Returns what a vault is locked by, in words.
pub(super) fn lock_of(status: &Status) -> String {
    match status.method {
        None => "nothing yet".to_owned(),
        Some(Method::Keyring) => format!(
            "the keyring (service latchkey, user {})",
            status.keyring_user.as_deref().unwrap_or_default()
        ),
        Some(Method::Passphrase) => match status.cost {
            Some(cost) => {
                format!("a passphrase (argon2id, {} MiB, {} passes)", cost.memory_kib / 1024, cost.passes)
            }
            None => "a passphrase".to_owned(),
        },
        Some(Method::KeyFile) => match &status.key_file {
            Some(path) => format!("the key file {}", path.display()),
            None => "a key file".to_owned(),
        },
    }
}

fn who_gets_in(method: Option<Method>) -> &'static str {
    match method {
        None => {
            "Whoever can read the file is this device. It is encrypted when it is next saved, or now by \
             `latchkey vault change keyfile` (or passphrase, or keyring)."
        }
        Some(Method::Keyring) => "Whoever has the file and this user's unlocked keyring is this device.",
        Some(Method::Passphrase) => "Whoever has the file and guesses the passphrase is this device.",
        Some(Method::KeyFile) => {
            "Whoever can read both files is this device: a thief of the disk, too, where the key file is on it. \
             `latchkey vault change passphrase` (or keyring) asks for more."
        }
    }
}

fn unlock(settings: &Settings) -> Unlock {
    Unlock::new(settings.vault.into())
        .key_file(settings.vault_key_file.clone())
        .passphrase_file(settings.vault_passphrase_file.clone())
}

#[cfg(unix)]
pub(super) fn asker() -> Option<Box<dyn Asker>> {
    terminal::Terminal::here().map(|terminal| Box::new(terminal) as Box<dyn Asker>)
}

/// Where echo cannot be switched off, passphrases come from files only.
#[cfg(not(unix))]
pub(super) fn asker() -> Option<Box<dyn Asker>> {
    None
}

fn print(line: &str) -> Result<(), Failure> {
    writeln!(std::io::stdout(), "{line}")
        .map_err(|error| Failure::other(format!("cannot write to standard output: {error}")))
}
