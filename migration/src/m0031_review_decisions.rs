//! Decisions about what waits for a person: an item for each stated patient of a message, and decisions that can be taken
//! back without losing what was shown in the meantime.

use sea_orm_migration::prelude::*;

use crate::column::{big, int, json, opt, or, ts};

/// Adds the columns and indexes.
pub(crate) struct Step;

/// One item a message.
const BEFORE: (&str, &[&str]) = ("uq_review_items_hl7_message", &["hl7_message_id"]);
/// One item for each stated patient of a message.
const AFTER: (&str, &[&str]) = ("uq_review_items_block", &["hl7_message_id", "block"]);
/// The alerts of a message.
const ALERTS: &str = "idx_critical_alerts_hl7_message_id";

/// Table and column, in the order in which they are added.
fn columns() -> Vec<(&'static str, ColumnDef)> {
    vec![
        ("review_items", or(int("block"), 0)),
        ("review_items", opt(json("blocks"))),
        ("review_items", opt(json("claimed"))),
        ("review_items", opt(big("patient_id"))),
        ("review_items", opt(json("history"))),
        ("lab_results", opt(ts("withdrawn_at"))),
        ("lab_reports", opt(ts("withdrawn_at"))),
        ("patients", opt(ts("withdrawn_at"))),
    ]
}

fn unique((name, columns): (&str, &'static [&'static str])) -> IndexCreateStatement {
    let mut index = Index::create();
    index.name(name).table("review_items").unique();
    for column in columns {
        index.col(*column);
    }
    index
}

impl MigrationName for Step {
    fn name(&self) -> &'static str {
        "m0031_review_decisions"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Step {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (table, mut column) in columns() {
            manager.alter_table(Table::alter().table(table).add_column(&mut column).to_owned()).await?;
        }
        manager.drop_index(Index::drop().name(BEFORE.0).table("review_items").to_owned()).await?;
        manager.create_index(unique(AFTER)).await?;
        let alerts = Index::create().name(ALERTS).table("critical_alerts").col("hl7_message_id").to_owned();
        manager.create_index(alerts).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_index(Index::drop().name(ALERTS).table("critical_alerts").to_owned()).await?;
        manager.drop_index(Index::drop().name(AFTER.0).table("review_items").to_owned()).await?;
        manager.create_index(unique(BEFORE)).await?;
        for (table, column) in columns().into_iter().rev() {
            let name = column.get_column_name();
            manager.alter_table(Table::alter().table(table).drop_column(name).to_owned()).await?;
        }
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
