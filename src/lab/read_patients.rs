//! Finding patients.

use std::collections::HashMap;

use chrono::NaiveDate;

use super::{
    access::{self, Resource},
    error::LabError,
    page::{self, Page, PageRequest},
    views::PatientView,
};
use crate::{
    context::{Caller, Ctx},
    domain::access::Action,
    store::{entity::patient, patients},
};

/// What to look for.
#[derive(Clone, Default)]
pub struct PatientFilter {
    /// Beginning of a name, or a medical record number; several words must all match.
    pub text: Option<String>,
    /// Birth date.
    pub birth_date: Option<NaiveDate>,
}

/// One patient.
pub async fn read_patient(ctx: &Ctx, caller: &Caller, id: i64) -> Result<PatientView, LabError> {
    access::permit(ctx, caller, Action::ReadPatient, "patient").await?;
    let row = patients::find(ctx.db.reader(), id).await?.ok_or(LabError::NotFound("Patient"))?;
    show(ctx, caller, row).await
}

/// The patient of a medical record number; an old number of a merged record finds the survivor.
pub async fn find_patient_by_mrn(ctx: &Ctx, caller: &Caller, mrn: &str) -> Result<PatientView, LabError> {
    access::permit(ctx, caller, Action::ReadPatient, "patient").await?;
    let found = patients::find_by_mrn(ctx.db.reader(), &ctx.config.sending_facility, mrn).await?;
    show(ctx, caller, found.ok_or(LabError::NotFound("Patient"))?).await
}

async fn show(ctx: &Ctx, caller: &Caller, row: patient::Model) -> Result<PatientView, LabError> {
    let identifiers = patients::identifiers_of(ctx.db.reader(), &[row.id]).await?;
    access::seen(ctx, caller, Action::ReadPatient, Resource::one("patient", row.id, &[row.id])).await?;
    Ok(PatientView::new(row, identifiers))
}

/// A list of patients.
pub async fn list_patients(
    ctx: &Ctx,
    caller: &Caller,
    filter: &PatientFilter,
    request: PageRequest,
) -> Result<Page<PatientView>, LabError> {
    access::permit(ctx, caller, Action::ReadPatient, "patient").await?;
    let query = patients::search(filter.text.as_deref(), filter.birth_date);
    let page = page::fetch(ctx.db.reader(), query, patient::Column::Id, request, |row| row.id).await?;
    let ids: Vec<i64> = page.items.iter().map(|row| row.id).collect();
    let mut identifiers: HashMap<i64, Vec<_>> = HashMap::new();
    for row in patients::identifiers_of(ctx.db.reader(), &ids).await? {
        identifiers.entry(row.patient_id).or_default().push(row);
    }
    access::seen(ctx, caller, Action::ReadPatient, Resource::many("patient", &ids)).await?;
    Ok(page.map(|row| {
        let own = identifiers.remove(&row.id).unwrap_or_default();
        PatientView::new(row, own)
    }))
}
