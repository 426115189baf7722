//! Results that answer no order of ours, from laboratories that normally answer them.

use std::collections::HashMap;

use sea_orm::{ConnectionTrait, DbErr};

use super::{Found, MOST_EXAMINED, Part, Scene};
use crate::{
    domain::reconcile::{Feed, Stray, StrayReason, stray},
    store::{
        endpoints,
        entity::{lab_order, lab_order_test, lab_report},
        orders, reconcile,
    },
};

/// Orders of a patient that are open, each with its tests.
type Open = HashMap<i64, Vec<(lab_order::Model, Vec<lab_order_test::Model>)>>;

/// Reports without an order that somebody should look at, newest first.
pub(in crate::lab) async fn unordered(
    connection: &impl ConnectionTrait,
    scene: &Scene,
    limit: usize,
) -> Result<Part, DbErr> {
    // 0 is the sender that no endpoint names.
    let senders = std::iter::once((0, false))
        .chain(scene.endpoints.iter().map(|row| (row.id, endpoints::takes_orders(row))))
        .filter(|(id, _)| scene.endpoint.is_none_or(|only| only == *id));
    let (mut found, mut all) = (Vec::new(), true);
    for (id, takes_orders) in senders {
        let reports = reconcile::unordered(connection, id, scene.since, MOST_EXAMINED).await?;
        if reports.is_empty() {
            continue;
        }
        all &= (reports.len() as u64) < MOST_EXAMINED;
        let feed = reconcile::feed(connection, id, takes_orders).await?;
        let open = open_orders(connection, &reports).await?;
        found.extend(reports.into_iter().filter_map(|report| row(report, feed, &open)));
    }
    found.sort_by_key(|row| std::cmp::Reverse(row.report.as_ref().map(|report| report.id)));
    Ok(Part::of(found, limit, all))
}

async fn open_orders(
    connection: &impl ConnectionTrait,
    reports: &[lab_report::Model],
) -> Result<Open, DbErr> {
    let mut patients: Vec<i64> = reports.iter().map(|report| report.patient_id).collect();
    patients.sort_unstable();
    patients.dedup();
    let rows = reconcile::open_of_patients(connection, &patients).await?;
    let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
    let mut tests = orders::tests_by_order(connection, &ids).await?;
    let mut open = Open::new();
    for order in rows {
        let own = tests.remove(&order.id).unwrap_or_default();
        open.entry(order.patient_id).or_default().push((order, own));
    }
    Ok(open)
}

fn row(report: lab_report::Model, feed: Feed, open: &Open) -> Option<Found> {
    let of_patient = open.get(&report.patient_id).map(Vec::as_slice).unwrap_or_default();
    let fitting = of_patient.iter().find(|(_, tests)| tests.iter().any(|test| fits(test, &report)));
    let facts = Stray {
        names_placer: report.placer_order_number.is_some(),
        names_filler: report.filler_order_number.is_some(),
        fits_open_order: fitting.is_some(),
    };
    let reason = stray(facts, feed)?;
    let order = fitting.filter(|_| reason == StrayReason::OpenOrder).map(|(order, _)| order.clone());
    Some(Found {
        order,
        patient: report.patient_id,
        since: report.created_at,
        reason: reason.to_string(),
        said: None,
        missing: Vec::new(),
        report: Some(report),
    })
}

/// Whether an open test of the patient asks for what a report brings.
fn fits(test: &lab_order_test::Model, report: &lab_report::Model) -> bool {
    let open = matches!(test.status.as_str(), "ordered" | "in_lab" | "partial");
    open && (test.test_code == report.service_code || test.loinc_code.as_ref() == Some(&report.service_code))
}
