//! What a laboratory will not do: specimens it could not use, tests it called off, refused or did not do.

use std::collections::{HashMap, HashSet};

use sea_orm::{ConnectionTrait, DbErr, QuerySelect};

use super::{Found, MOST_EXAMINED, Missing, Part, Scene};
use crate::{
    domain::{reconcile::Refusal, specimen::Specimen},
    store::{
        entity::{lab_order, lab_order_test, lab_report},
        reconcile,
    },
};

/// Specimens that have to be taken again: those that no later report of the same test makes up for.
pub(in crate::lab) async fn specimen_rejected(
    connection: &impl ConnectionTrait,
    scene: &Scene,
    limit: usize,
) -> Result<Part, DbErr> {
    let rows = reports(connection, scene, Refusal::Specimen).await?;
    let all = (rows.len() as u64) < MOST_EXAMINED;
    let found = refusals(connection, rows, Refusal::Specimen).await?;
    Ok(Part::of(found, limit, all))
}

/// Tests that the laboratory called off, refused, or reported as not done. What somebody here wanted called off is not
/// among them.
pub(in crate::lab) async fn not_done(
    connection: &impl ConnectionTrait,
    scene: &Scene,
    limit: usize,
) -> Result<Part, DbErr> {
    let tests = reconcile::ended(scene.since).limit(MOST_EXAMINED).all(connection).await?;
    let reports = reports(connection, scene, Refusal::NotDone).await?;
    let all = (tests.len() as u64) < MOST_EXAMINED && (reports.len() as u64) < MOST_EXAMINED;
    let mut found = ended(connection, scene, tests).await?;
    found.extend(refusals(connection, reports, Refusal::NotDone).await?);
    found.sort_by_key(|row| std::cmp::Reverse(row.since));
    Ok(Part::of(found, limit, all))
}

async fn reports(
    connection: &impl ConnectionTrait,
    scene: &Scene,
    refusal: Refusal,
) -> Result<Vec<lab_report::Model>, DbErr> {
    let query = reconcile::refused(refusal, scene.since, scene.endpoint);
    query.limit(MOST_EXAMINED).all(connection).await
}

async fn refusals(
    connection: &impl ConnectionTrait,
    rows: Vec<lab_report::Model>,
    refusal: Refusal,
) -> Result<Vec<Found>, DbErr> {
    let ids: Vec<i64> = rows.iter().filter_map(|row| row.lab_order_id).collect();
    let later = reconcile::reports_of(connection, &ids).await?;
    let by_id = by_id(reconcile::orders_by_id(connection, ids).await?);
    let standing = rows.into_iter().filter(|row| !later.iter().any(|other| makes_up_for(other, row)));
    let found = standing.map(|report| {
        let order = report.lab_order_id.and_then(|id| by_id.get(&id).cloned());
        Found {
            order,
            patient: report.patient_id,
            since: report.created_at,
            reason: refusal.to_string(),
            said: said(&report),
            missing: vec![Missing {
                test_code: report.service_code.clone(),
                test_name: report.service_text.clone(),
                loinc: None,
                name: None,
                what: "not_reported",
            }],
            report: Some(report),
        }
    });
    Ok(found.collect())
}

/// Whether another report of the same test brings what this one refuses. A later one does. So does an earlier one of a report
/// that is not called off as such, but has nothing in it except observations that cannot be obtained: it adds to the others.
pub(in crate::lab) fn makes_up_for(other: &lab_report::Model, refused: &lab_report::Model) -> bool {
    let is_addition = refused.refusal.as_deref() == Some(Refusal::NotDone.as_str())
        && refused.status.as_deref().map(str::trim) != Some("X");
    (other.id > refused.id || is_addition)
        && other.refusal.is_none()
        && refused.lab_order_test_id.is_some()
        && other.lab_order_test_id == refused.lab_order_test_id
}

/// Why, in the laboratory's words: of the specimen, else its comments.
fn said(report: &lab_report::Model) -> Option<String> {
    let specimens: Vec<Specimen> =
        report.specimens.clone().and_then(|json| serde_json::from_value(json).ok()).unwrap_or_default();
    let reasons = specimens.iter().filter_map(|one| one.reject_reason.as_ref().or(one.condition.as_ref()));
    let reasons: Vec<&str> = reasons.map(String::as_str).collect();
    let words = if reasons.is_empty() {
        crate::lab::views::strings(&report.notes).join("\n")
    } else {
        reasons.join("; ")
    };
    Some(words).filter(|words| !words.is_empty())
}

/// Orders of which the laboratory ended tests, one row each.
async fn ended(
    connection: &impl ConnectionTrait,
    scene: &Scene,
    tests: Vec<lab_order_test::Model>,
) -> Result<Vec<Found>, DbErr> {
    let ids: Vec<i64> =
        tests.iter().map(|test| test.lab_order_id).collect::<HashSet<_>>().into_iter().collect();
    let ours: HashSet<i64> = reconcile::called_off_by_us(connection, &ids).await?.into_iter().collect();
    let here = |order: &lab_order::Model| {
        !ours.contains(&order.id) && scene.endpoint.is_none_or(|id| order.lis_endpoint_id == Some(id))
    };
    let orders = reconcile::orders_by_id(connection, ids).await?.into_iter().filter(here);
    let mut by_order: HashMap<i64, Vec<lab_order_test::Model>> = HashMap::new();
    for test in tests {
        by_order.entry(test.lab_order_id).or_default().push(test);
    }
    let row = |order: lab_order::Model| {
        let tests = by_order.remove(&order.id)?;
        let since = tests.iter().map(|test| test.updated_at).max()?;
        let refused = tests.iter().all(|test| test.status == "rejected");
        let reason = if refused { "refused_by_lab" } else { "cancelled_by_lab" };
        let said = order.status_reason.clone();
        let missing = tests.into_iter().map(missing).collect();
        let patient = order.patient_id;
        let (report, reason) = (None, reason.to_owned());
        Some(Found { order: Some(order), report, patient, since, reason, said, missing })
    };
    Ok(orders.filter_map(row).collect())
}

fn missing(test: lab_order_test::Model) -> Missing {
    let (test_code, test_name) = (test.test_code, test.test_name);
    Missing { test_code, test_name, loinc: None, name: None, what: "not_reported" }
}

fn by_id(rows: Vec<lab_order::Model>) -> HashMap<i64, lab_order::Model> {
    rows.into_iter().map(|row| (row.id, row)).collect()
}
