//! `household create`, `invite`, `join`.

use std::io::{IsTerminal, Read, Write};
use std::time::Duration;

use serde_json::json;
use zeroize::Zeroizing;

use crate::cli::config::Settings;
use crate::cli::failure::Failure;
use crate::cli::show::{Lines, Show};
use crate::cli::{CreateArgs, InviteArgs, JoinArgs, told_to_stop};
use crate::home::{Home, HomeError};
use crate::household::{self, Invitation, InviteCode};
use crate::vault::{Vault, VaultError};

pub(super) async fn create(settings: &Settings, args: CreateArgs) -> Result<(), Failure> {
    let named = args.server.filter(|server| !server.is_empty()).or_else(|| settings.server.clone());
    let server = named.ok_or_else(|| {
        Failure::usage("no server is named: give --server URL, like --server https://cam.example.org")
    })?;
    let (home, phrase) = household::create(&settings.home, &server, &args.name).await?;
    if settings.json {
        print(&json!({
            "event": "household_created",
            "household": home.household().to_string(),
            "device": home.device().to_string(),
            "words": phrase.words(),
        }));
        return Ok(());
    }
    let mut out = std::io::stdout().lock();
    let written = writeln!(out, "The household is founded; this device is its first admin.\n")
        .and_then(|()| writeln!(out, "Write these twelve words down and keep them where no one looks."))
        .and_then(|()| {
            writeln!(out, "They are shown once, and are the only way back if all admins are lost:\n")
        })
        .and_then(|()| writeln!(out, "    {}\n", phrase.words()))
        .and_then(|()| {
            let home = settings.home_flag();
            writeln!(out, "Next: latchkey {home}invite --role camera --name \"Front door\"")
        });
    written.map_err(|error| Failure::other(format!("cannot write to standard output: {error}")))
}

pub(super) async fn invite(settings: &Settings, args: InviteArgs) -> Result<(), Failure> {
    let mut home = Home::open(&settings.home)?;
    let signaling = home.signaling();
    home.refresh(&signaling).await?;
    let invitation = Invitation::new(&home, args.role.into(), &args.name)?;
    let code = invitation.code().reveal();
    let told = told_to_stop();
    if settings.json {
        print(&json!({ "event": "invite", "code": code.as_str() }));
    } else {
        let mut out = std::io::stdout();
        let _ = writeln!(out, "{}", code.as_str()).and_then(|()| out.flush());
    }
    let show = Show::new(settings.json, Lines::Stdout);
    show.say("On the new device: latchkey join -     and paste the code. It is a secret, good once, for 10 minutes.");
    show.doing("waiting for the new device ...");
    let invited = tokio::select! {
        invited = invitation.wait(&mut home) => invited,
        () = told => {
            show.finish();
            return Err(Failure::other("stopped; nobody has joined, and the code is good no more"));
        }
    };
    show.finish();
    let invited = invited?;
    show.object(&json!({
        "event": "joined",
        "device": invited.device.to_string(),
        "list_version": invited.list_version,
    }));
    show.say(&format!("{:?} has joined (list version {}).", args.name, invited.list_version));
    Ok(())
}

pub(super) async fn join(settings: &Settings, args: JoinArgs) -> Result<(), Failure> {
    let text = match args.code.as_str() {
        "-" => read_code()?,
        code => Zeroizing::new(code.to_owned()),
    };
    // Terminals and mail programs break long lines.
    let text = Zeroizing::new(text.split_whitespace().collect::<String>());
    let code: InviteCode = text.parse()?;
    let show = Show::new(settings.json, Lines::Stdout);
    show.doing("waiting for the admin's answer ...");
    let joined = tokio::select! {
        joined = household::join(&settings.home, &code, PATIENCE) => joined,
        () = told_to_stop() => {
            show.finish();
            // With a vault there this device has been answered, or was here before.
            if matches!(Home::look(&settings.home), Err(HomeError::Vault(VaultError::Missing(_)))) {
                Vault::discard(&settings.home);
            }
            return Err(Failure::other(
                "stopped while joining: ask for a new code (`latchkey invite`)",
            ));
        }
    };
    show.finish();
    let home = joined?;
    let entry = home.entry()?;
    let name = home.label(entry);
    show.object(&json!({
        "event": "joined",
        "device": home.device().to_string(),
        "household": home.household().to_string(),
        "name": name,
        "role": super::devices::role_name(entry.role),
    }));
    show.say(&format!("This device has joined as {} {name:?}.", super::devices::role_name(entry.role)));
    Ok(())
}

fn read_code() -> Result<Zeroizing<String>, Failure> {
    let failed = |error: std::io::Error| Failure::other(format!("cannot read standard input: {error}"));
    let mut text = Zeroizing::new(String::with_capacity(512));
    if std::io::stdin().is_terminal() {
        let _ = write!(std::io::stderr(), "Paste the invite code and press Enter: ");
        std::io::stdin().read_line(&mut text).map_err(failed)?;
    } else {
        std::io::stdin().take(LONGEST_CODE).read_to_string(&mut text).map_err(failed)?;
    }
    Ok(text)
}

fn print(object: &serde_json::Value) {
    let mut out = std::io::stdout();
    let _ = writeln!(out, "{object}").and_then(|()| out.flush());
}

/// How long a joining device waits for the admin.
const PATIENCE: Duration = Duration::from_secs(60);
/// Bytes read from standard input at most.
const LONGEST_CODE: u64 = 8192;
