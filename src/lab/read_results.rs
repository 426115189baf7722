//! Reading results: the chart's list, the critical ones, one version, all versions, the document in it.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, Select, sea_query::Expr};

use super::{
    access::{self, Resource},
    error::LabError,
    page::{self, Page, PageRequest},
    surround_results::surround,
    views::{CriticalResultView, ResultView},
};
use crate::{
    context::{Caller, Ctx},
    domain::access::Action,
    store::{
        alerts, db,
        entity::lab_result::{Column, Entity, Model, without_documents as light},
    },
};

/// Which results to list.
#[derive(Clone, Default)]
pub struct ResultFilter {
    /// Of one patient.
    pub patient_id: Option<i64>,
    /// Only what a flag or a limit calls abnormal.
    pub abnormal_only: bool,
    /// Of one order.
    pub lab_order_id: Option<i64>,
    /// Code as sent, or its LOINC code.
    pub test_code: Option<String>,
    /// That arrived at or after this instant.
    pub since: Option<DateTime<Utc>>,
    /// Reviewed by a clinician, or not yet.
    pub reviewed: Option<bool>,
}

/// The chart's list: the current version of each result. What the lab took back is left out; its history keeps it.
pub async fn list_results(
    ctx: &Ctx,
    caller: &Caller,
    filter: &ResultFilter,
    request: PageRequest,
) -> Result<Page<ResultView>, LabError> {
    access::permit(ctx, caller, Action::ReadResult, "lab_result").await?;
    let query = chosen(filter);
    let page = page::fetch(ctx.db.reader(), query, Column::Id, request, |row| row.id).await?;
    let patients: Vec<i64> = page.items.iter().map(|row| row.patient_id).chain(filter.patient_id).collect();
    access::seen(ctx, caller, Action::ReadResult, Resource::many("lab_result", &patients)).await?;
    let mut page = page.map(ResultView::from);
    surround(ctx.db.reader(), &mut page.items.iter_mut().collect::<Vec<_>>()).await?;
    Ok(page)
}

fn chosen(filter: &ResultFilter) -> Select<Entity> {
    let mut query = charted();
    if let Some(patient) = filter.patient_id {
        query = query.filter(Column::PatientId.eq(patient));
    }
    if filter.abnormal_only {
        query =
            query.filter(Condition::any().add(Column::IsAbnormal.eq(true)).add(Column::IsCritical.eq(true)));
    }
    if let Some(order) = filter.lab_order_id {
        query = query.filter(Column::LabOrderId.eq(order));
    }
    if let Some(code) = &filter.test_code {
        query = query.filter(Condition::any().add(Column::TestCode.eq(code)).add(Column::LoincCode.eq(code)));
    }
    if let Some(since) = filter.since {
        query = query.filter(Column::ReceivedAt.gte(since));
    }
    match filter.reviewed {
        Some(true) => query.filter(Column::ReviewedAt.is_not_null()),
        Some(false) => query.filter(Column::ReviewedAt.is_null()),
        None => query,
    }
}

/// What a chart shows.
fn charted() -> Select<Entity> {
    light().filter(Column::IsCurrent.eq(true)).filter(Column::Retracted.eq(false))
}

/// Critical results with their alerts. Unacknowledged are those of whose alerts one still waits for somebody; a
/// version that repeats its predecessor's value belongs to the alert that the predecessor raised.
pub async fn list_critical(
    ctx: &Ctx,
    caller: &Caller,
    acknowledged: bool,
    request: PageRequest,
) -> Result<Page<CriticalResultView>, LabError> {
    access::permit(ctx, caller, Action::ReadResult, "lab_result").await?;
    let owner = Expr::tuple([Expr::col(Column::ResultKey), Expr::col(Column::PatientId)]);
    let query = charted().filter(Column::IsCritical.eq(true));
    let query = query.filter(alerts::of_results_in(owner, acknowledged));
    let page = page::fetch(ctx.db.reader(), query, Column::Id, request, |row| row.id).await?;
    let patients: Vec<i64> = page.items.iter().map(|row| row.patient_id).collect();
    let keys: Vec<&str> = page.items.iter().map(|row| row.result_key.as_str()).collect();
    let alerts = newest(alerts::of_keys(ctx.db.reader(), &keys).await?);
    access::seen(ctx, caller, Action::ReadResult, Resource::many("lab_result", &patients)).await?;
    let mut page = page.map(|row| CriticalResultView {
        alert_id: alerts.get(&(row.result_key.clone(), row.patient_id)).map(|(_, id)| *id),
        result: row.into(),
    });
    let mut views: Vec<_> = page.items.iter_mut().map(|item| &mut item.result).collect();
    surround(ctx.db.reader(), &mut views).await?;
    Ok(page)
}

/// The alert to act on: the newest that waits, else the newest.
fn newest(found: Vec<alerts::OfKey>) -> HashMap<(String, i64), (bool, i64)> {
    found.into_iter().fold(HashMap::new(), |mut best, alert| {
        let rank = (alert.waits, alert.id);
        let entry = best.entry((alert.result_key, alert.patient_id)).or_insert(rank);
        *entry = rank.max(*entry);
        best
    })
}

/// One version, current or not.
pub async fn read_result(ctx: &Ctx, caller: &Caller, id: i64) -> Result<ResultView, LabError> {
    access::permit(ctx, caller, Action::ReadResult, "lab_result").await?;
    let row = find(ctx, id).await?;
    let resource = Resource::one("lab_result", id, std::slice::from_ref(&row.patient_id));
    access::seen(ctx, caller, Action::ReadResult, resource).await?;
    let mut view = row.into();
    surround(ctx.db.reader(), &mut [&mut view]).await?;
    Ok(view)
}

/// All versions of the observation that a result is a version of, newest first.
pub async fn result_history(ctx: &Ctx, caller: &Caller, id: i64) -> Result<Vec<ResultView>, LabError> {
    access::permit(ctx, caller, Action::ReadResult, "lab_result").await?;
    let row = find(ctx, id).await?;
    let versions = light()
        .filter(Column::ResultKey.eq(&row.result_key))
        .filter(Column::PatientId.eq(row.patient_id))
        .order_by_desc(Column::Version);
    let versions = versions.all(ctx.db.reader()).await?;
    access::seen(ctx, caller, Action::ReadResult, Resource::one("lab_result", id, &[row.patient_id])).await?;
    let mut views: Vec<ResultView> = versions.into_iter().map(ResultView::from).collect();
    surround(ctx.db.reader(), &mut views.iter_mut().collect::<Vec<_>>()).await?;
    Ok(views)
}

/// A document that came as a result.
pub struct Document {
    /// Media type as the lab named it.
    pub media_type: String,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// The document in a result, such as a PDF report. A version that confirms the one before ("now final") shows the same
/// document; its bytes stand in the version that brought them.
pub async fn result_document(ctx: &Ctx, caller: &Caller, id: i64) -> Result<Document, LabError> {
    access::permit(ctx, caller, Action::ReadResult, "lab_result").await?;
    let row = Entity::find_by_id(id).one(ctx.db.reader()).await?.ok_or(LabError::NotFound("Lab result"))?;
    let (patient_id, media_type) = (row.patient_id, row.document_type.clone());
    let bytes = match (row.document, &row.document_hash) {
        (None, Some(hash)) => {
            let brought = Entity::find()
                .filter(Column::ResultKey.eq(&row.result_key))
                .filter(Column::PatientId.eq(patient_id))
                .filter(Column::DocumentHash.eq(hash))
                .filter(Column::Document.is_not_null());
            brought.one(ctx.db.reader()).await?.and_then(|row| row.document)
        }
        (own, _) => own,
    };
    let bytes = bytes.ok_or(LabError::NotFound("Document"))?;
    access::seen(ctx, caller, Action::ReadResult, Resource::one("lab_result", id, &[patient_id])).await?;
    let media_type = media_type.unwrap_or_else(|| "application/octet-stream".to_owned());
    Ok(Document { media_type, bytes })
}

/// Signs a result as reviewed. The first signature stands; a superseded version cannot be signed, because the reader
/// has not seen what took its place.
pub async fn review_result(ctx: &Ctx, caller: &Caller, id: i64) -> Result<ResultView, LabError> {
    access::permit(ctx, caller, Action::ReviewResult, "lab_result").await?;
    let tx = db::write(&ctx.db, "review_result").await?;
    let row = light().filter(Column::Id.eq(id)).one(&*tx).await?.ok_or(LabError::NotFound("Lab result"))?;
    if !row.is_current {
        return Err(LabError::Conflict("A newer version of this result exists".into()));
    }
    Entity::update_many()
        .col_expr(Column::ReviewedBy, Expr::value(caller.username.clone()))
        .col_expr(Column::ReviewedAt, Expr::value(ctx.clock.now()))
        .filter(Column::Id.eq(id))
        .filter(Column::ReviewedAt.is_null())
        .exec(&*tx)
        .await?;
    let row = light().filter(Column::Id.eq(id)).one(&*tx).await?.ok_or(LabError::NotFound("Lab result"))?;
    let resource = Resource::one("lab_result", id, std::slice::from_ref(&row.patient_id));
    access::wrote(ctx, &tx, caller, Action::ReviewResult, resource).await?;
    tx.commit().await?;
    Ok(row.into())
}

async fn find(ctx: &Ctx, id: i64) -> Result<Model, LabError> {
    let row = light().filter(Column::Id.eq(id)).one(ctx.db.reader()).await?;
    row.ok_or(LabError::NotFound("Lab result"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alert(id: i64, key: &str, patient_id: i64, waits: bool) -> alerts::OfKey {
        alerts::OfKey { id, result_key: key.into(), patient_id, waits }
    }

    #[test]
    fn the_alert_to_act_on_is_the_one_that_waits() {
        let found = newest(vec![
            alert(1, "a", 7, false),
            alert(2, "a", 7, true),
            alert(3, "a", 7, false),
            alert(4, "a", 8, false),
            alert(5, "b", 7, false),
            alert(6, "b", 7, false),
        ]);
        let of = |key: &str, patient| found[&(key.to_owned(), patient)].1;
        assert_eq!((of("a", 7), of("a", 8), of("b", 7)), (2, 4, 6));
    }
}
