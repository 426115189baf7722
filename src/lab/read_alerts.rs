//! Reading critical alerts.

use std::collections::HashMap;

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

use super::{
    access::{self, Resource},
    error::LabError,
    page::{self, Page, PageRequest},
    views::AlertView,
};
use crate::{
    context::{Caller, Ctx},
    domain::{access::Action, alert::AlertStatus},
    store::{
        entity::{
            critical_alert::{Column, Entity, Model},
            patient,
        },
        patients,
    },
};

/// Which alerts to list.
#[derive(Clone, Copy, Default)]
pub struct AlertFilter {
    /// Where they stand.
    pub status: Option<AlertStatus>,
    /// About one patient.
    pub patient_id: Option<i64>,
}

/// A list of alerts, each with the patient it is about.
pub async fn list_alerts(
    ctx: &Ctx,
    caller: &Caller,
    filter: AlertFilter,
    request: PageRequest,
) -> Result<Page<AlertView>, LabError> {
    access::permit(ctx, caller, Action::ReadAlert, "alert").await?;
    let mut query = Entity::find();
    if let Some(status) = filter.status {
        query = query.filter(Column::Status.eq(status.as_str()));
    }
    if let Some(patient) = filter.patient_id {
        query = query.filter(Column::PatientId.eq(patient));
    }
    let page = page::fetch(ctx.db.reader(), query, Column::Id, request, |row| row.id).await?;
    let ids: Vec<i64> = page.items.iter().filter_map(|row| row.patient_id).collect();
    let rows = patients::find_all(ctx.db.reader(), &ids).await?;
    let by_id: HashMap<i64, patient::Model> = rows.into_iter().map(|row| (row.id, row)).collect();
    let seen: Vec<i64> = ids.into_iter().chain(filter.patient_id).collect();
    access::seen(ctx, caller, Action::ReadAlert, Resource::many("alert", &seen)).await?;
    Ok(page.map(|row| {
        let patient = row.patient_id.and_then(|id| by_id.get(&id));
        AlertView::new(row, patient)
    }))
}

/// One alert.
pub async fn read_alert(ctx: &Ctx, caller: &Caller, id: i64) -> Result<AlertView, LabError> {
    access::permit(ctx, caller, Action::ReadAlert, "alert").await?;
    let row = Entity::find_by_id(id).one(ctx.db.reader()).await?.ok_or(LabError::NotFound("Alert"))?;
    access::seen(ctx, caller, Action::ReadAlert, Resource::one("alert", id, row.patient_id.as_slice()))
        .await?;
    with_patient(ctx, row).await
}

/// The alert with the patient it is about.
pub(super) async fn with_patient(ctx: &Ctx, row: Model) -> Result<AlertView, LabError> {
    let patient = match row.patient_id {
        Some(id) => patients::find(ctx.db.reader(), id).await?,
        None => None,
    };
    Ok(AlertView::new(row, patient.as_ref()))
}
