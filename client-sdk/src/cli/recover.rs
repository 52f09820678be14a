//! `recover`: twelve words bring a household back whose admins are lost.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;
use zeroize::Zeroizing;

use crate::cli::config::Settings;
use crate::cli::failure::Failure;
use crate::cli::vault::asker;
use crate::recovery::{Recovery, recover};
use crate::vault::read_passphrase;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  latchkey --home new recover --server https://cam.example.org --name \"Ada's new phone\"\n  \
    latchkey --home new recover --server https://cam.example.org --name Ada --words-file -\n\n\
    The words are asked for at the terminal and not shown. They are never an argument: those are seen\n\
    by other users of the machine. The admins of before are removed, and every device tells of the\n\
    recovery for seven days."
)]
pub(super) struct RecoverArgs {
    /// Address of the household's server [env: LATCHKEY_SERVER=]
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// What this device is called from now on
    #[arg(long, value_parser = super::name)]
    name: String,
    /// File whose first line has the twelve words, or - for standard input
    #[arg(long, value_name = "FILE|-")]
    words_file: Option<PathBuf>,
    /// Leave the admins of before on the list
    #[arg(long)]
    keep_admins: bool,
}

pub(super) async fn run(settings: &Settings, args: RecoverArgs) -> Result<(), Failure> {
    let named = args.server.filter(|server| !server.is_empty()).or_else(|| settings.server.clone());
    let server = named.ok_or_else(|| {
        Failure::usage("no server is named: give --server URL, like --server https://cam.example.org")
    })?;
    let words = words(args.words_file.as_deref())?;
    let recovery = Recovery { server: &server, name: &args.name, keep_admins: args.keep_admins };
    let (home, recovered) = recover(&settings.home, &words, recovery).await?;
    drop(words);
    let removed: Vec<String> = recovered.removed.iter().map(|device| home.name_of(*device)).collect();
    if settings.json {
        let object = json!({
            "event": "recovered",
            "household": home.household().to_string(),
            "device": home.device().to_string(),
            "list_version": recovered.list_version,
            "removed": removed,
        });
        return print(&object.to_string());
    }
    let gone = match removed.is_empty() {
        true => "The admins of before stay.".to_owned(),
        false => format!("No longer on the list: {}.", removed.join(", ")),
    };
    print(&format!(
        "This device is an admin of the household now (list version {}). {gone}\n\
        Every device of the household is told, for seven days.\n\
        Look at who belongs to it: latchkey {}devices",
        recovered.list_version,
        settings.home_flag()
    ))
}

/// Reads the twelve words from the file, from standard input for `-`, else at the terminal.
pub(super) fn words(file: Option<&Path>) -> Result<Zeroizing<String>, Failure> {
    let typed = match (file, asker()) {
        (Some(file), _) => read_passphrase(file),
        (None, Some(terminal)) => terminal.ask("The twelve words (they are not shown): "),
        (None, None) => {
            return Err(Failure::usage(
                "the twelve words are needed: run this at a terminal, or name a file that holds them with --words-file, - for standard input",
            ));
        }
    };
    let typed = typed.map_err(|error| Failure::usage(format!("the twelve words cannot be read: {error}")))?;
    let text = std::str::from_utf8(&typed).map_err(|_| Failure::usage("the twelve words are not text"))?;
    Ok(Zeroizing::new(text.to_owned()))
}

fn print(text: &str) -> Result<(), Failure> {
    writeln!(std::io::stdout(), "{text}")
        .map_err(|error| Failure::other(format!("cannot write to standard output: {error}")))
}
