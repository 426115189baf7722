//! An order that somebody else places through us. It becomes one of ours: our numbers on the wire to the laboratory, our
//! history, the same way to be called off. Promise: it never goes back to where it came from.

use sea_orm::ActiveValue::Set;
use serde_json::json;

use super::{
    error::LabError,
    order_progress::Cause,
    place_order,
    route_order::{Lab, choose_lab, send_to},
};
use crate::{
    context::Ctx,
    domain::{
        event::{OrderRequest, Placement},
        order::OrderStatus,
    },
    store::{
        db::Tx,
        entity::{lab_order, lab_order_test},
    },
};

/// An order from outside.
pub(super) struct Outside<'a> {
    /// For whom.
    pub(super) patient: i64,
    /// During which visit.
    pub(super) encounter: Option<i64>,
    /// Whose message it came in.
    pub(super) source: i64,
    /// What it says as a whole.
    pub(super) placement: Placement,
    /// Its tests; each can be placed.
    pub(super) requests: &'a [&'a OrderRequest],
}

/// Places the order and queues it for a laboratory, if there is one.
pub(super) async fn place(
    ctx: &Ctx,
    tx: &mut Tx,
    new: Outside<'_>,
    cause: Cause<'_>,
) -> Result<lab_order::Model, LabError> {
    let source = new.source;
    let tests = new.requests.iter().map(|request| test_row(request)).collect();
    let order = place_order::write(ctx, tx, order_row(ctx, new), tests, cause).await?;
    match choose_lab(tx, None, Some(source)).await? {
        Lab::Chosen(endpoint) => send_to(ctx, tx, order, &endpoint).await,
        Lab::NoneYet => Ok(order),
    }
}

fn order_row(ctx: &Ctx, new: Outside<'_>) -> lab_order::ActiveModel {
    let now = ctx.clock.now();
    let codes: Vec<&str> = new.requests.iter().map(|request| request.service.code.trim()).collect();
    lab_order::ActiveModel {
        patient_id: Set(new.patient),
        encounter_id: Set(new.encounter),
        test_codes: Set(json!(codes)),
        ordering_provider: Set(new.placement.provider),
        priority: Set(new.placement.priority.to_string()),
        status: Set(OrderStatus::Pending.to_string()),
        placer_order_number: Set(String::new()),
        diagnosis_codes: Set(json!(new.placement.diagnoses)),
        note: Set(new.placement.note),
        source_endpoint_id: Set(Some(new.source)),
        created_by: Set("hl7".into()),
        created_at: Set(now),
        updated_at: Set(now),
        ..Default::default()
    }
}

/// A test as it was ordered: the names of who ordered it, never those of our catalogue, which may call something else by
/// the same code.
fn test_row(request: &OrderRequest) -> lab_order_test::ActiveModel {
    let service = &request.service;
    let number = request.placer.clone().unwrap_or_default();
    lab_order_test::ActiveModel {
        test_code: Set(service.code.trim().to_owned()),
        test_name: Set(service.text.as_deref().map(|text| plain(text, 200))),
        code_system: Set(plain(service.system.as_deref().unwrap_or("L"), 20)),
        loinc_code: Set(service.loinc.clone()),
        outside_placer_namespace: Set(number.giver().map(str::to_owned)),
        outside_placer_number: Set(Some(number.id)),
        ..Default::default()
    }
}

fn plain(text: &str, characters: usize) -> String {
    text.chars().filter(|c| !c.is_control()).take(characters).collect()
}
