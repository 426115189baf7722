//! A schema step that creates one table, its constraints and its indexes.

use sea_orm_migration::prelude::*;

/// What one step creates. Up creates it, down drops it with everything in it.
///
/// Foreign keys neither cascade nor set NULL: rows that others point at stay.
pub(crate) struct CreateTable {
    /// Name under which the database remembers that the step was taken; equals the file.
    pub(crate) name: &'static str,
    /// Table to create.
    pub(crate) table: &'static str,
    /// Columns in order.
    pub(crate) columns: fn() -> Vec<ColumnDef>,
    /// Column and the table whose `id` it holds.
    pub(crate) foreign_keys: &'static [(&'static str, &'static str)],
    /// Name and columns of what must not occur twice. Both engines hold NULLs apart, so a nullable
    /// column would let the same thing in twice; none may stand here.
    pub(crate) unique: &'static [(&'static str, &'static [&'static str])],
    /// The same among the rows that meet a condition, which comes last.
    pub(crate) unique_among: &'static [(&'static str, &'static [&'static str], &'static str)],
    /// Columns of indexes for the questions people ask.
    pub(crate) indexes: &'static [&'static [&'static str]],
    /// Columns of indexes over the rows that meet a condition, for questions about few rows of many: what is not
    /// in an index costs its insert nothing.
    pub(crate) partial: &'static [(&'static [&'static str], &'static str)],
}

/// Stands in for what a table does not have.
pub(crate) const EMPTY: CreateTable = CreateTable {
    name: "",
    table: "",
    columns: Vec::new,
    foreign_keys: &[],
    unique: &[],
    unique_among: &[],
    indexes: &[],
    partial: &[],
};

impl MigrationName for CreateTable {
    fn name(&self) -> &str {
        self.name
    }
}

#[async_trait::async_trait]
impl MigrationTrait for CreateTable {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(self.table_statement()).await?;
        for index in self.index_statements() {
            manager.create_index(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let drop = Table::drop().table(self.table).to_owned();
        manager.drop_table(drop).await
    }

    /// On SQLite too: a step cut short must leave neither half a table nor half its indexes.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

impl CreateTable {
    fn table_statement(&self) -> TableCreateStatement {
        let mut create = Table::create();
        create.table(self.table);
        for mut column in (self.columns)() {
            create.col(&mut column);
        }
        for (column, parent) in self.foreign_keys {
            // Part of the table, because SQLite cannot add a foreign key later.
            create.foreign_key(
                ForeignKey::create()
                    .name(format!("fk_{}_{column}", self.table))
                    .from(self.table, *column)
                    .to(*parent, "id"),
            );
        }
        create
    }

    fn index_statements(&self) -> Vec<IndexCreateStatement> {
        let unique = self.unique.iter().map(|(name, columns)| self.index(name, columns).unique().to_owned());
        let among = self.unique_among.iter().map(|(name, columns, condition)| {
            self.index(name, columns).unique().and_where(Expr::cust(*condition)).to_owned()
        });
        let plain = self.indexes.iter().map(|columns| {
            let name = format!("idx_{}_{}", self.table, columns.join("_"));
            self.index(&name, columns)
        });
        let partial = self.partial.iter().map(|(columns, condition)| {
            let name = format!("idx_{}_{}_some", self.table, columns.join("_"));
            self.index(&name, columns).and_where(Expr::cust(*condition)).to_owned()
        });
        unique.chain(among).chain(plain).chain(partial).collect()
    }

    fn index(&self, name: &str, columns: &[&'static str]) -> IndexCreateStatement {
        let mut index = Index::create();
        index.name(name).table(self.table);
        for column in columns {
            index.col(*column);
        }
        index
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::column::{id, opt, text};

    const CHILD: CreateTable = CreateTable {
        name: "m9999_children",
        table: "children",
        columns: || vec![id(), text("name"), opt(text("nickname"))],
        foreign_keys: &[("parent_id", "parents")],
        unique: &[("uq_children_name", &["name"])],
        unique_among: &[("uq_children_nickname", &["nickname"], "parent_id = 1")],
        indexes: &[&["nickname", "id"]],
        partial: &[(&["parent_id"], "nickname IS NOT NULL")],
    };

    #[test]
    fn ids_come_from_the_database_and_are_never_reused() {
        let create = CHILD.table_statement();
        assert!(
            create
                .to_string(SqliteQueryBuilder)
                .contains(r#""id" integer NOT NULL PRIMARY KEY AUTOINCREMENT"#)
        );
        assert!(
            create
                .to_string(PostgresQueryBuilder)
                .contains(r#""id" bigint GENERATED BY DEFAULT AS IDENTITY NOT NULL PRIMARY KEY"#)
        );
    }

    #[test]
    fn columns_are_not_null_unless_optional() {
        let sql = CHILD.table_statement().to_string(PostgresQueryBuilder);
        assert!(sql.contains(r#""name" text NOT NULL,"#), "{sql}");
        assert!(sql.contains(r#""nickname" text NULL,"#), "{sql}");
    }

    #[test]
    fn keys_and_indexes_are_named_after_what_they_hold() {
        let table = CHILD.table_statement().to_string(SqliteQueryBuilder);
        assert!(table.contains(r#"FOREIGN KEY ("parent_id") REFERENCES "parents" ("id")"#), "{table}");
        let indexes: Vec<_> =
            CHILD.index_statements().iter().map(|index| index.to_string(SqliteQueryBuilder)).collect();
        assert_eq!(
            indexes,
            [
                r#"CREATE UNIQUE INDEX "uq_children_name" ON "children" ("name")"#,
                r#"CREATE UNIQUE INDEX "uq_children_nickname" ON "children" ("nickname") WHERE parent_id = 1"#,
                r#"CREATE INDEX "idx_children_nickname_id" ON "children" ("nickname", "id")"#,
                r#"CREATE INDEX "idx_children_parent_id_some" ON "children" ("parent_id") WHERE nickname IS NOT NULL"#,
            ]
        );
    }
}
