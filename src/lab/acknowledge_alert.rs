//! Taking a critical alert on. Promise: of all who try at once exactly one succeeds, and the others are told who that
//! was; a value that was passed on by telephone is compared with ours before the alert goes quiet.

use chrono::{DateTime, SecondsFormat, Utc};
use sea_orm::{ActiveValue::Set, ColumnTrait, DbErr, EntityTrait, QueryFilter, sea_query::Expr};
use serde_json::{Value, json};

use super::{
    access::{self, Resource},
    error::LabError,
    read_alerts::with_patient,
    views::AlertView,
};
use crate::{
    context::{Caller, Ctx},
    domain::{
        access::Action,
        alert::{self, AckRefusal, AlertStatus, AlertedValue, ReadBackCheck},
    },
    store::{
        alerts::WAITING,
        db::{self, Tx},
        entity::{
            alert_event,
            critical_alert::{Column, Entity, Model},
        },
    },
};

/// What a person states when taking an alert on.
#[derive(Clone)]
pub struct Acknowledgement {
    /// What was done.
    pub note: String,
    /// When the value was passed on by voice.
    pub read_back: Option<ReadBack>,
}

/// A value passed on by voice and repeated by whoever heard it.
#[derive(Clone)]
pub struct ReadBack {
    /// What was repeated.
    pub value: String,
    /// Who told it.
    pub caller: Option<String>,
    /// Who repeated it.
    pub receiver: Option<String>,
    /// By what means.
    pub method: Option<String>,
    /// When.
    pub at: Option<DateTime<Utc>>,
    /// Why it differs from ours, when it does.
    pub mismatch_reason: Option<String>,
}

/// Takes an alert on. Errors: `Conflict` with who and when if it is done already; `Invalid` for an empty note, or a
/// value read back that differs without a reason.
pub async fn acknowledge_alert(
    ctx: &Ctx,
    caller: &Caller,
    id: i64,
    statement: Acknowledgement,
) -> Result<AlertView, LabError> {
    access::permit(ctx, caller, Action::AcknowledgeAlert, "alert").await?;
    let mut tx = db::write(&ctx.db, "acknowledge_alert").await?;
    let row = find(&tx, id).await?;
    let check = decide(&row, &statement).map_err(|refusal| refused(refusal, &row))?;
    if !take(ctx, &tx, caller, id, &statement, check).await? {
        // Somebody was faster between our reading and our writing.
        return Err(refused(AckRefusal::AlreadyDone, &find(&tx, id).await?));
    }
    let row = find(&tx, id).await?;
    tx.emit(event(ctx, caller, &row));
    let resource = Resource::one("alert", id, row.patient_id.as_slice());
    access::wrote(ctx, &tx, caller, Action::AcknowledgeAlert, resource).await?;
    tx.commit().await?;
    with_patient(ctx, row).await
}

async fn find(tx: &Tx, id: i64) -> Result<Model, LabError> {
    Entity::find_by_id(id).one(&**tx).await?.ok_or(LabError::NotFound("Alert"))
}

fn decide(row: &Model, statement: &Acknowledgement) -> Result<ReadBackCheck, AckRefusal> {
    let read_back = statement.read_back.as_ref().map(|read_back| alert::ReadBack {
        value: read_back.value.clone(),
        mismatch_reason: read_back.mismatch_reason.clone(),
    });
    let stated = alert::Acknowledgement { note: statement.note.clone(), read_back };
    // A status that cannot be read counts as open: nobody may be kept from taking an alert on.
    let status = row.status.parse().unwrap_or(AlertStatus::Open);
    let alerted =
        AlertedValue { value: row.value.as_deref().unwrap_or_default(), units: row.units.as_deref() };
    alert::acknowledge(status, &stated, alerted)
}

/// Writes it down if the alert still waits: the statement decides, not what was read before.
async fn take(
    ctx: &Ctx,
    tx: &Tx,
    caller: &Caller,
    id: i64,
    statement: &Acknowledgement,
    check: ReadBackCheck,
) -> Result<bool, DbErr> {
    let read_back = statement.read_back.as_ref().map(|read_back| as_json(read_back, check));
    let taken = Entity::update_many()
        .col_expr(Column::Status, Expr::value(AlertStatus::Acknowledged.as_str()))
        .col_expr(Column::AcknowledgedBy, Expr::value(caller.username.clone()))
        .col_expr(Column::AcknowledgedAt, Expr::value(ctx.clock.now()))
        .col_expr(Column::Note, Expr::value(statement.note.trim()))
        .col_expr(Column::ReadBack, Expr::value(read_back))
        .col_expr(Column::EscalateAt, Expr::value(Option::<DateTime<Utc>>::None))
        .filter(Column::Id.eq(id))
        .filter(Column::Status.is_in(WAITING))
        .exec(&**tx)
        .await?;
    Ok(taken.rows_affected == 1)
}

fn as_json(read_back: &ReadBack, check: ReadBackCheck) -> Value {
    json!({
        "value": read_back.value,
        "caller": read_back.caller,
        "receiver": read_back.receiver,
        "method": read_back.method,
        "at": read_back.at,
        "mismatch_reason": read_back.mismatch_reason,
        "check": check.as_str(),
    })
}

fn refused(refusal: AckRefusal, row: &Model) -> LabError {
    match refusal {
        AckRefusal::NoteMissing => LabError::invalid("note", "a note is required"),
        AckRefusal::ReadBackDiffers => LabError::invalid(
            "read_back.mismatch_reason",
            "the value read back differs from the result; say why",
        ),
        AckRefusal::AlreadyDone => LabError::Conflict(already_done(row)),
    }
}

fn already_done(row: &Model) -> String {
    let by = row.acknowledged_by.as_deref().unwrap_or("somebody else");
    match row.acknowledged_at {
        Some(at) => {
            let at = at.to_rfc3339_opts(SecondsFormat::Secs, true);
            format!("The alert was already acknowledged by {by} at {at}")
        }
        None => format!("The alert was already acknowledged by {by}"),
    }
}

fn event(ctx: &Ctx, caller: &Caller, row: &Model) -> alert_event::ActiveModel {
    alert_event::ActiveModel {
        kind: Set("alert_acknowledged".into()),
        alert_id: Set(Some(row.id)),
        patient_id: Set(row.patient_id),
        lab_order_id: Set(row.lab_order_id),
        payload: Set(json!({ "alert_id": row.id, "by": caller.username, "at": row.acknowledged_at })),
        created_at: Set(ctx.clock.now()),
        ..Default::default()
    }
}
