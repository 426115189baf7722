//! What the intake loads and saves: one statement a kind for a whole batch, never one a message.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    sync::LazyLock,
};

use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, DbErr, EntityTrait, FromQueryResult, QueryFilter, QueryOrder,
    QuerySelect, QueryTrait, Statement,
    sea_query::{Expr, ExprTrait, LockType},
};

use super::{
    bulk::{insert, insert_records_sql, is_one_of, records},
    db::Tx,
    entity::{critical_alert, hl7_message, lab_report, lab_result, patient, patient_identifier, review_item},
};

/// A message that is stored already, as far as a resend needs it.
#[derive(Clone, FromQueryResult)]
pub struct Stored {
    /// Row id.
    pub id: i64,
    /// The peer.
    pub lis_endpoint_id: i64,
    /// MSH-10.
    pub message_control_id: String,
    /// SHA-256 of the bytes.
    pub message_hash: String,
    /// What was answered.
    pub ack_bytes: Option<Vec<u8>>,
    /// What became of it.
    pub status: String,
}

impl Stored {
    /// Whether it was turned away.
    pub fn is_refused(&self) -> bool {
        matches!(self.status.as_str(), "refused" | "quarantined")
    }
}

/// Inbound messages under these control ids, from any peer; the caller tells the peers apart.
pub async fn stored_messages(
    connection: &impl ConnectionTrait,
    control_ids: Vec<String>,
) -> Result<Vec<Stored>, DbErr> {
    use hl7_message::Column as C;
    hl7_message::Entity::find()
        .select_only()
        .columns([C::Id, C::LisEndpointId, C::MessageControlId, C::MessageHash, C::AckBytes, C::Status])
        .filter(is_one_of(connection.get_database_backend(), C::MessageControlId, &control_ids))
        .filter(C::Direction.eq("inbound"))
        .into_model::<Stored>()
        .all(connection)
        .await
}

/// Identifiers of these values, each with the patient it leads to after merges.
pub async fn patients_of(
    connection: &impl ConnectionTrait,
    values: Vec<String>,
) -> Result<Vec<(patient_identifier::Model, patient::Model)>, DbErr> {
    if values.is_empty() {
        return Ok(Vec::new());
    }
    let identifiers = patient_identifier::Entity::find()
        .filter(is_one_of(connection.get_database_backend(), patient_identifier::Column::Value, &values))
        .all(connection)
        .await?;
    let owners: HashSet<i64> = identifiers.iter().map(|row| row.patient_id).collect();
    let patients = with_survivors(connection, owners).await?;
    let resolve = |mut id: i64| {
        for _ in 0..32 {
            match patients.get(&id)?.merged_into_id {
                Some(next) => id = next,
                None => return patients.get(&id),
            }
        }
        None
    };
    Ok(identifiers
        .into_iter()
        .filter_map(|row| Some((resolve(row.patient_id)?.clone(), row)))
        .map(|(p, i)| (i, p))
        .collect())
}

async fn with_survivors(
    connection: &impl ConnectionTrait,
    mut wanted: HashSet<i64>,
) -> Result<HashMap<i64, patient::Model>, DbErr> {
    let mut found: HashMap<i64, patient::Model> = HashMap::new();
    while !wanted.is_empty() {
        let ids: Vec<i64> = wanted.drain().collect();
        for part in ids.chunks(IDS_AT_ONCE) {
            let part = patient::Column::Id.is_in(part.iter().copied());
            // Held against a merge until the end of the transaction, as the foreign key of what is filed would hold it: a
            // result must not go into a chart that is merged away meanwhile.
            let rows = patient::Entity::find().filter(part).lock(LockType::KeyShare).all(connection).await?;
            wanted.extend(rows.iter().filter_map(|row| row.merged_into_id));
            found.extend(rows.into_iter().map(|row| (row.id, row)));
        }
        wanted.retain(|id| !found.contains_key(id));
    }
    Ok(found)
}

/// All versions under these keys, without their documents.
pub async fn results_of(
    connection: &impl ConnectionTrait,
    keys: Vec<String>,
) -> Result<Vec<lab_result::Model>, DbErr> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let named = is_one_of(connection.get_database_backend(), lab_result::Column::ResultKey, &keys);
    lab_result::without_documents().filter(named).all(connection).await
}

/// How many ids are named in one statement.
const IDS_AT_ONCE: usize = 1000;

/// Reserves ids of several tables, so that rows can name each other before they are written. They are taken when the
/// batch is, never ahead: lists are newest first by id. Those that are not used leave gaps, which mean nothing.
pub async fn reserve_ids<const N: usize>(
    tx: &Tx,
    wanted: [(&'static str, usize); N],
) -> Result<[VecDeque<i64>; N], DbErr> {
    let mut ids = [const { VecDeque::new() }; N];
    if tx.is_postgres() {
        let row = tx.query_one_raw(Statement::from_string(DbBackend::Postgres, next_values(&wanted))).await?;
        let Some(row) = row else { return Ok(ids) };
        for (ids, (table, _)) in ids.iter_mut().zip(wanted) {
            let text: Option<String> = row.try_get("", table)?;
            ids.extend(text.unwrap_or_default().split(',').filter_map(|id| id.parse::<i64>().ok()));
        }
        return Ok(ids);
    }
    for (ids, (table, count)) in ids.iter_mut().zip(wanted) {
        *ids = following_ids(tx, table, count).await?;
    }
    Ok(ids)
}

/// One statement for all tables, so one round trip.
fn next_values(wanted: &[(&'static str, usize)]) -> String {
    let of_table = |(table, count): &(&'static str, usize)| {
        format!(
            "(SELECT string_agg(nextval('{table}_id_seq')::text, ',') FROM generate_series(1, {count})) AS {table}"
        )
    };
    format!("SELECT {}", wanted.iter().map(of_table).collect::<Vec<_>>().join(", "))
}

/// SQLite has one writer: nobody else can take the next numbers before this transaction ends.
async fn following_ids(tx: &Tx, table: &str, count: usize) -> Result<VecDeque<i64>, DbErr> {
    let sql = format!("SELECT seq AS id FROM sqlite_sequence WHERE name = '{table}'");
    let row = tx.query_one_raw(Statement::from_string(DbBackend::Sqlite, sql)).await?;
    let last: i64 = row.map(|row| row.try_get("", "id")).transpose()?.unwrap_or_default();
    Ok((last + 1..=last + count as i64).collect())
}

/// Everything a batch writes.
#[derive(Default)]
pub struct Rows {
    /// Messages.
    pub messages: Vec<hl7_message::ActiveModel>,
    /// Reports.
    pub reports: Vec<lab_report::ActiveModel>,
    /// Result versions.
    pub results: Vec<lab_result::ActiveModel>,
    /// Result rows that are no longer current, written by earlier batches.
    pub superseded: Vec<i64>,
    /// Alerts.
    pub alerts: Vec<critical_alert::ActiveModel>,
    /// Review items.
    pub reviews: Vec<review_item::ActiveModel>,
    /// Messages that came again, and how often.
    pub resent: BTreeMap<i64, i32>,
}

/// Writes a batch, parents first.
pub async fn save(tx: &Tx, rows: Rows) -> Result<(), DbErr> {
    let Rows { messages, reports, results, superseded, alerts, reviews, resent } = rows;
    if tx.is_postgres() {
        let parameters = [
            records::<hl7_message::Entity>(messages),
            records::<lab_report::Entity>(reports),
            records::<lab_result::Entity>(results),
            records::<critical_alert::Entity>(alerts),
            serde_json::Value::from(superseded).to_string(),
        ];
        save_in_one(tx, parameters).await?;
    } else {
        insert::<hl7_message::Entity>(tx, messages).await?;
        insert::<lab_report::Entity>(tx, reports).await?;
        supersede(tx, superseded).await?;
        insert::<lab_result::Entity>(tx, results).await?;
        insert::<critical_alert::Entity>(tx, alerts).await?;
    }
    insert::<review_item::Entity>(tx, reviews).await?;
    for (message, times) in resent {
        count_resends(tx, message, times).await?;
    }
    Ok(())
}

/// The whole batch in one statement, so in one round trip. Foreign keys are checked at its end, when all of its rows
/// are there.
async fn save_in_one(tx: &Tx, parameters: [String; 5]) -> Result<(), DbErr> {
    static SQL: LazyLock<String> = LazyLock::new(|| {
        format!(
            "WITH m AS ({}), r AS ({}), s AS (UPDATE lab_results SET is_current = false WHERE id = ANY(ARRAY(\
             SELECT json_array_elements_text($5::json)::bigint))), v AS ({}) {}",
            insert_records_sql::<hl7_message::Entity>("$1"),
            insert_records_sql::<lab_report::Entity>("$2"),
            insert_records_sql::<lab_result::Entity>("$3"),
            insert_records_sql::<critical_alert::Entity>("$4"),
        )
    });
    let values = parameters.map(sea_orm::Value::from);
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, SQL.as_str(), values);
    tx.execute_raw(statement).await.map(|_| ())
}

async fn supersede(tx: &Tx, ids: Vec<i64>) -> Result<(), DbErr> {
    // In parts: SQLite binds 32,766 values at most, and one message may correct more results.
    for part in ids.chunks(IDS_AT_ONCE) {
        lab_result::Entity::update_many()
            .col_expr(lab_result::Column::IsCurrent, Expr::value(false))
            .filter(lab_result::Column::Id.is_in(part.iter().copied()))
            .exec(&**tx)
            .await?;
    }
    Ok(())
}

/// Counts how often a message came again.
pub async fn count_resends(tx: &Tx, message: i64, times: i32) -> Result<(), DbErr> {
    let seen = Expr::col(hl7_message::Column::DuplicatesSeen).add(times);
    hl7_message::Entity::update_many()
        .col_expr(hl7_message::Column::DuplicatesSeen, seen)
        .filter(hl7_message::Column::Id.eq(message))
        .exec(&**tx)
        .await
        .map(|_| ())
}

/// Moves the stamp of a current row that a newer message has confirmed.
pub async fn confirm(
    tx: &Tx,
    id: i64,
    status_changed_at: Option<chrono::DateTime<chrono::Utc>>,
    message_time: Option<chrono::DateTime<chrono::Utc>>,
) -> Result<(), DbErr> {
    lab_result::Entity::update_many()
        .col_expr(lab_result::Column::StatusChangedAt, Expr::value(status_changed_at))
        .col_expr(lab_result::Column::MessageTime, Expr::value(message_time))
        .filter(lab_result::Column::Id.eq(id))
        .exec(&**tx)
        .await
        .map(|_| ())
}

/// Alerts raised by the versions of a patient's result before this one. A final that repeats a critical preliminary
/// raises none of its own, so the alert of what is corrected now may hang on a version long before.
pub async fn alerts_before(
    connection: &impl ConnectionTrait,
    result_key: &str,
    patient: i64,
    version: i32,
) -> Result<Vec<critical_alert::Model>, DbErr> {
    let versions = lab_result::Entity::find()
        .select_only()
        .column(lab_result::Column::Id)
        .filter(lab_result::Column::ResultKey.eq(result_key))
        .filter(lab_result::Column::PatientId.eq(patient))
        .filter(lab_result::Column::Version.lt(version))
        .into_query();
    critical_alert::Entity::find()
        .filter(critical_alert::Column::LabResultId.in_subquery(versions))
        .order_by_asc(critical_alert::Column::Id)
        .all(connection)
        .await
}

/// What a failed statement means for a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Another writer was faster: load again and decide again.
    Raced,
    /// The data of some message cannot be written: find it, and let the others through.
    Poisoned,
    /// The database is not there, full, or shutting down: nobody's message is at fault.
    Unavailable,
}

/// Judges a failure by the engine's class of error.
pub fn judge(error: &DbErr) -> Failure {
    if super::is_unique_violation(error) {
        return Failure::Raced;
    }
    let code = match error {
        DbErr::Exec(sea_orm::RuntimeErr::SqlxError(error))
        | DbErr::Query(sea_orm::RuntimeErr::SqlxError(error)) => {
            error.as_database_error().and_then(|error| error.code().map(std::borrow::Cow::into_owned))
        }
        _ => None,
    };
    let Some(code) = code else { return Failure::Unavailable };
    // PostgreSQL: class 22 is data, 23 integrity, 54 a limit (an index entry too long), 40 a rolled-back race. SQLite:
    // primary code in the low byte, 18 too big, 19 constraint, 20 mismatch, 5 and 6 busy.
    match code.as_str() {
        code if code.len() == 5 && ["22", "23", "54"].contains(&&code[..2]) => Failure::Poisoned,
        code if code.len() == 5 && code.starts_with("40") => Failure::Raced,
        code if code.len() < 5 => match code.parse::<u32>().unwrap_or_default() & 0xff {
            18..=20 => Failure::Poisoned,
            _ => Failure::Unavailable,
        },
        _ => Failure::Unavailable,
    }
}
