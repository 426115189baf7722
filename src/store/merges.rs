//! Rows that belong to a patient, moved to another.

use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect, sea_query::Expr,
};
use serde_json::{Map, Value, json};

use super::{
    db::Tx,
    entity::{
        appointment, critical_alert, encounter, hl7_message, lab_order, lab_report, lab_result, patient,
        patient_identifier, patient_merge,
    },
};

/// Ids named in one statement.
const IDS_AT_ONCE: usize = 1000;

/// Calls a macro once for each kind of row that belongs to a patient, with its module and its table.
macro_rules! each_kind {
    ($go:ident) => {
        $go!(encounter, "encounters");
        $go!(lab_order, "lab_orders");
        $go!(lab_report, "lab_reports");
        $go!(lab_result, "lab_results");
        $go!(critical_alert, "critical_alerts");
        $go!(appointment, "appointments");
        $go!(hl7_message, "hl7_messages");
        $go!(patient_identifier, "patient_identifiers");
    };
}

/// Two patients, held against everybody else until the end of the transaction, in the order of their ids, so that two
/// merges never wait for each other in a ring.
pub async fn hold_both(tx: &Tx, one: i64, other: i64) -> Result<Vec<patient::Model>, DbErr> {
    patient::Entity::find()
        .filter(patient::Column::Id.is_in([one, other]))
        .order_by_asc(patient::Column::Id)
        .lock_exclusive()
        .all(&**tx)
        .await
}

/// Moves everything of one patient to another. Answers the ids of what moved, by table.
pub async fn move_rows(tx: &Tx, from: i64, to: i64) -> Result<Value, DbErr> {
    let mut moved = Map::new();
    macro_rules! go {
        ($kind:ident, $table:literal) => {
            let columns = ($kind::Column::Id, $kind::Column::PatientId);
            let ids = move_kind::<$kind::Entity>(tx, columns, from, to).await?;
            moved.insert($table.to_owned(), json!(ids));
        };
    }
    each_kind!(go);
    Ok(Value::Object(moved))
}

async fn move_kind<E: EntityTrait>(
    tx: &Tx,
    (id, patient): (E::Column, E::Column),
    from: i64,
    to: i64,
) -> Result<Vec<i64>, DbErr> {
    let mine = E::find().select_only().column(id).filter(patient.eq(from)).order_by_asc(id);
    let ids: Vec<i64> = mine.into_tuple().all(&**tx).await?;
    E::update_many().col_expr(patient, Expr::value(to)).filter(patient.eq(from)).exec(&**tx).await?;
    Ok(ids)
}

/// Moves rows back that a merge moved.
pub async fn move_back(tx: &Tx, moved: &Value, to: i64) -> Result<(), DbErr> {
    macro_rules! go {
        ($kind:ident, $table:literal) => {
            let columns = ($kind::Column::Id, $kind::Column::PatientId);
            move_kind_back::<$kind::Entity>(tx, columns, &ids(moved, $table), to).await?;
        };
    }
    each_kind!(go);
    Ok(())
}

async fn move_kind_back<E: EntityTrait>(
    tx: &Tx,
    (id, patient): (E::Column, E::Column),
    ids: &[i64],
    to: i64,
) -> Result<(), DbErr> {
    for part in ids.chunks(IDS_AT_ONCE) {
        let named = id.is_in(part.iter().copied());
        E::update_many().col_expr(patient, Expr::value(to)).filter(named).exec(&**tx).await?;
    }
    Ok(())
}

/// The rows of one table that a merge moved.
fn ids(moved: &Value, table: &str) -> Vec<i64> {
    moved[table].as_array().into_iter().flatten().filter_map(Value::as_i64).collect()
}

/// Marks identifiers as such that find a patient and are no longer used, or as used again.
pub async fn set_identifiers_active(tx: &Tx, moved: &Value, active: bool) -> Result<(), DbErr> {
    let ids = ids(moved, "patient_identifiers");
    patient_identifier::Entity::update_many()
        .col_expr(patient_identifier::Column::Active, Expr::value(active))
        .filter(patient_identifier::Column::Id.is_in(ids))
        .exec(&**tx)
        .await
        .map(|_| ())
}

/// Result keys under which a patient has several current versions, with those versions, the highest first. A lab that counts
/// its orders anew gives one key to two patients; when these turn out to be one, one version is the current one.
pub async fn doubled(tx: &Tx, patient: i64, moved: &Value) -> Result<Vec<(String, i32, i64)>, DbErr> {
    let ids = ids(moved, "lab_results");
    let mut found = Vec::new();
    for part in ids.chunks(IDS_AT_ONCE) {
        let keys = lab_result::Entity::find()
            .select_only()
            .column(lab_result::Column::ResultKey)
            .filter(lab_result::Column::Id.is_in(part.iter().copied()))
            .filter(lab_result::Column::IsCurrent.eq(true));
        let rows: Vec<(String, i32, i64)> = lab_result::Entity::find()
            .select_only()
            .columns([lab_result::Column::ResultKey, lab_result::Column::Version, lab_result::Column::Id])
            .filter(lab_result::Column::PatientId.eq(patient))
            .filter(lab_result::Column::IsCurrent.eq(true))
            .filter(lab_result::Column::ResultKey.in_subquery(sea_orm::QueryTrait::into_query(keys)))
            .order_by_asc(lab_result::Column::ResultKey)
            .order_by_desc(lab_result::Column::Version)
            .into_tuple()
            .all(&**tx)
            .await?;
        found.extend(rows);
    }
    Ok(found)
}

/// Whether these results are the current versions.
pub async fn set_current(tx: &Tx, results: &[i64], current: bool) -> Result<(), DbErr> {
    for part in results.chunks(IDS_AT_ONCE) {
        lab_result::Entity::update_many()
            .col_expr(lab_result::Column::IsCurrent, Expr::value(current))
            .filter(lab_result::Column::Id.is_in(part.iter().copied()))
            .exec(&**tx)
            .await?;
    }
    Ok(())
}

/// The last merge of these two that was not undone.
pub async fn last_merge(
    connection: &impl ConnectionTrait,
    survivor: i64,
    merged: i64,
) -> Result<Option<patient_merge::Model>, DbErr> {
    use patient_merge::Column as C;
    patient_merge::Entity::find()
        .filter(C::SurvivorId.eq(survivor))
        .filter(C::MergedId.eq(merged))
        .filter(C::UndoneAt.is_null())
        .order_by_desc(C::Id)
        .one(connection)
        .await
}
