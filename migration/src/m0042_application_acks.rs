//! What a laboratory's application says after its system has taken a message: whether that is awaited, and where the order
//! stood if a cancellation was taken for agreed without it.

use sea_orm_migration::prelude::*;

use crate::column::{json, opt, ts, varchar};

/// Adds the columns and an index over what is awaited.
pub(crate) struct Step;

const TABLE: &str = "outbox";
const AWAITED: &str = "idx_outbox_application_ack";

fn columns() -> Vec<ColumnDef> {
    vec![opt(varchar("application_ack", 20)), opt(ts("application_ack_until")), opt(json("before_consent"))]
}

impl MigrationName for Step {
    fn name(&self) -> &'static str {
        "m0042_application_acks"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Step {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in columns() {
            manager.alter_table(Table::alter().table(TABLE).add_column(column).to_owned()).await?;
        }
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
        for column in columns().iter().rev() {
            let name = column.get_column_name();
            manager.alter_table(Table::alter().table(TABLE).drop_column(name).to_owned()).await?;
        }
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
