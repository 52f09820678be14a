//! `doctor --from-outside`: which of the ways to a server are open from where this runs, and what to do about the others.
//!
//! Nothing can look at itself from outside. So this is run on another machine, in a network that is not the server's: a
//! phone's, a neighbour's, a rented one. It needs no device and no household.

mod media;
mod ports;
mod shown;
mod tls;

use std::time::Duration;

use latchkey_household::reach::host_of;
use url::Url;

use crate::cli::config::Settings;
use crate::cli::doctor::outside::ports::Web;
use crate::cli::doctor::outside::shown::{Check, Shown};
use crate::cli::failure::Failure;

/// Where the server is, as every check needs it.
struct Target {
    url: Url,
    host: String,
    port: u16,
}

impl Target {
    fn new(address: &str) -> Result<Self, Failure> {
        let bad = || {
            Failure::usage(format!(
                "{address:?} is not a server address: write it like https://cam.example.org"
            ))
        };
        let url = Url::parse(address).map_err(|_| bad())?;
        let host = url.host_str().filter(|_| matches!(url.scheme(), "http" | "https")).ok_or_else(bad)?;
        let host = host.trim_matches(['[', ']']).to_owned();
        let port = url.port_or_known_default().ok_or_else(bad)?;
        Ok(Self { url, host, port })
    }

    fn is_https(&self) -> bool {
        self.url.scheme() == "https"
    }
}

/// Looks at everything in the order in which a client needs it; what cannot be tried is said to be untried.
pub(super) async fn run(settings: &Settings, address: &str, patience: f64) -> Result<(), Failure> {
    let target = Target::new(address)?;
    let patience = Duration::from_secs_f64(patience).min(LONGEST_STEP);
    let mut shown = Shown::begin(settings.json);
    shown.note(&format!(
        "looking at {} from this machine: run it outside of the server's own network, or it says little",
        host_of(&target.url)
    ));
    look(&mut shown, &target, patience).await;
    shown.end()
}

async fn look(shown: &mut Shown, target: &Target, patience: Duration) {
    let Some(addresses) = ports::resolve(shown, target, patience).await else { return };
    if !ports::tcp(shown, target, &addresses, patience).await {
        return;
    }
    if target.is_https() {
        if !tls::look(shown, target, &addresses, patience).await {
            return;
        }
    } else {
        shown.skip(Check::Tls, "plain HTTP was asked for: browsers on other devices need https://");
    }
    let web = match Web::new(target, patience) {
        Ok(web) => web,
        Err(reason) => return shown.shut(Check::Http, Duration::ZERO, &reason, None),
    };
    if !web.http(shown).await {
        return;
    }
    web.socket(shown).await;
    if let Some(probe) = web.probe(shown).await {
        media::look(shown, &probe, patience).await;
    }
}

/// No single step waits longer.
const LONGEST_STEP: Duration = Duration::from_secs(60);
