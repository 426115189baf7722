//! Stored messages, on the database itself.

use std::path::PathBuf;

use clap::Subcommand;

use super::{CommandError, layers, load, print};
use crate::{
    clock::Clock,
    context::Caller,
    lab::{replay_message::replay_message, views::ReplayView},
    runtime,
};

/// `pms messages`.
#[derive(Subcommand)]
pub enum Messages {
    /// Run a message that came in again, by the rules of today, and print the differences row by row.
    Replay {
        /// Id of the message.
        id: i64,
        /// Only show what would change.
        #[arg(long)]
        dry_run: bool,
        /// Configuration file.
        #[arg(long)]
        config: Option<PathBuf>,
    },
}

impl Messages {
    /// Does it.
    pub async fn run(self) -> Result<(), CommandError> {
        match self {
            // On the heap: a replay holds a whole message with what becomes of it.
            Self::Replay { id, dry_run, config } => Box::pin(replay(id, dry_run, config)).await,
        }
    }
}

/// `pms messages replay`. Names columns and never their values: a terminal is no place for a chart.
async fn replay(id: i64, dry_run: bool, file: Option<PathBuf>) -> Result<(), CommandError> {
    let config = load(&layers(file.as_deref())?)?;
    let ctx = runtime::context(config, Clock::System).await?;
    let caller = Caller::operator();
    let replayed = replay_message(&ctx, &caller, id, dry_run).await;
    ctx.db.close().await;
    print(&replay_lines(&replayed?))
}

fn replay_lines(replayed: &ReplayView) -> String {
    let what = match (replayed.changes, replayed.dry_run) {
        (false, _) => "nothing changes",
        (true, true) => "would change",
        (true, false) => "changed",
    };
    let (before, after) = (&replayed.status_before, &replayed.status_after);
    let mut lines = vec![format!("message {}: {what} ({before} -> {after})", replayed.message_id)];
    lines.extend(replayed.refusal.iter().map(|refusal| format!("not taken: {refusal}")));
    lines.extend(replayed.notes.iter().map(|note| format!("note: {note}")));
    lines.extend(replayed.tables.iter().map(|table| {
        let (new, changed, same) = (table.inserted, table.changed, table.unchanged);
        format!("{}: {new} inserted, {changed} changed, {same} unchanged", table.table)
    }));
    lines.extend(replayed.rows.iter().map(|row| {
        let columns: Vec<&str> = row.columns.iter().map(|column| column.column.as_str()).collect();
        format!("  {} {} {}: {}", row.effect, row.table, row.id, columns.join(", "))
    }));
    lines.join("\n") + "\n"
}
