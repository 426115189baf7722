//! Orders against results. Promise: whatever a laboratory has not taken, not answered, answered in part, refused, or reported
//! without being asked, stands on one of six lists until it is seen to; and everybody shown on them stands in the access log.

use std::collections::HashMap;

use sea_orm::DbErr;

use super::{
    access::{self, Resource},
    error::LabError,
    views::{
        MissingView, ReconciliationView, WorklistCounts, WorklistPatient, WorklistRow, Worklists, strings,
    },
    worklists::{self, Found, Missing, Part, Scene},
};
use crate::{
    context::{Caller, Ctx},
    domain::{
        access::{Action, allowed},
        reconcile::{Duty, Worklist},
    },
    store::{entity::patient, patients},
};

/// Which part of the worklists is asked for.
#[derive(Clone, Copy)]
pub struct ReconciliationQuery {
    /// Of one laboratory.
    pub lis_endpoint_id: Option<i64>,
    /// Rows of each list at most.
    pub limit: usize,
}

/// All worklists as they stand now. Whoever may read figures but no orders gets the counts alone. Errors: `NotFound` for an
/// endpoint that is not there.
pub async fn reconcile_orders(
    ctx: &Ctx,
    caller: &Caller,
    query: ReconciliationQuery,
) -> Result<ReconciliationView, LabError> {
    access::permit(ctx, caller, Action::ReadReport, "reconciliation").await?;
    let scene = Scene::load(ctx, query.lis_endpoint_id).await?;
    if let Some(id) = query.lis_endpoint_id.filter(|id| *id != 0) {
        let known = scene.endpoints.iter().any(|row| row.id == id);
        known.then_some(()).ok_or(LabError::NotFound("LIS endpoint"))?;
    }
    let limit = if allowed(caller.role, Action::ReadOrder) { query.limit } else { 0 };
    let parts = gather(ctx, &scene, limit).await?;
    let shown: Vec<i64> = parts.iter().flat_map(|(_, part)| &part.rows).map(|row| row.patient).collect();
    if limit == 0 {
        access::seen(ctx, caller, Action::ReadReport, Resource::many("reconciliation", &[])).await?;
    } else {
        access::seen(ctx, caller, Action::ReadOrder, Resource::many("reconciliation", &shown)).await?;
    }
    let people = patients::find_all(ctx.db.reader(), &shown).await?;
    let people: HashMap<i64, patient::Model> = people.into_iter().map(|row| (row.id, row)).collect();
    Ok(view(&scene, parts, &people))
}

async fn gather(ctx: &Ctx, scene: &Scene, limit: usize) -> Result<Vec<(Worklist, Part)>, DbErr> {
    let reader = ctx.db.reader();
    let mut parts = Vec::new();
    for list in Worklist::ALL.iter().copied() {
        let part = match list {
            Worklist::NotAcknowledged => worklists::late(reader, scene, Duty::Acknowledge, limit).await?,
            Worklist::NoResult => worklists::late(reader, scene, Duty::Report, limit).await?,
            Worklist::PartialPanel => worklists::partial_panels(reader, scene, limit).await?,
            Worklist::Unordered => worklists::unordered(reader, scene, limit).await?,
            Worklist::SpecimenRejected => worklists::specimen_rejected(reader, scene, limit).await?,
            Worklist::LabCancelled => worklists::not_done(reader, scene, limit).await?,
        };
        parts.push((list, part));
    }
    Ok(parts)
}

fn view(
    scene: &Scene,
    parts: Vec<(Worklist, Part)>,
    people: &HashMap<i64, patient::Model>,
) -> ReconciliationView {
    let (mut counts, mut lists) = (WorklistCounts::default(), Worklists::default());
    for (list, part) in parts {
        let rows = part.rows.into_iter().map(|found| row(scene, found, people)).collect();
        let (count, into) = match list {
            Worklist::NotAcknowledged => {
                (&mut counts.sent_not_acknowledged, &mut lists.sent_not_acknowledged)
            }
            Worklist::NoResult => {
                (&mut counts.acknowledged_without_result, &mut lists.acknowledged_without_result)
            }
            Worklist::PartialPanel => (&mut counts.partial_panels, &mut lists.partial_panels),
            Worklist::Unordered => (&mut counts.results_without_order, &mut lists.results_without_order),
            Worklist::SpecimenRejected => (&mut counts.specimen_rejected, &mut lists.specimen_rejected),
            Worklist::LabCancelled => (&mut counts.lab_cancelled, &mut lists.lab_cancelled),
        };
        (*count, *into) = (part.total, rows);
    }
    ReconciliationView { as_of: scene.now, counts, worklists: lists }
}

fn row(scene: &Scene, found: Found, people: &HashMap<i64, patient::Model>) -> WorklistRow {
    let Found { order, report, patient, since, reason, said, missing } = found;
    let (order, report) = (order.as_ref(), report.as_ref());
    let endpoint = report.map(|row| row.lis_endpoint_id).or(order.and_then(|row| row.lis_endpoint_id));
    let lab = endpoint.and_then(|id| scene.endpoints.iter().find(|row| row.id == id));
    let begun = order.map(|row| row.created_at).or(report.map(|row| row.created_at)).unwrap_or(since);
    let codes = match (report, order) {
        (Some(report), _) => vec![report.service_code.clone()],
        (None, Some(order)) => strings(&order.test_codes),
        (None, None) => Vec::new(),
    };
    WorklistRow {
        order_id: order.map(|row| row.id),
        report_id: report.map(|row| row.id),
        hl7_message_id: report.map(|row| row.hl7_message_id),
        patient_id: patient,
        patient: people.get(&patient).map(person),
        lis_endpoint_id: endpoint,
        lab: lab.map(|row| row.name.clone()),
        priority: order.map(|row| row.priority.clone()),
        status: order.map(|row| row.status.clone()),
        test_codes: codes,
        ordering_provider: order
            .map(|row| row.ordering_provider.clone())
            .or(report.and_then(|row| row.ordering_provider.clone())),
        ordered_at: order.map(|row| row.created_at),
        since,
        age_minutes: (scene.now - begun).num_minutes().max(0),
        reason,
        said,
        missing: missing.into_iter().map(MissingView::from).collect(),
    }
}

fn person(row: &patient::Model) -> WorklistPatient {
    WorklistPatient {
        mrn: row.mrn.clone(),
        last_name: row.last_name.clone(),
        first_name: row.first_name.clone(),
        date_of_birth: row.date_of_birth,
    }
}

impl From<Missing> for MissingView {
    fn from(missing: Missing) -> Self {
        Self {
            test_code: missing.test_code,
            test_name: missing.test_name,
            loinc_code: missing.loinc,
            name: missing.name,
            what: missing.what.to_owned(),
        }
    }
}
