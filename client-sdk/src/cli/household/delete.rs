//! `household delete`: everything the server has about the household goes, for good.

use std::io::IsTerminal;
use std::path::PathBuf;

use clap::Args;
use latchkey_api::id::HouseholdId;
use latchkey_api::problem::ProblemCode;
use latchkey_e2ee::identity::HouseholdRoot;
use latchkey_household::signaling::{RootSession, Server};
use serde_json::json;

use crate::cli::config::Settings;
use crate::cli::failure::Failure;
use crate::cli::join_input::answer;
use crate::cli::recover::words;
use crate::cli::show::{Lines, Show};
use crate::home;
use crate::recovery::RecoverError;

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  latchkey household delete\n  \
    latchkey household delete --words --server https://cam.example.org      where no admin is left\n\n\
    The server forgets the lists, the groups, its log and every sign-in; nothing brings them back.\n\
    No camera sends and no device sees anything from then on. What devices keep themselves stays:\n\
    delete their folders too.")]
pub(in crate::cli) struct DeleteArgs {
    /// Do not ask for the household's id
    #[arg(long)]
    yes: bool,
    /// By the twelve words instead of this device's keys; they are asked for and not shown
    #[arg(long)]
    words: bool,
    /// By the twelve words, which are on the first line of this file, or - for standard input
    #[arg(long, value_name = "FILE|-")]
    words_file: Option<PathBuf>,
    /// Address of the household's server, with the words [env: LATCHKEY_SERVER=]
    #[arg(long, value_name = "URL")]
    server: Option<String>,
}

impl DeleteArgs {
    /// Returns whether the twelve words do it, so that this device's keys are not needed.
    pub(in crate::cli) fn is_by_words(&self) -> bool {
        self.words || self.words_file.is_some()
    }
}

pub(in crate::cli) async fn run(settings: &Settings, args: DeleteArgs) -> Result<(), Failure> {
    let show = Show::new(settings.json, Lines::Stdout);
    let household = match args.is_by_words() {
        true => by_words(settings, &args, &show).await?,
        false if args.server.is_some() => {
            return Err(Failure::usage(
                "--server goes with --words or --words-file: a device knows its household's server",
            ));
        }
        false => by_admin(settings, &args, &show).await?,
    };
    show.finish();
    show.object(&json!({ "event": "household_deleted", "household": household.to_string() }));
    show.say("The household is deleted: the server has nothing of it any more, and no camera sends.");
    show.say("Delete the folders of its devices, too: their keys are good for nothing now.");
    Ok(())
}

async fn by_admin(settings: &Settings, args: &DeleteArgs, show: &Show) -> Result<HouseholdId, Failure> {
    let mut home = home::look(&settings.home)?;
    let signaling = home.signaling();
    home.refresh(&signaling).await?;
    let household = home.household();
    let devices = home.list()?.devices.len();
    confirmed(args, household, Some(devices), show).await?;
    show.doing("deleting ...");
    signaling.delete_household().await.map_err(super::admins_only)?;
    Ok(household)
}

async fn by_words(settings: &Settings, args: &DeleteArgs, show: &Show) -> Result<HouseholdId, Failure> {
    let named = args.server.clone().filter(|server| !server.is_empty()).or_else(|| settings.server.clone());
    let server = Server::new(&named.ok_or_else(|| {
        Failure::usage("no server is named: give --server URL, like --server https://cam.example.org")
    })?)?;
    let words = words(args.words_file.as_deref())?;
    let root = HouseholdRoot::from_phrase(&words).map_err(RecoverError::Words)?;
    drop(words);
    let refused = |error: crate::signaling::SignalingError| match error.code() {
        Some(ProblemCode::SignInFailed) => RecoverError::UnknownHousehold.into(),
        _ => Failure::from(error),
    };
    let session = RootSession::sign_in(server, &root).await.map_err(refused)?;
    confirmed(args, root.household(), None, show).await?;
    show.doing("deleting ...");
    session.delete_household(&root).await.map_err(refused)?;
    Ok(root.household())
}

/// Asks for the household's id, unless `--yes` has said it.
async fn confirmed(
    args: &DeleteArgs,
    household: HouseholdId,
    devices: Option<usize>,
    show: &Show,
) -> Result<(), Failure> {
    if args.yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        return Err(Failure::usage("nothing was deleted: nobody can be asked here, so say --yes"));
    }
    show.finish();
    let whose = devices.map_or(String::new(), |count| format!(" and its {count} devices"));
    show.say(&format!("This deletes the household {household}{whose} on the server, for good."));
    let typed = answer("Type the household's id to delete it: ".to_owned()).await?;
    if typed.as_deref() == Some(household.to_string().as_str()) {
        return Ok(());
    }
    Err(Failure::usage("nothing was deleted: that is not the household's id"))
}
