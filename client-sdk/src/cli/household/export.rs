//! `household export`: everything the server has about the household, as one JSON document.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::cli::config::Settings;
use crate::cli::failure::Failure;
use crate::cli::household_words::write_private;
use crate::cli::show::{Lines, Show};
use crate::home;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  latchkey household export --out household.json\n  latchkey household export | jq .lists\n\n\
    The document has what the server has: signed lists with sealed names, its log of who asked for\n\
    what, and messages that it cannot open. No key is in it, and no picture."
)]
pub(in crate::cli) struct ExportArgs {
    /// Write it to this new file, which only you can read, instead of standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(in crate::cli) async fn run(settings: &Settings, args: ExportArgs) -> Result<(), Failure> {
    // Only looks, so that it works beside a running viewer.
    let home = home::look(&settings.home)?;
    let show = Show::new(settings.json, Lines::Stdout);
    show.doing("reading what the server has ...");
    let export = home.signaling().export().await;
    show.finish();
    let export = export.map_err(super::admins_only)?;
    let document = serde_json::to_vec_pretty(&export)
        .map_err(|error| Failure::other(format!("the export cannot be written as JSON: {error}")))?;
    let Some(file) = &args.out else {
        let mut out = std::io::stdout().lock();
        return out
            .write_all(&document)
            .and_then(|()| out.write_all(b"\n"))
            .map_err(|error| Failure::other(format!("cannot write to standard output: {error}")));
    };
    write_private(file, &document)
        .map_err(|why| Failure::usage(format!("cannot write the export to {}: {why}", file.display())))?;
    show.object(&json!({
        "event": "household_exported",
        "household": export.household.to_string(),
        "file": file,
        "bytes": document.len(),
        "lists": export.lists.len(),
        "audit_rows": export.audit.len(),
    }));
    show.say(&format!(
        "All that the server has about the household is in {}: {} lists, {} lines of its log, {} bytes.",
        file.display(),
        export.lists.len(),
        export.audit.len(),
        document.len()
    ));
    Ok(())
}
