//! Delivery of queued messages to a lab. Promise: the same bytes and the same control id on every try, in order, one
//! in flight; what the lab said is written down before anything else is sent; nothing is given up in silence.
//!
//! One try is: [`next_due`], [`lease`], a connection, [`start_attempt`], the exchange, [`record_attempt`].

use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::EntityTrait;

pub use super::{
    application_ack::{Awaited, apply_application_ack, awaited},
    record_attempt::{Attempt, note_unreachable, record_attempt},
    route_order::route_leftovers,
};
use super::{error::LabError, record_attempt::give_up, views::EndpointView};
use crate::{
    config::Config,
    context::Ctx,
    domain::retry::RetryPolicy,
    security::SecurityError,
    store::{
        db, endpoints,
        entity::{hl7_message, outbox as outbox_row},
        outbox,
    },
};

/// Time beyond the ACK time-out that a lease lasts, so that it outlives the try it covers.
const LEASE_MARGIN: Duration = Duration::from_secs(5);

/// A message that may be sent now.
pub struct Outbound {
    /// To whom.
    pub endpoint: i64,
    /// `outbox.id`.
    pub outbox_id: i64,
    /// Which try is under way; 0 before it begins.
    pub attempt: i32,
    /// Control id, MSH-10.
    pub control_id: String,
    /// The bytes, the same on every try.
    pub bytes: Vec<u8>,
}

/// What the endpoint's loop should do.
pub enum Due {
    /// Send this.
    Now(Outbound),
    /// Nothing before this instant.
    At(DateTime<Utc>),
    /// Nothing waits.
    Nothing,
}

/// Whether a try may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// Send: this is the try of that number, and until this instant the lease holds.
    Go(i32, DateTime<Utc>),
    /// The message was called off or settled meanwhile.
    Settled,
    /// Another process sends to this lab.
    NotOurs,
}

/// Endpoints that messages can be sent to now.
pub async fn outbound_endpoints(ctx: &Ctx) -> Result<Vec<EndpointView>, LabError> {
    let rows = endpoints::all(ctx.db.reader()).await?.into_iter();
    let usable = rows.filter(|row| endpoints::takes_orders(row) && !row.paused);
    Ok(usable.map(EndpointView::from).collect())
}

/// The retries as configured.
pub fn retry_policy(config: &Config) -> RetryPolicy {
    let retries = u32::try_from(config.retry_backoff.len()).unwrap_or(u32::MAX);
    RetryPolicy { backoff: config.retry_backoff.clone(), retries, ..RetryPolicy::default() }
}

/// The oldest message that waits for an endpoint, decrypted.
pub async fn next_due(ctx: &Ctx, endpoint: i64) -> Result<Due, LabError> {
    let reader = ctx.db.reader();
    let Some(row) = outbox::oldest(reader, endpoint).await? else { return Ok(Due::Nothing) };
    if let Some(instant) = paused_until(ctx, &row) {
        return Ok(Due::At(instant));
    }
    let message = hl7_message::Entity::find_by_id(row.hl7_message_id).one(reader).await?;
    let message = message.ok_or(LabError::NotFound("Message"))?;
    match ctx.keys.open_envelope(&message.message_uid, &message.direction, &message.raw_message) {
        Ok(bytes) => {
            let control_id = message.message_control_id;
            Ok(Due::Now(Outbound { endpoint, outbox_id: row.id, attempt: 0, control_id, bytes }))
        }
        // The row was damaged, and no later try will mend it: it must not hold up what comes behind it.
        Err(SecurityError::Decrypt) => {
            give_up(ctx, row.id, "the stored message cannot be decrypted").await?;
            Ok(Due::At(ctx.clock.now()))
        }
        // A key that is missing can be brought back, so the message waits for it.
        Err(error) => Err(error.into()),
    }
}

/// When a message may be tried again, if not now.
fn paused_until(ctx: &Ctx, row: &outbox_row::Model) -> Option<DateTime<Utc>> {
    let (now, latest) = pauses(ctx);
    (row.next_attempt_at > now && row.next_attempt_at <= latest).then_some(row.next_attempt_at)
}

/// Behind which instant a pause ends, and at the latest. No pause is longer than the policy's longest: a clock that was set
/// back must not hold a message for the difference.
fn pauses(ctx: &Ctx) -> (DateTime<Utc>, DateTime<Utc>) {
    let now = ctx.clock.now();
    let longest = ctx.config.retry_backoff.iter().max().copied().unwrap_or_default() * 2;
    (now, now + chrono::Duration::from_std(longest).unwrap_or_default())
}

/// Takes or renews the lease of an endpoint. False: another process sends there.
pub async fn lease(ctx: &Ctx, endpoint: i64, owner: &str) -> Result<bool, LabError> {
    let tx = db::write(&ctx.db, "lease").await?;
    let taken = take_lease(ctx, &tx, endpoint, owner).await?;
    tx.commit().await?;
    Ok(taken)
}

async fn take_lease(ctx: &Ctx, tx: &db::Tx, endpoint: i64, owner: &str) -> Result<bool, LabError> {
    Ok(endpoints::take_lease(&**tx, endpoint, owner, ctx.clock.now(), lease_end(ctx)).await?)
}

/// When a lease runs out that is taken now.
pub(super) fn lease_end(ctx: &Ctx) -> DateTime<Utc> {
    let span = ctx.config.ack_timeout + LEASE_MARGIN;
    ctx.clock.now() + chrono::Duration::from_std(span).unwrap_or_default()
}

/// The last question before bytes leave the house, and the note that they did: from its commit on the message counts as
/// tried, so a crash in the middle of a try can never look as if nothing was sent. It renews the lease too, since
/// connecting may have taken a while.
pub async fn start_attempt(ctx: &Ctx, endpoint: i64, owner: &str, outbox_id: i64) -> Result<Start, LabError> {
    let tx = db::write(&ctx.db, "start_attempt").await?;
    let until = lease_end(ctx);
    if !take_lease(ctx, &tx, endpoint, owner).await? {
        return Ok(Start::NotOurs);
    }
    let (now, latest) = pauses(ctx);
    let Some(attempt) = outbox::begin_attempt(&*tx, outbox_id, now, latest).await? else {
        return Ok(Start::Settled);
    };
    tx.commit().await?;
    Ok(Start::Go(attempt, until))
}

/// Writes the state of the sending side where the operator sees it.
pub async fn show_connection(
    ctx: &Ctx,
    endpoint: i64,
    state: &str,
    detail: Option<&str>,
) -> Result<(), LabError> {
    let tx = db::write(&ctx.db, "show_connection").await?;
    endpoints::set_connection_state(&*tx, endpoint, state, detail).await?;
    tx.commit().await?;
    Ok(())
}

/// Gives this process's leases back at its end.
pub async fn release_leases(ctx: &Ctx, owner: &str) -> Result<(), LabError> {
    let tx = db::write(&ctx.db, "release_leases").await?;
    endpoints::release_leases(&*tx, owner).await?;
    tx.commit().await?;
    Ok(())
}

/// Forgets the leases of a process that is gone. Only SQLite has one process, so only there is a lease found at the
/// start known to be a dead one's; on PostgreSQL nothing happens, and it runs out.
pub async fn clear_leases(ctx: &Ctx) -> Result<(), LabError> {
    if ctx.db.is_postgres() {
        return Ok(());
    }
    let tx = db::write(&ctx.db, "clear_leases").await?;
    endpoints::clear_leases(&*tx).await?;
    tx.commit().await?;
    Ok(())
}
