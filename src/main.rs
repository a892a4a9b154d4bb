//! The program: reads the configuration and runs a command.

use std::process::ExitCode;

use clap::Parser;
use scrip::{
    commands::{CommandError, Store, healthcheck, program, provision, serve, verify},
    config::{Cli, Command, ProgramCommand},
    telemetry, test_cluster,
};

/// A spend allocates and frees a few hundred small things on two threads: with glibc's allocator that was a quarter of the
/// service's time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let Cli { command, config } = Cli::parse();
    if let Err(error) = telemetry::start_log(&config.log, config.log_format) {
        eprintln!("scrip: RUST_LOG can't be read: {error}");
        return ExitCode::FAILURE;
    }
    let result = match command.unwrap_or(Command::Serve) {
        Command::Serve => serve::run(&config).await,
        Command::Migrate => migrate(&config).await,
        Command::Tenant(command) => provision::tenant(&config, command).await,
        Command::Key(command) => provision::key(&config, command).await,
        Command::Program(ProgramCommand::Lint { file }) => return looked(program::lint(&file)),
        Command::Program(ProgramCommand::Apply { file, tenant }) => program::apply(&config, &file, &tenant).await,
        Command::Program(ProgramCommand::Preview {
            file,
            plan,
            anchor,
            interval,
        }) => program::preview(&file, &plan, anchor, interval.map(Into::into)),
        Command::Verify { tenant } => return looked(verify::run(&config, tenant).await),
        Command::Healthcheck if healthcheck::is_ready(config.listen) => Ok(()),
        Command::Healthcheck => return ExitCode::FAILURE,
        Command::TestCluster { dir } => return ended(test_cluster::run(&dir, config.pg_bin_dir.as_deref()).await),
    };
    ended(result)
}

async fn migrate(config: &scrip::config::Config) -> Result<(), CommandError> {
    let store = Store::open(config, scrip::commands::Sharing::BesideService).await?;
    println!("the schema is up to date");
    Ok(store.close().await?)
}

fn ended<E: std::fmt::Display>(result: Result<(), E>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("scrip: {error}");
            ExitCode::FAILURE
        }
    }
}

/// 0: all is well. 1: something was found. 2: it could not look.
fn looked(result: Result<usize, CommandError>) -> ExitCode {
    match result {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(1),
        Err(error) => {
            eprintln!("scrip: {error}");
            ExitCode::from(2)
        }
    }
}
