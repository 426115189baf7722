//! Many rows in one statement.
//!
//! On PostgreSQL a VALUES list has another text for every number of rows: it is parsed, described and planned anew each
//! time, which costs more than the insert. Where it matters the rows travel as one JSON value there, so that there is one
//! statement whatever the number of rows, prepared once for each connection. SQLite prepares in microseconds and takes
//! VALUES.

use sea_orm::{
    ActiveModelTrait, ActiveValue, ColumnTrait, DbBackend, DbErr, EntityTrait, Iden, Iterable, Value,
    sea_query::{Expr, SimpleExpr},
};
use serde_json::Value as Json;

use super::db::Tx;

/// SQLite binds at most 32,766 values in one statement; the widest table has under 60 columns.
const ROWS_PER_STATEMENT: usize = 500;

/// Inserts rows that all set the same columns, as a VALUES list.
pub async fn insert<E: EntityTrait>(tx: &Tx, rows: Vec<E::ActiveModel>) -> Result<(), DbErr>
where
    E::ActiveModel: Send,
{
    let mut rows = rows.into_iter().peekable();
    while rows.peek().is_some() {
        let part: Vec<E::ActiveModel> = rows.by_ref().take(ROWS_PER_STATEMENT).collect();
        E::insert_many(part).exec_without_returning(&**tx).await?;
    }
    Ok(())
}

/// PostgreSQL's `INSERT … SELECT` of the rows in a JSON parameter, which set every column of their table.
pub(super) fn insert_records_sql<E: EntityTrait>(parameter: &str) -> String {
    let table = E::default();
    let table = table.table_name();
    let names = E::Column::iter().map(|column| column.to_string()).collect::<Vec<_>>().join(", ");
    format!(
        "INSERT INTO {table} ({names}) SELECT {names} FROM json_populate_recordset(NULL::{table}, {parameter}::json)"
    )
}

/// Rows as one JSON text, written straight from their values: building a tree first would cost as much again.
pub(super) fn records<E: EntityTrait>(rows: Vec<E::ActiveModel>) -> String {
    let columns: Vec<(E::Column, String)> =
        E::Column::iter().map(|column| (column, format!("\"{}\":", column.to_string()))).collect();
    let mut text = Vec::with_capacity(rows.len() * 1024 + 2);
    text.push(b'[');
    for (number, mut row) in rows.into_iter().enumerate() {
        text.extend_from_slice(if number == 0 { b"{" } else { b",{" });
        let start = text.len();
        for (column, name) in &columns {
            if let ActiveValue::Set(value) | ActiveValue::Unchanged(value) = row.take(*column) {
                member(&mut text, start, name, value);
            }
        }
        text.push(b'}');
    }
    text.push(b']');
    // Everything written is UTF-8: names are ours, and the values went through the serialiser.
    String::from_utf8(text).unwrap_or_default()
}

/// Writes one member, unless its value is NULL: a name that is missing reads as NULL.
fn member(text: &mut Vec<u8>, start: usize, name: &str, value: Value) {
    let before = text.len();
    if before > start {
        text.push(b',');
    }
    text.extend_from_slice(name.as_bytes());
    let written = match &value {
        Value::String(Some(content)) => serde_json::to_writer(&mut *text, content).is_ok(),
        Value::BigInt(Some(number)) => serde_json::to_writer(&mut *text, number).is_ok(),
        Value::Int(Some(number)) => serde_json::to_writer(&mut *text, number).is_ok(),
        Value::Bool(Some(flag)) => serde_json::to_writer(&mut *text, flag).is_ok(),
        Value::Json(Some(json)) => serde_json::to_writer(&mut *text, json).is_ok(),
        _ => match json(value) {
            Json::Null => false,
            json => serde_json::to_writer(&mut *text, &json).is_ok(),
        },
    };
    if !written {
        text.truncate(before);
    }
}

/// `column` is one of these texts. The list travels as one JSON value, so the statement has one text however long it is.
pub fn is_one_of<C: ColumnTrait>(backend: DbBackend, column: C, texts: &[String]) -> SimpleExpr {
    let list = Json::from(texts).to_string();
    let column = column.as_column_ref().1.to_string();
    match backend {
        DbBackend::Postgres => Expr::cust_with_values(
            format!("\"{column}\" = ANY(ARRAY(SELECT json_array_elements_text($1::json)))"),
            [list],
        ),
        _ => Expr::cust_with_values(format!("\"{column}\" IN (SELECT value FROM json_each(?))"), [list]),
    }
}

/// A value as PostgreSQL reads it back from JSON: bytes in its hexadecimal form, times in RFC 3339.
pub(super) fn json(value: Value) -> Json {
    match value {
        Value::Bytes(Some(bytes)) => Json::String(format!("\\x{}", hex(&bytes))),
        Value::ChronoDateTimeUtc(Some(time)) => Json::String(time.to_rfc3339()),
        Value::ChronoDate(Some(date)) => Json::String(date.to_string()),
        Value::String(Some(text)) => Json::String(text),
        Value::Json(Some(json)) => *json,
        value => sea_orm::sea_query::sea_value_to_json_value(&value),
    }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits =
        bytes.iter().flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    digits.map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_read_back_as_they_were() {
        let time: chrono::DateTime<chrono::Utc> =
            chrono::DateTime::from_timestamp_micros(1_700_000_000_123_456).unwrap_or_default();
        let table: [(Value, Json); 5] = [
            (vec![0u8, 255, 16].into(), "\\x00ff10".into()),
            (time.into(), "2023-11-14T22:13:20.123456+00:00".into()),
            (Option::<Vec<u8>>::None.into(), Json::Null),
            ("a\"b\\c".into(), "a\"b\\c".into()),
            (Value::Double(Some(6.8)), 6.8.into()),
        ];
        for (value, wanted) in table {
            assert_eq!(json(value), wanted);
        }
    }
}
