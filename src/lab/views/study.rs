//! Studies in the words of imaging systems: camelCase, and the names that their simulators use.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    domain::event::{Imaging, Placement},
    store::entity::{lab_order, lab_order_test, patient},
};

/// A study that was ordered.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = StudyOrder)]
pub struct StudyOrderView {
    /// The order.
    pub order: StudyView,
}

/// A study: who, what, where, when, and how far it is.
#[derive(Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Study)]
pub struct StudyView {
    /// Id of the order, as in `/api/lab-orders`.
    pub id: i64,
    /// Number under which the pictures are filed.
    pub accession_number: String,
    /// Our number on the wire.
    pub placer_order_number: String,
    /// `pending`, `sent`, `acknowledged`, `partial`, `resulted`, `failed`, `rejected` or `cancelled`.
    pub status: String,
    /// Whose it is.
    pub patient: StudyPatientView,
    /// What is done.
    pub study: StudyProcedure,
    /// Where and when.
    pub scheduling: StudyScheduling,
    /// When it was ordered.
    pub created_at: DateTime<Utc>,
    /// What was found, in words; null while there is nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report: Option<StudyReport>,
}

/// A patient.
#[derive(Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StudyPatientView {
    /// Medical record number.
    pub id: String,
    /// Name.
    pub name: StudyNameView,
    /// `male`, `female`, `other` or `unknown`.
    pub gender: String,
    /// `1990-03-15`.
    pub date_of_birth: Option<String>,
}

/// A name in its parts.
#[derive(Clone, Serialize, ToSchema)]
pub struct StudyNameView {
    /// Family name.
    pub family: String,
    /// Given name.
    pub given: String,
}

/// What is done.
#[derive(Clone, Serialize, ToSchema)]
pub struct StudyProcedure {
    /// Its code (OBR-4.1).
    pub id: String,
    /// Its name (OBR-4.2).
    pub description: Option<String>,
    /// Such as `CT`.
    pub modality: Option<String>,
    /// `R`, `S` or `A`; from outside also `P` and `T`.
    pub priority: String,
}

/// Where and when.
#[derive(Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StudyScheduling {
    /// Name of the device on its network.
    pub ae_title: Option<String>,
    /// Start.
    pub scheduled_date_time: Option<DateTime<Utc>>,
}

/// A report in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct StudyReport {
    /// `FINAL`, `PRELIMINARY`, `CORRECTED` or `CANCELLED`.
    pub status: &'static str,
    /// The text, a line for each observation.
    pub content: String,
}

/// The report of a study by itself.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = StudyReportAnswer)]
pub struct ReportView {
    /// The report.
    pub report: ReportBody,
}

/// A report with whose and of what it is.
#[derive(Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = StudyReportBody)]
pub struct ReportBody {
    /// Number under which the pictures are filed, else the laboratory's number.
    pub accession_number: Option<String>,
    /// Whose it is.
    pub patient: ReportPatient,
    /// What was done.
    pub study: ReportStudy,
    /// What was found.
    pub result: StudyReport,
}

/// The patient of a report.
#[derive(Clone, Serialize, ToSchema)]
pub struct ReportPatient {
    /// Medical record number.
    pub id: String,
    /// Name.
    pub name: StudyNameView,
}

/// What a report is of.
#[derive(Clone, Serialize, ToSchema)]
pub struct ReportStudy {
    /// Its code.
    pub id: String,
    /// Its name.
    pub description: Option<String>,
}

/// The studies of a patient.
#[derive(Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PatientStudies)]
pub struct PatientStudiesView {
    /// What was asked.
    pub query_type: &'static str,
    /// Of whom.
    pub patient_id: String,
    /// Newest first.
    pub studies: Vec<StudyView>,
}

impl StudyOrderView {
    /// The order as its first study.
    pub(in crate::lab) fn new(
        order: &lab_order::Model,
        tests: &[lab_order_test::Model],
        patient: &patient::Model,
    ) -> Option<Self> {
        Some(Self { order: studies(order, tests, patient).into_iter().next()?.1 })
    }
}

/// Every study of an order, each with its test.
pub(in crate::lab) fn studies<'t>(
    order: &lab_order::Model,
    tests: &'t [lab_order_test::Model],
    patient: &patient::Model,
) -> Vec<(&'t lab_order_test::Model, StudyView)> {
    let own = tests.iter().filter(|test| test.lab_order_id == order.id);
    own.map(|test| {
        let imaging = Placement::study(order.imaging.as_ref(), test.position).unwrap_or_default();
        (test, study(order, test, imaging, patient))
    })
    .collect()
}

fn study(
    order: &lab_order::Model,
    test: &lab_order_test::Model,
    imaging: Imaging,
    patient: &patient::Model,
) -> StudyView {
    StudyView {
        id: order.id,
        accession_number: imaging.accession_number.unwrap_or_else(|| test.placer_order_number.clone()),
        placer_order_number: test.placer_order_number.clone(),
        status: order.status.clone(),
        patient: StudyPatientView {
            id: patient.mrn.clone(),
            name: StudyNameView::of(patient),
            gender: patient.gender.clone(),
            date_of_birth: patient.date_of_birth.map(|date| date.to_string()),
        },
        study: StudyProcedure {
            id: test.test_code.clone(),
            description: test.test_name.clone(),
            modality: imaging.modality,
            priority: order.priority.clone(),
        },
        scheduling: StudyScheduling { ae_title: imaging.ae_title, scheduled_date_time: imaging.scheduled_at },
        created_at: order.created_at,
        report: None,
    }
}

impl StudyNameView {
    /// A patient's name.
    pub(in crate::lab) fn of(patient: &patient::Model) -> Self {
        Self { family: patient.last_name.clone(), given: patient.first_name.clone() }
    }
}
