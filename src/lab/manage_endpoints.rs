//! Setting up the laboratory systems we talk to. Promise: an endpoint that is stored can be used as it stands; what it
//! could not do is refused with the field that stands in the way.

mod check;
mod fields;
mod settings;

use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, DbErr, EntityTrait, PaginatorTrait, QueryFilter,
    sea_query::Expr,
};
use serde_json::Value;

pub(super) use check::{BadSetting, faults};
pub use fields::{EndpointCreate, EndpointUpdate};
pub use settings::EndpointSettings;

use super::{
    access::{self, Resource},
    endpoint_doors::{DirectoryDoor, SftpDoor},
    endpoint_profile::Habits,
    error::LabError,
    page::{self, Page, PageRequest},
    pull_sftp,
    route_order::route_waiting_orders,
    views::EndpointView,
    watch_directory,
};
use crate::{
    context::{Caller, Ctx},
    domain::access::Action,
    store::{
        db::{self, Tx},
        endpoints,
        entity::{
            lis_endpoint::{ActiveModel, Column, Entity, Model},
            outbox as outbox_row,
        },
        is_unique_violation, outbox,
    },
};

/// All endpoints.
pub async fn list_endpoints(
    ctx: &Ctx,
    caller: &Caller,
    request: PageRequest,
) -> Result<Page<EndpointView>, LabError> {
    access::permit(ctx, caller, Action::ReadEndpoint, "lis_endpoint").await?;
    let query = Entity::find().filter(Column::Id.ne(0)).filter(Column::DeletedAt.is_null());
    let page = page::fetch(ctx.db.reader(), query, Column::Id, request, |row| row.id).await?;
    Ok(page.map(EndpointView::from))
}

/// One endpoint.
pub async fn read_endpoint(ctx: &Ctx, caller: &Caller, id: i64) -> Result<EndpointView, LabError> {
    access::permit(ctx, caller, Action::ReadEndpoint, "lis_endpoint").await?;
    let row = endpoints::find(ctx.db.reader(), id).await?;
    Ok(row.ok_or(LabError::NotFound("LIS endpoint"))?.into())
}

/// Makes an endpoint. Orders that waited for a lab are routed to it.
pub async fn create_endpoint(
    ctx: &Ctx,
    caller: &Caller,
    settings: EndpointSettings,
) -> Result<EndpointView, LabError> {
    access::permit(ctx, caller, Action::WriteEndpoint, "lis_endpoint").await?;
    first(faults(&settings, &ctx.config.outbound_allowed_networks))?;
    let tx = db::write(&ctx.db, "create_endpoint").await?;
    first(door_faults(ctx, &tx, None, &settings).await?)?;
    let row = add(ctx, &tx, caller, settings).await?;
    finish(ctx, tx, row).await
}

/// Changes an endpoint; `change` gets the settings as they are.
pub async fn update_endpoint(
    ctx: &Ctx,
    caller: &Caller,
    id: i64,
    change: impl FnOnce(&mut EndpointSettings) + Send,
) -> Result<EndpointView, LabError> {
    access::permit(ctx, caller, Action::WriteEndpoint, "lis_endpoint").await?;
    let tx = db::write(&ctx.db, "update_endpoint").await?;
    let row = endpoints::find(&*tx, id).await?.ok_or(LabError::NotFound("LIS endpoint"))?;
    let mut settings = EndpointSettings::of(&row);
    change(&mut settings);
    first(faults(&settings, &ctx.config.outbound_allowed_networks))?;
    first(door_faults(ctx, &tx, Some(&row), &settings).await?)?;
    let row = put(ctx, &tx, caller, row, settings).await?;
    finish(ctx, tx, row).await
}

/// Stops sending to an endpoint; what is ordered meanwhile waits.
pub async fn pause_endpoint(ctx: &Ctx, caller: &Caller, id: i64) -> Result<EndpointView, LabError> {
    update_endpoint(ctx, caller, id, |settings| settings.paused = true).await
}

/// Goes on sending.
pub async fn resume_endpoint(ctx: &Ctx, caller: &Caller, id: i64) -> Result<EndpointView, LabError> {
    update_endpoint(ctx, caller, id, |settings| settings.paused = false).await
}

/// Takes an endpoint out of use. Its row stays, because messages point at it; its name becomes free. Errors:
/// `Conflict` while messages wait for it, which would never be sent and never be missed.
pub async fn delete_endpoint(ctx: &Ctx, caller: &Caller, id: i64) -> Result<(), LabError> {
    access::permit(ctx, caller, Action::WriteEndpoint, "lis_endpoint").await?;
    let tx = db::write(&ctx.db, "delete_endpoint").await?;
    let row = endpoints::lock(&*tx, id).await?.ok_or(LabError::NotFound("LIS endpoint"))?;
    let waiting = waiting(&tx, id).await?;
    if waiting > 0 {
        let plural = if waiting == 1 { "message waits" } else { "messages wait" };
        return Err(LabError::Conflict(format!("{waiting} {plural} to be sent to this endpoint")));
    }
    let now = ctx.clock.now();
    let name = format!("{} (deleted {id})", row.name);
    let mut next: ActiveModel = row.into();
    next.name = Set(name);
    next.enabled = Set(false);
    next.is_default = Set(false);
    next.deleted_at = Set(Some(now));
    next.updated_at = Set(now);
    next.update(&*tx).await?;
    access::wrote(ctx, &tx, caller, Action::WriteEndpoint, Resource::one("lis_endpoint", id, &[])).await?;
    tx.commit().await?;
    ctx.hints.endpoints.wake();
    Ok(())
}

fn first(faults: Vec<BadSetting>) -> Result<(), LabError> {
    faults.into_iter().next().map_or(Ok(()), |fault| Err(fault.into()))
}

/// The doors that an endpoint's files come through are checked when they are set. What becomes of them later is shown in the
/// endpoint's state, and must not stand in the way of other changes. `before`: the endpoint as it stands.
pub(super) async fn door_faults(
    ctx: &Ctx,
    tx: &Tx,
    before: Option<&Model>,
    settings: &EndpointSettings,
) -> Result<Vec<BadSetting>, LabError> {
    let mut faults = Vec::new();
    if before.is_some_and(|row| doors(&row.profile) == doors(&settings.profile)) {
        return Ok(faults);
    }
    let (directory, sftp) = doors(&settings.profile);
    let mut wrong = |why: &str| faults.push(BadSetting::new("profile", why));
    if let Some(door) = directory {
        let id = before.map(|row| row.id);
        let rows = endpoints::all(&**tx).await?.into_iter().filter(|row| Some(row.id) != id);
        let others = rows.filter_map(|row| doors(&row.profile).0).map(|door| door.path).collect();
        watch_directory::check_directory(ctx, door.path, others).await.unwrap_or_else(&mut wrong);
    }
    if let Some(door) = sftp {
        pull_sftp::check_sftp(&ctx.config, &door).await.unwrap_or_else(wrong);
    }
    Ok(faults)
}

fn doors(profile: &Value) -> (Option<DirectoryDoor>, Option<SftpDoor>) {
    Habits::read(profile).map_or((None, None), |habits| (habits.directory, habits.sftp))
}

/// Writes a new endpoint whose settings are in order.
pub(super) async fn add(
    ctx: &Ctx,
    tx: &Tx,
    caller: &Caller,
    settings: EndpointSettings,
) -> Result<Model, LabError> {
    if settings.is_default {
        clear_default(tx).await?;
    }
    let now = ctx.clock.now();
    let mut row = ActiveModel {
        connection_state: Set("idle".into()),
        created_at: Set(now),
        updated_at: Set(now),
        ..Default::default()
    };
    settings.write_to(&mut row);
    written(ctx, tx, caller, row.insert(&**tx).await).await
}

/// Writes settings that are in order over those of an endpoint.
pub(super) async fn put(
    ctx: &Ctx,
    tx: &Tx,
    caller: &Caller,
    row: Model,
    settings: EndpointSettings,
) -> Result<Model, LabError> {
    if settings.is_default && !row.is_default {
        clear_default(tx).await?;
    }
    let mut next: ActiveModel = row.into();
    settings.write_to(&mut next);
    next.updated_at = Set(ctx.clock.now());
    written(ctx, tx, caller, next.update(&**tx).await).await
}

async fn written(ctx: &Ctx, tx: &Tx, caller: &Caller, row: Result<Model, DbErr>) -> Result<Model, LabError> {
    let row = row.map_err(taken)?;
    access::wrote(ctx, tx, caller, Action::WriteEndpoint, Resource::one("lis_endpoint", row.id, &[])).await?;
    Ok(row)
}

/// What follows from an endpoint as it now stands, and the commit.
async fn finish(ctx: &Ctx, tx: Tx, row: Model) -> Result<EndpointView, LabError> {
    if endpoints::takes_orders(&row) {
        route_waiting_orders(ctx, &tx).await?;
    }
    tx.commit().await?;
    ctx.hints.endpoints.wake();
    ctx.hints.outbox.wake();
    Ok(row.into())
}

/// There is one default at most.
async fn clear_default(tx: &Tx) -> Result<(), DbErr> {
    let query = Entity::update_many().col_expr(Column::IsDefault, Expr::value(false));
    query.filter(Column::IsDefault.eq(true)).exec(&**tx).await.map(|_| ())
}

async fn waiting(tx: &Tx, id: i64) -> Result<u64, DbErr> {
    outbox_row::Entity::find()
        .filter(outbox_row::Column::LisEndpointId.eq(id))
        .filter(outbox_row::Column::Status.eq(outbox::QUEUED))
        .count(&**tx)
        .await
}

fn taken(error: DbErr) -> LabError {
    if is_unique_violation(&error) {
        return LabError::Conflict("A LIS endpoint with this name exists".into());
    }
    error.into()
}
