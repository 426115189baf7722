//! Two charts that are one person's. Promise: everything follows to the chart that stays, the old numbers go on finding it, and
//! what moved is written down, so that a mistake can be undone.

use sea_orm::{ActiveModelTrait, ActiveValue::Set, DbErr};
use serde_json::json;

use super::{
    access::{self, Resource},
    error::LabError,
    views::PatientView,
};
use crate::{
    context::{Caller, Ctx},
    domain::access::Action,
    store::{
        db::{self, Tx},
        entity::{alert_event, patient, patient_merge},
        merges, patients,
    },
};

/// Merges a chart into another, on a person's word. Errors: `Conflict` when one of them was merged away already.
pub async fn merge_patients(
    ctx: &Ctx,
    caller: &Caller,
    survivor: i64,
    merged: i64,
) -> Result<PatientView, LabError> {
    access::permit(ctx, caller, Action::MergePatients, "patient").await?;
    if survivor == merged {
        return Err(LabError::invalid("merged_patient_id", "must be another patient"));
    }
    let mut tx = db::write(&ctx.db, "merge_patients").await?;
    let held = merges::hold_both(&tx, survivor, merged).await?;
    if held.len() < 2 {
        return Err(LabError::NotFound("Patient"));
    }
    if held.iter().any(|row| row.merged_into_id.is_some()) {
        return Err(LabError::Conflict("One of these patients was merged into another already".into()));
    }
    merge(ctx, &mut tx, caller, (survivor, merged), None).await?;
    let both = [survivor, merged];
    let resource = Resource::one("patient", survivor, &both);
    access::wrote(ctx, &tx, caller, Action::MergePatients, resource).await?;
    tx.commit().await?;
    view(ctx, survivor).await
}

/// Moves everything from the second of the pair to the first. Both must be in use.
pub(super) async fn merge(
    ctx: &Ctx,
    tx: &mut Tx,
    caller: &Caller,
    (survivor, merged): (i64, i64),
    message: Option<i64>,
) -> Result<(), DbErr> {
    merges::hold_both(tx, survivor, merged).await?;
    let now = ctx.clock.now();
    let mut moved = merges::move_rows(tx, merged, survivor).await?;
    merges::set_identifiers_active(tx, &moved, false).await?;
    let covered = covered(tx, survivor, &moved).await?;
    merges::set_current(tx, &covered, false).await?;
    moved["covered_results"] = json!(covered);
    let gone = patient::ActiveModel {
        id: Set(merged),
        merged_into_id: Set(Some(survivor)),
        updated_at: Set(now),
        ..Default::default()
    };
    gone.update(&**tx).await?;
    let record = patient_merge::ActiveModel {
        survivor_id: Set(survivor),
        merged_id: Set(merged),
        moved: Set(moved),
        hl7_message_id: Set(message),
        merged_by: Set(caller.username.clone()),
        merged_at: Set(now),
        ..Default::default()
    };
    record.insert(&**tx).await?;
    tx.emit(told(ctx, "patient_merged", survivor, merged));
    Ok(())
}

/// Current results that another current version of the same key covers, now that both are one patient's.
async fn covered(tx: &Tx, survivor: i64, moved: &serde_json::Value) -> Result<Vec<i64>, DbErr> {
    let versions = merges::doubled(tx, survivor, moved).await?;
    let pairs = versions.windows(2).filter(|pair| pair[0].0 == pair[1].0);
    Ok(pairs.map(|pair| pair[1].2).collect())
}

fn told(ctx: &Ctx, kind: &str, survivor: i64, merged: i64) -> alert_event::ActiveModel {
    alert_event::ActiveModel {
        kind: Set(kind.into()),
        patient_id: Set(Some(survivor)),
        payload: Set(json!({ "patient_id": survivor, "merged_patient_id": merged })),
        created_at: Set(ctx.clock.now()),
        ..Default::default()
    }
}

/// Takes a merge back: what it moved returns; what came since stays with the survivor. Errors: `Conflict` when these two
/// are not merged, or the survivor was merged into somebody else since.
pub async fn unmerge_patients(
    ctx: &Ctx,
    caller: &Caller,
    survivor: i64,
    merged: i64,
) -> Result<PatientView, LabError> {
    access::permit(ctx, caller, Action::MergePatients, "patient").await?;
    let mut tx = db::write(&ctx.db, "unmerge_patients").await?;
    let held = merges::hold_both(&tx, survivor, merged).await?;
    if held.len() < 2 {
        return Err(LabError::NotFound("Patient"));
    }
    let stands = |row: &patient::Model| {
        if row.id == merged { row.merged_into_id == Some(survivor) } else { row.merged_into_id.is_none() }
    };
    let record = merges::last_merge(&*tx, survivor, merged).await?;
    let Some(record) = record.filter(|_| held.iter().all(stands)) else {
        return Err(LabError::Conflict("These patients are not merged".into()));
    };
    undo(ctx, &mut tx, caller, record).await?;
    let both = [survivor, merged];
    let resource = Resource::one("patient", survivor, &both);
    access::wrote(ctx, &tx, caller, Action::MergePatients, resource).await?;
    tx.commit().await?;
    view(ctx, survivor).await
}

async fn undo(ctx: &Ctx, tx: &mut Tx, caller: &Caller, record: patient_merge::Model) -> Result<(), DbErr> {
    let now = ctx.clock.now();
    let (survivor, merged) = (record.survivor_id, record.merged_id);
    merges::move_back(tx, &record.moved, merged).await?;
    merges::set_identifiers_active(tx, &record.moved, true).await?;
    let covered = record.moved["covered_results"].as_array().into_iter().flatten();
    let covered: Vec<i64> = covered.filter_map(serde_json::Value::as_i64).collect();
    merges::set_current(tx, &covered, true).await?;
    let back = patient::ActiveModel {
        id: Set(merged),
        merged_into_id: Set(None),
        updated_at: Set(now),
        ..Default::default()
    };
    back.update(&**tx).await?;
    let mut undone: patient_merge::ActiveModel = record.into();
    undone.undone_by = Set(Some(caller.username.clone()));
    undone.undone_at = Set(Some(now));
    undone.update(&**tx).await?;
    tx.emit(told(ctx, "patient_unmerged", survivor, merged));
    Ok(())
}

async fn view(ctx: &Ctx, id: i64) -> Result<PatientView, LabError> {
    let row = patients::find(ctx.db.reader(), id).await?.ok_or(LabError::NotFound("Patient"))?;
    let identifiers = patients::identifiers_of(ctx.db.reader(), &[id]).await?;
    Ok(PatientView::new(row, identifiers))
}
