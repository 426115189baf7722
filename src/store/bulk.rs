//! Many rows in one statement.
//!
//! On PostgreSQL a VALUES list has another text for every number of rows: it is parsed, described and planned anew each
//! time, which costs more than the insert. There the rows travel as one JSON value, so that a table has one statement
//! whatever the number of rows, prepared once for each connection. SQLite prepares in microseconds and takes VALUES.

use sea_orm::{
    ActiveModelTrait, ActiveValue, ColumnTrait, ConnectionTrait, DbBackend, DbErr, EntityTrait, Iden,
    Iterable, Statement, Value,
    sea_query::{Expr, SimpleExpr},
};
use serde_json::{Map, Value as Json};

use super::db::Tx;

/// SQLite binds at most 32,766 values in one statement; the widest table has under 60 columns.
const ROWS_PER_STATEMENT: usize = 500;

/// Inserts rows that all set the same columns.
pub async fn insert<E: EntityTrait>(tx: &Tx, rows: Vec<E::ActiveModel>) -> Result<(), DbErr>
where
    E::ActiveModel: Send,
{
    let mut rows = rows.into_iter().peekable();
    while rows.peek().is_some() {
        let part: Vec<E::ActiveModel> = rows.by_ref().take(ROWS_PER_STATEMENT).collect();
        if tx.is_postgres() {
            insert_json::<E>(tx, &part).await?;
        } else {
            E::insert_many(part).exec_without_returning(&**tx).await?;
        }
    }
    Ok(())
}

async fn insert_json<E: EntityTrait>(tx: &Tx, rows: &[E::ActiveModel]) -> Result<(), DbErr> {
    let Some(first) = rows.first() else { return Ok(()) };
    let set = |column: &E::Column| !matches!(first.get(*column), ActiveValue::NotSet);
    let columns: Vec<E::Column> = E::Column::iter().filter(set).collect();
    let names: Vec<String> = columns.iter().map(Iden::to_string).collect();
    let table = E::default();
    let (table, names_list) = (table.table_name(), names.join(", "));
    let sql = format!(
        "INSERT INTO {table} ({names_list}) SELECT {names_list} FROM json_populate_recordset(NULL::{table}, $1::json)"
    );
    let text = Json::Array(rows.iter().map(|row| object::<E>(row, &columns, &names)).collect()).to_string();
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, [text.into()]);
    tx.execute_raw(statement).await.map(|_| ())
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

fn object<E: EntityTrait>(row: &E::ActiveModel, columns: &[E::Column], names: &[String]) -> Json {
    let mut object = Map::with_capacity(columns.len());
    for (column, name) in columns.iter().zip(names) {
        if let ActiveValue::Set(value) | ActiveValue::Unchanged(value) = row.get(*column) {
            object.insert(name.clone(), json(value));
        }
    }
    Json::Object(object)
}

/// A value as PostgreSQL reads it back from JSON: bytes in its hexadecimal form, times in RFC 3339.
fn json(value: Value) -> Json {
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
