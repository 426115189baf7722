//! What is known of when an endpoint speaks. Promise: each of its messages is looked at a few times and counted once, by
//! whichever process comes first, and what was learnt outlives the message.

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{ConnectionTrait, DbErr};

use super::{
    endpoint_profile::{Profile, Silence},
    error::LabError,
};
use crate::{
    context::Ctx,
    domain::silence::{self, HeardHour, Patience, WEEKS},
    store::{
        db, endpoints,
        entity::lis_endpoint,
        feeds::{self, Passed},
    },
};

/// Messages read in one go.
const PAGE: u64 = 2000;
/// Times that is done in one look at an endpoint: a backlog must not keep the others from being looked at.
const PAGES: usize = 50;
/// A message is counted when it is so old: ids are given before the commit, so one that is lower may turn up later.
const SETTLED_AFTER: TimeDelta = TimeDelta::minutes(2);

/// Counts what an endpoint has sent since the last look. False: there is more, and nobody knows yet when it spoke last.
pub(super) async fn count_messages(ctx: &Ctx, endpoint: i64) -> Result<bool, LabError> {
    for _ in 0..PAGES {
        let Some(row) = endpoints::find(ctx.db.reader(), endpoint).await? else { return Ok(true) };
        let page = feeds::messages_after(ctx.db.reader(), endpoint, row.heard_to_id, PAGE).await?;
        let is_last = (page.len() as u64) < PAGE;
        let settled_before = ctx.clock.now() - SETTLED_AFTER;
        let settled: Vec<Passed> =
            page.into_iter().take_while(|message| message.received_at < settled_before).collect();
        if settled.is_empty() {
            return Ok(true);
        }
        count_in(ctx, &row, &settled).await?;
        if is_last {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn count_in(ctx: &Ctx, row: &lis_endpoint::Model, messages: &[Passed]) -> Result<(), LabError> {
    let inbound = messages.iter().filter(|message| message.is_inbound());
    let mut times: Vec<DateTime<Utc>> = inbound.map(|message| message.received_at).collect();
    times.sort_unstable();
    let since = ctx.clock.now() - TimeDelta::weeks(WEEKS) - TimeDelta::days(1);
    let hours = silence::hours_of(row.last_message_at, &times).into_iter();
    let hours: Vec<HeardHour> = hours.filter(|hour| hour.start >= since).collect();
    let to = messages.last().map_or(row.heard_to_id, |message| message.id);
    let heard = times.last().copied().max(row.last_message_at);
    let tx = db::write(&ctx.db, "count_messages").await?;
    if feeds::advance(&*tx, row, to, heard).await? {
        feeds::add_hours(&*tx, row.id, hours).await?;
        feeds::forget_before(&*tx, row.id, since).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// When an endpoint was heard last. A message that comes again is answered again and is not heard: its sender has not
/// understood us, and nothing new came.
pub(super) async fn last_heard(
    connection: &impl ConnectionTrait,
    row: &lis_endpoint::Model,
) -> Result<Option<DateTime<Utc>>, DbErr> {
    Ok(feeds::last_after(connection, row.id, row.heard_to_id).await?.max(row.last_message_at))
}

/// How long an endpoint that was heard is usually silent at most, at this hour. `None`: nobody knows yet.
pub(super) async fn usual_gap(
    connection: &impl ConnectionTrait,
    row: &lis_endpoint::Model,
    heard: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<Option<TimeDelta>, DbErr> {
    let zone = row.time_zone.parse().unwrap_or(chrono_tz::UTC);
    let hours = silence::comparable_hours(now, zone).concat();
    let gaps = feeds::gaps_in(connection, row.id, hours).await?;
    if let Some(gap) = silence::usual_gap(now, zone, &gaps) {
        return Ok(Some(gap));
    }
    let all = feeds::extent(connection, row.id).await?;
    Ok(all.and_then(|all| silence::usual_gap_at_first(heard, all)))
}

/// How long an endpoint may be silent, as its profile says.
pub(super) fn patience(row: &lis_endpoint::Model) -> Patience {
    match Profile::of(row).habits.silence {
        Silence::Learned => Patience::Learned,
        Silence::Off => Patience::Endless,
        Silence::AfterMinutes(minutes) => Patience::Fixed(TimeDelta::minutes(minutes.into())),
    }
}
