//! The binary `latchkey-server`: signaling and a relay in one process; it ends on SIGTERM or Ctrl-C.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use latchkey_signaling::{
    Arguments, Command, ReadyFile, Registration, Server, ServerConfig, make_invite_code,
};
use tokio::signal::unix::{SignalKind, signal};

fn main() -> ExitCode {
    let arguments = Arguments::of_process();
    let outcome =
        arguments.resolve().map_err(anyhow::Error::from).and_then(|config| match arguments.print_config {
            true => Ok(std::io::stdout().write_all(config.to_toml().as_bytes())?),
            false => match arguments.command {
                Some(Command::InviteCode { uses, days }) => invite(&config, uses, days),
                None => run(config, &arguments),
            },
        });
    let Err(error) = outcome else { return ExitCode::SUCCESS };
    let _ = writeln!(std::io::stderr(), "latchkey-server: {error}");
    ExitCode::from(2)
}

#[tokio::main]
async fn run(config: ServerConfig, arguments: &Arguments) -> anyhow::Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_new(&config.log)?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let logging = if config.json { log.json().try_init() } else { log.try_init() };
    logging.map_err(anyhow::Error::from_boxed)?;
    let (mut terminated, mut interrupted) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let server = Server::start(config).await?;
    std::io::stdout().write_all(server.urls().to_string().as_bytes())?;
    if let Some(path) = &arguments.ready_file {
        ReadyFile::of(server.urls()).write(path)?;
    }
    tokio::select! {
        _ = interrupted.recv() => {}
        _ = terminated.recv() => server.drained().await,
    }
    server.shutdown().await;
    Ok(())
}

/// The code alone on standard output, for a file or a pipe; what it is good for beside it.
#[tokio::main]
async fn invite(config: &ServerConfig, uses: u32, days: u32) -> anyhow::Result<()> {
    let code = make_invite_code(config, uses, days).await?;
    writeln!(std::io::stdout(), "{}", code.text().as_str())?;
    let mut said = std::io::stderr();
    writeln!(said, "The code registers {uses} household(s) within {days} day(s); it is shown only here.")?;
    if config.registration == Registration::Open {
        writeln!(said, "The server asks for no code as configured here: set registration to \"invite\".")?;
    }
    Ok(())
}
