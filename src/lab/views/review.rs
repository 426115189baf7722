use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::alert::AlertPatient;
use crate::{
    domain::{
        matching::ScoredCandidate,
        report::{Observation, Report},
    },
    store::entity::{patient, review_item},
};

/// Something that waits for a person to say whose it is.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = ReviewItem)]
pub struct ReviewItemView {
    /// Id.
    pub id: i64,
    /// The message it came in.
    pub hl7_message_id: i64,
    /// Why it could not be filed.
    pub reason: String,
    /// `open`, `linked` or `rejected`.
    pub status: String,
    /// Observations that it holds.
    pub observation_count: i32,
    /// Who it might be, best first. Of an open item read by itself they are looked up anew; otherwise they are those of the
    /// moment it was held.
    pub candidates: Vec<CandidateView>,
    /// The patient as the message states one: `mrn`, `identifiers`, `last_name`, `first_name`, `date_of_birth`, `gender`.
    #[schema(value_type = Option<Object>)]
    pub claimed_patient: Option<Value>,
    /// What it holds; null in lists, and when the message cannot be read again.
    pub observations: Option<Vec<HeldObservationView>>,
    /// Chart it was filed to, while it is.
    pub patient_id: Option<i64>,
    /// When it was held.
    pub created_at: DateTime<Utc>,
    /// Who decided.
    pub resolved_by: Option<String>,
    /// When.
    pub resolved_at: Option<DateTime<Utc>>,
    /// What was decided: `action` (`link`, `create_patient`, `reject`), `reason`, `score`; `made` lists the rows that were
    /// written and changed by it, and is left out of lists.
    #[schema(value_type = Option<Object>)]
    pub resolution: Option<Value>,
    /// Decisions that were taken back, oldest first.
    #[schema(value_type = Vec<Object>)]
    pub history: Vec<Value>,
}

/// Somebody it might be. The score is for the eye; nothing is linked by it.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = ReviewCandidate)]
pub struct CandidateView {
    /// Who.
    pub patient_id: i64,
    /// 0 to 100.
    pub score: u8,
    /// What speaks for and against it.
    pub reasons: Vec<String>,
    /// The patient as the chart has it, to be compared with what the message states; null in lists.
    pub patient: Option<AlertPatient>,
}

/// An observation that is held.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = HeldObservation)]
pub struct HeldObservationView {
    /// Code as sent (OBX-3.1).
    pub code: String,
    /// Name as sent (OBX-3.2).
    pub name: String,
    /// The value as a reader would see it.
    pub value: Option<String>,
    /// Units as sent (OBX-6).
    pub units: Option<String>,
    /// Reference range as sent (OBX-7).
    pub reference_range: Option<String>,
    /// Interpretation as sent (OBX-8), repetitions joined by `~`.
    pub flag: Option<String>,
    /// Status as understood (table 0085).
    pub status: String,
    /// When the specimen was taken or the observation made, as sent.
    pub observation_date_text: Option<String>,
    /// What was ordered (OBR-4).
    pub service: String,
    /// Our order number (OBR-2).
    pub placer_order_number: Option<String>,
    /// The lab's order number (OBR-3).
    pub filler_order_number: Option<String>,
    /// The alert that it raised.
    pub alert_id: Option<i64>,
}

impl HeldObservationView {
    /// An observation of a report.
    pub fn new(report: &Report, sent: &Observation, alert_id: Option<i64>) -> Self {
        Self {
            code: sent.code.code.clone(),
            name: sent.code.text.clone().unwrap_or_else(|| sent.code.code.clone()),
            value: sent.value.clone(),
            units: sent.units.clone(),
            reference_range: sent.reference_range.clone(),
            flag: (!sent.flags.is_empty()).then(|| sent.flags.join("~")),
            status: sent.status.to_string(),
            observation_date_text: sent.observed_at.as_ref().map(|time| time.text.clone()),
            service: report.service.text.clone().unwrap_or_else(|| report.service.code.clone()),
            placer_order_number: report.placer.clone(),
            filler_order_number: report.filler.clone(),
            alert_id,
        }
    }
}

impl CandidateView {
    /// A candidate with what the chart says of it.
    pub fn new(scored: &ScoredCandidate, patient: Option<&patient::Model>) -> Self {
        Self {
            patient_id: scored.patient_id.get(),
            score: scored.score,
            reasons: scored.reasons.iter().map(ToString::to_string).collect(),
            patient: patient.map(AlertPatient::from),
        }
    }
}

impl ReviewItemView {
    /// The item as its row has it.
    pub fn whole(row: review_item::Model) -> Self {
        let stored: Vec<ScoredCandidate> = serde_json::from_value(row.candidates).unwrap_or_default();
        Self {
            id: row.id,
            hl7_message_id: row.hl7_message_id,
            reason: row.reason,
            status: row.status,
            observation_count: row.observation_count,
            candidates: stored.iter().map(|scored| CandidateView::new(scored, None)).collect(),
            claimed_patient: row.claimed,
            observations: None,
            patient_id: row.patient_id,
            created_at: row.created_at,
            resolved_by: row.resolved_by,
            resolved_at: row.resolved_at,
            resolution: row.resolution,
            history: row.history.as_ref().and_then(Value::as_array).cloned().unwrap_or_default(),
        }
    }

    /// The item as a list shows it: a decision over a long report names thousands of rows.
    pub fn line(row: review_item::Model) -> Self {
        let mut view = Self::whole(row);
        let decisions = view.resolution.iter_mut().chain(&mut view.history);
        for decision in decisions.filter_map(Value::as_object_mut) {
            decision.remove("made");
        }
        view
    }
}
