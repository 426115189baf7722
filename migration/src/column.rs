//! Columns in the words of the schema. Everything is NOT NULL unless it says [`opt`].

use sea_orm_migration::prelude::{ColumnDef, Expr};

/// The key of every table: 64 bits, given by the database.
///
/// SQLite gets AUTOINCREMENT, so that the id of a deleted row never comes back: clients, logs and
/// the event stream remember ids. PostgreSQL gets an identity, whose sequence is `<table>_id_seq`.
pub(crate) fn id() -> ColumnDef {
    not_null("id", |column| column.big_integer().auto_increment().primary_key())
}

/// Text of any length.
pub(crate) fn text(name: &'static str) -> ColumnDef {
    not_null(name, ColumnDef::text)
}

/// Text that PostgreSQL caps at `length` characters; SQLite takes the cap as a remark.
pub(crate) fn varchar(name: &'static str, length: u32) -> ColumnDef {
    not_null(name, |column| column.string_len(length))
}

/// 64-bit integer.
pub(crate) fn big(name: &'static str) -> ColumnDef {
    not_null(name, ColumnDef::big_integer)
}

/// 32-bit integer.
pub(crate) fn int(name: &'static str) -> ColumnDef {
    not_null(name, ColumnDef::integer)
}

/// 64-bit floating point number.
pub(crate) fn double(name: &'static str) -> ColumnDef {
    not_null(name, ColumnDef::double)
}

/// Truth value.
pub(crate) fn flag(name: &'static str) -> ColumnDef {
    not_null(name, ColumnDef::boolean)
}

/// JSON: jsonb on PostgreSQL, text on SQLite.
pub(crate) fn json(name: &'static str) -> ColumnDef {
    not_null(name, ColumnDef::json_binary)
}

/// An instant in UTC. Never with a default: the application's clock is the only one, and SQLite's
/// own notation of "now" would not sort among the times the application writes.
pub(crate) fn ts(name: &'static str) -> ColumnDef {
    not_null(name, ColumnDef::timestamp_with_time_zone)
}

/// A calendar day.
pub(crate) fn date(name: &'static str) -> ColumnDef {
    not_null(name, ColumnDef::date)
}

/// Bytes.
pub(crate) fn blob(name: &'static str) -> ColumnDef {
    not_null(name, ColumnDef::blob)
}

/// The column may be NULL.
pub(crate) fn opt(mut column: ColumnDef) -> ColumnDef {
    column.null().take()
}

/// The column is `value` where an insert leaves it out.
pub(crate) fn or(mut column: ColumnDef, value: impl Into<Expr>) -> ColumnDef {
    column.default(value).take()
}

fn not_null(name: &'static str, typed: impl FnOnce(&mut ColumnDef) -> &mut ColumnDef) -> ColumnDef {
    typed(ColumnDef::new(name).not_null()).take()
}
