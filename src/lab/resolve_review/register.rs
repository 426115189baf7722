//! Registering the patient whom a held message states.

use sea_orm::{ActiveModelTrait, ActiveValue::Set, DbErr};

use crate::{
    context::Ctx,
    domain::{
        matching::{IdentifierKey, PatientClaim},
        review::{StatedPatient, stated_patient},
    },
    lab::error::LabError,
    store::{
        db::Tx,
        entity::{patient, patient_identifier},
        intake::patients_of,
    },
};

/// Makes the record. Errors: `Invalid` when the message states too little; `Conflict` when an identifier is somebody's.
pub(super) async fn stated(ctx: &Ctx, tx: &Tx, claim: &PatientClaim) -> Result<patient::Model, LabError> {
    let authority = &ctx.config.sending_facility;
    let stated = stated_patient(claim, authority)
        .map_err(|missing| LabError::invalid("claimed_patient", missing.to_string()))?;
    unknown_so_far(tx, claim, authority).await?;
    Ok(insert(ctx, tx, stated).await?)
}

/// The type of an identifier is no part of its identity: senders mix them up.
async fn unknown_so_far(tx: &Tx, claim: &PatientClaim, authority: &str) -> Result<(), LabError> {
    let keys = claim.keys(authority);
    let values = keys.iter().map(|key| key.value.clone()).collect();
    let known = patients_of(&**tx, values).await?;
    let taken = known
        .iter()
        .any(|(row, _)| keys.contains(&IdentifierKey::new(Some(&row.authority), &row.value, authority)));
    if taken {
        return Err(LabError::Conflict(
            "A patient with an identifier of this message exists; link to it".into(),
        ));
    }
    Ok(())
}

async fn insert(ctx: &Ctx, tx: &Tx, stated: StatedPatient) -> Result<patient::Model, DbErr> {
    let now = ctx.clock.now();
    let row = patient::ActiveModel {
        mrn: Set(stated.mrn),
        last_name: Set(stated.family),
        first_name: Set(stated.given),
        date_of_birth: Set(stated.birth_date),
        gender: Set(stated.sex.to_string()),
        restricted: Set(false),
        row_version: Set(1),
        created_at: Set(now),
        updated_at: Set(now),
        ..Default::default()
    };
    let row = row.insert(&**tx).await?;
    for identifier in stated.identifiers {
        let identifier = patient_identifier::ActiveModel {
            patient_id: Set(row.id),
            authority: Set(identifier.authority),
            id_type: Set(identifier.kind),
            value: Set(identifier.value),
            active: Set(true),
            created_at: Set(now),
            ..Default::default()
        };
        identifier.insert(&**tx).await?;
    }
    Ok(row)
}
