//! Reading orders.

use sea_orm::QueryFilter;

use super::{
    access::{self, Resource},
    error::LabError,
    page::{self, Page, PageRequest},
    surround_results::surround,
    views::{OrderDetail, OrderView, ResultView, TimelineEntry},
    worklists::Scene,
};
use crate::{
    context::{Caller, Ctx},
    domain::{access::Action, order::OrderStatus, reconcile::windows},
    store::{entity::lab_order, orders, reconcile},
};

/// Which orders.
#[derive(Clone, Default)]
pub struct OrderFilter {
    /// Of this patient.
    pub patient_id: Option<i64>,
    /// In this status.
    pub status: Option<String>,
    /// Only those that the laboratory should have taken, or answered, by now.
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
        let scene = Scene::load(ctx, None).await?;
        query = query.filter(reconcile::late_in_any(&windows(&scene.limits, scene.now), &scene.silent));
    }
    let page = page::fetch(ctx.db.reader(), query, lab_order::Column::Id, request, |row| row.id).await?;
    let ids: Vec<i64> = page.items.iter().map(|row| row.id).collect();
    let mut tests = orders::tests_by_order(ctx.db.reader(), &ids).await?;
    let patients: Vec<i64> = page.items.iter().map(|row| row.patient_id).chain(filter.patient_id).collect();
    access::seen(ctx, caller, Action::ReadOrder, Resource::many("lab_order", &patients)).await?;
    Ok(page.map(|row| {
        let own = tests.remove(&row.id).unwrap_or_default();
        OrderView::new(row, own)
    }))
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
