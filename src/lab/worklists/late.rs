//! Orders that a laboratory has not taken, or not answered, in time.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DbErr, QuerySelect};

use super::{Found, Part, Scene};
use crate::{
    domain::{
        order::{OrderStatus, Priority},
        reconcile::{Duty, Placed, overdue, scheduled_or_placed, windows},
    },
    lab::page::{COUNT_LIMIT, count},
    store::{entity::lab_order, reconcile},
};

/// Orders that are late with a duty, the most urgent first, and among these the newest.
pub(in crate::lab) async fn late(
    connection: &impl ConnectionTrait,
    scene: &Scene,
    duty: Duty,
    limit: usize,
) -> Result<Part, DbErr> {
    let mut part = Part { rows: Vec::new(), total: Some(0) };
    let of_duty = windows(&scene.limits, scene.now).into_iter().filter(|window| window.duty == duty);
    for window in of_duty.filter(|window| window.lab_says_it_takes || !scene.silent.is_empty()) {
        let query = reconcile::late(&window, &scene.silent, scene.endpoint);
        let here = count(connection, &query, lab_order::Column::Id).await?;
        part.total = part.total.zip(here).map(|(all, here)| all + here).filter(|all| *all <= COUNT_LIMIT);
        let left = limit.saturating_sub(part.rows.len()) as u64;
        if left > 0 && here != Some(0) {
            let rows = query.limit(left).all(connection).await?;
            part.rows.extend(rows.into_iter().filter_map(|order| found(order, scene)));
        }
    }
    Ok(part)
}

fn found(order: lab_order::Model, scene: &Scene) -> Option<Found> {
    let (duty, since) = still_late(&order, scene)?;
    Some(Found {
        patient: order.patient_id,
        since,
        reason: match (duty, order.status.as_str()) {
            // Two different questions: is the line down, or does the laboratory keep quiet?
            (Duty::Acknowledge, "pending") => "not_received_by_lab".to_owned(),
            _ => duty.to_string(),
        },
        order: Some(order),
        report: None,
        said: None,
        missing: Vec::new(),
    })
}

/// What is late of an order now, and since when.
pub(in crate::lab) fn still_late(order: &lab_order::Model, scene: &Scene) -> Option<(Duty, DateTime<Utc>)> {
    let placed = Placed {
        status: order.status.parse::<OrderStatus>().ok()?,
        priority: order.priority.parse::<Priority>().unwrap_or(Priority::Stat),
        from: scheduled_or_placed(order.created_at, order.scheduled_at),
        lab_says_it_takes: order.lis_endpoint_id.is_none_or(|id| !scene.silent.contains(&id)),
    };
    overdue(placed, &scene.limits, scene.now)
}
