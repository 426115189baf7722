//! The review queue, and what its decisions put into charts and take out again.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, FromQueryResult, PaginatorTrait,
    QueryFilter, QueryOrder, QuerySelect, Select,
    sea_query::{Expr, ExprTrait},
};

use super::{
    bulk::is_one_of,
    db::Tx,
    entity::{
        critical_alert, encounter, hl7_message, lab_order, lab_report, lab_result, patient,
        patient_identifier, review_item,
    },
};

/// How many ids are named in one statement.
const IDS_AT_ONCE: usize = 1000;
/// Look-alikes of a patient that are looked at.
const ALIKE_AT_MOST: u64 = 50;

/// Items, as a list asks for them.
pub fn search(status: &str) -> Select<review_item::Entity> {
    review_item::Entity::find().filter(review_item::Column::Status.eq(status))
}

/// One item.
pub async fn find(connection: &impl ConnectionTrait, id: i64) -> Result<Option<review_item::Model>, DbErr> {
    review_item::Entity::find_by_id(id).one(connection).await
}

/// One item, held until the end of the transaction: of two who decide at once the second finds what the first decided.
pub async fn lock(tx: &Tx, id: i64) -> Result<Option<review_item::Model>, DbErr> {
    review_item::Entity::find_by_id(id).lock_exclusive().one(&**tx).await
}

/// The message of an item, held until the end of the transaction: its counts are those of all its items.
pub async fn lock_message(tx: &Tx, id: i64) -> Result<Option<hl7_message::Model>, DbErr> {
    hl7_message::Entity::find_by_id(id).lock_exclusive().one(&**tx).await
}

/// A patient, held until the end of the transaction, so that nobody merges the record away meanwhile.
pub async fn lock_patient(tx: &Tx, id: i64) -> Result<Option<patient::Model>, DbErr> {
    patient::Entity::find_by_id(id).lock_exclusive().one(&**tx).await
}

/// All items of a message.
pub async fn items_of(tx: &Tx, message: i64) -> Result<Vec<review_item::Model>, DbErr> {
    review_item::Entity::find().filter(review_item::Column::Hl7MessageId.eq(message)).all(&**tx).await
}

/// The alerts of a message.
pub async fn alerts_of(
    connection: &impl ConnectionTrait,
    message: i64,
) -> Result<Vec<critical_alert::Model>, DbErr> {
    critical_alert::Entity::find()
        .filter(critical_alert::Column::Hl7MessageId.eq(message))
        .order_by_asc(critical_alert::Column::Id)
        .all(connection)
        .await
}

/// Keys of the results that a message has in charts.
pub async fn stored_keys(connection: &impl ConnectionTrait, message: i64) -> Result<Vec<String>, DbErr> {
    lab_result::Entity::find()
        .select_only()
        .column(lab_result::Column::ResultKey)
        .filter(lab_result::Column::Hl7MessageId.eq(message))
        .into_tuple()
        .all(connection)
        .await
}

/// Reports of a message that stand in charts: patient and order of each.
pub async fn filed(tx: &Tx, message: i64) -> Result<Vec<(i64, Option<i64>)>, DbErr> {
    use lab_report::Column as C;
    lab_report::Entity::find()
        .select_only()
        .columns([C::PatientId, C::LabOrderId])
        .filter(C::Hl7MessageId.eq(message))
        .filter(C::WithdrawnAt.is_null())
        .order_by_asc(C::Id)
        .into_tuple()
        .all(&**tx)
        .await
}

/// Tests of an order that reports in charts speak of, apart from these reports.
pub async fn tests_reported(tx: &Tx, order: i64, apart_from: &[i64]) -> Result<Vec<i64>, DbErr> {
    use lab_report::Column as C;
    let rows: Vec<(i64, Option<i64>)> = lab_report::Entity::find()
        .select_only()
        .columns([C::Id, C::LabOrderTestId])
        .filter(C::LabOrderId.eq(order))
        .filter(C::WithdrawnAt.is_null())
        .into_tuple()
        .all(&**tx)
        .await?;
    Ok(rows.into_iter().filter(|(id, _)| !apart_from.contains(id)).filter_map(|(_, test)| test).collect())
}

/// A version of a result, as far as taking others out concerns it.
#[derive(Clone, FromQueryResult)]
pub struct Version {
    /// Its row.
    pub id: i64,
    /// What it is a version of.
    pub result_key: String,
    /// Whose it is.
    pub patient_id: i64,
    /// Its number.
    pub version: i32,
    /// Whether readers see it.
    pub is_current: bool,
    /// What they see.
    pub value: Option<String>,
    /// When it was taken out.
    pub withdrawn_at: Option<DateTime<Utc>>,
}

/// All versions, of any patient, of the results of which these rows are versions.
pub async fn versions_of(tx: &Tx, results: &[i64]) -> Result<Vec<Version>, DbErr> {
    use lab_result::Column as C;
    let mut keys: Vec<String> = Vec::new();
    for part in results.chunks(IDS_AT_ONCE) {
        let of_part = lab_result::Entity::find().select_only().column(C::ResultKey);
        keys.extend(
            of_part.filter(C::Id.is_in(part.iter().copied())).into_tuple::<String>().all(&**tx).await?,
        );
    }
    lab_result::Entity::find()
        .select_only()
        .columns([C::Id, C::ResultKey, C::PatientId, C::Version, C::IsCurrent, C::Value, C::WithdrawnAt])
        .filter(is_one_of(tx.get_database_backend(), C::ResultKey, &keys))
        .into_model::<Version>()
        .all(&**tx)
        .await
}

/// Takes versions out of their chart. Each moves up to the number given for it, beyond every other version: a message
/// that comes in at the same moment collides with it on the unique index and is decided anew. The document goes, because
/// it names its patient, and the message has it still.
pub async fn withdraw(tx: &Tx, rise: &BTreeMap<i32, Vec<i64>>, now: DateTime<Utc>) -> Result<(), DbErr> {
    use lab_result::Column as C;
    for (by, ids) in rise {
        for part in ids.chunks(IDS_AT_ONCE) {
            lab_result::Entity::update_many()
                .col_expr(C::Version, Expr::col(C::Version).add(*by))
                .col_expr(C::IsCurrent, Expr::value(false))
                .col_expr(C::WithdrawnAt, Expr::value(now))
                .col_expr(C::Hl7MessageId, Expr::value(Option::<i64>::None))
                .col_expr(C::Document, Expr::value(Option::<Vec<u8>>::None))
                .filter(C::Id.is_in(part.iter().copied()))
                .exec(&**tx)
                .await?;
        }
    }
    Ok(())
}

/// Takes reports out of their chart.
pub async fn withdraw_reports(tx: &Tx, ids: &[i64], now: DateTime<Utc>) -> Result<(), DbErr> {
    for part in ids.chunks(IDS_AT_ONCE) {
        lab_report::Entity::update_many()
            .col_expr(lab_report::Column::WithdrawnAt, Expr::value(now))
            .filter(lab_report::Column::Id.is_in(part.iter().copied()))
            .exec(&**tx)
            .await?;
    }
    Ok(())
}

/// Shows versions again that were superseded.
pub async fn restore(tx: &Tx, ids: &[i64]) -> Result<(), DbErr> {
    for part in ids.chunks(IDS_AT_ONCE) {
        lab_result::Entity::update_many()
            .col_expr(lab_result::Column::IsCurrent, Expr::value(true))
            .filter(lab_result::Column::Id.is_in(part.iter().copied()))
            .exec(&**tx)
            .await?;
    }
    Ok(())
}

/// Patients who may be the one of this family name and birth date, whatever number they have. Names in the spellings that
/// the index has, birth dates with day and month changed as well.
pub async fn alike(
    connection: &impl ConnectionTrait,
    families: &[String],
    birth_dates: &[NaiveDate],
) -> Result<Vec<patient::Model>, DbErr> {
    let any = Condition::any()
        .add(patient::Column::LastName.is_in(families.iter().map(String::as_str)))
        .add(patient::Column::DateOfBirth.is_in(birth_dates.iter().copied()));
    patient::Entity::find()
        .filter(any)
        .filter(patient::Column::MergedIntoId.is_null())
        .filter(patient::Column::WithdrawnAt.is_null())
        .order_by_desc(patient::Column::Id)
        .limit(ALIKE_AT_MOST)
        .all(connection)
        .await
}

/// Whether anything but history hangs on a patient's record: a visit, an order, a result that is shown or was not
/// withdrawn, another record merged into it.
pub async fn is_in_use(tx: &Tx, patient: i64) -> Result<bool, DbErr> {
    let of_results = lab_result::Entity::find().filter(lab_result::Column::PatientId.eq(patient));
    let of_reports = lab_report::Entity::find().filter(lab_report::Column::PatientId.eq(patient));
    let counts = [
        encounter::Entity::find().filter(encounter::Column::PatientId.eq(patient)).count(&**tx).await?,
        lab_order::Entity::find().filter(lab_order::Column::PatientId.eq(patient)).count(&**tx).await?,
        of_results.filter(lab_result::Column::WithdrawnAt.is_null()).count(&**tx).await?,
        of_reports.filter(lab_report::Column::WithdrawnAt.is_null()).count(&**tx).await?,
        patient::Entity::find().filter(patient::Column::MergedIntoId.eq(patient)).count(&**tx).await?,
    ];
    Ok(counts.iter().any(|count| *count > 0))
}

/// Takes the identifiers off a record that should not have been made, and hides it.
pub async fn withdraw_patient(tx: &Tx, patient: i64, now: DateTime<Utc>) -> Result<(), DbErr> {
    patient_identifier::Entity::delete_many()
        .filter(patient_identifier::Column::PatientId.eq(patient))
        .exec(&**tx)
        .await?;
    patient::Entity::update_many()
        .col_expr(patient::Column::WithdrawnAt, Expr::value(now))
        .col_expr(patient::Column::UpdatedAt, Expr::value(now))
        .filter(patient::Column::Id.eq(patient))
        .exec(&**tx)
        .await
        .map(|_| ())
}
