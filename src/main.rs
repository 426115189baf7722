//! The command line.

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use pms::{
    cli::{self, CommandError, DemoArgs},
    sim,
};

/// A clinic's patient management backend and its laboratory interface in one service.
#[derive(Parser)]
#[command(name = "pms", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run everything on SQLite with sample patients and a simulated laboratory.
    Demo(DemoArgs),
    /// Run the service. Settings come from the environment and an optional TOML file.
    Serve {
        /// Configuration file.
        #[arg(long)]
        config: Option<PathBuf>,
    },
    /// Bring the database schema up to date, or show its state.
    Migrate {
        #[arg(value_enum, default_value = "up")]
        action: cli::MigrateAction,
        /// Configuration file.
        #[arg(long)]
        config: Option<PathBuf>,
    },
    /// Print the OpenAPI document.
    Openapi,
    /// Exit 0 when the running service is ready.
    Healthcheck {
        /// Configuration file.
        #[arg(long)]
        config: Option<PathBuf>,
    },
    /// Deal with stored messages, on the database itself.
    #[command(subcommand)]
    Messages(cli::messages::Messages),
    /// Deal with the laboratory systems, on the database itself.
    #[command(subcommand)]
    Endpoints(cli::endpoints::Endpoints),
    /// Look at messages without a running service.
    #[command(subcommand)]
    Hl7(Hl7),
    /// Simulated laboratory, message generator and load tool.
    #[command(subcommand)]
    Sim(Sim),
}

#[derive(Subcommand)]
enum Hl7 {
    /// Print the messages in files as the service reads them: a line of JSON each, with field names and decoded values.
    Tree {
        /// Files with one message or several; standard input when none is named.
        files: Vec<PathBuf>,
    },
}

#[derive(Subcommand)]
enum Sim {
    /// A laboratory that takes orders and sends results.
    Lis(sim::lis::LisArgs),
    /// Write sample messages to a file.
    Generate(sim::generate::GenerateArgs),
    /// Send messages and measure the acknowledgments.
    Send(sim::send::SendArgs),
}

#[tokio::main]
async fn main() -> ExitCode {
    match Box::pin(run(Cli::parse().command)).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            for line in error.lines() {
                eprintln!("pms: {line}");
            }
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<(), CommandError> {
    match command {
        Command::Demo(args) => cli::demo(args).await,
        Command::Serve { config } => cli::serve(config).await,
        Command::Migrate { action, config } => cli::migrate(action, config).await,
        Command::Openapi => cli::openapi(),
        Command::Healthcheck { config } => cli::healthcheck(config).await,
        Command::Messages(command) => command.run().await,
        Command::Endpoints(command) => command.run().await,
        Command::Hl7(Hl7::Tree { files }) => cli::hl7_tree(&files),
        Command::Sim(Sim::Lis(args)) => cli::sim_lis(args).await,
        Command::Sim(Sim::Generate(args)) => cli::sim_generate(&args),
        Command::Sim(Sim::Send(args)) => cli::sim_send(args).await,
    }
}
