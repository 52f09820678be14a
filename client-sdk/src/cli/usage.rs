//! Command lines that cannot be understood: the help that was asked for, or one sentence.

use std::io::Write;
use std::process::ExitCode;

use clap::error::ErrorKind;

/// Prints help, version, or what is wrong, and returns the exit code.
pub(super) fn answer(error: &clap::Error) -> ExitCode {
    let asked = !error.use_stderr();
    if asked || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        // A reader that has gone is no reason to complain.
        let _ = error.print();
    } else {
        let _ = writeln!(std::io::stderr(), "latchkey: {}", sentence(&error.render().to_string()));
    }
    ExitCode::from(if asked { 0 } else { 2 })
}

/// Makes one sentence of the paragraphs that the argument parser prints.
fn sentence(rendered: &str) -> String {
    let mut said = String::new();
    let mut help = "latchkey".to_owned();
    for line in rendered.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if let Some(usage) = line.strip_prefix("Usage: ") {
            help = usage
                .split(' ')
                .take_while(|word| !word.starts_with(['-', '<', '[']))
                .collect::<Vec<_>>()
                .join(" ");
            break;
        }
        if line.starts_with("For more information") {
            break;
        }
        if let Some(error) = line.strip_prefix("error: ") {
            said.push_str(error);
        } else if let Some(tip) = line.strip_prefix("tip: ") {
            if !tip.starts_with("to pass") {
                said.push_str("; ");
                said.push_str(tip);
            }
        } else {
            said.push_str(if said.ends_with(':') || line.starts_with('[') { " " } else { ", " });
            said.push_str(line);
        }
    }
    format!("{said}; `{help} --help` shows what can be said")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::Parser;

    fn said(words: &[&str]) -> String {
        let words = ["latchkey"].iter().chain(words);
        Cli::try_parse_from(words)
            .err()
            .map(|error| sentence(&error.render().to_string()))
            .unwrap_or_default()
    }

    #[test]
    fn what_is_wrong_is_one_sentence() {
        assert_eq!(
            said(&["view", "door", "--frmaes", "3"]),
            "unexpected argument '--frmaes' found; a similar argument exists: '--frames'; `latchkey view --help` shows what can be said"
        );
        assert_eq!(
            said(&["veiw"]),
            "unrecognized subcommand 'veiw'; some similar subcommands exist: 'verify', 'view'; `latchkey --help` shows what can be said"
        );
        assert_eq!(
            said(&["invite"]),
            "the following required arguments were not provided: --role <ROLE>, --name <NAME>; `latchkey invite --help` shows what can be said"
        );
        assert_eq!(
            said(&["invite", "--role", "cat", "--name", "x"]),
            "invalid value 'cat' for '--role <ROLE>' [possible values: camera, viewer, admin, guest]; `latchkey --help` shows what can be said"
        );
        assert!(said(&["view", "x", "--duration", "soon"]).contains("write a number of seconds, like 20"));
    }
}
