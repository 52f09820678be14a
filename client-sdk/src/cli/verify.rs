//! `verify` and `safety-number`: what a person can check, and what a device checks for them.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;

use clap::Args;
use image::{ImageFormat, Luma};
use latchkey_e2ee::safety_number::{Comparison, SafetyNumber};
use latchkey_household::verify::{Finding, Verdict, verify};
use qrcode::QrCode;
use serde_json::json;

use crate::cli::config::Settings;
use crate::cli::failure::{Failure, plain};
use crate::cli::open_or_look;
use crate::home::{Home, HomeError};
use crate::qr::{self, Ink};

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  latchkey safety-number\n  latchkey safety-number --qr-png number.png\n  \
    latchkey safety-number --compare photo-of-the-other-screen.png\n\n\
    Compare the digits of two devices over the phone or side by side. If they are the same, both have\n\
    the same household and the same device list, whatever the server says."
)]
pub(super) struct SafetyNumberArgs {
    /// Also write the QR code as a PNG image
    #[arg(long, value_name = "FILE")]
    qr_png: Option<PathBuf>,
    /// Compare with another device's: an image of its QR code, or the text of the code
    #[arg(long, value_name = "IMAGE|TEXT")]
    compare: Option<String>,
}

pub(super) async fn safety_number(settings: &Settings, args: SafetyNumberArgs) -> Result<(), Failure> {
    let mut home = open_or_look(settings)?;
    let signaling = home.signaling();
    match home.refresh(&signaling).await {
        Ok(_) => {}
        Err(HomeError::Signaling(error)) => {
            let said = format!("latchkey: this is the number of the list as last seen: {error}");
            let _ = writeln!(std::io::stderr(), "{}", plain(&said));
        }
        Err(error) => return Err(error.into()),
    }
    let number = SafetyNumber::of(home.chain()).ok_or(HomeError::NotListed)?;
    if let Some(other) = &args.compare {
        return compare(settings, &home, &shown(other)?);
    }
    let code = QrCode::new(number.to_qr_text())
        .map_err(|error| Failure::other(format!("the QR code cannot be drawn: {error}")))?;
    if let Some(path) = &args.qr_png {
        code.render::<Luma<u8>>()
            .min_dimensions(400, 400)
            .build()
            .save_with_format(path, ImageFormat::Png)
            .map_err(|error| Failure::usage(format!("{} cannot be written: {error}", path.display())))?;
    }
    if settings.json {
        return print(
            &json!({
                "event": "safety_number",
                "list_version": number.list_version(),
                "digits": number.groups().collect::<Vec<_>>(),
                "qr": number.to_qr_text(),
            })
            .to_string(),
        );
    }
    let ink = if std::io::stdout().is_terminal() { Ink::Colours } else { Ink::LightOnDark };
    let drawn = qr::terminal(&number.to_qr_text(), ink).map_err(|error| Failure::other(error.to_string()))?;
    let drawn = drawn.as_str().trim_end();
    print(&format!(
        "{drawn}\n\n{number}\n\nlist version {}: every device of the household that has this list shows the same digits",
        number.list_version()
    ))
}

pub(super) async fn run(settings: &Settings) -> Result<(), Failure> {
    let mut home = open_or_look(settings)?;
    let signaling = home.signaling();
    let report = verify(&mut home, &signaling).await?;
    if settings.json {
        let object = json!({ "event": "verified", "good": report.is_good(), "findings": report.findings });
        print(&object.to_string())?;
    } else {
        for finding in &report.findings {
            print(&line(finding))?;
        }
    }
    if report.is_good() {
        return if settings.json {
            Ok(())
        } else {
            print("Nothing is wrong as far as this device can tell.")
        };
    }
    let wrong = report.findings.iter().filter(|finding| finding.verdict == Verdict::Wrong).count();
    Err(Failure::other(format!(
        "{wrong} of {} checks found something wrong: compare safety numbers with another device of the household (`latchkey safety-number`), and ask whoever runs the server",
        report.findings.len()
    )))
}

fn line(finding: &Finding) -> String {
    let mark = match finding.verdict {
        Verdict::Good => "  good",
        Verdict::Open => "  open",
        Verdict::Wrong => " WRONG",
    };
    format!("{mark}  {}", plain(&finding.text))
}

fn compare(settings: &Settings, home: &Home, shown: &SafetyNumber) -> Result<(), Failure> {
    let (code, text) = match SafetyNumber::compare(home.chain(), shown) {
        Comparison::Same => {
            ("same", "the same: both devices have the same household and the same device list".to_owned())
        }
        Comparison::Older { theirs, ours } => (
            "older",
            format!(
                "the other device has only seen device list {theirs}, this one {ours}; up to there both have the same: let it connect and compare again"
            ),
        ),
        Comparison::Newer { theirs, ours } => {
            return Err(Failure::usage(format!(
                "the other device has seen device list {theirs}, this one only {ours}: nothing can be compared until this one has it too; if it does not come, the server withholds it"
            )));
        }
        Comparison::TwoHistories { version } => {
            return Err(Failure::other(format!(
                "nothing can be compared: two different device lists {version} are signed, and this device knows both; as an admin run `latchkey devices` to join them, then compare again"
            )));
        }
        Comparison::Different | Comparison::Unknown => {
            return Err(Failure::other(
                "NOT the same: the two devices are shown different households or histories; do not trust this server until you know why (`latchkey verify` on both)",
            ));
        }
    };
    if settings.json {
        return print(
            &json!({ "event": "safety_number_compared", "result": code, "text": text }).to_string(),
        );
    }
    print(&text)
}

/// Reads another device's number from an image of its QR code, or from the code's text.
fn shown(from: &str) -> Result<SafetyNumber, Failure> {
    if let Ok(number) = from.parse() {
        return Ok(number);
    }
    let image = image::open(from).map_err(|error| {
        Failure::usage(format!(
            "{from:?} is neither the text of a safety number's QR code nor a readable image: {error}"
        ))
    })?;
    let mut image = rqrr::PreparedImage::prepare(image.to_luma8());
    let texts = image.detect_grids().into_iter().filter_map(|grid| grid.decode().ok());
    let mut seen = false;
    for (_, text) in texts {
        seen = true;
        if let Ok(number) = text.parse() {
            return Ok(number);
        }
    }
    Err(Failure::usage(match seen {
        true => format!(
            "the QR code in {from:?} is not that of a safety number: show it with `latchkey safety-number`"
        ),
        false => format!("no QR code can be read in {from:?}: take the picture nearer and straight"),
    }))
}

fn print(text: &str) -> Result<(), Failure> {
    writeln!(std::io::stdout(), "{text}")
        .map_err(|error| Failure::other(format!("cannot write to standard output: {error}")))
}
