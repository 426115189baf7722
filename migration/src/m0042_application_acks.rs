//! What a laboratory's application says after its system has taken a message: whether that is awaited, and where the order
//! stood if a cancellation was taken for agreed without it.

use sea_orm_migration::prelude::*;

use crate::add_columns::AddColumns;
use crate::column::{json, opt, ts, varchar};

/// Adds the columns and an index over what is awaited.
pub(crate) struct Step;

const TABLE: &str = "outbox";
const AWAITED: &str = "idx_outbox_application_ack";

const COLUMNS: AddColumns = AddColumns {
    name: "m0042_application_acks",
    table: TABLE,
    columns: || {
        vec![
            opt(varchar("application_ack", 20)),
            opt(ts("application_ack_until")),
            opt(json("before_consent")),
        ]
    },
    indexes: &[],
};

impl MigrationName for Step {
    fn name(&self) -> &str {
        COLUMNS.name
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Step {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        COLUMNS.up(manager).await?;
        let awaited = Index::create()
            .name(AWAITED)
            .table(TABLE)
            .col("lis_endpoint_id")
            .and_where(Expr::cust("application_ack = 'awaited'"))
            .to_owned();
        manager.create_index(awaited).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_index(Index::drop().name(AWAITED).table(TABLE).to_owned()).await?;
        COLUMNS.down(manager).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
