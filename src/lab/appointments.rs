//! Appointments that scheduling systems tell us of: to be looked at here, changed there.

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

use super::{
    access::{self, Resource},
    error::LabError,
    page::{self, Page, PageRequest},
    views::AppointmentView,
};
use crate::{
    context::{Caller, Ctx},
    domain::access::Action,
    store::entity::appointment::{Column, Entity},
};

/// Appointments, of one patient or of all.
pub async fn list_appointments(
    ctx: &Ctx,
    caller: &Caller,
    patient_id: Option<i64>,
    request: PageRequest,
) -> Result<Page<AppointmentView>, LabError> {
    access::permit(ctx, caller, Action::ReadEncounter, "appointment").await?;
    let mut query = Entity::find();
    if let Some(patient_id) = patient_id {
        query = query.filter(Column::PatientId.eq(patient_id));
    }
    let page = page::fetch(ctx.db.reader(), query, Column::Id, request, |row| row.id).await?;
    let patients: Vec<i64> = page.items.iter().filter_map(|row| row.patient_id).chain(patient_id).collect();
    access::seen(ctx, caller, Action::ReadEncounter, Resource::many("appointment", &patients)).await?;
    Ok(page.map(AppointmentView::from))
}
