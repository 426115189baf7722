//! Following the alert stream. Promise: whoever follows from an id gets every later event once, in order, and a row in
//! the access log for each patient told of.

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::{
    access::{self, Resource},
    error::LabError,
    views::AlertEventView,
};
use crate::{
    context::{Caller, Ctx},
    domain::access::{Action, allowed},
    store::entity::{
        alert_event::{Column, Entity},
        user,
    },
};

/// The id of the newest event; 0 when there is none.
pub async fn latest_event_id(ctx: &Ctx, caller: &Caller) -> Result<i64, LabError> {
    access::permit(ctx, caller, Action::ReadAlert, "alert_event").await?;
    let newest = Entity::find().order_by_desc(Column::Id).limit(1).one(ctx.db.reader()).await?;
    Ok(newest.map_or(0, |row| row.id))
}

/// The events after an id, oldest first. Ids are in commit order, so none can turn up later below the last one.
pub async fn events_after(
    ctx: &Ctx,
    caller: &Caller,
    last_id: i64,
    limit: u64,
) -> Result<Vec<AlertEventView>, LabError> {
    access::permit(ctx, caller, Action::ReadAlert, "alert_event").await?;
    let query = Entity::find().filter(Column::Id.gt(last_id)).order_by_asc(Column::Id).limit(limit);
    let rows = query.all(ctx.db.reader()).await?;
    let patients: Vec<i64> = rows.iter().filter_map(|row| row.patient_id).collect();
    if !patients.is_empty() {
        access::seen(ctx, caller, Action::ReadAlert, Resource::many("alert_event", &patients)).await?;
    }
    Ok(rows.into_iter().map(AlertEventView::from).collect())
}

/// What has to stay true for a stream to stay open.
pub struct Admission {
    user_id: i64,
    token_version: i32,
}

/// Lets a caller open a stream.
pub async fn admit(ctx: &Ctx, caller: &Caller) -> Result<Admission, LabError> {
    access::permit(ctx, caller, Action::ReadAlert, "alert_event").await?;
    let row = user::Entity::find_by_id(caller.user_id).one(ctx.db.reader()).await?;
    Ok(Admission { user_id: caller.user_id, token_version: row.map_or(0, |row| row.token_version) })
}

impl Admission {
    /// Whether the user still may follow: not disabled, not signed out, not moved to another role. A token lasts 15
    /// minutes, a stream a whole shift, so the stream asks anew.
    pub async fn holds(&self, ctx: &Ctx) -> Result<bool, LabError> {
        if self.user_id == 0 {
            // Nobody signs in, so nobody can be disabled.
            return Ok(true);
        }
        let row = user::Entity::find_by_id(self.user_id).one(ctx.db.reader()).await?;
        Ok(row.is_some_and(|row| {
            let may = row.role.parse().is_ok_and(|role| allowed(role, Action::ReadAlert));
            may && !row.disabled && row.token_version == self.token_version
        }))
    }
}
