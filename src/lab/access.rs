//! Who may, and who did: every use case asks [`permit`] first, and every read or write of patient data leaves a row
//! in `access_logs` through [`seen`] or [`wrote`]. Refused tries leave one too.

use sea_orm::{ActiveValue::Set, ConnectionTrait, DbErr, EntityTrait};

use super::error::LabError;
use crate::{
    context::{Caller, Ctx},
    domain::access::{Action, allowed},
    store::{db, entity::access_log},
};

/// What was touched.
#[derive(Clone, Copy, Debug)]
pub struct Resource<'a> {
    /// Kind, such as `lab_result`.
    pub kind: &'static str,
    /// Id, when it is one thing.
    pub id: Option<i64>,
    /// Patients whose data it is; empty when none or unknown.
    pub patients: &'a [i64],
}

impl<'a> Resource<'a> {
    /// One thing.
    pub fn one(kind: &'static str, id: i64, patients: &'a [i64]) -> Self {
        Self { kind, id: Some(id), patients }
    }

    /// A list, or a kind of thing.
    pub fn many(kind: &'static str, patients: &'a [i64]) -> Self {
        Self { kind, id: None, patients }
    }
}

/// Lets the caller through, or writes down the refused try.
pub async fn permit(ctx: &Ctx, caller: &Caller, action: Action, kind: &'static str) -> Result<(), LabError> {
    if allowed(caller.role, action) {
        return Ok(());
    }
    let tx = db::write(&ctx.db, "refuse").await?;
    let resource = Resource::many(kind, &[]);
    insert(ctx, &*tx, caller, action, resource, "denied").await?;
    tx.commit().await?;
    Err(LabError::Denied)
}

/// Writes down a read, before its answer leaves.
pub async fn seen(
    ctx: &Ctx,
    caller: &Caller,
    action: Action,
    resource: Resource<'_>,
) -> Result<(), LabError> {
    let tx = db::write(&ctx.db, "access").await?;
    insert(ctx, &*tx, caller, action, resource, "ok").await?;
    tx.commit().await?;
    Ok(())
}

/// Writes down a change, in the change's own transaction.
pub async fn wrote(
    ctx: &Ctx,
    tx: &db::Tx,
    caller: &Caller,
    action: Action,
    resource: Resource<'_>,
) -> Result<(), DbErr> {
    insert(ctx, &**tx, caller, action, resource, "ok").await
}

/// Writes down a try that failed for another reason than the caller's role, such as a wrong password.
pub async fn tried(
    ctx: &Ctx,
    tx: &db::Tx,
    caller: &Caller,
    action: Action,
    outcome: &str,
) -> Result<(), DbErr> {
    insert(ctx, &**tx, caller, action, Resource::many("user", &[]), outcome).await
}

/// One row a patient, so that "who saw this chart" is one indexed question.
async fn insert(
    ctx: &Ctx,
    connection: &impl ConnectionTrait,
    caller: &Caller,
    action: Action,
    resource: Resource<'_>,
    outcome: &str,
) -> Result<(), DbErr> {
    let mut patients: Vec<Option<i64>> = resource.patients.iter().copied().map(Some).collect();
    patients.sort_unstable();
    patients.dedup();
    if patients.is_empty() {
        patients.push(None);
    }
    let at = ctx.clock.now();
    let rows = patients.into_iter().map(|patient_id| access_log::ActiveModel {
        user_id: Set(caller.user_id),
        username: Set(caller.username.clone()),
        role: Set(caller.role.to_string()),
        action: Set(action.to_string()),
        resource_type: Set(resource.kind.to_owned()),
        resource_id: Set(resource.id.map(|id| id.to_string())),
        patient_id: Set(patient_id),
        outcome: Set(outcome.to_owned()),
        source_ip: Set(caller.ip.map(|ip| ip.to_string())),
        request_id: Set(caller.request_id.clone()),
        at: Set(at),
        ..Default::default()
    });
    // A list holds at most 5,000 patients; SQLite binds at most 32,766 values in one statement.
    let rows: Vec<_> = rows.collect();
    for part in rows.chunks(1000) {
        access_log::Entity::insert_many(part.to_vec()).exec_without_returning(connection).await?;
    }
    Ok(())
}
