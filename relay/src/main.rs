//! The binary `latchkey-relay`: one relay, told by flags, environment and file what to be; it ends on SIGTERM or Ctrl-C.

use std::io::Write as _;
use std::process::ExitCode;

use latchkey_relay::{Arguments, Relay, RelayConfig};
use tokio::signal::unix::{SignalKind, signal};

fn main() -> ExitCode {
    let arguments = Arguments::of_process();
    let outcome = arguments.resolve().map_err(anyhow::Error::from).and_then(|config| {
        if arguments.print_config {
            return Ok(std::io::stdout().write_all(config.to_toml().as_bytes())?);
        }
        run(config)
    });
    if let Err(error) = outcome {
        let _ = writeln!(std::io::stderr(), "latchkey-relay: {error}");
        return ExitCode::from(2);
    }
    ExitCode::SUCCESS
}

#[tokio::main]
async fn run(config: RelayConfig) -> anyhow::Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_new(&config.log)?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if config.json {
        log.json().init()
    } else {
        log.init()
    }
    let drain_time = config.drain_time();
    let relay = Relay::start(config).await?;
    let (mut terminated, mut interrupted) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
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
