//! Putting a message into the outbox. Promise: its bytes are built once and stored encrypted with the row that says it
//! must be sent, in the caller's transaction; every try sends these bytes.

use sea_orm::{
    ActiveModelTrait,
    ActiveValue::{NotSet, Set},
};
use serde_json::json;

use super::{
    error::LabError,
    order_message::{Parts, encode},
    outbound_message::Encoded,
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
    let kind = match action {
        OrderAction::New => outbox::NEW_ORDER,
        OrderAction::Cancel => outbox::CANCEL_ORDER,
    };
    let letter = Letter {
        message: None,
        endpoint: endpoint.id,
        kind,
        patient: Some(order.patient_id),
        order: Some(order.id),
        cause: None,
        encoded,
    };
    queue_letter(ctx, tx, letter).await
}

/// A message that is written and not yet in the queue.
pub(super) struct Letter {
    /// Its row's id, where that was needed to write it.
    pub(super) message: Option<i64>,
    /// To whom.
    pub(super) endpoint: i64,
    /// What it asks for or tells, as the outbox calls it.
    pub(super) kind: &'static str,
    /// Of whom it speaks.
    pub(super) patient: Option<i64>,
    /// The order it carries.
    pub(super) order: Option<i64>,
    /// The message that brought the news it passes on.
    pub(super) cause: Option<i64>,
    pub(super) encoded: Encoded,
}

/// Stores a message and queues it behind what waits for its endpoint. Answers its id.
pub(super) async fn queue_letter(ctx: &Ctx, tx: &Tx, letter: Letter) -> Result<i64, LabError> {
    let asked = letter.encoded.envelope.application_ack.clone();
    let message = hl7_message::ActiveModel {
        id: letter.message.map_or(NotSet, Set),
        patient_id: Set(letter.patient),
        lab_order_id: Set(letter.order),
        original_message_id: Set(letter.cause),
        ..message_row(ctx, letter.endpoint, letter.encoded)?
    };
    let message = message.insert(&**tx).await?;
    let now = ctx.clock.now();
    let entry = outbox_row::ActiveModel {
        lis_endpoint_id: Set(message.lis_endpoint_id),
        hl7_message_id: Set(message.id),
        lab_order_id: Set(message.lab_order_id),
        kind: Set(letter.kind.into()),
        status: Set(outbox::QUEUED.into()),
        attempts: Set(0),
        again: Set(false),
        application_ack: Set(asked.filter(|asked| asked != "NE").map(|_| outbox::ASKED.to_owned())),
        next_attempt_at: Set(now),
        created_at: Set(now),
        ..Default::default()
    };
    entry.insert(&**tx).await?;
    Ok(message.id)
}

/// The row of a message that is to be sent, of no order and no patient yet.
pub(super) fn message_row(
    ctx: &Ctx,
    endpoint: i64,
    encoded: Encoded,
) -> Result<hl7_message::ActiveModel, LabError> {
    let Encoded { message_type, envelope, bytes, charset_replaced } = encoded;
    let [code, event, structure] = message_type.map(str::to_owned);
    let uid = random_hex::<16>()?;
    let warnings = if charset_replaced { json!([{"code": "charset_replaced"}]) } else { json!([]) };
    Ok(hl7_message::ActiveModel {
        raw_message: Set(ctx.keys.seal(&uid, "outbound", &bytes)?),
        message_uid: Set(uid),
        direction: Set("outbound".into()),
        lis_endpoint_id: Set(endpoint),
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
