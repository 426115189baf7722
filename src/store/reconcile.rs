//! What the worklists are made of. Every question here is answered from an index, and has an end.

use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    Select,
    sea_query::{Expr, ExprTrait, OnConflict, Query},
};

use super::entity::{hl7_message, lab_order, lab_order_event, lab_order_test, lab_report, order_concern};
use crate::domain::{
    order::OrderStatus,
    reconcile::{Feed, Refusal, Window},
};

/// Messages of a sender that say what it normally sends.
const FEED: u64 = 200;
/// Orders of a laboratory that say how it speaks.
const LATEST: u64 = 20;

/// Orders in a window. `silent`: laboratories that are known not to say that they take orders.
fn late_in(window: &Window, silent: &[i64]) -> Condition {
    use lab_order::Column as C;
    let is_silent = C::LisEndpointId.is_in(silent.iter().copied());
    let lab = if window.lab_says_it_takes {
        Condition::any().add(C::LisEndpointId.is_null()).add(is_silent.not())
    } else {
        Condition::all().add(is_silent)
    };
    Condition::all()
        .add(C::Status.eq(window.status.as_str()))
        .add(C::Priority.eq(window.priority.as_str()))
        .add(C::CreatedAt.lt(window.before))
        .add(Condition::any().add(C::ScheduledAt.is_null()).add(C::ScheduledAt.lt(window.before)))
        .add(lab)
}

/// Orders in any of the windows.
pub fn late_in_any(windows: &[Window], silent: &[i64]) -> Condition {
    windows.iter().fold(Condition::any(), |any, window| any.add(late_in(window, silent)))
}

/// Orders in one window, newest first, of one laboratory or of all.
pub fn late(window: &Window, silent: &[i64], endpoint: Option<i64>) -> Select<lab_order::Entity> {
    let mut query = lab_order::Entity::find().filter(late_in(window, silent));
    if let Some(id) = endpoint {
        query = query.filter(lab_order::Column::LisEndpointId.eq(id));
    }
    query.order_by_desc(lab_order::Column::Id)
}

/// The same without those that were told of already as this kind of concern.
pub fn late_untold(window: &Window, silent: &[i64]) -> Select<lab_order::Entity> {
    late(window, silent, None)
        .filter(untold(window.duty.as_str(), (lab_order::Entity, lab_order::Column::Id)))
}

fn untold(kind: &str, subject: (impl EntityTrait, impl ColumnTrait)) -> sea_orm::sea_query::SimpleExpr {
    use order_concern::Column as C;
    let told = Query::select()
        .expr(Expr::val(1))
        .from(order_concern::Entity)
        .and_where(Expr::col((order_concern::Entity, C::Kind)).eq(kind))
        .and_where(Expr::col((order_concern::Entity, C::SubjectId)).equals(subject))
        .to_owned();
    Expr::exists(told).not()
}

/// Of the latest orders that a laboratory has done: how many there are, and of how many it had said that it took them.
pub async fn latest_done(connection: &impl ConnectionTrait, endpoint: i64) -> Result<(usize, usize), DbErr> {
    use lab_order::Column as C;
    let rows: Vec<Option<DateTime<Utc>>> = lab_order::Entity::find()
        .select_only()
        .column(C::AcknowledgedAt)
        .filter(C::LisEndpointId.eq(endpoint))
        .filter(C::Status.eq(OrderStatus::Resulted.as_str()))
        .order_by_desc(C::Id)
        .limit(LATEST)
        .into_tuple()
        .all(connection)
        .await?;
    Ok((rows.len(), rows.iter().flatten().count()))
}

/// What a sender's latest messages of results were.
pub async fn feed(
    connection: &impl ConnectionTrait,
    endpoint: i64,
    takes_orders: bool,
) -> Result<Feed, DbErr> {
    use hl7_message::Column as C;
    let rows: Vec<(String, String, i32, Option<i64>)> = hl7_message::Entity::find()
        .select_only()
        .columns([C::Direction, C::MessageType, C::ObservationsStored, C::LabOrderId])
        .filter(C::LisEndpointId.eq(endpoint))
        .order_by_desc(C::Id)
        .limit(FEED)
        .into_tuple()
        .all(connection)
        .await?;
    let results = rows
        .iter()
        .filter(|(direction, family, stored, _)| direction == "inbound" && family == "ORU" && *stored > 0);
    let (answers, others): (Vec<_>, Vec<_>) = results.partition(|(.., order)| order.is_some());
    Ok(Feed { answers: answers.len() as u64, others: others.len() as u64, takes_orders })
}

/// The newest reports of a sender that answer no order.
pub async fn unordered(
    connection: &impl ConnectionTrait,
    endpoint: i64,
    since: DateTime<Utc>,
    limit: u64,
) -> Result<Vec<lab_report::Model>, DbErr> {
    use lab_report::Column as C;
    lab_report::Entity::find()
        .filter(C::LisEndpointId.eq(endpoint))
        .filter(C::LabOrderId.is_null())
        .filter(C::WithdrawnAt.is_null())
        .filter(C::CreatedAt.gte(since))
        .order_by_desc(C::Id)
        .limit(limit)
        .all(connection)
        .await
}

/// Reports that refuse in one way, newest first. That a test was not done concerns whoever ordered it: of others' tests it
/// is a result like any other. A specimen has to be taken again whoever ordered.
pub fn refused(refusal: Refusal, since: DateTime<Utc>, endpoint: Option<i64>) -> Select<lab_report::Entity> {
    use lab_report::Column as C;
    let mut query = lab_report::Entity::find()
        .filter(C::Refusal.eq(refusal.as_str()))
        .filter(C::WithdrawnAt.is_null())
        .filter(C::CreatedAt.gte(since));
    if refusal == Refusal::NotDone {
        query = query.filter(C::LabOrderId.is_not_null());
    }
    if let Some(id) = endpoint {
        query = query.filter(C::LisEndpointId.eq(id));
    }
    query.order_by_desc(C::Id)
}

/// The same without those that were told of already.
pub fn refused_untold(refusal: Refusal, since: DateTime<Utc>) -> Select<lab_report::Entity> {
    let told = untold(refusal.as_str(), (lab_report::Entity, lab_report::Column::Id));
    refused(refusal, since, None).filter(told)
}

/// Reports of orders, oldest first.
pub async fn reports_of(
    connection: &impl ConnectionTrait,
    orders: &[i64],
) -> Result<Vec<lab_report::Model>, DbErr> {
    use lab_report::Column as C;
    lab_report::Entity::find()
        .filter(C::LabOrderId.is_not_null())
        .filter(C::LabOrderId.is_in(orders.iter().copied()))
        .filter(C::WithdrawnAt.is_null())
        .order_by_asc(C::Id)
        .all(connection)
        .await
}

/// Tests that ended without being done, the latest first. The condition is that of an index, to the letter: of a value that
/// is bound later no engine knows whether the index has it.
pub fn ended(since: DateTime<Utc>) -> Select<lab_order_test::Entity> {
    use lab_order_test::Column as C;
    lab_order_test::Entity::find()
        .filter(Expr::cust("status IN ('cancelled', 'rejected')"))
        .filter(C::UpdatedAt.gte(since))
        .order_by_desc(C::UpdatedAt)
}

/// The same without those that were told of already as this kind of concern.
pub fn ended_untold(kind: &str, since: DateTime<Utc>) -> Select<lab_order_test::Entity> {
    ended(since).filter(untold(kind, (lab_order_test::Entity, lab_order_test::Column::Id)))
}

/// Which of these orders somebody here, or who ordered through us, wanted called off.
pub async fn called_off_by_us(connection: &impl ConnectionTrait, orders: &[i64]) -> Result<Vec<i64>, DbErr> {
    use lab_order_event::Column as C;
    let kinds = ["cancelled", "cancellation_requested", "called_off_by_placer", "tests_cancelled"];
    lab_order_event::Entity::find()
        .select_only()
        .column(C::LabOrderId)
        .filter(C::LabOrderId.is_in(orders.iter().copied()))
        .filter(C::Kind.is_in(kinds))
        .into_tuple()
        .all(connection)
        .await
}

/// Orders some of which has come, then those that all has come for since an instant; newest first.
pub async fn reported(
    connection: &impl ConnectionTrait,
    since: DateTime<Utc>,
    endpoint: Option<i64>,
    limit: u64,
) -> Result<Vec<lab_order::Model>, DbErr> {
    use lab_order::Column as C;
    let at_lab = |query: Select<lab_order::Entity>| match endpoint {
        Some(id) => query.filter(C::LisEndpointId.eq(id)),
        None => query,
    };
    let status =
        |status: OrderStatus| at_lab(lab_order::Entity::find().filter(C::Status.eq(status.as_str())));
    let partial = status(OrderStatus::Partial).order_by_desc(C::Id).limit(limit);
    let mut rows = partial.all(connection).await?;
    let done = status(OrderStatus::Resulted).filter(C::ResultedAt.gte(since));
    let left = limit.saturating_sub(rows.len() as u64);
    rows.extend(done.order_by_desc(C::ResultedAt).limit(left).all(connection).await?);
    Ok(rows)
}

/// Orders of these patients that a laboratory still owes something for.
pub async fn open_of_patients(
    connection: &impl ConnectionTrait,
    patients: &[i64],
) -> Result<Vec<lab_order::Model>, DbErr> {
    use lab_order::Column as C;
    let open = OrderStatus::ALL.iter().filter(|status| status.is_open()).map(|status| status.as_str());
    lab_order::Entity::find()
        .filter(C::PatientId.is_in(patients.iter().copied()))
        .filter(C::Status.is_in(open))
        .all(connection)
        .await
}

/// Orders by id.
pub async fn orders_by_id(
    connection: &impl ConnectionTrait,
    ids: Vec<i64>,
) -> Result<Vec<lab_order::Model>, DbErr> {
    lab_order::Entity::find().filter(lab_order::Column::Id.is_in(ids)).all(connection).await
}

/// Writes down that something is told now. False: it was told before, here or by another process.
pub async fn tell_once(
    connection: &impl ConnectionTrait,
    concern: order_concern::ActiveModel,
) -> Result<bool, DbErr> {
    use order_concern::Column as C;
    let known = OnConflict::columns([C::Kind, C::SubjectId]).do_nothing().to_owned();
    let written = order_concern::Entity::insert(concern).on_conflict(known);
    Ok(written.exec_without_returning(connection).await? == 1)
}

/// Concerns that are not over, after an id, oldest first.
pub async fn open_concerns(
    connection: &impl ConnectionTrait,
    after: i64,
    limit: u64,
) -> Result<Vec<order_concern::Model>, DbErr> {
    use order_concern::Column as C;
    order_concern::Entity::find()
        .filter(C::ResolvedAt.is_null())
        .filter(C::Id.gt(after))
        .order_by_asc(C::Id)
        .limit(limit)
        .all(connection)
        .await
}

/// Marks concerns as over.
pub async fn resolve(
    connection: &impl ConnectionTrait,
    ids: Vec<i64>,
    now: DateTime<Utc>,
) -> Result<(), DbErr> {
    use order_concern::Column as C;
    order_concern::Entity::update_many()
        .col_expr(C::ResolvedAt, Expr::value(now))
        .filter(C::Id.is_in(ids))
        .filter(C::ResolvedAt.is_null())
        .exec(connection)
        .await
        .map(|_| ())
}
