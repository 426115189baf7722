//! Endpoints from the operator's file: at the start of the service, and by a command.

use std::path::{Path, PathBuf};

use clap::Subcommand;

use super::{CommandError, layers, load, print};
use crate::{
    clock::Clock,
    context::{Caller, Ctx},
    lab::import_endpoints::{ImportError, Imported, import_endpoints},
    runtime,
};

/// Where the file is looked for when no setting names one.
const USUAL_PLACE: &str = "config/lis_endpoints.json";

/// `pms endpoints`.
#[derive(Subcommand)]
pub enum Endpoints {
    /// Set up what a file of endpoints says, as `pms serve` does at its start.
    Import {
        /// The file.
        file: PathBuf,
        /// Only show what would be done.
        #[arg(long)]
        dry_run: bool,
        /// Configuration file.
        #[arg(long)]
        config: Option<PathBuf>,
    },
}

impl Endpoints {
    /// Does it.
    pub async fn run(self) -> Result<(), CommandError> {
        match self {
            Self::Import { file, dry_run, config } => import(&file, dry_run, config).await,
        }
    }
}

async fn import(file: &Path, dry_run: bool, config: Option<PathBuf>) -> Result<(), CommandError> {
    let config = load(&layers(config.as_deref())?)?;
    let ctx = runtime::context(config, Clock::System).await?;
    let imported = import_file(&ctx, &Caller::operator(), file, dry_run).await;
    ctx.db.close().await;
    let heading = if dry_run { "nothing is written; an import would do this:\n" } else { "" };
    let lines = imported?.into_iter().map(|one| format!("{one}\n"));
    print(&(heading.to_owned() + &lines.collect::<String>()))
}

/// What `pms serve` does before its doors open. The file may be missing where nobody asked for one.
pub(super) async fn import_at_start(ctx: &Ctx) -> Result<(), CommandError> {
    let named = ctx.config.lis_endpoints_file.clone();
    let usual = || Some(PathBuf::from(USUAL_PLACE)).filter(|path| path.exists());
    let Some(file) = named.or_else(usual) else { return Ok(()) };
    for imported in import_file(ctx, &Caller::system("import_endpoints"), &file, false).await? {
        tracing::info!(file = %file.display(), "endpoint {imported}");
    }
    Ok(())
}

async fn import_file(
    ctx: &Ctx,
    caller: &Caller,
    file: &Path,
    dry_run: bool,
) -> Result<Vec<Imported>, CommandError> {
    let of_file = |line: String| format!("{}: {line}", file.display());
    let text = std::fs::read(file).map_err(|error| CommandError(vec![of_file(error.kind().to_string())]))?;
    import_endpoints(ctx, caller, &text, dry_run).await.map_err(|error| match error {
        ImportError::Faults(faults) => CommandError(faults.into_iter().map(of_file).collect()),
        ImportError::Lab(error) => error.into(),
    })
}
