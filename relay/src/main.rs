//! The binary `latchkey-relay`: one relay, told by flags, environment and file what to be, until SIGTERM or Ctrl-C.

use std::io::{IsTerminal as _, Write as _, stderr, stdout};
use std::process::ExitCode;

use latchkey_relay::top::{self, TopOptions};
use latchkey_relay::{Arguments, Relay, RelayConfig, Verb};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let Err(error) = obey(&Arguments::of_process()) else { return ExitCode::SUCCESS };
    let _ = writeln!(stderr(), "latchkey-relay: {error}");
    ExitCode::from(2)
}

fn obey(arguments: &Arguments) -> anyhow::Result<()> {
    if let Some(Verb::Top(options)) = &arguments.verb {
        return watch(options);
    }
    let config = arguments.resolve()?;
    if arguments.print_config { Ok(stdout().write_all(config.to_toml().as_bytes())?) } else { run(config) }
}

#[tokio::main(flavor = "current_thread")]
async fn watch(options: &TopOptions) -> anyhow::Result<()> {
    Ok(top::run(options).await?)
}

#[tokio::main]
async fn run(config: RelayConfig) -> anyhow::Result<()> {
    let log = tracing_subscriber::fmt()
        .with_writer(stderr)
        .with_ansi(stderr().is_terminal())
        .with_env_filter(EnvFilter::try_new(&config.log)?);
    let started = if config.json { log.json().try_init() } else { log.try_init() };
    started.map_err(anyhow::Error::from_boxed)?;
    let (mut terminated, mut interrupted) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let drain_time = config.drain_time();
    let relay = Relay::start(config).await?;
    tokio::select! {
        _ = interrupted.recv() => {}
        _ = terminated.recv() => tokio::select! {
            () = relay.drained(drain_time) => {}
            _ = interrupted.recv() => {}
        },
    }
    relay.shutdown().await;
    Ok(())
}
