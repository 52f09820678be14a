//! `join`: paste an invite code, or show a QR code or a number and be let in.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use latchkey_api::device_list::Role;
use latchkey_e2ee::enrol::{Kind, LIFETIME};
use serde_json::json;
use zeroize::Zeroizing;

use crate::cli::config::Settings;
use crate::cli::devices::role_name;
use crate::cli::failure::Failure;
use crate::cli::join_input::{answer, code};
use crate::cli::show::{Lines, Show};
use crate::cli::told_to_stop;
use crate::home::Home;
use crate::household::{self, Arrival, ArrivalConfig, InviteCode, fresh};
use crate::qr::{self, Ink};
use crate::vault::{Vault, VaultError};

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  latchkey join --server https://cam.example.org --as camera        shows a QR code\n  \
    latchkey join --server https://cam.example.org --as viewer --sas  shows a number and six digits\n  \
    latchkey --home door join -               paste the code of `latchkey invite`\n  \
    pbpaste | latchkey join -\n\n\
    A code is a secret until it is used. On a machine with other users do not write it on the\n\
    command line, which they can see: use `-`, --code-file, or the variable LATCHKEY_CODE."
)]
pub(super) struct JoinArgs {
    /// The code that `latchkey invite` printed, or `-` to read it from standard input [env: LATCHKEY_CODE=]
    #[arg(value_name = "CODE|-", conflicts_with_all = ["kind", "code_file"])]
    code: Option<String>,
    /// File with the code that `latchkey invite` printed
    #[arg(long, value_name = "FILE", conflicts_with = "kind")]
    code_file: Option<PathBuf>,
    /// Be this and show a QR code; an admin scans it with `latchkey devices add` and chooses the name
    #[arg(long = "as", value_enum, value_name = "WHAT")]
    kind: Option<JoinKind>,
    /// Address of the server, with --as [env: LATCHKEY_SERVER=]
    #[arg(long, value_name = "URL", requires = "kind")]
    server: Option<String>,
    /// Write the QR code to this new PNG file, too; it is taken away when this ends
    #[arg(long, value_name = "FILE", requires = "kind", conflicts_with = "sas")]
    qr_png: Option<PathBuf>,
    /// Show a number and six digits to compare instead, where no camera can scan
    #[arg(long, requires = "kind")]
    sas: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum JoinKind {
    /// A camera
    Camera,
    /// A phone or computer that watches; the admin says whether as viewer, guest or admin
    Viewer,
}

impl From<JoinKind> for Kind {
    fn from(kind: JoinKind) -> Self {
        match kind {
            JoinKind::Camera => Self::Camera,
            JoinKind::Viewer => Self::Viewer,
        }
    }
}

pub(super) async fn run(settings: &Settings, args: JoinArgs) -> Result<(), Failure> {
    let Some(kind) = args.kind else { return by_invite(settings, &args).await };
    let named = args.server.clone().filter(|server| !server.is_empty()).or_else(|| settings.server.clone());
    let server = named.ok_or_else(|| {
        Failure::usage("no server is named: give --server URL, like --server https://cam.example.org")
    })?;
    let config = ArrivalConfig::new(server, kind.into());
    let show = Show::new(settings.json, Lines::Stdout);
    let told = told_to_stop();
    // Dropped while it waits it leaves nothing behind.
    let joining = async {
        match args.sas {
            true => by_number(settings, config, &show).await,
            false => by_code(settings, config, args.qr_png.as_deref(), &show).await,
        }
    };
    let home = tokio::select! {
        joined = joining => joined,
        () = told => Err(Failure::other("stopped while joining: what was shown is good no more, start `latchkey join` again")),
    };
    show.finish();
    joined(settings, &home?, &show)
}

async fn by_code(
    settings: &Settings,
    config: ArrivalConfig,
    png: Option<&Path>,
    show: &Show,
) -> Result<Home, Failure> {
    let (mut arrival, offer) = Arrival::by_code(fresh(&settings.home)?, config).await?;
    let text = offer.reveal();
    let _picture = png.map(|path| Picture::write(path, &text)).transpose()?;
    let drawn = match !settings.json && std::io::stdout().is_terminal() {
        true => qr::terminal(&text, Ink::Colours).map_err(|error| Failure::other(error.to_string()))?,
        false => Zeroizing::default(),
    };
    let offered = json!({
        "event": "offer",
        "code": text.as_str(),
        "expires_in_seconds": LIFETIME.as_secs(),
        "qr_png": png,
    });
    show.print(&offered, &Zeroizing::new(format!("{}{}", drawn.as_str(), text.as_str())));
    show.say(
        "On an admin: latchkey devices add --image PICTURE --name NAME     with a picture of the QR code,",
    );
    show.say("or: latchkey devices add --code - --name NAME     and paste the text above.");
    show.say(
        "Whoever sees the code can let this device in: it is good once, for 10 minutes, while this waits.",
    );
    show.doing("waiting for an admin ...");
    invited(arrival_digits(&mut arrival).await?, show);
    Ok(arrival.listed().await?)
}

async fn by_number(settings: &Settings, config: ArrivalConfig, show: &Show) -> Result<Home, Failure> {
    let (mut arrival, number) = Arrival::by_number(fresh(&settings.home)?, config).await?;
    let numbered = json!({
        "event": "pairing_number",
        "number": number.to_string(),
        "expires_in_seconds": LIFETIME.as_secs(),
    });
    show.print(&numbered, &number.to_string());
    show.say(&format!("On an admin: latchkey devices add --sas \"{number}\" --name NAME"));
    show.doing("waiting for an admin ...");
    let digits = arrival.digits().await?;
    show.finish();
    show.object(&json!({ "event": "digits", "digits": digits.to_string() }));
    show.say(&format!("Type these six digits on the admin:  {digits}"));
    let fit = loop {
        let prompt = "Did the admin say that they are right? yes or no: ".to_owned();
        match answer(prompt).await?.map(|said| said.to_lowercase()).as_deref() {
            Some("yes" | "y") => break true,
            Some("no" | "n") | None => break false,
            Some(_) => show.say("Answer yes or no."),
        }
    };
    arrival.digits_fit(fit).await?;
    invited(arrival_digits(&mut arrival).await?, show);
    Ok(arrival.listed().await?)
}

/// What was told by the invitation: the digits of the last glance, and the name.
async fn arrival_digits(arrival: &mut Arrival) -> Result<(String, String), Failure> {
    let told = arrival.invited().await?;
    Ok((told.digits.to_string(), told.name.clone()))
}

fn invited((digits, name): (String, String), show: &Show) {
    show.object(&json!({ "event": "invited", "name": name, "glance": digits }));
    show.say(&format!("An admin lets this device in as {name:?}; both now show {digits}."));
    show.doing("waiting for the list that names this device ...");
}

fn joined(settings: &Settings, home: &Home, show: &Show) -> Result<(), Failure> {
    let entry = home.entry()?;
    let name = home.label(entry);
    show.object(&json!({
        "event": "joined",
        "device": home.device().to_string(),
        "household": home.household().to_string(),
        "name": name,
        "role": role_name(entry.role),
    }));
    show.say(&format!("This device has joined as {} {name:?}.", role_name(entry.role)));
    let next = match (entry.role, home.list()?.cameras().next()) {
        (Role::Camera, _) => "camera --source FILE|URL".to_owned(),
        (_, Some(camera)) => format!("view {:?}", home.label(camera)),
        (_, None) => "devices".to_owned(),
    };
    show.say(&format!("Next: latchkey {}{next}", settings.home_flag()));
    Ok(())
}

async fn by_invite(settings: &Settings, args: &JoinArgs) -> Result<(), Failure> {
    let text = code(args.code.as_deref(), args.code_file.as_deref(), "the invite code")?.ok_or_else(|| {
        Failure::usage("say how to join: --as camera or --as viewer shows a code for an admin, - reads the code that an admin's `latchkey invite` printed")
    })?;
    let code: InviteCode = text.parse()?;
    let show = Show::new(settings.json, Lines::Stdout);
    show.doing("waiting for the admin's answer ...");
    let outcome = tokio::select! {
        joined = household::join(&settings.home, &code, PATIENCE) => joined,
        () = told_to_stop() => {
            show.finish();
            // With a vault there this device has been answered, or was here before.
            if matches!(Vault::look(&settings.home), Err(VaultError::Missing(_))) {
                Vault::discard(&settings.home);
            }
            return Err(Failure::other(
                "stopped while joining: ask for a new code (`latchkey invite`)",
            ));
        }
    };
    show.finish();
    joined(settings, &outcome?, &show)
}

/// A QR code in a file of this command, which goes with it.
struct Picture(PathBuf);

impl Picture {
    fn write(path: &Path, text: &str) -> Result<Self, Failure> {
        let png: Zeroizing<Vec<u8>> = qr::png(text).map_err(|error| Failure::other(error.to_string()))?;
        super::household_words::write_private(path, &png).map_err(|why| {
            Failure::usage(format!("cannot write the QR code to {}: {why}", path.display()))
        })?;
        Ok(Self(path.to_owned()))
    }
}

impl Drop for Picture {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// How long a joining device waits for the admin.
const PATIENCE: Duration = Duration::from_secs(60);
