//! A schema step that adds indexes to tables that are there.

use sea_orm_migration::prelude::*;

/// One index: table, columns, and the condition of the rows in it; an empty condition means all rows.
pub(crate) type NewIndex = (&'static str, &'static [&'static str], &'static str);

/// What one step adds. Up creates the indexes, down drops them.
pub(crate) struct AddIndexes {
    /// Name under which the database remembers that the step was taken; equals the file.
    pub(crate) name: &'static str,
    /// The indexes.
    pub(crate) indexes: &'static [NewIndex],
}

fn index_name((table, columns, condition): &NewIndex) -> String {
    let some = if condition.is_empty() { "" } else { "_some" };
    format!("idx_{table}_{}{some}", columns.join("_"))
}

fn create(new: &NewIndex) -> IndexCreateStatement {
    let (table, columns, condition) = new;
    let mut index = Index::create();
    index.name(index_name(new)).table(*table);
    for column in *columns {
        index.col(*column);
    }
    if !condition.is_empty() {
        index.and_where(Expr::cust(*condition));
    }
    index
}

impl MigrationName for AddIndexes {
    fn name(&self) -> &str {
        self.name
    }
}

#[async_trait::async_trait]
impl MigrationTrait for AddIndexes {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for new in self.indexes {
            manager.create_index(create(new)).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for new in self.indexes.iter().rev() {
            manager.drop_index(Index::drop().name(index_name(new)).table(new.0).to_owned()).await?;
        }
        Ok(())
    }

    /// On SQLite too: a step cut short must leave no half.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
