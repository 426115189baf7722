//! Correcting an order that was given up or refused, so that it goes out as a new message. Promise: the order stays the same
//! order, with both messages and what was corrected in its history; no number is used again for what a lab has refused, and
//! none is changed for what a lab may have, so that it can tell the second message from a second order.

use sea_orm::{ActiveModelTrait, ActiveValue::Set, EntityTrait};
use serde_json::json;

use super::{
    error::LabError,
    new_order::NewOrder,
    order_progress::{Cause, move_order},
    order_reply::update_test,
    place_order::{check_references, named_tests},
    route_order::{Lab, Wanted, choose_lab, send_to},
    views::strings,
};
use crate::{
    context::Ctx,
    domain::{
        order::{OrderEvent, TestStatus},
        routing::Ordered,
    },
    store::{
        db::Tx,
        entity::{hl7_message, lab_order, lab_order_test, lis_endpoint},
        orders,
    },
};

/// What of an order is corrected; `None` keeps what is there.
#[derive(Clone, Default)]
#[allow(clippy::option_option, reason = "absent and null are two things here")]
pub struct Correction {
    /// What is ordered.
    pub test_codes: Option<Vec<String>>,
    /// Who orders.
    pub ordering_provider: Option<String>,
    /// `R`, `S` or `A`.
    pub priority: Option<String>,
    /// ICD codes.
    pub diagnosis_codes: Option<Vec<String>>,
    /// For the lab; `Some(None)` takes it away.
    pub note: Option<Option<String>>,
    /// During which visit; `Some(None)` takes it away.
    pub encounter_id: Option<Option<i64>>,
    /// The lab.
    pub lis_endpoint_id: Option<i64>,
}

impl Correction {
    /// Whether it names no field.
    pub fn is_empty(&self) -> bool {
        self.test_codes.is_none()
            && self.ordering_provider.is_none()
            && self.priority.is_none()
            && self.diagnosis_codes.is_none()
            && self.note.is_none()
            && self.encounter_id.is_none()
            && self.lis_endpoint_id.is_none()
    }

    /// The order with the correction over it, checked like a new one.
    fn over(self, order: &lab_order::Model) -> Result<NewOrder, LabError> {
        // A priority that came from outside may be none that we offer; it is only checked where it is named.
        let said = self.priority.clone();
        let new = NewOrder {
            patient_id: order.patient_id,
            encounter_id: self.encounter_id.unwrap_or(order.encounter_id),
            test_codes: self.test_codes.unwrap_or_else(|| strings(&order.test_codes)),
            ordering_provider: self.ordering_provider.unwrap_or_else(|| order.ordering_provider.clone()),
            priority: said.clone().unwrap_or_else(|| "R".into()),
            lis_endpoint_id: self.lis_endpoint_id.or(order.lis_endpoint_id),
            diagnosis_codes: self.diagnosis_codes.unwrap_or_else(|| strings(&order.diagnosis_codes)),
            note: self.note.unwrap_or_else(|| order.note.clone()),
            idempotency_key: None,
        };
        let checked = new.checked()?;
        Ok(NewOrder { priority: said.unwrap_or_else(|| order.priority.clone()), ..checked })
    }
}

/// Corrects an order and queues its new message, in the caller's transaction. The order waits again. Errors: `Invalid` for a
/// field, `Conflict` when there is no lab to send it to.
pub(super) async fn correct(
    ctx: &Ctx,
    tx: &mut Tx,
    actor: &str,
    order: lab_order::Model,
    correction: Correction,
) -> Result<lab_order::Model, LabError> {
    let new = correction.over(&order)?;
    check_references(tx, &new).await?;
    let codes: Vec<&str> = new.test_codes.iter().map(String::as_str).collect();
    let ordered = Ordered { codes: &codes, is_imaging: order.imaging.is_some() };
    let wanted = Wanted { named: new.lis_endpoint_id, source: order.source_endpoint_id, ordered };
    let lab = match choose_lab(tx, wanted).await? {
        Lab::Chosen(lab) => lab,
        Lab::NoneYet => return Err(LabError::Conflict("There is no lab to send this order to".into())),
        Lab::Apart(why) => return Err(LabError::invalid("test_codes", why)),
    };
    let fields = corrected_fields(&order, &new, &lab);
    set_tests(ctx, tx, &order, &new.test_codes).await?;
    let earlier = order.hl7_message_id;
    let order = rewritten(ctx, order, new).update(&**tx).await?;
    let order = send_to(ctx, tx, order, &lab).await?;
    point_back(tx, order.hl7_message_id, earlier).await?;
    let said = if fields.is_empty() { "nothing but the message is new".into() } else { fields.join(", ") };
    let cause = Cause { actor, kind: "corrected", detail: Some(&said), message_id: order.hl7_message_id };
    let order = move_order(ctx, tx, order, OrderEvent::Requeued, cause).await?;
    forget_reason(tx, order).await
}

/// Which fields differ, by name and never by value.
fn corrected_fields(
    order: &lab_order::Model,
    new: &NewOrder,
    lab: &lis_endpoint::Model,
) -> Vec<&'static str> {
    let all = [
        ("test_codes", order.test_codes != json!(new.test_codes)),
        ("ordering_provider", order.ordering_provider != new.ordering_provider),
        ("priority", order.priority != new.priority),
        ("diagnosis_codes", order.diagnosis_codes != json!(new.diagnosis_codes)),
        ("note", order.note != new.note),
        ("encounter_id", order.encounter_id != new.encounter_id),
        ("lis_endpoint_id", order.lis_endpoint_id != Some(lab.id)),
    ];
    all.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
}

fn rewritten(ctx: &Ctx, order: lab_order::Model, new: NewOrder) -> lab_order::ActiveModel {
    let mut row: lab_order::ActiveModel = order.into();
    row.test_codes = Set(json!(new.test_codes));
    row.ordering_provider = Set(new.ordering_provider);
    row.priority = Set(new.priority);
    row.diagnosis_codes = Set(json!(new.diagnosis_codes));
    row.note = Set(new.note);
    row.encounter_id = Set(new.encounter_id);
    row.updated_at = Set(ctx.clock.now());
    row
}

/// Brings the tests in line with the codes. A test that is still wanted keeps its number, unless the lab has refused it under
/// that number: it would call the second one a duplicate. What is not wanted any more is called off here.
async fn set_tests(ctx: &Ctx, tx: &Tx, order: &lab_order::Model, codes: &[String]) -> Result<(), LabError> {
    let tests = orders::tests_of(&**tx, &[order.id]).await?;
    let mut next = tests.iter().map(|test| test.position).max().unwrap_or_default() + 1;
    let mut missing: Vec<String> = codes.to_vec();
    for test in tests {
        let usable = test.status == TestStatus::Ordered.as_str();
        match missing.iter().position(|code| *code == test.test_code).filter(|_| usable) {
            Some(at) => {
                missing.remove(at);
            }
            None => {
                update_test(ctx, tx, test, Some(TestStatus::Cancelled), None).await?;
            }
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let mut rows = Vec::new();
    for test in named_tests(tx, &missing).await? {
        rows.push(lab_order_test::ActiveModel {
            lab_order_id: Set(order.id),
            position: Set(next),
            placer_order_number: Set(format!("{}-{next}", order.id)),
            status: Set(TestStatus::Ordered.to_string()),
            updated_at: Set(ctx.clock.now()),
            ..test
        });
        next += 1;
    }
    lab_order_test::Entity::insert_many(rows).exec_without_returning(&**tx).await?;
    Ok(())
}

/// Ties the new message to the one that it takes the place of.
async fn point_back(tx: &Tx, message: Option<i64>, earlier: Option<i64>) -> Result<(), LabError> {
    if let (Some(message), Some(_)) = (message, earlier) {
        let tie = hl7_message::ActiveModel {
            id: Set(message),
            original_message_id: Set(earlier),
            ..Default::default()
        };
        tie.update(&**tx).await?;
    }
    Ok(())
}

/// Why it was refused was said of the message before.
async fn forget_reason(tx: &Tx, order: lab_order::Model) -> Result<lab_order::Model, LabError> {
    let mut row: lab_order::ActiveModel = order.into();
    row.status_reason = Set(None);
    Ok(row.update(&**tx).await?)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use chrono::DateTime;

    use super::*;

    fn order() -> lab_order::Model {
        let text = |text: &str| text.to_owned();
        lab_order::Model {
            id: 7,
            patient_id: 1,
            encounter_id: Some(3),
            test_codes: json!(["CBC"]),
            ordering_provider: text("Dr. Smith"),
            priority: text("P"),
            status: text("rejected"),
            placer_order_number: text("7"),
            filler_order_number: None,
            hl7_message_id: Some(9),
            lis_endpoint_id: Some(2),
            diagnosis_codes: json!([]),
            note: Some(text("fasting")),
            idempotency_key: None,
            request_hash: None,
            status_reason: None,
            created_by: text("clinician"),
            created_at: DateTime::UNIX_EPOCH,
            sent_at: None,
            acknowledged_at: None,
            resulted_at: None,
            updated_at: DateTime::UNIX_EPOCH,
            source_endpoint_id: None,
            imaging: None,
            scheduled_at: None,
        }
    }

    #[test]
    fn absent_keeps_and_null_takes_away() {
        let kept = Correction { test_codes: Some(vec!["BMP".into()]), ..Correction::default() };
        assert!(!kept.is_empty() && Correction::default().is_empty());
        let kept = kept.over(&order()).unwrap();
        assert_eq!((kept.note.as_deref(), kept.encounter_id), (Some("fasting"), Some(3)));
        assert_eq!((kept.priority.as_str(), kept.test_codes), ("P", vec!["BMP".to_owned()]));
        let gone = Correction { note: Some(None), encounter_id: Some(None), ..Correction::default() };
        let gone = gone.over(&order()).unwrap();
        assert_eq!((gone.note, gone.encounter_id, gone.lis_endpoint_id), (None, None, Some(2)));
    }

    #[test]
    fn what_is_named_is_checked_like_a_new_order() {
        let fault = |correction: Correction| match correction.over(&order()) {
            Err(LabError::Invalid { field, .. }) => field,
            _ => "none",
        };
        assert_eq!(fault(Correction { priority: Some("P".into()), ..Correction::default() }), "priority");
        assert_eq!(fault(Correction { test_codes: Some(vec![]), ..Correction::default() }), "test_codes");
        let provider = Correction { ordering_provider: Some(" ".into()), ..Correction::default() };
        assert_eq!(fault(provider), "ordering_provider");
    }
}
