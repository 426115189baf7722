//! An order that somebody else places through us. It becomes one of ours: our numbers on the wire to the laboratory, our
//! history, the same way to be called off. Promise: it never goes back to where it came from.

use sea_orm::{ActiveModelTrait, ActiveValue::Set};
use serde_json::json;

use super::{
    cancel_order::{ask_lab, cancel_here, is_asked, status_of, withdraw},
    error::LabError,
    order_progress::{Cause, note},
    order_reply::update_test,
    place_order,
    route_order::{Lab, Wanted, choose_lab, send_to},
};
use crate::{
    context::Ctx,
    domain::{
        event::{OrderRequest, Placement},
        order::{CancelRoute, OrderStatus, TestStatus},
        routing::Ordered,
    },
    store::{
        db::Tx,
        endpoints,
        entity::{lab_order, lab_order_test, outbox as outbox_row},
        orders, outbox,
    },
};

/// One of the numbers under which new orders of a source take turns: no index can tell that the same one comes twice at
/// once, because who gave its number need not be said.
pub(super) fn turn(source: Option<i64>) -> i64 {
    let whose = source.map_or_else(|| "this house".to_owned(), |id| format!("endpoint {id}"));
    place_order::turn_of(&format!("orders of {whose}"))
}

/// An order from outside.
pub(super) struct Outside<'a> {
    /// For whom.
    pub(super) patient: i64,
    /// During which visit.
    pub(super) encounter: Option<i64>,
    /// Whose message it came in; `None` when one of our own people placed it.
    pub(super) source: Option<i64>,
    /// Who is written down as having placed it.
    pub(super) by: &'a str,
    /// What it says as a whole.
    pub(super) placement: Placement,
    /// Its tests; each can be placed.
    pub(super) requests: &'a [&'a OrderRequest],
}

/// Places the order and queues it for a laboratory, if there is one for all of it.
pub(super) async fn place(
    ctx: &Ctx,
    tx: &mut Tx,
    new: Outside<'_>,
    cause: Cause<'_>,
) -> Result<lab_order::Model, LabError> {
    let source = new.source;
    let tests = new.requests.iter().map(|request| test_row(request)).collect();
    let codes: Vec<&str> = new.requests.iter().map(|request| request.service.code.trim()).collect();
    let order = place_order::write(ctx, tx, order_row(ctx, new), tests, cause).await?;
    let ordered = Ordered { codes: &codes, is_imaging: order.imaging.is_some() };
    match choose_lab(tx, Wanted { named: None, source, ordered }).await? {
        Lab::Chosen(endpoint) => send_to(ctx, tx, order, &endpoint).await,
        // Who sent it cannot part it. It waits, and stands in the worklist of what no laboratory has received.
        Lab::NoneYet | Lab::Apart(_) => Ok(order),
    }
}

/// What a request to call an order off comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CalledOff {
    /// Nobody works on it.
    Done,
    /// The laboratory was asked; its answer is awaited.
    Asked,
    /// It goes on.
    Refused,
}

/// Calls a whole order off: here while it was never sent, else by asking the laboratory once, whose answer decides.
/// `messages`: the order's, held.
pub(super) async fn call_off(
    ctx: &Ctx,
    tx: &mut Tx,
    (order, messages): Held,
    cause: Cause<'_>,
) -> Result<CalledOff, LabError> {
    if is_asked(&messages) {
        return Ok(CalledOff::Asked);
    }
    let status = status_of(&order);
    if status == OrderStatus::Cancelled {
        return Ok(CalledOff::Done);
    }
    let ever_sent = outbox::ever_tried(&**tx, &messages).await?;
    match status.cancel_route(ever_sent) {
        Some(CancelRoute::Here) => {
            cancel_here(ctx, tx, cause, messages, order).await?;
            Ok(CalledOff::Done)
        }
        // A laboratory that has refused is not asked again by a message that merely came again.
        Some(CancelRoute::AskLab) if orders::has_event(&**tx, order.id, "cancellation_refused").await? => {
            Ok(CalledOff::Refused)
        }
        Some(CancelRoute::AskLab) => {
            note(ctx, tx, &order, Cause { kind: "called_off_by_placer", ..cause }, None).await?;
            match ask_lab(ctx, tx, cause, order).await {
                Ok(_) => Ok(CalledOff::Asked),
                Err(LabError::Conflict(_)) => Ok(CalledOff::Refused),
                Err(error) => Err(error),
            }
        }
        None => Ok(CalledOff::Refused),
    }
}

/// An order and its messages, held.
pub(super) type Held = (lab_order::Model, Vec<outbox_row::Model>);

/// Whether an order may still be changed here: no byte of it has left the house, and it stands.
pub(super) async fn is_ours_to_change(
    tx: &Tx,
    order: &lab_order::Model,
    messages: &[outbox_row::Model],
) -> Result<bool, LabError> {
    let stands = matches!(status_of(order), OrderStatus::Pending | OrderStatus::Failed);
    Ok(stands && !outbox::ever_tried(&**tx, messages).await?)
}

/// Drops tests of an order that was never sent, and keeps the rest.
pub(super) async fn drop_tests(
    ctx: &Ctx,
    tx: &Tx,
    (order, messages): Held,
    tests: Vec<lab_order_test::Model>,
    cause: Cause<'_>,
) -> Result<(), LabError> {
    for test in tests {
        update_test(ctx, tx, test, Some(TestStatus::Cancelled), None).await?;
    }
    rewrite(ctx, tx, (order, messages), cause).await
}

/// Puts what was changed over an order that was never sent.
pub(super) async fn change(
    ctx: &Ctx,
    tx: &Tx,
    (order, messages): Held,
    new: Placement,
    cause: Cause<'_>,
) -> Result<(), LabError> {
    let mut row: lab_order::ActiveModel = order.clone().into();
    if let Some(imaging) = new.imaging() {
        row.imaging = Set(Some(imaging));
        row.scheduled_at = Set(new.scheduled_at());
    }
    if let Some(priority) = new.said_priority() {
        row.priority = Set(priority.to_string());
    }
    if !new.provider.is_empty() {
        row.ordering_provider = Set(new.provider);
    }
    if new.note.is_some() {
        row.note = Set(new.note);
    }
    if !new.diagnoses.is_empty() {
        row.diagnosis_codes = Set(json!(new.diagnoses));
    }
    row.updated_at = Set(ctx.clock.now());
    let changed = row.update(&**tx).await?;
    let same = lab_order::Model { updated_at: order.updated_at, ..changed.clone() } == order;
    if same {
        return Ok(note(ctx, tx, &changed, cause, None).await?);
    }
    rewrite(ctx, tx, (changed, messages), cause).await
}

/// Builds the message of an order anew that was never sent. One that waits for a laboratory has none yet.
async fn rewrite(ctx: &Ctx, tx: &Tx, (order, messages): Held, cause: Cause<'_>) -> Result<(), LabError> {
    note(ctx, tx, &order, cause, None).await?;
    withdraw(ctx, tx, messages).await?;
    let Some(id) = order.lis_endpoint_id.filter(|_| order.hl7_message_id.is_some()) else { return Ok(()) };
    let gone = || LabError::Conflict("The lab of this order takes no messages any more".into());
    let endpoint = endpoints::find(&**tx, id).await?.ok_or_else(gone)?;
    send_to(ctx, tx, order, &endpoint).await.map(|_| ())
}

fn order_row(ctx: &Ctx, new: Outside<'_>) -> lab_order::ActiveModel {
    let now = ctx.clock.now();
    let codes: Vec<&str> = new.requests.iter().map(|request| request.service.code.trim()).collect();
    let (imaging, scheduled_at) = (new.placement.imaging(), new.placement.scheduled_at());
    lab_order::ActiveModel {
        patient_id: Set(new.patient),
        encounter_id: Set(new.encounter),
        test_codes: Set(json!(codes)),
        ordering_provider: Set(new.placement.provider),
        priority: Set(new.placement.priority.to_string()),
        status: Set(OrderStatus::Pending.to_string()),
        placer_order_number: Set(String::new()),
        diagnosis_codes: Set(json!(new.placement.diagnoses)),
        imaging: Set(imaging),
        scheduled_at: Set(scheduled_at),
        note: Set(new.placement.note),
        source_endpoint_id: Set(new.source),
        created_by: Set(new.by.to_owned()),
        created_at: Set(now),
        updated_at: Set(now),
        ..Default::default()
    }
}

/// A test as it was ordered: the names of who ordered it, never those of our catalogue, which may call something else by
/// the same code.
fn test_row(request: &OrderRequest) -> lab_order_test::ActiveModel {
    let service = &request.service;
    let number = request.placer.clone();
    lab_order_test::ActiveModel {
        test_code: Set(service.code.trim().to_owned()),
        test_name: Set(service.text.as_deref().map(|text| plain(text, 200))),
        code_system: Set(plain(service.system.as_deref().unwrap_or("L"), 20)),
        loinc_code: Set(service.loinc.clone()),
        outside_placer_namespace: Set(number.as_ref().and_then(|number| number.giver()).map(str::to_owned)),
        outside_placer_number: Set(number.map(|number| number.id)),
        ..Default::default()
    }
}

fn plain(text: &str, characters: usize) -> String {
    text.chars().filter(|c| !c.is_control()).take(characters).collect()
}
