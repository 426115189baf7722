//! Ordering. Promise: when the caller gets an answer, the order, its HL7 message and the duty to send it are on disk,
//! whatever becomes of the lab; and the status in the answer is the true one at that moment.

use std::time::Duration;

use sea_orm::{ActiveModelTrait, ActiveValue::Set, DbErr, EntityTrait};
use serde_json::json;
use tokio::time::{Instant, timeout};

pub use super::new_order::NewOrder;
use super::{
    access::{self, Resource},
    error::LabError,
    order_progress::{Cause, note, status_event},
    route_order::{Lab, Wanted, choose_lab, send_to},
    views::OrderView,
};
use crate::{
    context::{Caller, Ctx, MoveListener},
    domain::{
        access::Action,
        order::{OrderStatus, TestStatus},
        routing::Ordered,
    },
    security::sha256,
    store::{
        db::{self, Tx},
        entity::{lab_order, lab_order_test},
        orders, patients,
    },
};

/// How often to look while waiting for the lab: another process may do the sending, and its hints do not reach us.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Places an order and waits a moment for the lab. Errors: `NotFound` for a patient or visit that does not exist,
/// `Conflict` for a merged chart or a reused idempotency key, `Invalid` for a field. Never because a lab is away.
pub async fn place_order(ctx: &Ctx, caller: &Caller, new: NewOrder) -> Result<OrderView, LabError> {
    access::permit(ctx, caller, Action::PlaceOrder, "lab_order").await?;
    let new = new.checked()?;
    // From before the commit on, or the answer of a fast lab would be missed.
    let news = ctx.hints.moves.listen();
    let mut tx = db::write(&ctx.db, "place_order").await?;
    if let Some(earlier) = placed_before(&tx, caller, &new).await? {
        access::wrote(ctx, &tx, caller, Action::ReadOrder, resource(&earlier)).await?;
        tx.commit().await?;
        return view(ctx, earlier).await;
    }
    check_references(&tx, &new).await?;
    let lab = lab_for(&tx, &new).await?;
    let order = insert(ctx, &mut tx, caller, new).await?;
    let order = match &lab {
        Lab::Chosen(endpoint) => send_to(ctx, &tx, order, endpoint).await?,
        Lab::NoneYet | Lab::Apart(_) => order,
    };
    access::wrote(ctx, &tx, caller, Action::PlaceOrder, resource(&order)).await?;
    tx.commit().await?;
    ctx.hints.outbox.wake();
    let order = if lab.sends_now() { wait_for_lab(ctx, order, news).await? } else { order };
    view(ctx, order).await
}

/// Where the order goes. Tests that no laboratory does together are told at once: whoever orders can part them, and an order
/// that waited for such a laboratory might wait for ever.
async fn lab_for(tx: &Tx, new: &NewOrder) -> Result<Lab, LabError> {
    let codes: Vec<&str> = new.test_codes.iter().map(String::as_str).collect();
    let ordered = Ordered { codes: &codes, is_imaging: false };
    match choose_lab(tx, Wanted { named: new.lis_endpoint_id, source: None, ordered }).await? {
        Lab::Apart(why) => Err(LabError::invalid("test_codes", why)),
        lab => Ok(lab),
    }
}

fn resource(order: &lab_order::Model) -> Resource<'_> {
    Resource::one("lab_order", order.id, std::slice::from_ref(&order.patient_id))
}

/// The order that the same user placed under the same key. Two such requests at once take turns here.
async fn placed_before(
    tx: &Tx,
    caller: &Caller,
    new: &NewOrder,
) -> Result<Option<lab_order::Model>, LabError> {
    let Some(key) = &new.idempotency_key else { return Ok(None) };
    // No index can tell that two come at once: the column is empty for most orders.
    tx.take_turn(lock_number(&caller.username, key)).await?;
    let earlier = orders::find_by_key(&**tx, &caller.username, key).await?;
    match earlier {
        Some(order) if order.request_hash.as_ref() != Some(&new.digest()) => {
            Err(LabError::Conflict("This Idempotency-Key was used for another order".into()))
        }
        other => Ok(other),
    }
}

/// A number for a user's key. Two keys that share one merely wait for each other.
fn lock_number(username: &str, key: &str) -> i64 {
    turn_of(&format!("{username}\0{key}"))
}

/// The number under which transactions about one thing take turns.
pub(super) fn turn_of(what: &str) -> i64 {
    sha256(what.as_bytes()).iter().take(8).fold(0, |number, byte| (number << 8) | i64::from(*byte))
}

pub(super) async fn check_references(tx: &Tx, new: &NewOrder) -> Result<(), LabError> {
    let patient = patients::find(&**tx, new.patient_id).await?.ok_or(LabError::NotFound("Patient"))?;
    if patient.merged_into_id.is_some() {
        let survivor = patients::survivor(&**tx, patient.id).await?.map_or(patient.id, |row| row.id);
        return Err(LabError::Conflict(format!("This patient was merged into patient {survivor}")));
    }
    let Some(id) = new.encounter_id else { return Ok(()) };
    let encounter = patients::find_encounter(&**tx, id).await?.ok_or(LabError::NotFound("Encounter"))?;
    if encounter.patient_id != patient.id {
        return Err(LabError::invalid("encounter_id", "must be a visit of this patient"));
    }
    Ok(())
}

async fn insert(
    ctx: &Ctx,
    tx: &mut Tx,
    caller: &Caller,
    new: NewOrder,
) -> Result<lab_order::Model, LabError> {
    let tests = named_tests(tx, &new.test_codes).await?;
    let cause = Cause { actor: &caller.username, kind: "created", ..Cause::default() };
    Ok(write(ctx, tx, order_row(ctx, caller, new), tests, cause).await?)
}

/// Writes the order, its tests, the first line of its history and the event that shows it.
pub(super) async fn write(
    ctx: &Ctx,
    tx: &mut Tx,
    order: lab_order::ActiveModel,
    tests: Vec<lab_order_test::ActiveModel>,
    cause: Cause<'_>,
) -> Result<lab_order::Model, DbErr> {
    let order = order.insert(&**tx).await?;
    // Our number is the row's id, which is known only now.
    let id = order.id;
    let mut numbered: lab_order::ActiveModel = order.into();
    numbered.placer_order_number = Set(id.to_string());
    let order = numbered.update(&**tx).await?;
    let rows = tests.into_iter().zip(1..).map(|(test, position)| lab_order_test::ActiveModel {
        lab_order_id: Set(id),
        position: Set(position),
        placer_order_number: Set(format!("{id}-{position}")),
        status: Set(TestStatus::Ordered.to_string()),
        updated_at: Set(order.created_at),
        ..test
    });
    lab_order_test::Entity::insert_many(rows).exec_without_returning(&**tx).await?;
    note(ctx, tx, &order, cause, None).await?;
    tx.emit(status_event(ctx, &order, OrderStatus::Pending));
    Ok(order)
}

fn order_row(ctx: &Ctx, caller: &Caller, new: NewOrder) -> lab_order::ActiveModel {
    let now = ctx.clock.now();
    lab_order::ActiveModel {
        request_hash: Set(new.idempotency_key.as_ref().map(|_| new.digest())),
        patient_id: Set(new.patient_id),
        encounter_id: Set(new.encounter_id),
        test_codes: Set(json!(new.test_codes)),
        ordering_provider: Set(new.ordering_provider),
        priority: Set(new.priority),
        status: Set(OrderStatus::Pending.to_string()),
        placer_order_number: Set(String::new()),
        lis_endpoint_id: Set(new.lis_endpoint_id),
        diagnosis_codes: Set(json!(new.diagnosis_codes)),
        note: Set(new.note),
        idempotency_key: Set(new.idempotency_key),
        created_by: Set(caller.username.clone()),
        created_at: Set(now),
        updated_at: Set(now),
        ..Default::default()
    }
}

/// The tests with what the catalogue says of them. A code that it does not know is sent as given: the lab may.
pub(super) async fn named_tests(
    tx: &Tx,
    codes: &[String],
) -> Result<Vec<lab_order_test::ActiveModel>, LabError> {
    let catalogue = orders::catalogue(&**tx, codes.to_vec()).await?;
    if catalogue.iter().any(|entry| !entry.active) {
        return Err(LabError::invalid(
            "test_codes",
            "must not name a test that was taken out of the catalogue",
        ));
    }
    let rows = codes.iter().map(|code| {
        let entry = catalogue.iter().find(|entry| entry.code == *code);
        lab_order_test::ActiveModel {
            test_code: Set(code.clone()),
            test_name: Set(entry.map(|entry| entry.name.clone())),
            code_system: Set("L".into()),
            loinc_code: Set(entry.and_then(|entry| entry.loinc_code.clone())),
            ..Default::default()
        }
    });
    Ok(rows.collect())
}

/// Waits until the order has left `pending`, or the time a caller may be kept waiting is over.
pub(super) async fn wait_for_lab(
    ctx: &Ctx,
    mut order: lab_order::Model,
    mut news: MoveListener,
) -> Result<lab_order::Model, LabError> {
    let deadline = Instant::now() + ctx.config.order_send_wait;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if order.status != "pending" || left.is_zero() {
            return Ok(order);
        }
        // Either a hint or the time to look: the table says which.
        let _ = timeout(left.min(LOOK_EVERY), news.of(order.id)).await;
        if let Some(row) = orders::find(ctx.db.reader(), order.id).await? {
            order = row;
        }
    }
}

async fn view(ctx: &Ctx, order: lab_order::Model) -> Result<OrderView, LabError> {
    let tests = orders::tests_of(ctx.db.reader(), &[order.id]).await?;
    Ok(OrderView::new(order, tests))
}

#[cfg(test)]
mod tests {
    use super::lock_number;

    #[test]
    fn keys_of_different_users_do_not_meet() {
        assert_eq!(lock_number("a", "k"), lock_number("a", "k"));
        assert_ne!(lock_number("a", "k"), lock_number("b", "k"));
        assert_ne!(lock_number("ab", "c"), lock_number("a", "bc"));
    }
}
