//! Messages that were given up keep why, and who put them aside. A message may be sent again after it was sent, so it may
//! stand in the outbox more than once; only once at a time does it wait.

use sea_orm_migration::prelude::*;

use crate::add_columns::AddColumns;
use crate::column::{flag, opt, or, text, ts, varchar};

/// Adds the columns, and loosens the index.
pub(crate) struct Step;

const TABLE: &str = "outbox";
/// Once for ever.
const BEFORE: &str = "uq_outbox_hl7_message";
/// Once at a time.
const AFTER: &str = "uq_outbox_waiting_message";
/// What somebody has to decide on is few of many.
const DEAD: &str = "idx_outbox_dead";
/// What was sent of a message, and when.
const OF_MESSAGE: &str = "idx_outbox_hl7_message_id";

const COLUMNS: AddColumns = AddColumns {
    name: "m0040_dead_letters",
    table: TABLE,
    columns: || {
        vec![
            opt(varchar("dead_reason", 30)),
            opt(varchar("error_code", 20)),
            opt(varchar("discarded_by", 100)),
            opt(ts("discarded_at")),
            opt(text("discard_reason")),
            or(flag("again"), false),
        ]
    },
    indexes: &[],
};

fn index(name: &str, column: &'static str) -> IndexCreateStatement {
    Index::create().name(name).table(TABLE).col(column).to_owned()
}

fn drop(name: &str) -> IndexDropStatement {
    Index::drop().name(name).table(TABLE).to_owned()
}

impl MigrationName for Step {
    fn name(&self) -> &str {
        COLUMNS.name
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Step {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        COLUMNS.up(manager).await?;
        manager.drop_index(drop(BEFORE)).await?;
        let waiting = Expr::cust("status = 'queued'");
        manager.create_index(index(AFTER, "hl7_message_id").unique().and_where(waiting).to_owned()).await?;
        manager.create_index(index(OF_MESSAGE, "hl7_message_id")).await?;
        let dead = Expr::cust("status = 'dead'");
        manager.create_index(index(DEAD, "id").and_where(dead).to_owned()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for name in [DEAD, OF_MESSAGE, AFTER] {
            manager.drop_index(drop(name)).await?;
        }
        manager.create_index(index(BEFORE, "hl7_message_id").unique().to_owned()).await?;
        COLUMNS.down(manager).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
