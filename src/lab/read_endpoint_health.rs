//! How the endpoints do: for people, and for the machines that watch over the service. Nothing in it tells of a patient.

use std::collections::HashMap;

use chrono::TimeDelta;
use sea_orm::{ColumnTrait, DbErr, EntityTrait, QueryFilter};

use super::{
    access,
    endpoint_feed::{last_heard, patience, usual_gap},
    error::LabError,
    page::{self, Page, PageRequest},
    views::{EndpointAlarmView, EndpointHealthView},
};
use crate::{
    context::{Caller, Ctx},
    domain::{
        access::Action,
        silence::{Patience, longest_silence},
    },
    store::{
        endpoint_alarms, endpoints,
        entity::{endpoint_alarm, lis_endpoint},
        outbox,
    },
};

/// Which alarms to list.
#[derive(Clone, Copy, Default)]
pub struct AlarmFilter {
    /// Those that last, or those that are over.
    pub open: Option<bool>,
    /// About one endpoint.
    pub lis_endpoint_id: Option<i64>,
}

/// What is measured of an endpoint.
pub struct EndpointGauges {
    /// The endpoint.
    pub id: i64,
    /// Messages that wait to be sent to it.
    pub queued: u64,
    /// How long the message has waited that has waited longest; 0 when none does.
    pub oldest_queued_seconds: i64,
    /// What is wrong now.
    pub open_alarms: u64,
}

/// How each endpoint does now.
pub async fn list_endpoint_health(
    ctx: &Ctx,
    caller: &Caller,
    request: PageRequest,
) -> Result<Page<EndpointHealthView>, LabError> {
    use lis_endpoint::Column as C;
    access::permit(ctx, caller, Action::ReadOps, "endpoint_health").await?;
    let reader = ctx.db.reader();
    let query = lis_endpoint::Entity::find().filter(C::Id.ne(0)).filter(C::DeletedAt.is_null());
    let Page { items, total, next } = page::fetch(reader, query, C::Id, request, |row| row.id).await?;
    let mut views = Vec::with_capacity(items.len());
    for row in items {
        views.push(health(ctx, row).await?);
    }
    Ok(Page { items: views, total, next })
}

async fn health(ctx: &Ctx, row: lis_endpoint::Model) -> Result<EndpointHealthView, DbErr> {
    let (reader, now) = (ctx.db.reader(), ctx.clock.now());
    let heard = last_heard(reader, &row).await?;
    let usual = match heard {
        Some(heard) => usual_gap(reader, &row, heard, now).await?,
        None => None,
    };
    let patience = if endpoints::sends(&row) { patience(&row) } else { Patience::Endless };
    let least = TimeDelta::minutes(ctx.config.least_silence_minutes.into());
    let alarms = endpoint_alarms::open_of(reader, row.id).await?;
    Ok(EndpointHealthView {
        last_message_at: heard,
        usual_gap_seconds: usual.map(|gap| gap.num_seconds()),
        silence_limit_seconds: longest_silence(patience, usual, least).map(|limit| limit.num_seconds()),
        queued: outbox::count(reader, row.id, outbox::QUEUED).await?,
        oldest_queued_at: outbox::waiting_since(reader, row.id).await?,
        dead_letters: outbox::count(reader, row.id, outbox::DEAD).await?,
        alarms: alarms.into_iter().map(|alarm| EndpointAlarmView::new(alarm, &row.name)).collect(),
        id: row.id,
        name: row.name,
        direction: row.direction,
        enabled: row.enabled,
        paused: row.paused,
        connection_state: row.connection_state,
        connection_detail: row.connection_detail,
    })
}

/// Alarms, those that last and those that are over.
pub async fn list_endpoint_alarms(
    ctx: &Ctx,
    caller: &Caller,
    filter: AlarmFilter,
    request: PageRequest,
) -> Result<Page<EndpointAlarmView>, LabError> {
    access::permit(ctx, caller, Action::ReadOps, "endpoint_alarm").await?;
    let reader = ctx.db.reader();
    let query = endpoint_alarms::listed(filter.open, filter.lis_endpoint_id);
    let page = page::fetch(reader, query, endpoint_alarm::Column::Id, request, |row| row.id).await?;
    let ids = page.items.iter().map(|alarm| alarm.lis_endpoint_id);
    let rows = lis_endpoint::Entity::find().filter(lis_endpoint::Column::Id.is_in(ids)).all(reader).await?;
    let names: HashMap<i64, String> = rows.into_iter().map(|row| (row.id, row.name)).collect();
    Ok(page.map(|alarm| {
        let name = names.get(&alarm.lis_endpoint_id).map_or("", String::as_str);
        EndpointAlarmView::new(alarm, name)
    }))
}

/// The figures of each endpoint, for whoever collects figures. Endpoints go by their ids: their names stay in the house.
pub async fn endpoint_gauges(ctx: &Ctx) -> Result<Vec<EndpointGauges>, LabError> {
    let (reader, now) = (ctx.db.reader(), ctx.clock.now());
    let alarms = endpoint_alarms::all_open(reader).await?;
    let mut gauges = Vec::new();
    for row in endpoints::all(reader).await? {
        let oldest = outbox::waiting_since(reader, row.id).await?;
        gauges.push(EndpointGauges {
            id: row.id,
            queued: outbox::count(reader, row.id, outbox::QUEUED).await?,
            oldest_queued_seconds: oldest.map_or(0, |since| (now - since).num_seconds().max(0)),
            open_alarms: alarms.iter().filter(|alarm| alarm.lis_endpoint_id == row.id).count() as u64,
        });
    }
    Ok(gauges)
}
