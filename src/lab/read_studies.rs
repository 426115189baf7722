//! Studies of a patient and reports in words, as imaging systems ask for them. Promise: who asks by a key sees what it
//! ordered itself or was sent, and nothing else of the chart.

use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::{
    access::{self, Resource},
    error::LabError,
    submit_hl7::Submitter,
    views::{
        PatientStudiesView, ReportBody, ReportPatient, ReportStudy, ReportView, StudyNameView, StudyReport,
        studies,
    },
};
use crate::{
    context::{Caller, Ctx},
    domain::{access::Action, event::Placement},
    store::{
        entity::{
            lab_order::{self, Column},
            lab_report, lab_result,
        },
        orders, patients, reports,
    },
};

/// Orders that one question is answered with at most.
const MOST_ORDERS: u64 = 200;

/// Answers which studies of a patient there are. Errors: `NotFound` for a patient who is not known.
pub async fn patient_studies(
    ctx: &Ctx,
    submitter: &Submitter,
    mrn: &str,
) -> Result<PatientStudiesView, LabError> {
    let caller = &submitter.caller;
    access::permit(ctx, caller, Action::ReadOrder, "lab_order").await?;
    access::permit(ctx, caller, Action::ReadResult, "lab_result").await?;
    let reader = ctx.db.reader();
    let found = patients::find_by_mrn(reader, &ctx.config.sending_facility, mrn.trim()).await?;
    let patient = found.ok_or(LabError::NotFound("Patient"))?;
    let query = lab_order::Entity::find()
        .filter(Column::PatientId.eq(patient.id))
        .filter(Column::Imaging.is_not_null())
        .filter(open_to(submitter))
        .order_by_desc(Column::Id)
        .limit(MOST_ORDERS);
    let rows = query.all(reader).await?;
    let ids: Vec<i64> = rows.iter().map(|order| order.id).collect();
    let tests = orders::tests_of(reader, &ids).await?;
    let reports = reports::of_orders(reader, &ids).await?;
    let results = reports::current_results(reader, &reports).await?;
    access::seen(ctx, caller, Action::ReadOrder, Resource::many("lab_order", &[patient.id])).await?;
    let mut answer = Vec::new();
    for order in &rows {
        for (test, mut study) in studies(order, &tests, &patient) {
            let of_test = reports.iter().filter(|report| report.lab_order_test_id == Some(test.id));
            study.report = in_words(&of_test.map(|report| report.id).collect::<Vec<_>>(), &results);
            answer.push(study);
        }
    }
    Ok(PatientStudiesView { query_type: "patient_studies", patient_id: patient.mrn, studies: answer })
}

/// What the caller may see: a system what it ordered or was sent, our own people everything.
fn open_to(submitter: &Submitter) -> Condition {
    match submitter.source() {
        Some(id) => Condition::any()
            .add(Column::SourceEndpointId.eq(id))
            .add(Condition::all().add(Column::LisEndpointId.eq(id)).add(Column::LisEndpointId.ne(0))),
        None => Condition::all(),
    }
}

/// The report that a result is a part of, in words. Errors: `NotFound` also where the result came without a report.
pub async fn read_report(ctx: &Ctx, caller: &Caller, result: i64) -> Result<ReportView, LabError> {
    const NONE: LabError = LabError::NotFound("Report");
    access::permit(ctx, caller, Action::ReadResult, "lab_result").await?;
    let reader = ctx.db.reader();
    let row = lab_result::without_documents().filter(lab_result::Column::Id.eq(result)).one(reader).await?;
    let row = row.ok_or(LabError::NotFound("Lab result"))?;
    let report = reports::by_id(reader, row.lab_report_id.as_slice()).await?.pop().ok_or(NONE)?;
    let patient = patients::find(reader, row.patient_id).await?.ok_or(NONE)?;
    let results = reports::current_results(reader, std::slice::from_ref(&report)).await?;
    let words = in_words(&[report.id], &results).ok_or(NONE)?;
    let accession_number = accession(ctx, &report).await?;
    let resource = Resource::one("lab_result", result, std::slice::from_ref(&row.patient_id));
    access::seen(ctx, caller, Action::ReadResult, resource).await?;
    let body = ReportBody {
        accession_number,
        patient: ReportPatient { id: patient.mrn.clone(), name: StudyNameView::of(&patient) },
        study: ReportStudy { id: report.service_code, description: report.service_text },
        result: words,
    };
    Ok(ReportView { report: body })
}

/// Under which number the pictures are filed, else the laboratory's own number, else the one it was ordered under.
async fn accession(ctx: &Ctx, report: &lab_report::Model) -> Result<Option<String>, LabError> {
    let order = match report.lab_order_id {
        Some(id) => orders::find(ctx.db.reader(), id).await?,
        None => None,
    };
    let tests = orders::tests_of(ctx.db.reader(), report.lab_order_id.as_slice()).await?;
    let test = tests.iter().find(|test| Some(test.id) == report.lab_order_test_id);
    let study =
        order.zip(test).and_then(|(order, test)| Placement::study(order.imaging.as_ref(), test.position));
    let stated = study.and_then(|study| study.accession_number);
    Ok(stated.or_else(|| report.filler_order_number.clone()).or_else(|| report.placer_order_number.clone()))
}

/// The current results of reports as one text; `None` when there is no word in them.
fn in_words(reports: &[i64], results: &[lab_result::Model]) -> Option<StudyReport> {
    let own: Vec<_> =
        results.iter().filter(|row| row.lab_report_id.is_some_and(|id| reports.contains(&id))).collect();
    let lines: Vec<&str> = own.iter().filter_map(|row| row.value.as_deref()).collect();
    // A final that took the place of another one is a correction, whatever its sender calls it.
    let said = |row: &&lab_result::Model| match row.result_status.as_str() {
        "F" if row.is_correction => "C".to_owned(),
        status => status.to_owned(),
    };
    let statuses: Vec<String> = own.iter().map(said).collect();
    (!own.is_empty()).then(|| StudyReport { status: overall(&statuses), content: lines.join("\n") })
}

/// Final only when all of it is: a part that may still change makes the whole preliminary (table 0085).
fn overall(statuses: &[String]) -> &'static str {
    let all = |codes: &[&str]| statuses.iter().all(|status| codes.contains(&status.as_str()));
    if all(&["X"]) {
        return "CANCELLED";
    }
    if !all(&["F", "C", "X", "U", "A", "B", "V"]) {
        return "PRELIMINARY";
    }
    if statuses.iter().any(|status| matches!(status.as_str(), "C" | "A")) { "CORRECTED" } else { "FINAL" }
}

#[cfg(test)]
mod tests {
    use super::overall;

    #[test]
    fn the_whole_is_final_when_every_part_is() {
        for (statuses, expected) in [
            (&["F", "F"][..], "FINAL"),
            (&["F", "P"], "PRELIMINARY"),
            (&["C", "P"], "PRELIMINARY"),
            (&["F", "unknown"], "PRELIMINARY"),
            (&["F", "C"], "CORRECTED"),
            (&["F", "X"], "FINAL"),
            (&["X", "X"], "CANCELLED"),
        ] {
            let statuses: Vec<String> = statuses.iter().map(|&status| status.to_owned()).collect();
            assert_eq!(overall(&statuses), expected, "{statuses:?}");
        }
    }
}
