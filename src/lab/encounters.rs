//! Visits: opening, correcting and listing them.

use chrono::{DateTime, Utc};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter};

use super::{
    access::{self, Resource},
    error::LabError,
    page::{self, Page, PageRequest},
    publish_news::{News, publish},
    views::EncounterView,
};
use crate::{
    context::{Caller, Ctx},
    domain::{access::Action, event::has_ended},
    store::{
        db::{self, Tx},
        entity::encounter,
        patients,
    },
};

/// A new visit.
#[derive(Clone)]
#[allow(missing_docs, reason = "the fields of the view of the same name, which explains them")]
pub struct NewEncounter {
    pub patient_id: i64,
    pub class: String,
    pub status: String,
    pub visit_number: Option<String>,
    pub location: Option<String>,
    pub attending_provider: Option<String>,
    pub started_at: Option<DateTime<Utc>>,
    pub ended_at: Option<DateTime<Utc>>,
}

/// What changes; `None` keeps, `Some(None)` deletes.
#[derive(Clone, Default)]
#[allow(missing_docs, reason = "the fields of the view of the same name, which explains them")]
pub struct EncounterChange {
    pub class: Option<String>,
    pub status: Option<String>,
    pub location: Option<Option<String>>,
    pub attending_provider: Option<Option<String>>,
    pub started_at: Option<Option<DateTime<Utc>>>,
    pub ended_at: Option<Option<DateTime<Utc>>>,
}

/// Opens a visit. One that is over already is published like any other that has ended. Errors: `NotFound` when the patient does not exist.
pub async fn open_encounter(
    ctx: &Ctx,
    caller: &Caller,
    new: NewEncounter,
) -> Result<EncounterView, LabError> {
    access::permit(ctx, caller, Action::WriteEncounter, "encounter").await?;
    let tx = db::write(&ctx.db, "open_encounter").await?;
    let patient = patients::find(&*tx, new.patient_id).await?.ok_or(LabError::NotFound("Patient"))?;
    let now = ctx.clock.now();
    let row = encounter::ActiveModel {
        patient_id: Set(patient.id),
        class: Set(new.class),
        status: Set(new.status),
        visit_number: Set(new.visit_number),
        location: Set(new.location),
        attending_provider: Set(new.attending_provider),
        started_at: Set(new.started_at.or(Some(now))),
        ended_at: Set(new.ended_at),
        created_at: Set(now),
        updated_at: Set(now),
        ..Default::default()
    };
    let row = row.insert(&*tx).await?;
    let patients = [patient.id];
    let resource = Resource::one("encounter", row.id, &patients);
    access::wrote(ctx, &tx, caller, Action::WriteEncounter, resource).await?;
    let published = publish_end(ctx, &tx, None, &row).await?;
    tx.commit().await?;
    if published {
        ctx.hints.outbox.wake();
    }
    Ok(row.into())
}

/// Changes a visit, and publishes its end.
pub async fn update_encounter(
    ctx: &Ctx,
    caller: &Caller,
    id: i64,
    change: EncounterChange,
) -> Result<EncounterView, LabError> {
    access::permit(ctx, caller, Action::WriteEncounter, "encounter").await?;
    let tx = db::write(&ctx.db, "update_encounter").await?;
    let row = locked(&tx, id).await?;
    let (patient_id, before) = (row.patient_id, row.status.clone());
    let mut next: encounter::ActiveModel = row.into();
    if let Some(value) = change.class {
        next.class = Set(value);
    }
    if let Some(value) = change.status {
        next.status = Set(value);
    }
    if let Some(value) = change.location {
        next.location = Set(value);
    }
    if let Some(value) = change.attending_provider {
        next.attending_provider = Set(value);
    }
    if let Some(value) = change.started_at {
        next.started_at = Set(value);
    }
    if let Some(value) = change.ended_at {
        next.ended_at = Set(value);
    }
    next.updated_at = Set(ctx.clock.now());
    let row = next.update(&*tx).await?;
    access::wrote(ctx, &tx, caller, Action::WriteEncounter, Resource::one("encounter", id, &[patient_id]))
        .await?;
    let published = publish_end(ctx, &tx, Some(&before), &row).await?;
    tx.commit().await?;
    if published {
        ctx.hints.outbox.wake();
    }
    Ok(row.into())
}

/// A visit, held: of two who end it at once the second finds that it has ended.
async fn locked(tx: &Tx, id: i64) -> Result<encounter::Model, LabError> {
    let missing = LabError::NotFound("Encounter");
    let Some(row) = patients::find_encounter(&**tx, id).await? else { return Err(missing) };
    patients::hold(&**tx, row.patient_id).await?;
    patients::lock_encounter(&**tx, id).await?.ok_or(missing)
}

async fn publish_end(
    ctx: &Ctx,
    tx: &Tx,
    before: Option<&str>,
    visit: &encounter::Model,
) -> Result<bool, LabError> {
    if !has_ended(before, &visit.status) {
        return Ok(false);
    }
    publish(ctx, tx, News::Discharge { visit, disposition: None }, None).await
}

/// One visit.
pub async fn read_encounter(ctx: &Ctx, caller: &Caller, id: i64) -> Result<EncounterView, LabError> {
    access::permit(ctx, caller, Action::ReadEncounter, "encounter").await?;
    let row = patients::find_encounter(ctx.db.reader(), id).await?.ok_or(LabError::NotFound("Encounter"))?;
    let resource = Resource::one("encounter", id, std::slice::from_ref(&row.patient_id));
    access::seen(ctx, caller, Action::ReadEncounter, resource).await?;
    Ok(row.into())
}

/// Visits, of one patient or of all.
pub async fn list_encounters(
    ctx: &Ctx,
    caller: &Caller,
    patient_id: Option<i64>,
    request: PageRequest,
) -> Result<Page<EncounterView>, LabError> {
    access::permit(ctx, caller, Action::ReadEncounter, "encounter").await?;
    let mut query = encounter::Entity::find();
    if let Some(patient_id) = patient_id {
        query = query.filter(encounter::Column::PatientId.eq(patient_id));
    }
    let page = page::fetch(ctx.db.reader(), query, encounter::Column::Id, request, |row| row.id).await?;
    let patients: Vec<i64> = page.items.iter().map(|row| row.patient_id).chain(patient_id).collect();
    access::seen(ctx, caller, Action::ReadEncounter, Resource::many("encounter", &patients)).await?;
    Ok(page.map(EncounterView::from))
}
