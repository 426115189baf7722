//! Running a message that came in again, through the profile, the code maps, the limits and the matching of today. Promise: the
//! differences are those of the rows themselves, found before anything is committed; a dry run commits nothing; what is
//! stored as today's rules would store it does not change.

use std::collections::BTreeMap;

use sea_orm::{ActiveModelTrait, ActiveValue::Set};
use serde_json::{Map, Value, json};

use super::{
    access::{self, Resource},
    arrival::{Arrival, sender_names},
    endpoint_directory::{Directory, Peer},
    endpoint_profile::Profile,
    error::LabError,
    intake::{self, Replayed},
    read_messages,
    views::{ReplayColumn, ReplayRow, ReplayTable, ReplayView},
};
use crate::{
    context::{Caller, Ctx},
    domain::{
        access::{Action, allowed},
        ids::EndpointId,
    },
    hl7::frame::Frame,
    security::tls::Secured,
    store::{
        db::{self, Tx},
        entity::{hl7_message, message_replay},
        intake::{Failure, judge},
        reviews,
        row_changes::{RowChange, TableChanges, row_changes},
    },
};

const KIND: &str = "hl7_message";
/// How often a run that lost a race against a message that came in is made anew.
const RACES: u32 = 5;

/// Runs a message again, or shows what that would change. Errors: `Conflict` for a message that we sent, one of which only
/// the head was kept, and one that came again and was taken meanwhile.
pub async fn replay_message(
    ctx: &Ctx,
    caller: &Caller,
    id: i64,
    dry_run: bool,
) -> Result<ReplayView, LabError> {
    access::permit(ctx, caller, Action::ReplayMessage, KIND).await?;
    for _ in 0..RACES {
        match replay_once(ctx, caller, id, dry_run).await {
            Err(LabError::Database(error)) => match judge(&error) {
                Failure::Raced => {}
                Failure::Poisoned => {
                    return Err(LabError::Conflict("The content of this message cannot be stored".into()));
                }
                Failure::Unavailable => return Err(error.into()),
            },
            done => return done,
        }
    }
    Err(LabError::Unavailable)
}

async fn replay_once(ctx: &Ctx, caller: &Caller, id: i64, dry_run: bool) -> Result<ReplayView, LabError> {
    let mut tx = db::write(&ctx.db, "replay_message").await?;
    let message = reviews::lock_message(&tx, id).await?.ok_or(LabError::NotFound("Message"))?;
    let arrival = read_again(ctx, &message).await?;
    let replayed = intake::replay(ctx, &mut tx, caller, &arrival, &message).await?;
    let events = tx.events_to_come();
    let taken = replayed.refusal.is_none();
    let tables = if taken { row_changes(&ctx.db, &tx, id).await? } else { BTreeMap::new() };
    let after = reviews::lock_message(&tx, id).await?.filter(|_| taken).unwrap_or_else(|| message.clone());
    let changes = tables.values().any(|table| !table.rows.is_empty());
    let applied = changes && !dry_run;
    let patients = patients(&tables, &message);
    let resource = Resource::one(KIND, id, &patients);
    if applied {
        record(ctx, &tx, caller, (&message, &after), &tables).await?;
        access::wrote(ctx, &tx, caller, Action::ReplayMessage, resource).await?;
        tx.commit().await?;
        ctx.hints.orders.wake();
        ctx.hints.outbox.wake();
        tracing::info!(message = id, before = message.status, after = after.status, "message run again");
    } else {
        drop(tx);
        access::seen(ctx, caller, Action::ReplayMessage, resource).await?;
    }
    let with_content = allowed(caller.role, Action::ReadRawMessage);
    let events = if taken { events } else { 0 };
    Ok(view((&message, after), (dry_run, applied), replayed, (tables, events), with_content))
}

/// A message as its sender's profile reads it now. One that was not taken is its sender's by the address of today; one that
/// was stays with the endpoint it was taken from.
async fn read_again(ctx: &Ctx, message: &hl7_message::Model) -> Result<Arrival, LabError> {
    if message.direction != "inbound" {
        return Err(LabError::Conflict("We sent this message; it can be sent again".into()));
    }
    let bytes = read_messages::open(ctx, message)?;
    if bytes.len() as i64 != message.size_bytes {
        return Err(LabError::Conflict(
            "Only the head of this message was kept: it was over the size cap".into(),
        ));
    }
    let frame = Frame::Message(bytes);
    let (application, facility) = sender_names(&frame);
    let peer = peer_of(message);
    let endpoint = EndpointId::new(message.lis_endpoint_id);
    let was_taken = !matches!(message.status.as_str(), "refused" | "quarantined" | "ignored");
    let directory = Directory::default();
    let profile = match peer.filter(|_| endpoint.get() == 0 && !was_taken) {
        Some(peer) => directory.identify(ctx, peer, &application, &facility).await?,
        None => directory.profile_of(ctx, endpoint, &application, &facility).await?,
    };
    let fallback = Profile { id: endpoint, ..Profile::unknown() };
    Ok(Arrival::read_at(ctx, frame, (profile, &fallback), peer, message.received_at)?)
}

/// Who brought it, as far as that was kept.
fn peer_of(message: &hl7_message::Model) -> Option<Peer> {
    let address = message.source_ip.as_deref()?.parse().ok()?;
    let secured = Secured::of_kept(message.tls_version.as_deref(), message.peer_certificate.as_deref());
    Some(Peer { address, secured })
}

/// Whose rows are in it.
fn patients(tables: &BTreeMap<String, TableChanges>, message: &hl7_message::Model) -> Vec<i64> {
    let named = |columns: &Option<Map<String, Value>>| {
        columns.as_ref().and_then(|columns| columns.get("patient_id")).and_then(Value::as_i64)
    };
    let rows = tables.values().flat_map(|table| &table.rows);
    rows.filter_map(|row| named(&row.after).or_else(|| named(&row.before)))
        .chain(message.patient_id)
        .collect()
}

/// Keeps who ran it, and what had been answered: a resend gets the new answer from now on.
async fn record(
    ctx: &Ctx,
    tx: &Tx,
    caller: &Caller,
    (before, after): (&hl7_message::Model, &hl7_message::Model),
    tables: &BTreeMap<String, TableChanges>,
) -> Result<(), LabError> {
    let counts: Map<String, Value> = tables
        .iter()
        .filter(|(_, table)| !table.rows.is_empty())
        .map(|(name, table)| {
            let (inserted, changed) = counts(table);
            (name.clone(), json!({ "inserted": inserted, "changed": changed }))
        })
        .collect();
    let row = message_replay::ActiveModel {
        hl7_message_id: Set(before.id),
        replayed_by: Set(caller.username.clone()),
        replayed_at: Set(ctx.clock.now()),
        status_before: Set(before.status.clone()),
        status_after: Set(after.status.clone()),
        ack_status_before: Set(before.ack_status.clone()),
        ack_bytes_before: Set(before.ack_bytes.clone().filter(|_| before.ack_bytes != after.ack_bytes)),
        tables: Set(Value::Object(counts)),
        ..Default::default()
    };
    row.insert(&**tx).await?;
    Ok(())
}

fn counts(table: &TableChanges) -> (usize, usize) {
    let inserted = table.rows.iter().filter(|row| row.before.is_none()).count();
    (inserted, table.rows.len() - inserted)
}

fn view(
    (before, after): (&hl7_message::Model, hl7_message::Model),
    (dry_run, applied): (bool, bool),
    replayed: Replayed,
    (tables, events): (BTreeMap<String, TableChanges>, usize),
    with_content: bool,
) -> ReplayView {
    let changes = tables.values().any(|table| !table.rows.is_empty());
    ReplayView {
        message_id: before.id,
        dry_run,
        applied,
        changes,
        status_before: before.status.clone(),
        status_after: after.status,
        ack_status_before: before.ack_status.clone(),
        ack_status_after: after.ack_status,
        refusal: replayed.refusal,
        notes: replayed.notes.into_iter().map(str::to_owned).collect(),
        tables: tables.iter().map(|(name, changes)| table(name, changes)).collect(),
        rows: tables
            .into_iter()
            .flat_map(|(name, changes)| changes.rows.into_iter().map(move |change| (name.clone(), change)))
            .map(|(name, change)| row(name, change, with_content))
            .collect(),
        events,
    }
}

fn table(name: &str, changes: &TableChanges) -> ReplayTable {
    let (inserted, changed) = counts(changes);
    ReplayTable { table: name.to_owned(), inserted, changed, unchanged: changes.unchanged }
}

fn row(table: String, change: RowChange, with_content: bool) -> ReplayRow {
    let effect = match (&change.before, &change.after) {
        (None, _) => "insert",
        (Some(_), Some(_)) => "change",
        (Some(_), None) => "delete",
    };
    let (before, after) = (change.before.unwrap_or_default(), change.after.unwrap_or_default());
    let names = before.keys().chain(after.keys().filter(|name| !before.contains_key(*name)));
    let columns = names.filter(|name| value(&before, name) != value(&after, name)).map(|name| ReplayColumn {
        column: name.clone(),
        before: value(&before, name).filter(|_| with_content),
        after: value(&after, name).filter(|_| with_content),
    });
    ReplayRow { table, id: change.id, effect: effect.to_owned(), columns: columns.collect() }
}

/// A value that is there.
fn value(columns: &Map<String, Value>, name: &str) -> Option<Value> {
    columns.get(name).filter(|value| !value.is_null()).cloned()
}
