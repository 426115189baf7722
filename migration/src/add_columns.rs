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
    /// Columns of indexes over the rows in which the first of them is not NULL.
    pub(crate) indexes: &'static [&'static [&'static str]],
}

impl AddColumns {
    fn index_name(&self, columns: &[&str]) -> String {
        format!("idx_{}_{}_some", self.table, columns.join("_"))
    }

    fn index(&self, columns: &[&'static str]) -> IndexCreateStatement {
        let mut index = Index::create();
        index.name(self.index_name(columns)).table(self.table);
        for column in columns {
            index.col(*column);
        }
        let first = columns.first().copied().unwrap_or_default();
        index.and_where(Expr::cust(format!("{first} IS NOT NULL"))).to_owned()
    }
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
        for columns in self.indexes {
            manager.create_index(self.index(columns)).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // SQLite drops no column that an index stands on.
        for columns in self.indexes {
            let drop = Index::drop().name(self.index_name(columns)).table(self.table).to_owned();
            manager.drop_index(drop).await?;
        }
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
