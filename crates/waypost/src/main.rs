//! The one binary: reads the command line, the environment and the configuration, and runs the
//! command. What runs stands in the modules and crates; nothing is decided here but exit codes.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the command line speaks to the terminal"
)]

mod admin;
mod backup;
mod cli;
mod config;
mod data_dir;
mod doctor;
#[cfg(test)]
mod fake_server;
mod http_client;
mod logging;
mod planting;
mod restore;
mod run;
mod sandbox_clock;
mod send;
mod stdout;
mod tls;

use std::process::ExitCode;

use cli::{Cli, Command, ConfigCommand};
use config::{Config, Loaded, Purpose};
use stdout::say;

/// What a request takes, another thread frees, and the C library gives too much of it back to the
/// system and asks for it again.
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let ended = command(cli::parse());
    logging::write_out();
    match ended {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn command(cli: Cli) -> anyhow::Result<ExitCode> {
    let inputs = cli.settings.inputs(std::env::vars_os().collect());
    planting::plant()?;
    let read = |purpose| config::load(&inputs, purpose);
    match cli.command.unwrap_or(Command::Serve) {
        Command::Serve => match started(read(Purpose::Start)) {
            Some(config) => done(block_on(run::serve(config))),
            None => Ok(ExitCode::FAILURE),
        },
        Command::Sandbox(args) => {
            match started(config::load_for_sandbox(&inputs, args.webhook_url.as_deref())) {
                Some(config) => done(block_on(run::sandbox(config, args))),
                None => Ok(ExitCode::FAILURE),
            }
        }
        Command::Config(ConfigCommand::Defaults) => {
            say(config::default_toml().trim_end());
            Ok(ExitCode::SUCCESS)
        }
        Command::Config(command) => {
            let is_check = matches!(command, ConfigCommand::Check { .. });
            let purpose = if is_check { Purpose::Start } else { Purpose::Gateway };
            Ok(config_command(&command, read(purpose)))
        }
        Command::Doctor(args) => verdict(block_on(doctor::run(&inputs, args.json))),
        Command::Admin(args) => match client_config(read(Purpose::Client)) {
            Some(config) => verdict(block_on(admin::run(*args, &config.data_dir))),
            None => Ok(ExitCode::FAILURE),
        },
        Command::Backup(args) => match client_config(read(Purpose::Client)) {
            Some(config) => done(block_on(backup::run(&args, &config.data_dir))),
            None => Ok(ExitCode::FAILURE),
        },
        Command::Restore(args) => match client_config(read(Purpose::Client)) {
            Some(config) => done(restore::run(&args, &config)),
            None => Ok(ExitCode::FAILURE),
        },
        Command::Send(args) => match client_config(read(Purpose::Client)) {
            Some(config) => done(block_on(send::run(&args, &config.data_dir))),
            None => Ok(ExitCode::FAILURE),
        },
    }
}

/// Starts logging and tells what is wrong with the configuration, if anything is.
fn started(read: Result<Loaded, config::Faults>) -> Option<Config> {
    match read {
        Ok(loaded) => {
            // Whatever a gateway writes, the database and the media included, is its owner's only.
            rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
            let unreadable_level = logging::init();
            for warning in loaded.warnings.iter().chain(&unreadable_level) {
                tracing::warn!("{warning}");
            }
            logging::write_out();
            Some(loaded.config)
        }
        Err(faults) => {
            config::report(Err(&faults), false);
            None
        }
    }
}

/// What a client needs of the configuration. It logs nothing and warns of nothing: that is the
/// gateway's to do.
fn client_config(read: Result<Loaded, config::Faults>) -> Option<Config> {
    match read {
        Ok(loaded) => Some(loaded.config),
        Err(faults) => {
            config::report(Err(&faults), false);
            None
        }
    }
}

fn config_command(command: &ConfigCommand, read: Result<Loaded, config::Faults>) -> ExitCode {
    match (command, read) {
        (ConfigCommand::Print { json }, Ok(loaded)) => config::print(&loaded, *json),
        (ConfigCommand::Check { json }, Ok(loaded)) => {
            config::report(Ok(&loaded), *json);
            if !json {
                say("The configuration is in order.");
            }
        }
        (ConfigCommand::Print { json } | ConfigCommand::Check { json }, Err(faults)) => {
            config::report(Err(&faults), *json);
            return ExitCode::FAILURE;
        }
        (ConfigCommand::Defaults, _) => {}
    }
    ExitCode::SUCCESS
}

fn done(result: anyhow::Result<()>) -> anyhow::Result<ExitCode> {
    result.map(|()| ExitCode::SUCCESS)
}

/// 0 where all is well, 1 where something was told that is not.
fn verdict(result: anyhow::Result<bool>) -> anyhow::Result<ExitCode> {
    result.map(|well| if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn block_on<T>(future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(future)
}
