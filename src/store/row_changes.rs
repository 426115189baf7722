//! What a transaction has changed around a message, row by row: its rows as the transaction sees them beside those that
//! everybody else still sees.

use std::collections::BTreeMap;

use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, IdenStatic, Iterable, ModelTrait,
    QueryFilter, QuerySelect, sea_query::SimpleExpr,
};
use serde_json::{Map, Value as Json};

use super::{
    bulk::{is_one_of, json},
    db::{Db, Tx},
    entity::{
        appointment, critical_alert, encounter, hl7_message, lab_order, lab_order_event, lab_order_test,
        lab_report, lab_result, outbox, patient, patient_identifier, patient_merge, review_item,
    },
};

/// Columns that are bytes: nobody compares them by eye, and what they hold has its digest beside it.
const BYTES: [&str; 3] = ["raw_message", "ack_bytes", "document"];

/// A row as columns and values.
type Columns = Map<String, Json>;

/// A row before and after. One of both may be missing.
#[derive(Clone, Debug, PartialEq)]
pub struct RowChange {
    /// Its id.
    pub id: i64,
    /// As it is without the transaction.
    pub before: Option<Columns>,
    /// As the transaction leaves it.
    pub after: Option<Columns>,
}

/// What happens to a table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TableChanges {
    /// Rows that are new or not as before.
    pub rows: Vec<RowChange>,
    /// Rows that were looked at and stay.
    pub unchanged: usize,
}

/// Which rows a message may have touched.
#[derive(Default)]
struct Scope {
    message: i64,
    patients: Vec<i64>,
    orders: Vec<i64>,
    keys: Vec<String>,
    results: Vec<i64>,
    /// Messages that pass on what it tells.
    published: Vec<i64>,
}

/// Everything that a transaction has changed around a message so far, by table; tables of which nothing was looked at are
/// left out.
pub async fn row_changes(db: &Db, tx: &Tx, message: i64) -> Result<BTreeMap<String, TableChanges>, DbErr> {
    let scope = scope(tx, message).await?;
    let s = &scope;
    let backend = tx.get_database_backend();
    let mut all = BTreeMap::new();
    macro_rules! compare {
        ($($entity:ident: $condition:expr),+ $(,)?) => {
            $( compare::<$entity::Entity>(db, tx, $condition, &mut all).await?; )+
        };
    }
    compare!(
        hl7_message: Condition::any()
            .add(hl7_message::Column::Id.eq(s.message))
            .add(hl7_message::Column::Id.is_in(s.published.iter().copied()))
            .add(Condition::all()
                .add(hl7_message::Column::LabOrderId.is_in(s.orders.iter().copied()))
                .add(hl7_message::Column::Direction.eq("outbound"))),
        lab_report: one(lab_report::Column::Hl7MessageId.eq(s.message)),
        lab_result: one(is_one_of(backend, lab_result::Column::ResultKey, &s.keys)),
        critical_alert: Condition::any()
            .add(critical_alert::Column::Hl7MessageId.eq(s.message))
            .add(critical_alert::Column::LabResultId.is_in(s.results.iter().copied())),
        review_item: one(review_item::Column::Hl7MessageId.eq(s.message)),
        lab_order: one(lab_order::Column::Id.is_in(s.orders.iter().copied())),
        lab_order_test: one(lab_order_test::Column::LabOrderId.is_in(s.orders.iter().copied())),
        lab_order_event: one(lab_order_event::Column::LabOrderId.is_in(s.orders.iter().copied())),
        outbox: Condition::any()
            .add(outbox::Column::LabOrderId.is_in(s.orders.iter().copied()))
            .add(outbox::Column::Hl7MessageId.is_in(s.published.iter().copied())),
        patient: one(patient::Column::Id.is_in(s.patients.iter().copied())),
        patient_identifier: one(patient_identifier::Column::PatientId.is_in(s.patients.iter().copied())),
        encounter: one(encounter::Column::PatientId.is_in(s.patients.iter().copied())),
        appointment: one(appointment::Column::PatientId.is_in(s.patients.iter().copied())),
        patient_merge: one(patient_merge::Column::Hl7MessageId.eq(s.message)),
    );
    Ok(all)
}

fn one(expression: SimpleExpr) -> Condition {
    Condition::all().add(expression)
}

async fn scope(tx: &Tx, message: i64) -> Result<Scope, DbErr> {
    let mut scope = Scope { message, ..Scope::default() };
    if let Some(row) = hl7_message::Entity::find_by_id(message).one(&**tx).await? {
        scope.patients.extend(row.patient_id);
        scope.orders.extend(row.lab_order_id);
    }
    let of_message = lab_result::Column::Hl7MessageId.eq(message);
    for row in lab_result::without_documents().filter(of_message).all(&**tx).await? {
        scope.patients.push(row.patient_id);
        scope.orders.extend(row.lab_order_id);
        scope.keys.push(row.result_key);
    }
    for row in lab_order_event::Entity::find()
        .filter(lab_order_event::Column::Hl7MessageId.eq(message))
        .all(&**tx)
        .await?
    {
        scope.orders.push(row.lab_order_id);
    }
    for row in patient_merge::Entity::find()
        .filter(patient_merge::Column::Hl7MessageId.eq(message))
        .all(&**tx)
        .await?
    {
        scope.patients.extend([row.survivor_id, row.merged_id]);
    }
    let named = is_one_of(tx.get_database_backend(), lab_result::Column::ResultKey, &scope.keys);
    scope.results = lab_result::Entity::find()
        .select_only()
        .column(lab_result::Column::Id)
        .filter(named)
        .into_tuple()
        .all(&**tx)
        .await?;
    scope.published = hl7_message::Entity::find()
        .select_only()
        .column(hl7_message::Column::Id)
        .filter(hl7_message::Column::OriginalMessageId.eq(message))
        .filter(hl7_message::Column::Direction.eq("outbound"))
        .into_tuple()
        .all(&**tx)
        .await?;
    for ids in [&mut scope.patients, &mut scope.orders, &mut scope.results] {
        ids.sort_unstable();
        ids.dedup();
    }
    scope.keys.sort_unstable();
    scope.keys.dedup();
    Ok(scope)
}

async fn compare<E>(
    db: &Db,
    tx: &Tx,
    condition: Condition,
    all: &mut BTreeMap<String, TableChanges>,
) -> Result<(), DbErr>
where
    E: EntityTrait,
    E::Model: ModelTrait<Entity = E> + Send + Sync,
{
    let after = rows::<E>(&**tx, condition.clone()).await?;
    let before = rows::<E>(db.reader(), condition).await?;
    let changes = changes(before, after);
    if changes != TableChanges::default() {
        all.insert(E::default().table_name().to_owned(), changes);
    }
    Ok(())
}

async fn rows<E>(
    connection: &impl ConnectionTrait,
    condition: Condition,
) -> Result<BTreeMap<i64, Columns>, DbErr>
where
    E: EntityTrait,
    E::Model: ModelTrait<Entity = E> + Send + Sync,
{
    let found = E::find().filter(condition).all(connection).await?;
    let columns = |model: &E::Model| -> Columns {
        let shown = E::Column::iter().filter(|column| !BYTES.contains(&column.as_str()));
        shown.map(|column| (column.as_str().to_owned(), json(model.get(column)))).collect()
    };
    let id = |columns: &Columns| columns.get("id").and_then(Json::as_i64).unwrap_or_default();
    Ok(found.iter().map(columns).map(|columns| (id(&columns), columns)).collect())
}

fn changes(mut before: BTreeMap<i64, Columns>, after: BTreeMap<i64, Columns>) -> TableChanges {
    let mut changes = TableChanges::default();
    for (id, after) in after {
        match before.remove(&id) {
            Some(before) if before == after => changes.unchanged += 1,
            before => changes.rows.push(RowChange { id, before, after: Some(after) }),
        }
    }
    let gone = before.into_iter().map(|(id, before)| RowChange { id, before: Some(before), after: None });
    changes.rows.extend(gone);
    changes
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row(id: i64, value: &str) -> (i64, Columns) {
        let columns = [("id".to_owned(), json!(id)), ("value".to_owned(), json!(value))];
        (id, columns.into_iter().collect())
    }

    #[test]
    fn rows_are_new_changed_gone_or_as_before() {
        let before = BTreeMap::from([row(1, "a"), row(2, "b"), row(3, "c")]);
        let after = BTreeMap::from([row(1, "a"), row(2, "x"), row(4, "d")]);
        let found = changes(before, after);
        assert_eq!(found.unchanged, 1);
        let kinds: Vec<_> =
            found.rows.iter().map(|row| (row.id, row.before.is_some(), row.after.is_some())).collect();
        assert_eq!(kinds, [(2, true, true), (4, false, true), (3, true, false)]);
    }
}
