//! A schema step that adds columns to a table.

use sea_orm_migration::prelude::*;

/// What one step adds. Up adds the columns one by one (SQLite takes one at a time), down drops them.
pub(crate) struct AddColumns {
    /// Name under which the database remembers that the step was taken; equals the file.
    pub(crate) name: &'static str,
    /// Table to change.
    pub(crate) table: &'static str,
    /// Columns; each may be NULL or has a default, because there may be rows.
    pub(crate) columns: fn() -> Vec<ColumnDef>,
}

impl MigrationName for AddColumns {
    fn name(&self) -> &str {
        self.name
    }
}

#[async_trait::async_trait]
impl MigrationTrait for AddColumns {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in (self.columns)() {
            manager.alter_table(Table::alter().table(self.table).add_column(column).to_owned()).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in (self.columns)().iter().rev() {
            let name = column.get_column_name();
            manager.alter_table(Table::alter().table(self.table).drop_column(name).to_owned()).await?;
        }
        Ok(())
    }

    /// On SQLite too: a step cut short must leave no half.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
