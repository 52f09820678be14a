//! `household`: `create` makes keys, twelve words, and the household only when the words are safe.

pub(super) mod delete;
pub(super) mod export;

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use latchkey_api::problem::ProblemCode;
use latchkey_household::signaling::SignalingError;
use serde_json::json;
use zeroize::Zeroizing;

use crate::cli::config::Settings;
use crate::cli::failure::Failure;
use crate::cli::invite::print;
use crate::cli::{HouseholdCommand, household_words, name, told_to_stop};
use crate::home::HomeError;
use crate::household::{CreateError, Founding, fresh};

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  latchkey household create --server https://cam.example.org --name \"Ada's phone\"\n\n\
    Twelve words are shown once, and at a terminal three of them are asked back. Write them down:\n\
    they are the only way back when all admins are lost."
)]
pub(super) struct CreateArgs {
    /// Address of the server, which `latchkey-server` prints when it starts [env: LATCHKEY_SERVER=]
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// What this device is called; the server cannot read it
    #[arg(long, value_parser = name)]
    name: String,
    /// Write the twelve words to this new file, which only you can read, instead of showing them
    #[arg(long, value_name = "FILE")]
    words_file: Option<PathBuf>,
    /// File with the invite code that the server's operator gave you, where the server asks for one
    #[arg(long, value_name = "FILE")]
    invite_code_file: Option<PathBuf>,
    /// Do not ask words back
    #[arg(long)]
    skip_words_check: bool,
}

pub(super) async fn run(settings: &Settings, command: HouseholdCommand) -> Result<(), Failure> {
    match command {
        HouseholdCommand::Create(args) => create(settings, args).await,
        HouseholdCommand::Export(args) => export::run(settings, args).await,
        HouseholdCommand::Delete(args) => delete::run(settings, args).await,
    }
}

/// What the server refuses to devices that are no admins.
fn admins_only(error: SignalingError) -> Failure {
    match error.code() {
        Some(ProblemCode::Forbidden) => Failure::usage(
            "only an admin may do this: run it on an admin (`latchkey devices` shows who is one)",
        ),
        _ => error.into(),
    }
}

async fn create(settings: &Settings, args: CreateArgs) -> Result<(), Failure> {
    let named = args.server.filter(|server| !server.is_empty()).or_else(|| settings.server.clone());
    let server = named.ok_or_else(|| {
        Failure::usage("no server is named: give --server URL, like --server https://cam.example.org")
    })?;
    let invite_code = args.invite_code_file.as_deref().map(read_invite_code).transpose()?;
    let mut founding = Founding::prepare(fresh(&settings.home)?, &server, &args.name)?;
    if let Some(code) = invite_code {
        founding = founding.with_invite_code(code);
    }
    if let Some(file) = &args.words_file {
        let words = Zeroizing::new(format!("{}\n", founding.words()).into_bytes());
        household_words::write_private(file, &words).map_err(|why| {
            Failure::usage(format!(
                "cannot write the words to {}, so no household was made: {why}",
                file.display()
            ))
        })?;
    }
    let person = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let asked = person && !settings.json && args.words_file.is_none() && !args.skip_words_check;
    if asked {
        ask_back(Zeroizing::new(founding.words().to_owned())).await?;
    }
    let (home, phrase) = match founding.found().await {
        Ok(made) => made,
        Err(error) => {
            // These words are nobody's.
            args.words_file.as_ref().map(std::fs::remove_file);
            return Err(not_founded(error));
        }
    };
    if settings.json {
        let mut created = json!({
            "event": "household_created",
            "household": home.household().to_string(),
            "device": home.device().to_string(),
        });
        match &args.words_file {
            Some(file) => created["words_file"] = json!(file),
            None => created["words"] = json!(phrase.words()),
        }
        print(&created);
        return Ok(());
    }
    let words = match (&args.words_file, asked) {
        (Some(file), _) => format!(
            "The twelve words are in {}, readable only for you: they are the only way back if all admins are lost.\n",
            file.display()
        ),
        (None, true) => String::new(),
        (None, false) => format!(
            "Write these twelve words down and keep them where no one looks.\n\
            They are shown once, and are the only way back if all admins are lost:\n\n    {}\n",
            phrase.words()
        ),
    };
    let words = Zeroizing::new(words);
    let mut out = std::io::stdout().lock();
    let written = writeln!(out, "The household is founded; this device is its first admin.\n")
        .and_then(|()| if words.is_empty() { Ok(()) } else { writeln!(out, "{}", words.as_str()) })
        .and_then(|()| {
            let home = settings.home_flag();
            writeln!(out, "Next, on a camera: latchkey join --server {server} --as camera")?;
            writeln!(
                out,
                "and here, with what it shows: latchkey {home}devices add --code - --name \"Front door\""
            )
        });
    written.map_err(|error| Failure::other(format!("cannot write to standard output: {error}")))
}

/// What the person can do where the server wants an invite code.
fn not_founded(error: CreateError) -> Failure {
    let code = match &error {
        CreateError::Home(HomeError::Signaling(refused)) => refused.code(),
        _ => None,
    };
    match code {
        Some(ProblemCode::InviteCodeNeeded) => Failure::usage(
            "this server founds a household only for an invite code: ask its operator for one (`latchkey-server invite-code` makes it), write it to a file, and say --invite-code-file FILE",
        ),
        Some(ProblemCode::InviteCodeRefused) => Failure::usage(
            "the server does not take this invite code: it is not one of its codes, or was used, or is too old; ask its operator for another",
        ),
        _ => error.into(),
    }
}

/// The code alone, white space around it taken off.
fn read_invite_code(file: &Path) -> Result<String, Failure> {
    let text = std::fs::read_to_string(file).map_err(|why| {
        Failure::usage(format!("cannot read the invite code from {}: {why}", file.display()))
    })?;
    match text.trim() {
        "" => Err(Failure::usage(format!("{} is empty: put the invite code into it", file.display()))),
        code => Ok(code.to_owned()),
    }
}

/// Shows the words and asks three back; nothing is made before the answers are right.
async fn ask_back(words: Zeroizing<String>) -> Result<(), Failure> {
    let told = told_to_stop();
    let asking = tokio::task::spawn_blocking(move || {
        household_words::shown_and_asked(&words, &mut std::io::stdin().lock(), &mut std::io::stdout())
    });
    let right = tokio::select! {
        right = asking => right.map_err(|_| Failure::other("cannot ask for the words"))?,
        () = told => {
            household_words::hide(&mut std::io::stdout());
            return Err(Failure::other("stopped: no household was made, and the words mean nothing"));
        }
    };
    let right = right.map_err(|error| Failure::other(format!("cannot ask for the words: {error}")))?;
    right.then_some(()).ok_or_else(|| {
        Failure::usage("the words were not repeated right, so no household was made, and the words mean nothing: start again and write the new words down")
    })
}
