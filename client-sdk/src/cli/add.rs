//! `devices add`: let in a device that shows a QR code, a text, or a number.

use std::path::PathBuf;

use clap::{ArgGroup, Args};
use latchkey_api::device_list::Role;
use latchkey_e2ee::enrol::{Kind, Offer, OfferError, PairingNumber, Terms, Typed};
use serde_json::json;

use crate::cli::config::Settings;
use crate::cli::failure::Failure;
use crate::cli::invite::{InviteRole, Limits};
use crate::cli::join_input::{answer, code};
use crate::cli::show::{Lines, Show};
use crate::cli::{name, open_or_look, told_to_stop};
use crate::home::Home;
use crate::household::{LetIn, Met};
use crate::qr;

#[derive(Debug, Args)]
#[command(
    group = ArgGroup::new("shown").args(["code", "code_file", "image", "sas"]),
    after_help = "Examples:\n  latchkey devices add --image photo.jpg --name \"Front door\"\n  \
    latchkey devices add --code - --name Bob                 then paste what `latchkey join` shows\n  \
    latchkey devices add --sas \"1234 5678\" --name Bob --role admin\n  \
    latchkey devices add --code - --name Sitter --role guest --cameras \"Front door\" --days 3\n\n\
    The code of a new device is a secret until it is used. On a machine with other users do not\n\
    write it on the command line, which they can see: use `-`, --code-file, --image, or the\n\
    variable LATCHKEY_CODE. Let in only devices that you see before you."
)]
pub(super) struct AddArgs {
    /// The text that `latchkey join` shows on the new device, or `-` to read it from standard input
    /// [env: LATCHKEY_CODE=]
    #[arg(long, value_name = "TEXT|-")]
    code: Option<String>,
    /// File with that text
    #[arg(long, value_name = "FILE")]
    code_file: Option<PathBuf>,
    /// Picture of the QR code on the new device (PNG or JPEG)
    #[arg(long, value_name = "FILE")]
    image: Option<PathBuf>,
    /// The number that `latchkey join --sas` shows on the new device; no secret
    #[arg(long, value_name = "NUMBER")]
    sas: Option<String>,
    /// What the new device will be called; the server cannot read it
    #[arg(long, value_parser = name)]
    name: String,
    /// What the new device will be [default: camera for a camera, else viewer]
    #[arg(long, value_enum)]
    role: Option<InviteRole>,
    #[command(flatten)]
    limits: Limits,
}

/// What the new device shows.
enum Shown {
    Code(Offer),
    Number(PairingNumber),
}

pub(super) async fn run(settings: &Settings, args: AddArgs) -> Result<(), Failure> {
    let shown = shown(&args)?;
    let mut home = open_or_look(settings)?;
    let signaling = home.signaling();
    home.refresh(&signaling).await?;
    let terms = args.limits.terms(&home, role(&args, &shown), &args.name)?;
    let show = Show::new(settings.json, Lines::Stdout);
    let told = told_to_stop();
    let adding = add(&mut home, shown, terms, &show);
    let added = tokio::select! {
        added = adding => added,
        () = told => Err(Failure::other(
            "stopped; if `latchkey devices` shows the new device, remove it there, else nobody was let in",
        )),
    };
    show.finish();
    added
}

async fn add(home: &mut Home, shown: Shown, terms: Terms, show: &Show) -> Result<(), Failure> {
    let name = terms.name.clone();
    let mut meeting = match &shown {
        Shown::Code(offer) => LetIn::by_code(home, offer, terms)?,
        Shown::Number(number) => LetIn::by_number(home, *number, terms)?,
    };
    show.doing("looking for the new device ...");
    match meeting.meet().await? {
        Met::Sure(kind) => {
            show.say(&format!("Found the {}; its keys are those of the code.", kind_name(kind)));
        }
        Met::AskDigits => digits(&mut meeting, show).await?,
    }
    show.doing("waiting for the new device's answer ...");
    meeting.invite(home).await?;
    let accepted = meeting.accepted().await?;
    let glance = accepted.digits().to_string();
    show.object(&json!({ "event": "accepted", "name": name, "glance": glance }));
    show.say(&format!("It has accepted; both now show {glance}."));
    let invited = accepted.sign(home).await?;
    show.finish();
    show.object(&json!({
        "event": "joined",
        "device": invited.device.to_string(),
        "list_version": invited.list_version,
    }));
    show.say(&format!("{name:?} has joined (list version {}).", invited.list_version));
    Ok(())
}

/// Has the digits typed that the new device shows; they are never shown here, so that nobody only nods.
async fn digits(meeting: &mut LetIn, show: &Show) -> Result<(), Failure> {
    let mut left = latchkey_e2ee::enrol::TRIES;
    loop {
        show.finish();
        show.object(&json!({ "event": "digits_wanted", "tries_left": left }));
        let typed = answer("Type the six digits that the new device shows: ".to_owned()).await?;
        let typed = typed.ok_or_else(|| {
            Failure::usage(
                "no digits were typed, so nobody was let in: type the six digits that the new device shows",
            )
        })?;
        match meeting.type_digits(&typed) {
            Typed::Right => {
                show.object(&json!({ "event": "digits_right" }));
                show.say("They are right: answer yes on the new device.");
                return Ok(());
            }
            // The next step says that it is over.
            Typed::Wrong { left: 0 } | Typed::NotAsked => return Ok(()),
            Typed::Wrong { left: more } => {
                left = more;
                let left = if more == 1 { "1 try is".to_owned() } else { format!("{more} tries are") };
                show.say(&format!("These are not its digits; {left} left. If you read them right, stop: somebody is in between."));
            }
        }
    }
}

fn shown(args: &AddArgs) -> Result<Shown, Failure> {
    if let Some(number) = &args.sas {
        return number
            .parse()
            .map(Shown::Number)
            .map_err(|error: latchkey_e2ee::enrol::NumberError| Failure::usage(error.to_string()));
    }
    if let Some(image) = &args.image {
        let texts = qr::read(image).map_err(|error| Failure::usage(error.to_string()))?;
        let mut refused = OfferError::NoCode;
        for text in texts {
            match text.parse() {
                Ok(offer) => return Ok(Shown::Code(offer)),
                Err(OfferError::NoCode) => {}
                Err(error) => refused = error,
            }
        }
        return Err(Failure::usage(match refused {
            OfferError::NoCode => format!(
                "the QR code in {} is not one of a new device: take a picture of the one that `latchkey join` shows",
                image.display()
            ),
            other => other.to_string(),
        }));
    }
    let text = code(args.code.as_deref(), args.code_file.as_deref(), "what the new device shows")?;
    let text = text.ok_or_else(|| {
        Failure::usage("say what the new device shows: --image PICTURE of its QR code, --code - for its text, or --sas NUMBER")
    })?;
    if text.starts_with("latchkey") && text.contains('-') {
        return Err(Failure::usage(
            "this is an invite code, which belongs on the new device: run `latchkey join -` there and paste it",
        ));
    }
    text.parse().map(Shown::Code).map_err(|error: OfferError| Failure::usage(error.to_string()))
}

fn role(args: &AddArgs, shown: &Shown) -> Role {
    match (args.role, shown) {
        (Some(role), _) => role.into(),
        (None, Shown::Code(offer)) if offer.kind() == Kind::Camera => Role::Camera,
        (None, _) => Role::Viewer,
    }
}

const fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Camera => "camera",
        Kind::Viewer => "viewer",
    }
}
