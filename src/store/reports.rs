//! Reports, for whoever reads their results.

use sea_orm::{ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder};

use super::{
    bulk::is_one_of,
    entity::{lab_report, lab_result},
};

/// How many ids are named in one statement.
const IDS_AT_ONCE: usize = 1000;

/// Reports by id.
pub async fn by_id(connection: &impl ConnectionTrait, ids: &[i64]) -> Result<Vec<lab_report::Model>, DbErr> {
    let mut reports = Vec::with_capacity(ids.len());
    for part in ids.chunks(IDS_AT_ONCE) {
        let named = lab_report::Column::Id.is_in(part.iter().copied());
        reports.extend(lab_report::Entity::find().filter(named).all(connection).await?);
    }
    Ok(reports)
}

/// Reports of these orders, oldest first.
pub async fn of_orders(
    connection: &impl ConnectionTrait,
    orders: &[i64],
) -> Result<Vec<lab_report::Model>, DbErr> {
    let mut reports = Vec::new();
    for part in orders.chunks(IDS_AT_ONCE) {
        let named = lab_report::Column::LabOrderId.is_in(part.iter().copied());
        let query = lab_report::Entity::find().filter(named).order_by_asc(lab_report::Column::Id);
        reports.extend(query.all(connection).await?);
    }
    Ok(reports)
}

/// Reports of these patients under any of these numbers, the lab's or ours.
pub async fn of_patients(
    connection: &impl ConnectionTrait,
    patients: &[i64],
    numbers: &[String],
) -> Result<Vec<lab_report::Model>, DbErr> {
    let mut reports = Vec::new();
    let engine = connection.get_database_backend();
    for part in patients.chunks(IDS_AT_ONCE) {
        let numbered = Condition::any()
            .add(is_one_of(engine, lab_report::Column::FillerOrderNumber, numbers))
            .add(is_one_of(engine, lab_report::Column::PlacerOrderNumber, numbers));
        let theirs = lab_report::Column::PatientId.is_in(part.iter().copied());
        let query = lab_report::Entity::find().filter(theirs).filter(numbered);
        reports.extend(query.all(connection).await?);
    }
    Ok(reports)
}

/// Current results in these reports that still stand.
pub async fn current_results(
    connection: &impl ConnectionTrait,
    reports: &[lab_report::Model],
) -> Result<Vec<lab_result::Model>, DbErr> {
    let mut results = Vec::new();
    for part in reports.chunks(IDS_AT_ONCE) {
        // By message, because there is an index; by report, because a message may hold others.
        let messages = lab_result::Column::Hl7MessageId.is_in(part.iter().map(|row| row.hl7_message_id));
        let query = lab_result::without_documents()
            .filter(messages)
            .filter(lab_result::Column::LabReportId.is_in(part.iter().map(|row| row.id)))
            .filter(lab_result::Column::IsCurrent.eq(true))
            .filter(lab_result::Column::Retracted.eq(false));
        results.extend(query.all(connection).await?);
    }
    Ok(results)
}
