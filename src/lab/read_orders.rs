//! Reading orders.

use std::collections::HashMap;

use chrono::{DateTime, Duration, Utc};
use sea_orm::{ColumnTrait, Condition, QueryFilter};

use super::{
    access::{self, Resource},
    error::LabError,
    page::{self, Page, PageRequest},
    surround_results::surround,
    views::{OrderDetail, OrderView, ResultView, TimelineEntry},
};
use crate::{
    context::{Caller, Ctx},
    domain::{access::Action, order::OrderStatus},
    store::{entity::lab_order, orders},
};

/// Hours after which an order without all its results is overdue, by priority.
const OVERDUE_HOURS: [(&str, i64); 5] = [("S", 1), ("A", 4), ("P", 4), ("T", 4), ("R", 24)];

/// Which orders.
#[derive(Clone, Default)]
pub struct OrderFilter {
    /// Of this patient.
    pub patient_id: Option<i64>,
    /// In this status.
    pub status: Option<String>,
    /// Only those whose results should be here by now.
    pub overdue: bool,
}

/// A list of orders, newest first.
pub async fn list_orders(
    ctx: &Ctx,
    caller: &Caller,
    filter: &OrderFilter,
    request: PageRequest,
) -> Result<Page<OrderView>, LabError> {
    access::permit(ctx, caller, Action::ReadOrder, "lab_order").await?;
    if filter.status.as_deref().is_some_and(|status| status.parse::<OrderStatus>().is_err()) {
        return Err(LabError::invalid("status", "must be the status of an order"));
    }
    let mut query = orders::search(filter.patient_id, filter.status.as_deref());
    if filter.overdue {
        query = query.filter(overdue(ctx.clock.now()));
    }
    let page = page::fetch(ctx.db.reader(), query, lab_order::Column::Id, request, |row| row.id).await?;
    let ids: Vec<i64> = page.items.iter().map(|row| row.id).collect();
    let mut tests: HashMap<i64, Vec<_>> = HashMap::new();
    for row in orders::tests_of(ctx.db.reader(), &ids).await? {
        tests.entry(row.lab_order_id).or_default().push(row);
    }
    let patients: Vec<i64> = page.items.iter().map(|row| row.patient_id).chain(filter.patient_id).collect();
    access::seen(ctx, caller, Action::ReadOrder, Resource::many("lab_order", &patients)).await?;
    Ok(page.map(|row| {
        let own = tests.remove(&row.id).unwrap_or_default();
        OrderView::new(row, own)
    }))
}

/// Still open, and placed too long ago for its priority.
fn overdue(now: DateTime<Utc>) -> Condition {
    use lab_order::Column::{CreatedAt, Priority, Status};
    let open = OrderStatus::ALL.iter().filter(|status| status.is_open()).map(OrderStatus::to_string);
    let late = OVERDUE_HOURS.iter().fold(Condition::any(), |any, (priority, hours)| {
        let before = now - Duration::hours(*hours);
        any.add(Condition::all().add(Priority.eq(*priority)).add(CreatedAt.lt(before)))
    });
    Condition::all().add(Status.is_in(open)).add(late)
}

/// One order with the current version of each result and its history.
pub async fn read_order(ctx: &Ctx, caller: &Caller, id: i64) -> Result<OrderDetail, LabError> {
    access::permit(ctx, caller, Action::ReadOrder, "lab_order").await?;
    let reader = ctx.db.reader();
    let row = orders::find(reader, id).await?.ok_or(LabError::NotFound("Lab order"))?;
    let tests = orders::tests_of(reader, &[id]).await?;
    let results = orders::current_results(reader, id).await?;
    let mut results: Vec<ResultView> = results.into_iter().map(ResultView::from).collect();
    surround(reader, &mut results.iter_mut().collect::<Vec<_>>()).await?;
    let timeline = orders::timeline(reader, id).await?;
    // A result can stand in another chart than its order, after a merge or a link that was undone.
    let patients: Vec<i64> = results.iter().map(|result| result.patient_id).chain([row.patient_id]).collect();
    access::seen(ctx, caller, Action::ReadOrder, Resource::one("lab_order", id, &patients)).await?;
    Ok(OrderDetail {
        order: OrderView::new(row, tests),
        results,
        timeline: timeline.into_iter().map(TimelineEntry::from).collect(),
    })
}
