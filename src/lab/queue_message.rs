//! Putting a message into the outbox. Promise: its bytes are built once and stored encrypted with the row that says it
//! must be sent, in the caller's transaction; every try sends these bytes.

use sea_orm::{ActiveModelTrait, ActiveValue::Set};
use serde_json::json;

use super::{
    error::LabError,
    order_message::{Encoded, Parts, encode},
};
use crate::{
    context::Ctx,
    domain::order::TestStatus,
    hl7::orm::OrderAction,
    security::{hex, random_hex, sha256},
    store::{
        db::Tx,
        endpoints,
        entity::{hl7_message, lab_order, lis_endpoint, outbox as outbox_row},
        orders, outbox, patients,
    },
};

/// Builds the message of an order and queues it for a lab. Answers the message's id. Errors: `Conflict` when the lab was
/// deleted since it was chosen.
pub(super) async fn queue_message(
    ctx: &Ctx,
    tx: &Tx,
    order: &lab_order::Model,
    endpoint: &lis_endpoint::Model,
    action: OrderAction,
) -> Result<i64, LabError> {
    if !endpoints::hold(&**tx, endpoint.id).await? {
        return Err(LabError::Conflict("The lab of this order takes no messages any more".into()));
    }
    // A chart that was merged since is known to the lab by the survivor's number.
    let patient = patients::survivor(&**tx, order.patient_id).await?.ok_or(LabError::NotFound("Patient"))?;
    let identifiers = patients::identifiers_of(&**tx, &[patient.id]).await?;
    let encounter = match order.encounter_id {
        Some(id) => patients::find_encounter(&**tx, id).await?,
        None => None,
    };
    let mut tests = orders::tests_of(&**tx, &[order.id]).await?;
    // What was called off before the lab heard of it, or by the lab itself, is nothing it needs to be told.
    tests.retain(|test| test.status != TestStatus::Cancelled.as_str());
    let codes = tests.iter().map(|test| test.test_code.clone()).collect();
    let catalogue = orders::catalogue(&**tx, codes).await?;
    let parts = Parts {
        order,
        tests: &tests,
        catalogue: &catalogue,
        patient: &patient,
        identifiers: &identifiers,
        encounter: encounter.as_ref(),
        endpoint,
    };
    // The time stands in the control id, and two messages of one order must not share it, however soon the second follows.
    let turn = chrono::Duration::milliseconds(outbox::count_of_order(&**tx, order.id).await?.cast_signed());
    let encoded = encode(&ctx.config, &parts, action, ctx.clock.now() + turn);
    let asked = encoded.envelope.application_ack.as_deref().is_some_and(|asked| asked != "NE");
    let message = hl7_message::ActiveModel {
        patient_id: Set(Some(order.patient_id)),
        lab_order_id: Set(Some(order.id)),
        ..message_row(ctx, endpoint, encoded)?
    };
    let message = message.insert(&**tx).await?;
    let entry = outbox_entry(ctx, &message, action);
    let application_ack = Set(asked.then(|| outbox::ASKED.to_owned()));
    outbox_row::ActiveModel { application_ack, ..entry }.insert(&**tx).await?;
    Ok(message.id)
}

/// The row of a message that is to be sent, of no order and no patient yet.
pub(super) fn message_row(
    ctx: &Ctx,
    endpoint: &lis_endpoint::Model,
    encoded: Encoded,
) -> Result<hl7_message::ActiveModel, LabError> {
    let Encoded { shape, envelope, bytes, charset_replaced } = encoded;
    let [code, event, structure] = shape.message_type().map(str::to_owned);
    let uid = random_hex::<16>()?;
    let warnings = if charset_replaced { json!([{"code": "charset_replaced"}]) } else { json!([]) };
    Ok(hl7_message::ActiveModel {
        raw_message: Set(ctx.keys.seal(&uid, "outbound", &bytes)?),
        message_uid: Set(uid),
        direction: Set("outbound".into()),
        lis_endpoint_id: Set(endpoint.id),
        message_type: Set(code),
        trigger_event: Set(Some(event)),
        message_structure: Set(Some(structure)),
        hl7_version: Set(Some(envelope.version)),
        message_control_id: Set(envelope.control_id),
        processing_id: Set(Some(envelope.processing_id)),
        sending_application: Set(Some(envelope.sending_application)),
        sending_facility: Set(Some(envelope.sending_facility)),
        receiving_application: Set(Some(envelope.receiving_application)),
        receiving_facility: Set(Some(envelope.receiving_facility)),
        message_hash: Set(hex(&sha256(&bytes))),
        size_bytes: Set(bytes.len() as i64),
        charset: Set(Some(envelope.charset.name().to_owned())),
        status: Set("queued".into()),
        warnings: Set(warnings),
        observations_received: Set(0),
        observations_stored: Set(0),
        observations_in_review: Set(0),
        observations_rejected: Set(0),
        duplicates_seen: Set(0),
        message_time: Set(Some(envelope.time.to_utc())),
        received_at: Set(ctx.clock.now()),
        ..Default::default()
    })
}

fn outbox_entry(ctx: &Ctx, message: &hl7_message::Model, action: OrderAction) -> outbox_row::ActiveModel {
    let kind = match action {
        OrderAction::New => outbox::NEW_ORDER,
        OrderAction::Cancel => outbox::CANCEL_ORDER,
    };
    let now = ctx.clock.now();
    outbox_row::ActiveModel {
        lis_endpoint_id: Set(message.lis_endpoint_id),
        hl7_message_id: Set(message.id),
        lab_order_id: Set(message.lab_order_id),
        kind: Set(kind.into()),
        status: Set(outbox::QUEUED.into()),
        attempts: Set(0),
        again: Set(false),
        next_attempt_at: Set(now),
        created_at: Set(now),
        ..Default::default()
    }
}
