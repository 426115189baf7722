//! Registering and correcting patients. Promise: one medical record number, one patient; a change never overwrites
//! somebody else's in silence.

use chrono::NaiveDate;
use sea_orm::{ActiveModelTrait, ActiveValue::Set, DbErr};

use super::{
    access::{self, Resource},
    error::LabError,
    views::PatientView,
};
use crate::{
    context::{Caller, Ctx},
    domain::access::Action,
    store::{
        db,
        entity::{patient, patient_identifier},
        is_unique_violation, patients,
    },
};

/// A new patient.
#[derive(Clone)]
#[allow(missing_docs, reason = "the fields of the view of the same name, which explains them")]
pub struct NewPatient {
    pub mrn: String,
    pub last_name: String,
    pub first_name: String,
    pub middle_name: Option<String>,
    pub date_of_birth: Option<NaiveDate>,
    pub gender: String,
    pub phone: Option<String>,
    pub email: Option<String>,
    pub address: Option<String>,
    pub restricted: bool,
}

/// What changes; `None` keeps, `Some(None)` deletes.
#[derive(Clone, Default)]
#[allow(missing_docs, reason = "the fields of the view of the same name, which explains them")]
pub struct PatientChange {
    pub last_name: Option<String>,
    pub first_name: Option<String>,
    pub middle_name: Option<Option<String>>,
    pub date_of_birth: Option<Option<NaiveDate>>,
    pub gender: Option<String>,
    pub phone: Option<Option<String>>,
    pub email: Option<Option<String>>,
    pub address: Option<Option<String>>,
    pub restricted: Option<bool>,
}

/// Makes a patient. Errors: `Conflict` when the number is taken.
pub async fn register_patient(ctx: &Ctx, caller: &Caller, new: NewPatient) -> Result<PatientView, LabError> {
    access::permit(ctx, caller, Action::WritePatient, "patient").await?;
    refuse_restriction(new.restricted)?;
    let tx = db::write(&ctx.db, "register_patient").await?;
    let (row, identifier) = insert(ctx, &tx, new).await.map_err(taken)?;
    access::wrote(ctx, &tx, caller, Action::WritePatient, Resource::one("patient", row.id, &[row.id]))
        .await?;
    tx.commit().await?;
    Ok(PatientView::new(row, vec![identifier]))
}

/// A chart marked as restricted that opens to everybody would be a promise broken in silence.
fn refuse_restriction(restricted: bool) -> Result<(), LabError> {
    if restricted {
        return Err(LabError::invalid(
            "restricted",
            "not available in this version: charts cannot be restricted yet",
        ));
    }
    Ok(())
}

fn taken(error: DbErr) -> LabError {
    if is_unique_violation(&error) {
        return LabError::Conflict("A patient with this medical record number exists".into());
    }
    error.into()
}

async fn insert(
    ctx: &Ctx,
    tx: &db::Tx,
    new: NewPatient,
) -> Result<(patient::Model, patient_identifier::Model), DbErr> {
    let now = ctx.clock.now();
    let row = patient::ActiveModel {
        mrn: Set(new.mrn.clone()),
        last_name: Set(new.last_name),
        first_name: Set(new.first_name),
        middle_name: Set(new.middle_name),
        date_of_birth: Set(new.date_of_birth),
        gender: Set(new.gender),
        phone: Set(new.phone),
        email: Set(new.email),
        address: Set(new.address),
        restricted: Set(new.restricted),
        row_version: Set(1),
        created_at: Set(now),
        updated_at: Set(now),
        ..Default::default()
    };
    let row = row.insert(&**tx).await?;
    let identifier = patient_identifier::ActiveModel {
        patient_id: Set(row.id),
        authority: Set(ctx.config.sending_facility.clone()),
        id_type: Set("MR".into()),
        value: Set(new.mrn),
        active: Set(true),
        created_at: Set(now),
        ..Default::default()
    };
    Ok((row, identifier.insert(&**tx).await?))
}

/// Changes a patient's demographics. The medical record number stays: changing it is a merge.
pub async fn update_patient(
    ctx: &Ctx,
    caller: &Caller,
    id: i64,
    change: PatientChange,
) -> Result<PatientView, LabError> {
    access::permit(ctx, caller, Action::WritePatient, "patient").await?;
    refuse_restriction(change.restricted.unwrap_or_default())?;
    let tx = db::write(&ctx.db, "update_patient").await?;
    let row = patients::find(&*tx, id).await?.ok_or(LabError::NotFound("Patient"))?;
    let row = apply(ctx, row, change).update(&*tx).await?;
    access::wrote(ctx, &tx, caller, Action::WritePatient, Resource::one("patient", id, &[id])).await?;
    tx.commit().await?;
    let identifiers = patients::identifiers_of(ctx.db.reader(), &[id]).await?;
    Ok(PatientView::new(row, identifiers))
}

fn apply(ctx: &Ctx, row: patient::Model, change: PatientChange) -> patient::ActiveModel {
    let version = row.row_version + 1;
    let mut next: patient::ActiveModel = row.into();
    if let Some(value) = change.last_name {
        next.last_name = Set(value);
    }
    if let Some(value) = change.first_name {
        next.first_name = Set(value);
    }
    if let Some(value) = change.middle_name {
        next.middle_name = Set(value);
    }
    if let Some(value) = change.date_of_birth {
        next.date_of_birth = Set(value);
    }
    if let Some(value) = change.gender {
        next.gender = Set(value);
    }
    if let Some(value) = change.phone {
        next.phone = Set(value);
    }
    if let Some(value) = change.email {
        next.email = Set(value);
    }
    if let Some(value) = change.address {
        next.address = Set(value);
    }
    if let Some(value) = change.restricted {
        next.restricted = Set(value);
    }
    next.row_version = Set(version);
    next.updated_at = Set(ctx.clock.now());
    next
}
