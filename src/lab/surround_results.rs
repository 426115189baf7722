//! What stands around results: the specimens of their reports, and the results that those hang on.

use std::collections::{HashMap, HashSet};

use sea_orm::{ConnectionTrait, DbErr};

use super::views::{ResultView, parent, specimens};
use crate::{
    domain::parent::{Candidate, Wanted, choose},
    store::{
        entity::{lab_report, lab_result},
        reports,
    },
};

/// Adds specimens and parents. One query for the reports; two more only when one of them hangs on a result.
pub(super) async fn surround(
    connection: &impl ConnectionTrait,
    views: &mut [&mut ResultView],
) -> Result<(), DbErr> {
    let ids: HashSet<i64> = views.iter().filter_map(|view| view.lab_report_id).collect();
    if ids.is_empty() {
        return Ok(());
    }
    let ids: Vec<i64> = ids.into_iter().collect();
    let rows = reports::by_id(connection, &ids).await?;
    let parents = parents_of(connection, &rows).await?;
    let rows: HashMap<i64, lab_report::Model> = rows.into_iter().map(|row| (row.id, row)).collect();
    for view in views {
        let Some(row) = view.lab_report_id.and_then(|id| rows.get(&id)) else { continue };
        view.specimens = specimens(row);
        view.specimen = view.specimens.first().cloned();
        view.parent = parent(row);
        view.parent_result_id = parents.get(&row.id).copied();
        view.is_reflex = row.is_reflex;
        if let Some(parent) = &mut view.parent {
            parent.result_id = view.parent_result_id;
        }
    }
    Ok(())
}

/// Parent result by report.
async fn parents_of(
    connection: &impl ConnectionTrait,
    rows: &[lab_report::Model],
) -> Result<HashMap<i64, i64>, DbErr> {
    let children: Vec<&lab_report::Model> = rows.iter().filter(|row| row.parent_code.is_some()).collect();
    if children.is_empty() {
        return Ok(HashMap::new());
    }
    let patients: HashSet<i64> = children.iter().map(|row| row.patient_id).collect();
    let numbers: HashSet<String> =
        children.iter().flat_map(|row| [filler(row), placer(row)]).flatten().map(str::to_owned).collect();
    let (patients, numbers): (Vec<_>, Vec<_>) =
        (patients.into_iter().collect(), numbers.into_iter().collect());
    let found = reports::of_patients(connection, &patients, &numbers).await?;
    let results = reports::current_results(connection, &found).await?;
    let found: HashMap<i64, lab_report::Model> = found.into_iter().map(|row| (row.id, row)).collect();
    let parent = |child: &&lab_report::Model| Some((child.id, parent_of(child, &found, &results)?));
    Ok(children.iter().filter_map(parent).collect())
}

/// The number of the parent order where one was given, else that of the report itself: many labs send susceptibilities
/// under the number of their culture.
fn filler(row: &lab_report::Model) -> Option<&str> {
    let told = row.parent_filler_number.is_some() || row.parent_placer_number.is_some();
    if told { row.parent_filler_number.as_deref() } else { row.filler_order_number.as_deref() }
}

fn placer(row: &lab_report::Model) -> Option<&str> {
    let told = row.parent_filler_number.is_some() || row.parent_placer_number.is_some();
    if told { row.parent_placer_number.as_deref() } else { row.placer_order_number.as_deref() }
}

fn parent_of(
    child: &lab_report::Model,
    reports: &HashMap<i64, lab_report::Model>,
    results: &[lab_result::Model],
) -> Option<i64> {
    let wanted = Wanted {
        code: child.parent_code.as_deref()?,
        sub_id: child.parent_sub_id.as_deref(),
        text: child.parent_text.as_deref(),
        filler: filler(child),
        placer: placer(child),
    };
    let same_lab = |report: &&lab_report::Model| {
        report.patient_id == child.patient_id
            && report.lis_endpoint_id == child.lis_endpoint_id
            && report.id != child.id
    };
    let candidate = |row| {
        let row: &lab_result::Model = row;
        let report = reports.get(&row.lab_report_id?).filter(same_lab)?;
        Some(Candidate {
            id: row.id,
            code: &row.test_code,
            sub_id: row.sub_id.as_deref(),
            value: row.value.as_deref(),
            filler: report.filler_order_number.as_deref(),
            placer: report.placer_order_number.as_deref(),
        })
    };
    let candidates: Vec<Candidate<'_>> = results.iter().filter_map(candidate).collect();
    choose(&wanted, &candidates)
}
