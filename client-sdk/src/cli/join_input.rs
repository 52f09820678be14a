//! What people type or paste while devices meet: secret codes from anywhere but the command line, and short answers.

use std::io::{IsTerminal, Read, Write};
use std::path::Path;

use zeroize::Zeroizing;

use crate::cli::failure::Failure;

/// Returns a code from `text` (`-`: standard input), else from `file`, else from `LATCHKEY_CODE`; without white space.
/// `None` when there is none of them.
pub(super) fn code(
    text: Option<&str>,
    file: Option<&Path>,
    asked: &str,
) -> Result<Option<Zeroizing<String>>, Failure> {
    let code = match (text, file) {
        (Some("-"), _) => from_stdin(asked)?,
        (Some(code), _) => Zeroizing::new(code.to_owned()),
        (None, Some(file)) => from_file(file)?,
        (None, None) => match std::env::var(VARIABLE) {
            Ok(code) if !code.is_empty() => Zeroizing::new(code),
            _ => return Ok(None),
        },
    };
    // Terminals and mail programs break long lines.
    Ok(Some(Zeroizing::new(code.split_whitespace().collect())))
}

/// Asks for one line; a program is asked by an object that `asked` gave it before. `None` at the end of input.
pub(super) async fn answer(prompt: String) -> Result<Option<String>, Failure> {
    let read = move || {
        if std::io::stdin().is_terminal() {
            let _ = write!(std::io::stderr(), "{prompt}");
            let _ = std::io::stderr().flush();
        }
        let mut line = String::new();
        let read = std::io::stdin().read_line(&mut line).map_err(|error| failed(&error))?;
        Ok((read > 0).then(|| line.trim().to_owned()))
    };
    tokio::task::spawn_blocking(read).await.map_err(|_| Failure::other("cannot read standard input"))?
}

fn from_stdin(asked: &str) -> Result<Zeroizing<String>, Failure> {
    let mut text = Zeroizing::new(String::with_capacity(512));
    if std::io::stdin().is_terminal() {
        let _ = write!(std::io::stderr(), "Paste {asked} and press Enter: ");
        std::io::stdin().read_line(&mut text).map_err(|error| failed(&error))?;
    } else {
        std::io::stdin().take(LONGEST_CODE).read_to_string(&mut text).map_err(|error| failed(&error))?;
    }
    Ok(text)
}

fn from_file(file: &Path) -> Result<Zeroizing<String>, Failure> {
    let refused =
        |why: String| Failure::usage(format!("cannot read the code file {}: {why}", file.display()));
    let mut text = Zeroizing::new(String::with_capacity(512));
    let open = std::fs::File::open(file).map_err(|error| refused(error.to_string()))?;
    open.take(LONGEST_CODE).read_to_string(&mut text).map_err(|error| refused(error.to_string()))?;
    Ok(text)
}

fn failed(error: &std::io::Error) -> Failure {
    Failure::other(format!("cannot read standard input: {error}"))
}

/// Where a code may stand, too.
const VARIABLE: &str = "LATCHKEY_CODE";
/// Bytes read at most.
const LONGEST_CODE: u64 = 8192;
