//! `report`: a page of runs that are over.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;

use crate::report::{self, page, table};

/// What `report` is told.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct ReportArguments {
    /// Files that runs wrote with --json.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Where the page goes; without it the tables are printed.
    #[arg(long, value_name = "OUT")]
    html: Option<PathBuf>,
}

pub(super) fn run(arguments: &ReportArguments) -> anyhow::Result<u8> {
    let read = arguments.files.iter().map(|path| report::read(path));
    let files = read.collect::<Result<Vec<_>, _>>()?;
    match &arguments.html {
        Some(path) => {
            std::fs::write(path, page::html(&files))
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        None => {
            let look = table::Look::for_stdout();
            let mut out = std::io::stdout().lock();
            for lines in &files {
                write!(out, "{}", table::verdict(lines, look))?;
            }
        }
    }
    Ok(0)
}
